//! The configuration of a job in the console: what is shown, what a change would do, and what is refused.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use elasticjob::operation::Operations;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::{Answer, CreateMode, Read, Registry, Session, Step};
use elasticjob_console::{Console, Globs, Rights, Visitor};
use tower::ServiceExt;

const CONFIG: &str = "jobName: sync\ncron: 0 0 2 * * ?\nshardingTotalCount: 2\nprops:\n  sink.host: a.example\n  \
                      sink.password: t1ger!\n  script.command.line: ./run.sh\n";

struct Stage {
    router: Router,
    session: Arc<dyn Session>,
}

async fn on_stage(visitor: Visitor, test: impl AsyncFnOnce(&Stage)) {
    let registry = MemoryRegistry::new();
    let session = registry.connect().await.expect("it is embedded");
    let operations = Operations::new(Arc::new(registry));
    let (console, following) = Console::router(operations, move |_| Some(visitor.clone()));
    let stage = Stage {
        router: Router::new().nest("/ops", console),
        session,
    };
    for (path, data) in [("/sync", ""), ("/sync/config", CONFIG)] {
        let create = Step::Create {
            path: path.to_owned(),
            data: data.into(),
            mode: CreateMode::Persistent,
        };
        stage.session.write(vec![create]).await.expect("it can be created");
    }
    tokio::select! {
        () = test(&stage) => {}
        () = following => unreachable!("it never ends"),
    }
}

fn visitor(rights: Rights) -> Visitor {
    Visitor::new("alice", rights)
}

impl Stage {
    async fn show(&self) -> String {
        let request = Request::get("/ops/jobs/sync/config")
            .body(Body::empty())
            .expect("a request");
        let (status, text) = self.ask(request).await;
        assert_eq!(status, StatusCode::OK);
        text
    }

    /// Sends the form as the page has it, with some fields changed.
    async fn send(&self, what: &str, version: i32, changes: &[(&str, &str)]) -> (StatusCode, String) {
        let mut fields = vec![
            ("version", version.to_string()),
            ("s.cron", "0 0 2 * * ?".to_owned()),
            ("s.shardingTotalCount", "2".to_owned()),
            (
                "props",
                "script.command.line=./run.sh\r\nsink.host=a.example\r\nsink.password=******\r\n".to_owned(),
            ),
            ("do", what.to_owned()),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.push((name, (*value).to_owned()));
        }
        let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let form: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let request = Request::post("/ops/jobs/sync/config")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.join("&")))
            .expect("a request");
        self.ask(request).await
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.expect("a router answers");
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 16 << 20).await.expect("a body");
        (status, String::from_utf8(bytes.to_vec()).expect("a text"))
    }

    async fn stored(&self) -> String {
        let answers = self.session.read(vec![Read::Data("/sync/config".to_owned())]).await;
        match &answers.expect("it answers")[..] {
            [Answer::Data(Some((data, _)))] => String::from_utf8_lossy(data).into_owned(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn has_a_form_and_yaml_without_secrets() {
    on_stage(visitor(Rights::Editor), async |stage| {
        let page = stage.show().await;
        assert!(page.contains("name=\"s.cron\" value=\"0 0 2 * * ?\""), "{page}");
        assert!(
            page.contains("sink.password=******") && !page.contains("t1ger"),
            "{page}"
        );
        assert!(
            page.contains("  &#34;sink.password&#34;: &#34;******&#34;")
                || page.contains("sink.password: &#34;******&#34;"),
            "{page}"
        );
    })
    .await;
}

#[tokio::test]
async fn is_looked_at_before_it_is_saved_once() {
    on_stage(visitor(Rights::Editor), async |stage| {
        let changed = [("s.cron", "0/5 * * * * ?"), ("s.shardingTotalCount", "3")];
        let (status, page) = stage.send("check", 0, &changed).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for part in [
            "<del><bdi>0 0 2 * * ?</bdi></del>",
            "every 5 seconds",
            "3 items instead of 2 items.",
            "value=\"save\"",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches("data-label=\"After\"").count(), 10);
        assert_eq!(stage.stored().await, CONFIG, "nothing is saved");
        let (status, _) = stage.send("save", 0, &changed).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let stored = stage.stored().await;
        assert!(
            stored.contains("shardingTotalCount: 3") && stored.contains("sink.password: t1ger!"),
            "{stored}"
        );
    })
    .await;
}

#[tokio::test]
async fn says_all_that_is_wrong_at_its_fields() {
    on_stage(visitor(Rights::Editor), async |stage| {
        let wrong = [
            ("s.cron", "0 61 * * * ?"),
            ("s.shardingTotalCount", "0"),
            ("s.failover", "maybe"),
        ];
        let (status, page) = stage.send("save", 0, &wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(page.matches("class=\"fault\"").count(), 3, "{page}");
        assert!(
            page.contains("value=\"0 61 * * * ?\"") && !page.contains("value=\"save\""),
            "{page}"
        );
        assert_eq!(stage.stored().await, CONFIG);
    })
    .await;
}

#[tokio::test]
async fn saves_nothing_over_the_change_of_another_operator() {
    on_stage(visitor(Rights::Editor), async |stage| {
        let (status, _) = stage.send("save", 0, &[("s.description", "theirs")]).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let (_, page) = stage.send("save", 0, &[("s.description", "mine")]).await;
        assert!(
            page.contains("Another operator has changed the configuration"),
            "{page}"
        );
        assert!(
            page.contains("<del><bdi>theirs</bdi></del>") && page.contains("<ins><bdi>mine</bdi></ins>"),
            "{page}"
        );
        assert!(stage.stored().await.contains("theirs"));
    })
    .await;
}

#[tokio::test]
async fn keeps_a_secret_with_its_destination() {
    on_stage(visitor(Rights::Admin), async |stage| {
        let moved = "script.command.line=./run.sh\nsink.host=evil.test\nsink.password=******";
        let (status, page) = stage.send("save", 0, &[("props", moved)]).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.contains("enter `props.sink.password` again"), "{page}");
        assert!(!page.contains("t1ger") && stage.stored().await == CONFIG, "{page}");
        let again = "script.command.line=./run.sh\nsink.host=b.example\nsink.password=l1on";
        let (status, _) = stage.send("save", 0, &[("props", again)]).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert!(stage.stored().await.contains("l1on"));
    })
    .await;
}

#[tokio::test]
async fn is_code_for_admins_alone() {
    let code = [(
        "props",
        "script.command.line=./evil.sh\nsink.host=a.example\nsink.password=******",
    )];
    on_stage(visitor(Rights::Editor), async |stage| {
        let (status, page) = stage.send("save", 0, &code).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.contains("is code on every instance"), "{page}");
        assert_eq!(stage.stored().await, CONFIG);
    })
    .await;
    on_stage(visitor(Rights::Admin), async |stage| {
        assert_eq!(stage.send("save", 0, &code).await.0, StatusCode::SEE_OTHER);
    })
    .await;
    on_stage(visitor(Rights::Operator), async |stage| {
        assert_eq!(stage.send("save", 0, &[]).await.0, StatusCode::FORBIDDEN);
        assert!(!stage.show().await.contains("value=\"check\""));
    })
    .await;
    let other = visitor(Rights::Admin).only(Globs::parse(["b*"]).expect("a pattern"));
    on_stage(other, async |stage| {
        assert!(!stage.show().await.contains("0 0 2"));
        assert_eq!(stage.send("save", 0, &[]).await.0, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn can_be_yaml() {
    on_stage(visitor(Rights::Editor), async |stage| {
        let yaml = CONFIG.replace("t1ger!", "\"******\"").replace("Count: 2", "Count: 5");
        let (status, page) = stage.send("check", 0, &[("yaml", &yaml)]).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        assert!(page.contains("5 items instead of 2 items."), "{page}");
        // What was looked at is in the form, from which it is saved.
        assert!(page.contains("name=\"s.shardingTotalCount\" value=\"5\""), "{page}");
        let (_, page) = stage.send("check", 0, &[("yaml", "jobName: [")]).await;
        assert!(
            page.contains("is not a configuration") && page.contains("jobName: ["),
            "{page}"
        );
        assert_eq!(stage.stored().await, CONFIG);
    })
    .await;
}
