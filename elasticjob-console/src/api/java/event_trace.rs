//! Executions and statuses in the database of the history, whichever kind of member recorded them.

use std::error::Error as _;
use std::time::Duration;

use axum::extract::{Path, State};
use elasticjob::configuration::without_secrets;
use elasticjob::trace::history::{
    Error, History, JavaExecution, JavaFilter, JavaName, JavaPage, JavaPaging, JavaStatus,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::api::Caller;
use crate::history::Histories;

use super::envelope::{Body, Failure, Model, Reply};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Longest text of a condition, in characters.
const LONGEST: usize = 256;

/// Most names that complete a prefix.
const NAMES: usize = 20;

/// Most names that are looked through for a visitor that sees some jobs.
const LOOKED_THROUGH: u32 = 1_000;

/// Returns the database of a job, or the first one without a job.
fn database<'a>(recorded: &'a Histories, job: Option<&str>) -> Result<&'a History, Failure> {
    let found = recorded.of(job);
    found.ok_or_else(|| Failure::refused("no history is recorded: `elasticjob.tracing` says where"))
}

/// Which executions are asked for, and which page of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Executions {
    #[serde(flatten)]
    page: Page,
    job_name: Option<String>,
    ip: Option<String>,
    is_success: Option<Value>,
    start_time_from: Option<Value>,
    start_time_to: Option<Value>,
}

/// Which statuses are asked for, and which page of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Statuses {
    #[serde(flatten)]
    page: Page,
    job_name: Option<String>,
    source: Option<String>,
    execution_type: Option<String>,
    state: Option<String>,
    creation_time_from: Option<Value>,
    creation_time_to: Option<Value>,
}

/// The page. A number that is not positive is the default, as in Java.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Page {
    page_size: Option<i64>,
    page_number: Option<i64>,
    sort: Option<String>,
    order: Option<String>,
}

impl Page {
    fn paging(&self) -> JavaPaging {
        let mut paging = JavaPaging::default();
        let positive = |number: Option<i64>| {
            number
                .filter(|number| *number > 0)
                .and_then(|number| u32::try_from(number).ok())
        };
        paging.size = positive(self.page_size).unwrap_or(paging.size);
        paging.number = positive(self.page_number).unwrap_or(paging.number);
        paging.sort.clone_from(&self.sort);
        paging.is_ascending = self.order.as_deref() != Some("DESC");
        paging
    }
}

/// Returns a text of a condition; `None` if it is empty, as pages send it.
fn text(name: &str, text: Option<String>) -> Result<Option<String>, Failure> {
    let text = text.filter(|text| !text.is_empty());
    match &text {
        Some(long) if long.chars().count() > LONGEST => {
            let message = format!("`{name}` has more than {LONGEST} characters");
            Err(Failure::argument(message))
        }
        _ => Ok(text),
    }
}

/// Returns a time, as milliseconds since 1970 or as a text with a zone.
fn time(name: &str, value: Option<Value>) -> Result<Option<Timestamp>, Failure> {
    let read = match &value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::Number(number)) => number
            .as_i64()
            .and_then(|number| Timestamp::from_millisecond(number).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    let wrong = || {
        let value = value.clone().unwrap_or_default();
        Failure::argument(format!("`{name}` is {value}: milliseconds since 1970 are expected"))
    };
    read.map(Some).ok_or_else(wrong)
}

/// Returns a switch, as it is or as a text.
fn switch(name: &str, value: Option<Value>) -> Result<Option<bool>, Failure> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(switch)) => Ok(Some(switch)),
        Some(Value::String(text)) => match &*text {
            "" => Ok(None),
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(Failure::argument(format!(
                "`{name}` is `{text}`: true or false is expected"
            ))),
        },
        Some(other) => Err(Failure::argument(format!(
            "`{name}` is {other}: true or false is expected"
        ))),
    }
}

impl Caller {
    /// Refuses to answer about jobs that the visitor does not see: a visitor of some jobs asks for one of them.
    fn check(&self, job: Option<&str>) -> Result<(), Failure> {
        if self.visitor.jobs().is_all() || job.is_some_and(|job| self.visitor.sees(job)) {
            return Ok(());
        }
        Err(Failure::argument(
            "a visitor that sees some jobs names one of them as `jobName`",
        ))
    }
}

/// Waits for the answer of a database.
async fn asked<T>(question: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(LIMIT, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure::refused(words(&error))),
        Err(_) => Err(Failure::refused(format!(
            "the history did not answer within {} s",
            LIMIT.as_secs()
        ))),
    }
}

/// Returns what a database says, with what led to it.
fn words(error: &Error) -> String {
    let (mut texts, mut cause) = (vec![error.to_string()], error.source());
    while let Some(found) = cause {
        texts.push(found.to_string());
        cause = found.source();
    }
    without_secrets(&texts.join(": ")).into_owned()
}

pub(super) async fn executions(
    caller: Caller,
    State(recorded): State<Histories>,
    Body(asked_for): Body<Executions>,
) -> Reply<JavaPage<JavaExecution>> {
    let paging = asked_for.page.paging();
    let mut filter = JavaFilter::default();
    filter.job = text("jobName", asked_for.job_name)?;
    filter.ip = text("ip", asked_for.ip)?;
    filter.is_success = switch("isSuccess", asked_for.is_success)?;
    filter.after = time("startTimeFrom", asked_for.start_time_from)?;
    filter.before = time("startTimeTo", asked_for.start_time_to)?;
    caller.check(filter.job.as_deref())?;
    let history = database(&recorded, filter.job.as_deref())?;
    let mut page = asked(history.java_executions(&filter, &paging)).await?;
    for row in &mut page.rows {
        mask(&mut row.failure_cause);
    }
    Ok(Model(page))
}

pub(super) async fn statuses(
    caller: Caller,
    State(recorded): State<Histories>,
    Body(asked_for): Body<Statuses>,
) -> Reply<JavaPage<JavaStatus>> {
    let paging = asked_for.page.paging();
    let mut filter = JavaFilter::default();
    filter.job = text("jobName", asked_for.job_name)?;
    filter.source = text("source", asked_for.source)?;
    filter.execution_type = text("executionType", asked_for.execution_type)?;
    filter.state = text("state", asked_for.state)?;
    filter.after = time("creationTimeFrom", asked_for.creation_time_from)?;
    filter.before = time("creationTimeTo", asked_for.creation_time_to)?;
    caller.check(filter.job.as_deref())?;
    let history = database(&recorded, filter.job.as_deref())?;
    let mut page = asked(history.java_statuses(&filter, &paging)).await?;
    for row in &mut page.rows {
        mask(&mut row.message);
    }
    Ok(Model(page))
}

/// Hides the secrets that a text quotes.
fn mask(text: &mut Option<String>) {
    if let Some(text) = text {
        *text = without_secrets(text).into_owned();
    }
}

/// Returns the names that begin so: of jobs, those that the visitor sees.
async fn names(caller: Caller, recorded: Histories, of: JavaName, prefix: String) -> Reply<Vec<String>> {
    let prefix = text("prefix", Some(prefix))?.unwrap_or_default();
    let is_all = caller.visitor.jobs().is_all();
    // Addresses are those of all jobs.
    if of == JavaName::ExecutionIp && !is_all {
        return Ok(Model(Vec::new()));
    }
    let mut found = asked(database(&recorded, None)?.java_names(of, &prefix, LOOKED_THROUGH)).await?;
    found.retain(|name| of == JavaName::ExecutionIp || caller.visitor.sees(name));
    found.truncate(NAMES);
    Ok(Model(found))
}

pub(super) async fn jobs(caller: Caller, State(recorded): State<Histories>) -> Reply<Vec<String>> {
    names(caller, recorded, JavaName::ExecutionJob, String::new()).await
}

pub(super) async fn jobs_like(
    caller: Caller,
    State(recorded): State<Histories>,
    Path(prefix): Path<String>,
) -> Reply<Vec<String>> {
    names(caller, recorded, JavaName::ExecutionJob, prefix).await
}

pub(super) async fn ips(caller: Caller, State(recorded): State<Histories>) -> Reply<Vec<String>> {
    names(caller, recorded, JavaName::ExecutionIp, String::new()).await
}

pub(super) async fn ips_like(
    caller: Caller,
    State(recorded): State<Histories>,
    Path(prefix): Path<String>,
) -> Reply<Vec<String>> {
    names(caller, recorded, JavaName::ExecutionIp, prefix).await
}

pub(super) async fn status_jobs(caller: Caller, State(recorded): State<Histories>) -> Reply<Vec<String>> {
    names(caller, recorded, JavaName::StatusJob, String::new()).await
}

pub(super) async fn status_jobs_like(
    caller: Caller,
    State(recorded): State<Histories>,
    Path(prefix): Path<String>,
) -> Reply<Vec<String>> {
    names(caller, recorded, JavaName::StatusJob, prefix).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::{Body as HttpBody, to_bytes};
    use axum::extract::Request;
    use axum::http::Method;
    use elasticjob::ElasticJob;
    use elasticjob::configuration::sources::TracedJobs;
    use elasticjob::job::{ShardingContext, job};
    use elasticjob::operation::Operations;
    use elasticjob::operation::world::World;
    use elasticjob::registry::memory::MemoryRegistry;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;
    use crate::access::{Access, Rights, Visitor};
    use crate::gate::Gate;
    use crate::globs::Globs;
    use crate::routes;

    /// The API over a history, for one visitor.
    fn console(recorded: &Histories, visitor: Visitor) -> Router {
        let world = World::new(Operations::new(Arc::new(MemoryRegistry::new())));
        let gate = Gate::Application(Access::new(move |_| Some(visitor.clone())));
        routes::router_with(world, recorded.clone(), gate)
    }

    async fn ask(console: &Router, method: Method, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api{path}"))
            .header("access-token", "any");
        let request = request.body(HttpBody::from(body.to_string())).unwrap();
        let response = console.clone().oneshot(request).await.unwrap();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        match answer["errorCode"].as_u64() {
            Some(0) => answer["model"].take(),
            Some(code) => json!([code, answer["errorMsg"]]),
            None => answer,
        }
    }

    /// Has an application record two runs of each item of two jobs, of which one item fails.
    async fn recorded(directory: &tempfile::TempDir) -> Histories {
        let url = format!("sqlite:{}/history.db", directory.path().display());
        let work = async |shard: ShardingContext| match shard.sharding_item() {
            1 => Err("no way to https://lion:tiger@files/in"),
            _ => Ok(()),
        };
        let registry = Arc::new(MemoryRegistry::new());
        let builder = ElasticJob::builder().without_discovery().without_files();
        let tracing = [
            ("ELASTICJOB_TRACING_TYPE", "RDB"),
            ("ELASTICJOB_TRACING_DATA_SOURCE_URL", &*url),
        ];
        let ready = builder
            .environment(tracing.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .registry(registry.clone())
            .job(job("备份", work).cron("0 0 0 1 1 ? 2099").sharding(2))
            .job(job("other", work).cron("0 0 0 1 1 ? 2099").sharding(1))
            .build()
            .unwrap();
        let running = ready.start().await.unwrap();
        let operations = Operations::new(registry);
        for job in ["备份", "other"] {
            let requested = loop {
                match operations.trigger(job, None).await {
                    Ok(requested) => break requested,
                    Err(error) => assert!(error.is_retryable() || error.is_not_found(), "{error}"),
                }
                tokio::task::yield_now().await;
            };
            let execution = operations.outcome(&requested, Duration::from_secs(20)).await.unwrap();
            assert!(execution.is_over(), "{execution:?}");
        }
        // What is recorded is written before the application has stopped.
        running.shutdown(Duration::from_secs(10)).await;
        let history = History::open(&url.parse().unwrap()).unwrap();
        Histories::new(&[(TracedJobs::All, history)])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn is_answered_from_what_an_application_recorded() {
        let directory = tempfile::tempdir().unwrap();
        let recorded = recorded(&directory).await;
        let viewer = console(&recorded, Visitor::new("mei", Rights::Viewer));
        let post = async |path: &str, body: Value| ask(&viewer, Method::POST, path, body).await;
        let page = post(
            "/event-trace/execution",
            json!({"pageSize": 2, "pageNumber": 1, "jobName": "", "isSuccess": null}),
        )
        .await;
        assert_eq!(
            (&page["total"], page["rows"].as_array().map(Vec::len)),
            (&json!(3), Some(2)),
            "{page}"
        );
        let failed = post("/event-trace/execution", json!({"jobName": "备份", "isSuccess": false})).await;
        assert_eq!(
            (&failed["total"], &failed["rows"][0]["shardingItem"]),
            (&json!(1), &json!(1)),
            "{failed}"
        );
        let cause = failed["rows"][0]["failureCause"].as_str().unwrap();
        assert!(cause.contains("no way to") && !cause.contains("tiger"), "{cause}");
        let start = failed["rows"][0]["startTime"].as_i64().unwrap();
        let later = post(
            "/event-trace/execution",
            json!({"startTimeFrom": start, "jobName": "备份", "isSuccess": "false"}),
        )
        .await;
        assert_eq!(later["total"], 0, "the bound is strict");
        let finished = post("/event-trace/status", json!({"state": "TASK_FINISHED"})).await;
        assert!(finished["total"].as_u64() >= Some(1), "{finished}");
        for (path, expected) in [
            ("/event-trace/execution/jobNames", json!(["other", "备份"])),
            ("/event-trace/execution/jobNames/o", json!(["other"])),
            ("/event-trace/status/jobNames/%25", json!([])),
            ("/data-source/activated", json!(true)),
        ] {
            assert_eq!(ask(&viewer, Method::GET, path, Value::Null).await, expected, "{path}");
        }
        for (body, words) in [
            (json!({"isSuccess": "maybe"}), "`isSuccess` is `maybe`"),
            (json!({"startTimeFrom": "yesterday"}), "`startTimeFrom` is"),
            (json!({"jobName": "x".repeat(257)}), "more than 256 characters"),
            (json!({"pageSize": "many"}), "the body is not what is expected"),
        ] {
            let answer = post("/event-trace/execution", body).await;
            assert!(
                answer[0] == 400 && answer[1].as_str().is_some_and(|text| text.contains(words)),
                "{answer}"
            );
        }
        let sources = ask(&viewer, Method::GET, "/data-source/load", Value::Null).await;
        assert_eq!(
            (&sources[0]["driver"], &sources[0]["password"]),
            (&json!("org.sqlite.JDBC"), &Value::Null)
        );
        let drivers = ask(&viewer, Method::GET, "/data-source/drivers", Value::Null).await;
        assert!(
            drivers.to_string().contains("org.sqlite.JDBC") && !drivers.to_string().contains("h2"),
            "{drivers}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn shows_some_jobs_to_a_visitor_of_these() {
        let directory = tempfile::tempdir().unwrap();
        let recorded = recorded(&directory).await;
        let visitor = Visitor::new("mei", Rights::Viewer).only(Globs::parse(["oth*"]).unwrap());
        let limited = console(&recorded, visitor);
        let post = async |body: Value| ask(&limited, Method::POST, "/event-trace/execution", body).await;
        assert_eq!(post(json!({"jobName": "other"})).await["total"], 1);
        for body in [json!({}), json!({"jobName": "备份"})] {
            assert_eq!(post(body).await[0], 400);
        }
        for (path, expected) in [
            ("/event-trace/execution/jobNames", json!(["other"])),
            ("/event-trace/execution/ip", json!([])),
        ] {
            assert_eq!(ask(&limited, Method::GET, path, Value::Null).await, expected, "{path}");
        }
    }

    #[tokio::test]
    async fn says_that_nothing_is_recorded() {
        let none = console(&Histories::default(), Visitor::new("mei", Rights::Admin));
        let answer = ask(&none, Method::POST, "/event-trace/status", json!({})).await;
        assert_eq!(
            answer,
            json!([500, "no history is recorded: `elasticjob.tracing` says where"])
        );
        assert_eq!(
            ask(&none, Method::GET, "/data-source/activated", Value::Null).await,
            false
        );
        let refused = ask(&none, Method::POST, "/data-source/add", json!({})).await;
        assert_eq!(refused[0], 500);
    }
}
