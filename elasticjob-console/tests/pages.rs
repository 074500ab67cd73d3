//! The console over a registry that holds jobs of every kind, without a browser: pages, forms, streams and what they refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use elasticjob::operation::Operations;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::{BoxFuture, CreateMode, Read, Registry, Session, Step};
use elasticjob_console::{Console, Globs, Rights, Visitor};
use futures_util::StreamExt;
use tower::ServiceExt;

/// Names and texts that mislead pages that do not escape them.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

/// A console, and what changes what it shows.
struct Stage {
    router: Router,
    session: Arc<dyn Session>,
    following: Option<BoxFuture<'static, ()>>,
}

async fn stage(rights: Rights) -> Stage {
    stage_for(move || Some(Visitor::new("alice", rights))).await
}

/// A console for whom `visitor` returns.
async fn stage_for(visitor: impl Fn() -> Option<Visitor> + Send + Sync + 'static) -> Stage {
    let registry = MemoryRegistry::new();
    let session = registry.connect().await.expect("it is embedded");
    let operations = Operations::new(Arc::new(registry));
    let (console, following) = Console::router(operations, move |_| visitor());
    Stage {
        router: Router::new().nest("/ops/console", console),
        session,
        following: Some(following),
    }
}

impl Stage {
    async fn run(mut self, test: impl AsyncFnOnce(&Self)) {
        let following = self.following.take().expect("it runs once");
        tokio::select! {
            () = test(&self) => {}
            () = following => unreachable!("it never ends"),
        }
    }

    /// Writes a job with this name, description and item parameters, of three items.
    async fn add(&self, job: &str, description: &str, parameters: &str) {
        let text = |text: &str| serde_json::to_string(text).expect("a text");
        let config = format!(
            "jobName: {}\ncron: 0 0 2 * * ?\nshardingTotalCount: 3\ndescription: {}\nshardingItemParameters: {}\n",
            text(job),
            text(description),
            text(parameters)
        );
        self.create(&format!("/{job}"), "").await;
        self.create(&format!("/{job}/config"), &config).await;
    }

    async fn create(&self, path: &str, data: &str) {
        let create = Step::Create {
            path: path.to_owned(),
            data: data.into(),
            mode: CreateMode::Persistent,
        };
        self.session.write(vec![create]).await.expect("it can be created");
    }

    async fn has(&self, path: &str) -> bool {
        let answers = self
            .session
            .read(vec![Read::Data(path.to_owned())])
            .await
            .expect("it answers");
        matches!(&answers[..], [elasticjob::registry::Answer::Data(Some(_))])
    }

    async fn data(&self, path: &str) -> String {
        let answers = self
            .session
            .read(vec![Read::Data(path.to_owned())])
            .await
            .expect("it answers");
        match &answers[..] {
            [elasticjob::registry::Answer::Data(Some((data, _)))] => String::from_utf8_lossy(data).into_owned(),
            other => panic!("{path}: {other:?}"),
        }
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("a router answers")
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(format!("/ops/console{path}"))
            .body(Body::empty())
            .expect("a request");
        let response = self.ask(request).await;
        (response.status(), text(response).await)
    }

    /// Sends a form as a page of this origin does; returns where it leads.
    async fn post(&self, path: &str, form: &str) -> String {
        let request = Request::post(format!("/ops/console{path}"))
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .expect("a request");
        let response = self.ask(request).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        response.headers()[header::LOCATION]
            .to_str()
            .expect("a path")
            .to_owned()
    }
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), 16 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("a text")
}

#[tokio::test]
async fn shows_jobs_below_its_prefix() {
    let stage = stage(Rights::Operator).await;
    stage
        .add("sync_orders", "Copies new orders", "0=Beijing,1=Shanghai,2=Guangzhou")
        .await;
    stage.create("/foreign", "of another program").await;
    stage
        .run(async |stage| {
            let (status, page) = stage.get("/jobs").await;
            assert_eq!(status, StatusCode::OK);
            for part in [
                "href=\"/ops/console/jobs/sync_orders\"",
                "Copies new orders",
                "at 02:00 every day",
                "no instance serves it",
                "foreign",
                "it belongs to another program",
            ] {
                assert!(page.contains(part), "{part} is not in {page}");
            }
            let (status, page) = stage.get("/jobs/sync_orders?tab=items").await;
            assert_eq!(status, StatusCode::OK);
            for part in [
                "action=\"/ops/console/jobs/sync_orders/trigger\"",
                "action=\"/ops/console/jobs/sync_orders/items/2/disable\"",
            ] {
                assert!(page.contains(part), "{part} is not in {page}");
            }
            let (status, page) = stage.get("/jobs/unknown").await;
            assert_eq!(status, StatusCode::OK);
            assert!(page.contains("There is no job unknown."), "{page}");
            assert_eq!(stage.get("/nothing").await.0, StatusCode::NOT_FOUND);
            let (_, page) = stage.get("/jobs/sync_orders?tab=schedule").await;
            assert_eq!(page.matches("<li><span>").count(), 10, "{page}");
        })
        .await;
}

#[tokio::test]
async fn escapes_what_others_wrote() {
    let stage = stage(Rights::Operator).await;
    let long = "名".repeat(20_000);
    stage.add("<b>&amp;'\"", HOSTILE, &format!("0={HOSTILE}")).await;
    stage.add("a..b", "\u{202e}gnp.exe", "").await;
    stage.add("long", &long, "").await;
    stage
        .run(async |stage| {
            for path in [
                "/jobs",
                "/jobs/%3Cb%3E%26amp%3B%27%22",
                "/jobs/%3Cb%3E%26amp%3B%27%22?tab=items",
                "/servers",
            ] {
                let (status, page) = stage.get(path).await;
                assert_eq!(status, StatusCode::OK, "{path}");
                for raw in ["<script>", "<img", "<b>&amp;'", "\u{202e}"] {
                    assert!(!page.contains(raw), "{raw} is in {path}");
                }
                assert!(page.len() < 100_000, "{path} has {} bytes", page.len());
            }
            let (_, page) = stage.get("/jobs?q=%22%3E%3Cscript%3E").await;
            assert!(!page.contains("\"><script>"), "{page}");
            let (_, page) = stage.get("/jobs?failed=%3Cscript%3Ealert(1)%3C/script%3E").await;
            assert!(!page.contains("<script>alert"), "{page}");
        })
        .await;
}

#[tokio::test]
async fn switches_off_and_on_by_forms() {
    let stage = stage(Rights::Operator).await;
    stage.add("sync_orders", "", "").await;
    stage.create("/sync_orders/servers", "").await;
    stage.create("/sync_orders/servers/10.0.0.1", "ENABLED").await;
    stage.create("/sync_orders/sharding", "").await;
    stage.create("/sync_orders/sharding/1", "").await;
    stage
        .run(async |stage| {
            stage.get("/jobs").await;
            let to = stage.post("/jobs/sync_orders/disable", "reason=new+disk+%3Cb%3E").await;
            assert_eq!(
                to,
                "/ops/console/jobs/sync_orders?done=sync_orders%20is%20switched%20off."
            );
            let (_, page) = stage.get("/jobs/sync_orders").await;
            assert!(page.contains("by alice: new disk &#60;b&#62;"), "{page}");
            stage.post("/jobs/sync_orders/enable", "").await;
            let (_, page) = stage.get("/jobs/sync_orders").await;
            assert!(!page.contains("by alice"), "{page}");

            stage.post("/jobs/sync_orders/items/1/disable", "").await;
            assert!(stage.has("/sync_orders/sharding/1/disabled").await);
            stage.post("/jobs/sync_orders/items/1/enable", "").await;
            assert!(!stage.has("/sync_orders/sharding/1/disabled").await);

            stage.post("/servers/10.0.0.1/disable", "reason=").await;
            let (_, page) = stage.get("/servers").await;
            assert!(page.contains("off in 1 of 1"), "{page}");
            stage.post("/servers/10.0.0.1/enable", "").await;

            // What cannot be done is said.
            let to = stage.post("/jobs/unknown/trigger", "parameter=").await;
            assert!(
                to.starts_with("/ops/console/jobs/unknown?failed=there%20is%20no%20job"),
                "{to}"
            );
            let to = stage.post("/jobs/sync_orders/trigger", "parameter=").await;
            assert!(to.contains("?failed="), "no instance could run it: {to}");
        })
        .await;
}

#[tokio::test]
async fn refuses_what_a_visitor_may_not() {
    let stage = stage(Rights::Viewer).await;
    stage.add("sync_orders", "", "").await;
    stage
        .run(async |stage| {
            let (_, page) = stage.get("/jobs/sync_orders").await;
            assert!(page.contains("sync_orders") && !page.contains("/trigger"), "{page}");
            for action in [
                "/jobs/sync_orders/trigger",
                "/jobs/sync_orders/disable",
                "/jobs/sync_orders/enable",
                "/jobs/sync_orders/items/0/trigger",
                "/jobs/sync_orders/items/0/cancel",
                "/jobs/sync_orders/items/0/disable",
                "/jobs/sync_orders/items/0/enable",
                "/servers/10.0.0.1/disable",
                "/servers/10.0.0.1/enable",
            ] {
                let request = Request::post(format!("/ops/console{action}")).header("sec-fetch-site", "same-origin");
                let response = stage.ask(request.body(Body::empty()).expect("a request")).await;
                assert_eq!(response.status(), StatusCode::FORBIDDEN, "{action}");
            }
        })
        .await;
}

#[tokio::test]
async fn shows_nothing_of_jobs_that_a_visitor_does_not_see() {
    let visitor = || Visitor::new("alice", Rights::Operator).only(Globs::parse(["a*"]).expect("a pattern"));
    let stage = stage_for(move || Some(visitor())).await;
    for job in ["a_job", "zebra"] {
        stage.add(job, &format!("of {job}"), &format!("0={job}")).await;
        stage.create(&format!("/{job}/servers"), "").await;
        stage.create(&format!("/{job}/servers/10.0.0.1"), "ENABLED").await;
    }
    stage.create("/zebra/servers/10.0.0.2", "ENABLED").await;
    stage.create("/zebra_foreign", "of another program").await;
    stage
        .run(async |stage| {
            for path in [
                "/jobs",
                "/jobs?q=e",
                "/jobs?is=attention&sort=name",
                "/jobs/a_job",
                "/jobs/a_job?tab=items",
                "/servers",
            ] {
                let (status, page) = stage.get(path).await;
                assert_eq!(status, StatusCode::OK, "{path}");
                for hidden in ["zebra", "10.0.0.2", "2 jobs", "<b>2</b>"] {
                    assert!(!page.contains(hidden), "{hidden} is in {path}: {page}");
                }
            }
            // It looks as one that is not there does.
            let (_, hidden) = stage.get("/jobs/zebra").await;
            let (_, absent) = stage.get("/jobs/zabra").await;
            assert_eq!(hidden.replace("zebra", "zabra"), absent);

            // A stream has all elements of its page.
            let request = Request::get("/ops/console/live?view=/jobs&after=0-0");
            let response = stage.ask(request.body(Body::empty()).expect("a request")).await;
            let mut stream = response.into_body().into_data_stream();
            let first = stream.next().await.expect("the page as it is").expect("it is not cut");
            let first = std::str::from_utf8(&first).expect("a text");
            assert!(first.contains("a_job") && !first.contains("zebra"), "{first}");

            let post = |path: &str| {
                let request = Request::post(format!("/ops/console{path}")).header("sec-fetch-site", "same-origin");
                request.body(Body::empty()).expect("a request")
            };
            let response = stage.ask(post("/jobs/zebra/disable")).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            // A server is switched in the jobs that the visitor sees.
            stage.post("/servers/10.0.0.1/disable", "reason=").await;
            assert_eq!(stage.data("/a_job/servers/10.0.0.1").await, "DISABLED");
            assert_eq!(stage.data("/zebra/servers/10.0.0.1").await, "ENABLED");
            let to = stage.post("/servers/10.0.0.2/disable", "reason=").await;
            assert!(to.contains("failed=there%20is%20no%20server"), "{to}");
        })
        .await;
}

#[tokio::test]
async fn has_the_policy_on_each_answer() {
    let stage = stage(Rights::Viewer).await;
    stage
        .run(async |stage| {
            for path in [
                "/jobs",
                "/servers",
                "/jobs/none",
                "/nothing",
                "/live?view=/x&after=1-1",
                "/assets/none",
            ] {
                let request = Request::get(format!("/ops/console{path}"))
                    .body(Body::empty())
                    .expect("a request");
                let response = stage.ask(request).await;
                let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
                    .to_str()
                    .expect("a text");
                assert!(
                    policy.starts_with("default-src 'none'; script-src 'self'"),
                    "{path}: {policy}"
                );
                assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
                let page = text(response).await;
                assert!(!page.contains("style=\"") && !page.contains("onclick="), "{path}");
            }
        })
        .await;
}

#[tokio::test]
async fn streams_what_changes() {
    let stage = stage(Rights::Viewer).await;
    stage.add("first", "", "").await;
    stage
        .run(async |stage| {
            let (_, page) = stage.get("/jobs").await;
            let after = page
                .split("data-after=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .expect("it is there");
            let request = Request::get(format!("/ops/console/live?view=/jobs&after={after}"));
            let response = stage.ask(request.body(Body::empty()).expect("a request")).await;
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
            let mut stream = response.into_body().into_data_stream();
            stage.add("second", "", "").await;
            let event = async {
                let mut text = String::new();
                while !text.contains("second") {
                    let bytes = stream.next().await.expect("it goes on").expect("it is not cut");
                    text.push_str(std::str::from_utf8(&bytes).expect("a text"));
                }
                text
            };
            let event = tokio::time::timeout(Duration::from_secs(20), event)
                .await
                .expect("it comes");
            assert!(event.starts_with("data: {\"after\":\""), "{event}");
            // Only what is news: the first row is known to the page.
            assert!(!event.contains("title=\\\"first"), "{event}");
        })
        .await;
}

#[tokio::test]
async fn shows_thousands_of_jobs_a_page_at_a_time() {
    let stage = stage(Rights::Viewer).await;
    for number in 0..2_000 {
        stage.add(&format!("job_{number:04}"), "", "").await;
    }
    stage
        .run(async |stage| {
            let rows = |page: &str| page.matches("<tr id=").count();
            let mut page = String::new();
            // The first page says how far the reading has come, if it takes longer than a visitor waits.
            while !page.contains("1–100 of 2000") {
                page = stage.get("/jobs?sort=name").await.1;
            }
            assert_eq!(rows(&page), 100);
            assert!(page.len() < 150_000, "{} bytes", page.len());
            // One cause is one line, whatever the number of jobs.
            assert_eq!(page.matches("<li class=\"failing\">").count(), 1, "{page}");
            assert!(page.contains("and 1997 more"), "{page}");
            let (_, page) = stage.get("/jobs?sort=name&page=19").await;
            assert!(page.contains("job_1999") && !page.contains("job_1899"), "{page}");
            let (_, page) = stage.get("/jobs?page=20").await;
            assert_eq!(rows(&page), 0);
            let (_, page) = stage.get("/jobs?q=JOB_%2017").await;
            assert!(page.contains("job_0017") && page.contains("1–100 of 139"), "{page}");
            let (status, _) = stage.get("/jobs?page=18446744073709551615").await;
            assert_eq!(status, StatusCode::OK);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn ends_the_stream_of_a_visitor_who_has_logged_out() {
    let is_in = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_in);
    let alice = || Visitor::new("alice", Rights::Viewer);
    let stage = stage_for(move || asked.load(Ordering::Relaxed).then(alice)).await;
    stage
        .run(async |stage| {
            let request = Request::get("/ops/console/live?view=/jobs&after=0-0");
            let response = stage.ask(request.body(Body::empty()).expect("a request")).await;
            let mut stream = response.into_body().into_data_stream();
            assert!(stream.next().await.is_some(), "the page as it is");
            is_in.store(false, Ordering::Relaxed);
            let end = async { while stream.next().await.is_some() {} };
            tokio::time::timeout(Duration::from_secs(31), end)
                .await
                .expect("it ends");
        })
        .await;
}

mod twins {
    use super::*;

    /// An embedded registry that passes for one which other processes reach.
    #[derive(Debug)]
    struct Elsewhere(MemoryRegistry);

    impl Registry for Elsewhere {
        fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, elasticjob::registry::Error>> {
            self.0.connect()
        }

        fn describe(&self) -> String {
            "elsewhere".to_owned()
        }
    }

    const NAME: &str = "nightly 'export'; $(date)";
    const PAGE: &str = "/jobs/nightly%20%27export%27%3B%20%24%28date%29?tab=items";

    async fn with_job(stage: &Stage) {
        stage.add(NAME, "", "0=a,1=b,2=c").await;
        stage.create(&format!("/{NAME}/servers"), "").await;
        stage.create(&format!("/{NAME}/servers/10.0.0.1"), "ENABLED").await;
    }

    /// Returns the texts of all code on a page.
    fn codes(page: &str) -> Vec<String> {
        let texts = page
            .split("<code>")
            .skip(1)
            .filter_map(|rest| rest.split("</code>").next());
        let plain = |text: &str| {
            let text = text.replace("&#39;", "'").replace("&#34;", "\"");
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        };
        texts.map(plain).collect()
    }

    #[tokio::test]
    async fn of_each_action_can_be_pasted_into_a_shell() {
        let registry = MemoryRegistry::new();
        let session = registry.connect().await.expect("it is embedded");
        let operations = Operations::new(Arc::new(Elsewhere(registry)));
        let (console, following) = Console::router(operations, |_| Some(Visitor::new("alice", Rights::Operator)));
        let stage = Stage {
            router: Router::new().nest("/ops/console", console),
            session,
            following: Some(following),
        };
        with_job(&stage).await;
        stage
            .run(async |stage| {
                let (_, page) = stage.get(PAGE).await;
                let commands: Vec<Vec<String>> = codes(&page)
                    .iter()
                    .filter(|code| code.starts_with("elasticjob "))
                    .map(|code| shell_words::split(code).expect("a shell reads it"))
                    .collect();
                for expected in [
                    &["elasticjob", "trigger", NAME][..],
                    &["elasticjob", "disable", NAME],
                    &["elasticjob", "trigger", NAME, "--item", "2"],
                    &["elasticjob", "disable", NAME, "--item", "0"],
                ] {
                    assert!(
                        commands.iter().any(|words| words == expected),
                        "{expected:?} in {commands:?}"
                    );
                }
                let (_, page) = stage.get("/servers").await;
                assert!(
                    codes(&page).contains(&"elasticjob disable --server 10.0.0.1".to_owned()),
                    "{page}"
                );
            })
            .await;
    }

    #[tokio::test]
    async fn of_an_embedded_registry_are_calls_alone_that_the_api_answers() {
        let stage = stage(Rights::Operator).await;
        with_job(&stage).await;
        stage
            .run(async |stage| {
                let mut calls = Vec::new();
                for page in [PAGE, "/servers"] {
                    let (_, page) = stage.get(page).await;
                    calls.extend(codes(&page).into_iter().filter(|code| code.starts_with("curl")));
                    assert!(!page.contains("elasticjob trigger"), "no other process reaches it");
                }
                assert_eq!(calls.len(), 2 + 3 * 2 + 1, "{calls:?}");
                for call in calls {
                    let words = shell_words::split(&call).expect("a shell reads it");
                    let path = words
                        .iter()
                        .find_map(|word| word.strip_prefix("$CONSOLE"))
                        .expect("a path");
                    let body = words
                        .iter()
                        .skip_while(|word| *word != "-d")
                        .nth(1)
                        .cloned()
                        .unwrap_or_default();
                    let request = Request::post(format!("{path}?dryRun=true")).header("access-token", "any");
                    let response = stage.ask(request.body(Body::from(body)).expect("a request")).await;
                    let (status, answer) = (response.status(), text(response).await);
                    let is_known = status == StatusCode::OK || answer.contains("has no instance that could run it");
                    assert!(is_known, "{call}: {status} {answer}");
                }
            })
            .await;
    }
}
