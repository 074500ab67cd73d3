//! What there is: jobs, items, instances, servers, and why something does not run.

use std::future::{Ready, ready};

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::{StatusCode, Uri};
use elasticjob::configuration::job::JobConfig;
use elasticjob::operation::world::{Firing, Outcome};
use elasticjob::operation::{
    Error, Explanation, InstanceReport, ItemReport, JobBrief, JobOnServer, JobReport, NextFirings, ServerBrief, Verdict,
};
use elasticjob::run::Source;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Caller;
use crate::masks::{self, Settings};
use crate::routes::{FIRST_READ, base};

use super::paging::{Page, Which};
use super::problem::{Asked, Named, Problem};
use super::{ENDPOINTS, endpoint};

/// What a read answers.
pub(super) type Read<T> = Result<Json<T>, Problem>;

/// Most times that are computed for one request.
const MOST_TIMES: usize = 1_000;

/// The configuration of a job in the registry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Configuration {
    job_name: String,
    /// The version, which a change names.
    version: i32,
    /// The settings by their names in the registry. Secrets are masked.
    settings: Settings,
    /// Why no job can run by it; absent if jobs can.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A scheduled time or a trigger, as it was seen since a visitor last looked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FiringReport {
    /// The scheduled time, or when the first of its items was triggered.
    time: Timestamp,
    /// The request that triggered it; `null` for a scheduled time.
    request: Option<String>,
    /// What is known of the items.
    items: Vec<FiredItem>,
}

/// What became of an item at one time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FiredItem {
    item: u32,
    state: State_,
    /// How it ended; `null` if it runs, or did not run.
    verdict: Option<Verdict>,
    /// How long the work took.
    took_millis: Option<u64>,
    /// The number of the attempt, from 1; 0 if it did not run.
    attempt: u32,
    source: Option<Source>,
    instance: Option<String>,
    cause: Option<String>,
    run: Option<String>,
    ended: Option<Timestamp>,
}

/// How an item stands at one time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = FiringState)]
pub(crate) enum State_ {
    /// It runs, or waits for room in the pool.
    Running,
    /// It has ended.
    Ended,
    /// The time passed without a run.
    Passed,
}

impl FiringReport {
    fn of(firing: &Firing) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        let items = firing.cells().map(|(item, cell)| {
            let (state, verdict) = match cell.outcome {
                Outcome::Running => (State_::Running, None),
                Outcome::Ended(verdict) => (State_::Ended, Some(verdict)),
                _ => (State_::Passed, None),
            };
            FiredItem {
                item,
                state,
                verdict,
                took_millis: cell.took_millis,
                attempt: cell.attempt,
                source: cell.source,
                instance: text(&cell.instance),
                cause: text(&cell.cause),
                run: text(&cell.run),
                ended: cell.ended,
            }
        });
        Self {
            time: firing.time,
            request: text(&firing.request),
            items: items.collect(),
        }
    }
}

pub(super) async fn jobs(caller: Caller, Asked(which): Asked<Which>) -> Read<Page<JobBrief>> {
    let mut jobs = caller.operations().jobs().await?.jobs;
    jobs.retain(|job| caller.visitor.sees(&job.job_name));
    Ok(Json(which.by_name(jobs, |job| job.job_name.clone())))
}

pub(super) async fn job(caller: Caller, Named(job): Named<String>) -> Read<JobReport> {
    Ok(Json(caller.operations().job(&job).await?))
}

pub(super) async fn items(
    caller: Caller,
    Named(job): Named<String>,
    Asked(which): Asked<Which>,
) -> Read<Page<ItemReport>> {
    let items = caller.operations().items(&job).await?;
    Ok(Json(which.of(items, |item| item.item, |after| after.parse().ok())))
}

pub(super) async fn item(caller: Caller, Named((job, item)): Named<(String, u32)>) -> Read<ItemReport> {
    let report = caller.operations().job(&job).await?;
    let total = report.brief.sharding_total_count;
    let found = report.items.into_iter().find(|found| found.item == item);
    Ok(Json(found.ok_or(Error::NoSuchItem { job, item, total })?))
}

pub(super) async fn instances(caller: Caller, Named(job): Named<String>) -> Read<Vec<InstanceReport>> {
    Ok(Json(caller.operations().job(&job).await?.instances))
}

pub(super) async fn explain(caller: Caller, Named(job): Named<String>) -> Read<Explanation> {
    Ok(Json(caller.operations().explain(&job).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Times {
    #[serde(default = "ten")]
    count: usize,
}

fn ten() -> usize {
    10
}

pub(super) async fn next(
    caller: Caller,
    Named(job): Named<String>,
    Asked(Times { count }): Asked<Times>,
) -> Read<NextFirings> {
    let times = caller.operations().next_firings(&job, count.min(MOST_TIMES)).await?;
    Ok(Json(times))
}

/// Returns the newest firings that the console has seen, the oldest first.
pub(super) async fn firings(caller: Caller, Named(job): Named<String>) -> Read<Vec<FiringReport>> {
    caller.site.world.look([&*job]);
    caller.site.world.read(FIRST_READ).await;
    // A program that has triggered a run sees it.
    caller.site.world.read_again([&*job], FIRST_READ).await;
    let picture = caller.site.picture(&caller.visitor);
    let now = picture.jobs.get(&*job).ok_or(Error::NoSuchJob { job })?;
    Ok(Json(now.firings.all().iter().map(FiringReport::of).collect()))
}

pub(super) async fn configuration(caller: Caller, Named(job): Named<String>) -> Read<Configuration> {
    let stored = caller.operations().configuration(&job).await?;
    let stored = stored.ok_or_else(|| Error::NoConfiguration { job: job.clone() })?;
    let settings = JobConfig::legible_settings(&stored.text);
    let shown = settings.iter().map(|(name, value)| {
        let value = masks::masked(name, value).into_owned();
        (name.clone(), value)
    });
    Ok(Json(Configuration {
        job_name: job,
        version: stored.version,
        settings: shown.collect(),
        problem: stored.config.err().map(|errors| errors.to_string()),
    }))
}

pub(super) async fn servers(caller: Caller, Asked(which): Asked<Which>) -> Read<Page<ServerBrief>> {
    let servers = caller.operations().java_servers(caller.sees()).await?;
    Ok(Json(which.by_name(servers, |server| server.server_ip.clone())))
}

pub(super) async fn jobs_on(caller: Caller, Named(server): Named<String>) -> Read<Vec<JobOnServer>> {
    let mut jobs = caller.operations().jobs_on_server(&server).await?;
    jobs.retain(|job| caller.visitor.sees(&job.job_name));
    if jobs.is_empty() {
        return Err(Error::NoSuchServer { server, job: None }.into());
    }
    Ok(Json(jobs))
}

/// Returns the description of the API. It is not `async`, since the list of requests has this one, too.
pub(super) fn document(OriginalUri(original): OriginalUri, uri: Uri) -> Ready<Json<serde_json::Value>> {
    ready(Json(endpoint::as_json(ENDPOINTS, &base(&original, &uri))))
}

/// Answers for paths of the API that there are not.
pub(crate) async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("there is no `{}`: /api/v2/openapi.json has what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}
