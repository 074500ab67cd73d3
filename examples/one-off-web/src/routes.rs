//! What can be asked by HTTP.

use std::time::Duration;

use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use elasticjob::operation;
use elasticjob::prelude::*;
use elasticjob::starter::{Execution, Health, ItemOutcome};

use crate::rebuild_index;

/// How long `POST /rebuild/{year}?wait` waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The routes. The layer lets handlers take one-off jobs as parameters.
pub(crate) fn router(jobs: ElasticJob) -> Router {
    Router::new()
        .route("/rebuild/{year}", post(rebuild))
        .route("/jobs/{job}/trigger", post(trigger))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(Extension(jobs))
}

/// Triggers the job. Answers as soon as the trigger is stored, or with `?wait` once all items have ended.
async fn rebuild(
    job: OneOffJob<rebuild_index>,
    Path(year): Path<u16>,
    RawQuery(query): RawQuery,
) -> elasticjob::Result<Response> {
    if query.as_deref() != Some("wait") {
        job.execute_with(year).await?;
        return Ok((StatusCode::ACCEPTED, "it will run\n").into_response());
    }
    let execution = job.execute_with_and_wait(year, PATIENCE).await?;
    let status = if execution.is_success() {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    Ok((status, report(&execution)).into_response())
}

/// Has any job of the registry centre run, with the body as its parameter. What is refused is answered with the status of its kind.
async fn trigger(
    Extension(jobs): Extension<ElasticJob>,
    Path(job): Path<String>,
    parameter: String,
) -> Result<(StatusCode, &'static str), operation::Error> {
    let parameter = (!parameter.is_empty()).then_some(&*parameter);
    jobs.operations().trigger(&job, parameter).await?;
    Ok((StatusCode::ACCEPTED, "it will run\n"))
}

/// A line for each item.
fn report(execution: &Execution) -> String {
    let line = |(item, outcome): (&u32, &ItemOutcome)| match outcome {
        ItemOutcome::Succeeded => format!("item {item}: succeeded\n"),
        ItemOutcome::Failed { cause } => format!("item {item}: failed: {cause}\n"),
        ItemOutcome::Cancelled { cause } => format!("item {item}: cancelled: {cause}\n"),
        ItemOutcome::Skipped { reason } => format!("item {item}: skipped: {reason}\n"),
        ItemOutcome::Pending => format!("item {item}: not ended yet\n"),
        _ => format!("item {item}: unknown\n"),
    };
    execution.items.iter().map(line).collect()
}

/// Answers a liveness probe: whether the jobs go on by themselves. If not, the process has to be restarted.
async fn healthz(Extension(jobs): Extension<ElasticJob>) -> (StatusCode, String) {
    let health = jobs.health();
    answer(health.is_live, &health)
}

/// Whether the jobs serve their schedules, for a readiness probe: if not, requests are better sent elsewhere.
async fn readyz(Extension(jobs): Extension<ElasticJob>) -> (StatusCode, String) {
    let health = jobs.health();
    answer(health.is_ready, &health)
}

fn answer(is_well: bool, health: &Health) -> (StatusCode, String) {
    if is_well {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, health.problems().join("\n") + "\n")
    }
}
