//! Users of the console, from their login to their log-out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use axum::{Extension, Router};
use elasticjob::configuration::sources::Loader;
use elasticjob::operation::Operations;
use elasticjob::operation::world::World;
use elasticjob::registry::memory::MemoryRegistry;
use futures_util::StreamExt;
use tower::ServiceExt;

use crate::access::peer::{Local, Peer};
use crate::access::{Accounts, password};
use crate::gate::Gate;
use crate::routes;
use crate::store::{Kept, Store};

/// A console with two users: the admin `root` and the viewer `eve`. Both have the password `tiger`.
struct Stage(Router);

fn stage() -> Stage {
    let hash = password::hash("tiger");
    let settings = Loader::new()
        .set("reg-center.type", "EMBEDDED")
        .set("console.port", "8088")
        .set("console.host", "0.0.0.0")
        .set("console.users.root.password-hash", &*hash)
        .set("console.users.root.role", "admin")
        .set("console.users.eve.password-hash", &*hash)
        .load()
        .unwrap();
    let accounts = Accounts::new(&settings.console.unwrap(), 8088, Store::in_memory(), Kept::default());
    let world = World::new(Operations::new(Arc::new(MemoryRegistry::new())));
    let router = routes::router(world, Gate::Users(Arc::new(accounts)));
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let router = router.layer(Extension(Peer(address("192.0.2.7"))));
    Stage(router.layer(Extension(Local(address("192.0.2.1")))))
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    location: String,
    cookie: String,
    retry_after: String,
    text: String,
}

impl Stage {
    async fn raw(&self, request: Request<Body>) -> Response<Body> {
        self.0.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:8088");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = self.raw(request.body(Body::from(body.to_owned())).unwrap()).await;
        let text = |name| {
            response
                .headers()
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned()
        };
        let (location, cookie) = (text(header::LOCATION), text(header::SET_COOKIE));
        let (status, retry_after) = (response.status(), text(header::RETRY_AFTER));
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer {
            status,
            location,
            cookie,
            retry_after,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn post(&self, path: &str, cookie: &str, body: &str) -> Answer {
        self.ask("POST", path, &[FROM_HERE, ("cookie", cookie)], body).await
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask("GET", path, &[FOR_PAGE, ("cookie", cookie)], "").await
    }

    /// Logs in, and returns the cookie.
    async fn log_in(&self, name: &str) -> String {
        let answer = self.post("/login", "", &format!("name={name}&password=tiger")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.cookie.split(';').next().unwrap().to_owned()
    }
}

const FROM_HERE: (&str, &str) = ("sec-fetch-site", "same-origin");
const FOR_PAGE: (&str, &str) = ("accept", "text/html,*/*");

#[tokio::test(start_paused = true)]
async fn leads_a_stranger_to_the_login_and_back() {
    let stage = stage();
    let answer = stage.get("/jobs?q=a&sort=name", "").await;
    assert_eq!(answer.location, "/login?return=%2Fjobs%3Fq%3Da%26sort%3Dname");
    assert_eq!(answer.text, "");
    // What is no page has no login.
    for path in ["/live?view=/jobs&after=0-0", "/session", "/jobs"] {
        assert_eq!(
            stage.ask("GET", path, &[], "").await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    assert_eq!(stage.get("/nothing", "").await.location, "/login?return=%2Fnothing");
    let page = stage.get("/login?return=%2Fjobs%3Fq%3Da", "").await;
    assert!(
        page.text.contains("name=\"return\" value=\"/jobs?q=a\""),
        "{}",
        page.text
    );

    let form = "name=eve&password=tiger&return=%2Fjobs%3Fq%3Da";
    let answer = stage.post("/login", "", form).await;
    assert_eq!((answer.status, &*answer.location), (StatusCode::SEE_OTHER, "/jobs?q=a"));
    assert!(answer.cookie.contains("; HttpOnly; SameSite=Lax;"), "{}", answer.cookie);
    let cookie = answer.cookie.split(';').next().unwrap();
    assert_eq!(stage.get("/session", cookie).await.status, StatusCode::NO_CONTENT);
    assert_eq!(stage.get("/login?return=%2Fservers", cookie).await.location, "/servers");
}

#[tokio::test(start_paused = true)]
async fn leads_nowhere_else() {
    let stage = stage();
    for evil in [
        "https%3A%2F%2Fevil.test",
        "%2F%2Fevil.test",
        "%2F%5Cevil.test",
        "javascript%3Aalert(1)",
        "%2Fa%0D%0Ax%3A",
    ] {
        let answer = stage
            .post("/login", "", &format!("name=eve&password=tiger&return={evil}"))
            .await;
        assert_eq!(answer.location, "/jobs", "{evil}");
        let page = stage.get(&format!("/login?return={evil}"), "").await;
        assert!(page.text.contains("name=\"return\" value=\"/jobs\""), "{evil}");
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_a_wrong_password_without_a_word_on_the_name() {
    let stage = stage();
    let known = stage.post("/login", "", "name=eve&password=lion").await;
    let unknown = stage.post("/login", "", "name=adam&password=lion").await;
    assert_eq!(known.status, StatusCode::UNAUTHORIZED);
    assert_eq!(known.text.replace("eve", "adam"), unknown.text);
    assert_eq!((known.cookie, unknown.cookie), (String::new(), String::new()));
    let hostile = stage
        .post("/login", "", "name=%22%3E%3Cscript%3E&password=geheim")
        .await;
    assert!(
        !hostile.text.contains("<script>") && !hostile.text.contains("geheim"),
        "{}",
        hostile.text
    );
    for _ in 0..2 {
        stage.post("/login", "", "name=x&password=y").await;
    }
    let answer = stage.post("/login", "", "name=eve&password=tiger").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(["1", "2"].contains(&&*answer.retry_after), "{}", answer.retry_after);
}

#[tokio::test(start_paused = true)]
async fn takes_forms_and_hosts_of_its_own_alone() {
    let stage = stage();
    for headers in [
        &[][..],
        &[("origin", "http://evil.test")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "null")],
    ] {
        let answer = stage.ask("POST", "/login", headers, "name=eve&password=tiger").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    for (host, status) in [
        ("192.0.2.1:8088", StatusCode::OK),
        ("192.0.2.2:8088", StatusCode::MISDIRECTED_REQUEST),
        ("evil.test", StatusCode::MISDIRECTED_REQUEST),
    ] {
        assert_eq!(
            stage.ask("GET", "/login", &[("host", host)], "").await.status,
            status,
            "{host}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn has_a_new_session_with_each_login() {
    let stage = stage();
    let first = stage.log_in("eve").await;
    // One that an attacker made up counts for nothing.
    let answer = stage.post("/login", "ej-8088=planted", "name=eve&password=tiger").await;
    assert!(!answer.cookie.contains("planted"));
    let answer = stage.post("/login", &first, "name=eve&password=tiger").await;
    let second = answer.cookie.split(';').next().unwrap();
    assert_ne!(first, second);
    assert_eq!(stage.get("/session", &first).await.location, "/login?return=%2Fsession");
    let answer = stage.post("/logout", second, "").await;
    assert!(answer.cookie.contains("Max-Age=0"), "{}", answer.cookie);
    assert_eq!(stage.get("/session", second).await.location, "/login?return=%2Fsession");
}

#[tokio::test(start_paused = true)]
async fn ends_streams_after_the_log_out_and_the_idle_time() {
    let stage = stage();
    let cookie = stage.log_in("eve").await;
    let request = Request::get("/live?view=/settings&after=0-0")
        .header("host", "127.0.0.1")
        .header("cookie", &cookie);
    let response = stage.raw(request.body(Body::empty()).unwrap()).await;
    let mut stream = response.into_body().into_data_stream();
    assert!(stream.next().await.is_some(), "the page as it is");
    stage.post("/logout", &cookie, "").await;
    let end = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(31), end)
        .await
        .expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn makes_tokens_that_are_shown_once() {
    let stage = stage();
    let cookie = stage.log_in("root").await;
    let page = stage
        .post(
            "/settings/tokens",
            &cookie,
            "name=ci&rights=operator&jobs=a*,b*&days=30",
        )
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let start = page.text.find("ej_").expect("it is shown");
    let token = page.text[start..start + 43].to_owned();
    let page = stage.get("/settings", &cookie).await;
    assert!(
        page.text.contains("a*, b*") && !page.text.contains(&token),
        "{}",
        page.text
    );

    // No browser sends it by itself, so it needs no origin.
    let bearer = format!("Bearer {token}");
    let by_token = [("authorization", &*bearer)];
    assert_eq!(
        stage.ask("GET", "/session", &by_token, "").await.status,
        StatusCode::NO_CONTENT
    );
    let answer = stage.ask("POST", "/jobs/a1/trigger", &by_token, "parameter=").await;
    assert!(
        answer.location.contains("failed=there%20is%20no%20job"),
        "{}",
        answer.location
    );
    assert_eq!(
        stage.ask("POST", "/jobs/c1/trigger", &by_token, "").await.status,
        StatusCode::NOT_FOUND
    );
    // It makes no further tokens, and ends no sessions.
    for path in ["/settings/tokens", "/settings/sessions/x/end", "/logout"] {
        assert_eq!(
            stage.ask("POST", path, &by_token, "").await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    for wrong in [
        "name=&rights=viewer&days=1",
        "name=x&rights=root&days=1",
        "name=x&rights=viewer&days=91",
        "name=ci&rights=viewer&days=1",
    ] {
        let page = stage.post("/settings/tokens", &cookie, wrong).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(!page.text.contains("ej_"), "{wrong}");
    }
    let eve = stage.log_in("eve").await;
    let page = stage
        .post("/settings/tokens", &eve, "name=x&rights=operator&days=1")
        .await;
    assert!(
        page.text.contains("a token may not more than its user"),
        "{}",
        page.text
    );
    assert!(
        stage
            .post("/settings/tokens/ci/revoke", &eve, "")
            .await
            .location
            .contains("failed=")
    );
    assert!(
        stage
            .post("/settings/tokens/ci/revoke", &cookie, "")
            .await
            .location
            .contains("done=")
    );
    assert_eq!(
        stage.ask("GET", "/session", &by_token, "").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test(start_paused = true)]
async fn shows_other_users_to_admins_alone() {
    let stage = stage();
    let (root, eve) = (stage.log_in("root").await, stage.log_in("eve").await);
    let page = stage.get("/settings", &eve).await.text;
    assert!(
        page.contains("eve") && page.contains("192.0.2.7") && !page.contains("root"),
        "{page}"
    );
    let page = stage.get("/settings", &root).await.text;
    assert!(page.contains("id=\"users\"") && page.contains("eve"), "{page}");
    for secret in ["$argon2id", root.split('=').nth(1).unwrap()] {
        assert!(!page.contains(secret), "{secret}");
    }
    // A user ends its own sessions alone.
    let names = page.split("/settings/sessions/").skip(1).map(|rest| &rest[..16]);
    let sessions: Vec<&str> = names.collect();
    assert_eq!(sessions.len(), 2);
    for session in sessions {
        stage.post(&format!("/settings/sessions/{session}/end"), &eve, "").await;
    }
    assert_eq!(
        stage.get("/session", &root).await.status,
        StatusCode::NO_CONTENT,
        "eve ended her own alone"
    );
    assert_eq!(stage.get("/session", &eve).await.location, "/login?return=%2Fsession");
}

/// Returns the rows of the audit log as an admin sees them: visitor, request and outcome, the oldest first.
async fn audited(stage: &Stage, cookie: &str) -> Vec<String> {
    let page = stage.get("/settings/audit", cookie).await;
    assert_eq!(page.status, StatusCode::OK);
    let body = page.text.split("<tbody>").nth(1).expect("a table");
    let plain = |row: &str| {
        let mut text = String::new();
        let mut is_tag = false;
        for letter in row.chars() {
            match letter {
                '<' => is_tag = true,
                '>' => is_tag = false,
                letter if !is_tag => text.push(letter),
                _ => {}
            }
        }
        text.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    let mut rows: Vec<String> = body
        .split("</tr>")
        .filter(|row| row.contains("<tr>"))
        .map(plain)
        .collect();
    rows.reverse();
    rows
}

#[tokio::test(start_paused = true)]
async fn keeps_an_audit_log_of_all_that_is_asked() {
    let stage = stage();
    stage.post("/login", "", "name=mallory%3Cb%3E&password=geheim").await;
    let (root, eve) = (stage.log_in("root").await, stage.log_in("eve").await);
    stage.post("/jobs/%E5%A4%87%E4%BB%BD/disable", &root, "reason=x").await;
    stage.post("/jobs/a1/trigger", &eve, "parameter=geheim").await;
    // Strangers would fill the log.
    stage.post("/jobs/a1/trigger", "", "").await;
    stage
        .ask("POST", "/api/jobs/a1/trigger", &[("cookie", &root), FROM_HERE], "")
        .await;
    stage.post("/logout", &eve, "").await;
    let rows = audited(&stage, &root).await;
    for (row, parts) in [
        (
            0,
            &[
                "mallory&#60;b&#62;192.0.2.7",
                "login",
                "failed",
                "wrong name or password",
            ][..],
        ),
        (1, &["root192.0.2.7", "login", "done"]),
        (2, &["eve", "login", "done"]),
        (3, &["root", "POST /jobs/备份/disable", "asked"]),
        (4, &["root", "POST /jobs/备份/disable", "failed (4)", "there is no job"]),
        (
            5,
            &[
                "eve",
                "POST /jobs/a1/trigger",
                "refused",
                "rights of a visitor that is operator",
            ],
        ),
        (6, &["root", "POST /api/jobs/a1/trigger", "asked"]),
        (
            7,
            &["root", "POST /api/jobs/a1/trigger", "failed (7)", "there is no job"],
        ),
        (8, &["eve", "POST /logout", "asked"]),
        (9, &["eve", "POST /logout", "done (9)"]),
    ] {
        for part in parts {
            assert!(rows[row].contains(part), "{part} is not in row {row}: {rows:#?}");
        }
    }
    assert_eq!(rows.len(), 10, "{rows:#?}");
    assert!(!rows.join(" ").contains("geheim"), "{rows:#?}");
    assert_eq!(
        stage.get("/settings/audit", &stage.log_in("eve").await).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(start_paused = true)]
async fn has_a_row_of_a_request_whose_visitor_has_left() {
    let stage = stage();
    let root = stage.log_in("root").await;
    let request = Request::post("/jobs/a1/trigger")
        .header("host", "127.0.0.1:8088")
        .header("cookie", &root)
        .header(FROM_HERE.0, FROM_HERE.1)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    // The rest of the form never comes.
    let body = Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>());
    let asking = stage.raw(request.body(body).unwrap());
    assert!(tokio::time::timeout(Duration::from_secs(1), asking).await.is_err());
    let rows = audited(&stage, &root).await;
    assert!(
        rows[1].contains("POST /jobs/a1/trigger") && rows[1].contains("asked"),
        "{rows:#?}"
    );
    assert_eq!(rows.len(), 2);
}
