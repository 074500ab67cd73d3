//! The history in the console: over a database that an application records in, over one that is away, and without one.

use std::sync::Once;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use elasticjob::configuration::sources::TracedJobs;
use elasticjob::job::Registration;
use elasticjob::prelude::*;
use elasticjob::registry::BoxFuture;
use elasticjob::trace::RunLog;
use elasticjob::trace::history::{Database, History, RecordedRun, RunFilter, Storage};
use elasticjob_console::{Console, Globs, Rights, Visitor};
use tempfile::TempDir;
use tower::ServiceExt;
use tracing_subscriber::prelude::*;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An error that misleads pages and tables that do not escape it.
const HOSTILE: &str = "=cmd|<script>alert(1)</script>\u{202e}";

/// A console over the history of an application in this directory.
struct Stage {
    router: Router,
    _directory: TempDir,
}

fn visitor() -> Visitor {
    Visitor::new("alice", Rights::Viewer)
}

/// Returns a job of which item 1 fails.
fn fails_in_part(name: &str) -> Registration {
    job(name, async |shard: ShardingContext| {
        tracing::info!(item = shard.sharding_item(), "<b>looks</b>");
        if shard.sharding_item() == 1 {
            Err(HOSTILE)
        } else {
            Ok(())
        }
    })
    .sharding(3)
}

/// Runs jobs once each, with their history in a file.
async fn record(url: &str, names: &[&str]) -> ElasticJob {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| tracing_subscriber::registry().with(RunLog::layer()).init());
    let database: Database = url.parse().expect("a URL");
    let mut builder = ElasticJob::builder()
        .without_discovery()
        .without_files()
        .environment([]);
    for name in names {
        builder = builder.job(fails_in_part(name));
    }
    let running = builder
        .history(Storage::from(database))
        .build()
        .expect("it is in order");
    let running = running.start().await.expect("it starts");
    for name in names {
        let job = running.one_off_named(name).expect("it is there");
        job.execute_and_wait(PATIENCE).await.expect("it runs");
    }
    running
}

/// Waits until so many runs have ended, and those that failed have their logs.
async fn recorded(history: &History, count: usize) {
    let is_there = async {
        loop {
            let runs = history.runs(&RunFilter::default(), None, 100).await;
            let runs = runs.map(|page| page.rows).unwrap_or_default();
            let is_ended = runs.iter().filter(|run: &&RecordedRun| run.ended_at.is_some()).count() == count;
            let failed = runs.iter().find(|run| run.failure.is_some());
            if let (true, Some(failed)) = (is_ended, failed)
                && !history.logs(&failed.id).await.expect("it answers").is_empty()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_there)
        .await
        .expect("runs are recorded");
}

async fn on_stage(names: &[&str], visitor: Visitor, test: impl AsyncFnOnce(&Stage)) {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}/history.db", directory.path().display());
    let running = record(&url, names).await;
    let history = running.history().expect("it is recorded");
    recorded(&history, names.len() * 3).await;
    let histories = vec![(TracedJobs::All, history)];
    let (router, following) =
        Console::router_with_history(running.operations(), histories, move |_| Some(visitor.clone()));
    let stage = Stage {
        router: Router::new().nest("/ops", router),
        _directory: directory,
    };
    beside(following, test(&stage)).await;
    running.shutdown(Duration::from_secs(5)).await;
}

async fn beside(following: BoxFuture<'static, ()>, test: impl Future<Output = ()>) {
    tokio::select! {
        () = test => {}
        () = following => unreachable!("it never ends"),
    }
}

impl Stage {
    async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, _, text) = ask(&self.router, path, false).await;
        (status, text)
    }
}

async fn ask(router: &Router, path: &str, is_part: bool) -> (StatusCode, String, String) {
    let mut request = Request::get(format!("/ops{path}"));
    if is_part {
        request = request.header("x-part", "1");
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("a router answers");
    let disposition = response.headers().get(header::CONTENT_DISPOSITION);
    let disposition = disposition
        .map_or("", |value| value.to_str().expect("a text"))
        .to_owned();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 16 << 20).await.expect("a body");
    (status, disposition, String::from_utf8(bytes.to_vec()).expect("a text"))
}

/// Returns the address of the first run on a page.
fn first_run(page: &str) -> String {
    let at = page.find("/ops/runs/").expect("a link to a run");
    let rest = &page[at + "/ops".len()..];
    rest[..rest.find('"').expect("it ends")].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn has_runs_by_their_filter_errors_and_hosts() {
    on_stage(&["订单"], visitor(), async |stage| {
        let (status, all) = stage.get("/history").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(all.matches("<tr><td class=\"started\"").count(), 3, "{all}");
        assert!(!all.contains("<script>alert") && !all.contains('\u{202e}'), "{all}");
        assert!(
            all.contains("&#60;script&#62;alert(1)") && all.contains("⟨202E⟩"),
            "{all}"
        );
        assert!(all.contains("From sqlite:"), "{all}");
        let (_, failed) = stage.get("/history?q=is%3Afailed").await;
        assert_eq!(failed.matches("<tr><td class=\"started\"").count(), 1);
        let (_, other) = stage.get("/history?q=job%3A%E8%AE%A2&by=run").await;
        assert!(other.contains("No run matches."), "{other}");
        let (_, wrong) = stage.get("/history?q=is%3Agreen%20colour%3Ared").await;
        assert!(
            wrong.contains("`is:green` is not understood") && wrong.contains("no term `colour:`"),
            "{wrong}"
        );
        let (_, errors) = stage.get("/history?by=error").await;
        assert_eq!(errors.matches("<th scope=\"row\"").count(), 1);
        let (_, hosts) = stage.get("/history?by=host").await;
        assert_eq!(hosts.matches("<th scope=\"row\"").count(), 1);
        let (_, _, part) = ask(&stage.router, "/history", true).await;
        assert!(
            part.starts_with("<section id=\"past\"") && part.ends_with("</section>"),
            "{part}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn has_the_error_and_the_log_of_a_run() {
    on_stage(&["sync"], visitor(), async |stage| {
        let (_, failed) = stage.get("/history?q=is%3Afailed").await;
        let run = first_run(&failed);
        let (status, page) = stage.get(&run).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("&#60;b&#62;looks&#60;/b&#62; item=1"), "{page}");
        assert!(
            page.contains("class=\"failure\"") && !page.contains("<b>looks"),
            "{page}"
        );
        let (_, disposition, log) = ask(&stage.router, &format!("{run}/log"), false).await;
        assert!(
            disposition.starts_with("attachment") && log.contains("<b>looks</b> item=1"),
            "{disposition}: {log}"
        );
        assert_eq!(stage.get("/runs/unknown").await.0, StatusCode::NOT_FOUND);
        assert_eq!(stage.get("/runs/unknown/log").await.0, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_written_for_other_programs_without_formulas() {
    on_stage(&["sync"], visitor(), async |stage| {
        let (status, disposition, csv) = ask(&stage.router, "/history.csv?q=sync", false).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(disposition, "attachment; filename=\"history.csv\"");
        assert_eq!(csv.lines().count(), 4, "{csv}");
        assert!(csv.contains(",\"'=cmd|<script>"), "{csv}");
        let (_, _, json) = ask(&stage.router, "/history.json?q=is%3Afailed", false).await;
        let runs: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(runs.as_array().map(Vec::len), Some(1));
        assert_eq!((&runs[0]["job"], &runs[0]["item"]), (&"sync".into(), &1.into()));
        let (status, _, _) = ask(&stage.router, "/history.csv?q=is%3Agreen", false).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn has_nothing_of_jobs_that_a_visitor_does_not_see() {
    let visitor = visitor().only(Globs::parse(["a*"]).expect("a pattern"));
    on_stage(&["alpha", "secret"], visitor, async |stage| {
        let mut run = String::new();
        for path in [
            "/history",
            "/history?q=secret",
            "/history?by=error",
            "/history?by=host",
            "/history.csv",
            "/history.json",
        ] {
            let (_, text) = stage.get(path).await;
            // A filter says what the visitor wrote.
            let text = text.replace("value=\"secret\"", "").replace("q=secret", "");
            assert!(!text.contains("secret"), "{path}: {text}");
            if path == "/history" {
                run = first_run(&text);
            }
        }
        assert_eq!(stage.get(&run).await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_its_database_is_away_and_recovers() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}/history.db", directory.path().display());
    let database: Database = url.parse().expect("a URL");
    let history = History::open(&database).expect("nothing is connected");
    let registry = std::sync::Arc::new(elasticjob::registry::memory::MemoryRegistry::new());
    let operations = elasticjob::operation::Operations::new(registry);
    let histories = vec![(TracedJobs::All, history.clone())];
    let (console, following) = Console::router_with_history(operations, histories, |_| Some(visitor()));
    let router = Router::new().nest("/ops", console);
    beside(following, async {
        let (status, _, away) = ask(&router, "/history", false).await;
        assert_eq!(status, StatusCode::OK);
        assert!(away.contains("The database of the history does not answer."), "{away}");
        assert!(away.contains("data-again=\"5\""), "{away}");
        let (status, _, _) = ask(&router, "/history.csv", false).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let running = record(&url, &["sync"]).await;
        recorded(&history, 3).await;
        let (_, _, back) = ask(&router, "/history", false).await;
        assert_eq!(back.matches("<tr><td class=\"started\"").count(), 3, "{back}");
        running.shutdown(Duration::from_secs(5)).await;
    })
    .await;
}
