//! Jobs and their items.

use axum::Json;
use axum::extract::Path;
use elasticjob::operation::Target;
use elasticjob::operation::java::{JobBriefInfo, ShardingInfo};

use super::envelope::{Failure, Model, Reply};
use super::{Caller, Item};

/// Answers with a bare number, as Java does.
pub(super) async fn count(caller: Caller) -> Result<Json<usize>, Failure> {
    Ok(Json(caller.operations().java_job_count(caller.sees()).await?))
}

pub(super) async fn all(caller: Caller) -> Reply<Vec<JobBriefInfo>> {
    Ok(Model(caller.operations().java_jobs(caller.sees()).await?))
}

pub(super) async fn trigger(caller: Caller, Path(job): Path<String>) -> Reply<bool> {
    caller.operations().trigger(&job, None).await?;
    Ok(Model(true))
}

pub(super) async fn disable(caller: Caller, Path(job): Path<String>) -> Reply<bool> {
    caller.operations().disable_servers(&job, caller.note(None)).await?;
    Ok(Model(true))
}

pub(super) async fn enable(caller: Caller, Path(job): Path<String>) -> Reply<bool> {
    caller.operations().enable_servers(&job).await?;
    Ok(Model(true))
}

pub(super) async fn shut_down(caller: Caller, Path(job): Path<String>) -> Reply<bool> {
    caller.operations().shut_down(&Target::job(job)).await?;
    Ok(Model(true))
}

/// Removes a job. Java also removes one that instances serve, which create a part of it again.
pub(super) async fn remove(caller: Caller, Path(job): Path<String>) -> Reply<bool> {
    caller.operations().remove_job(&job).await?;
    Ok(Model(true))
}

pub(super) async fn items(caller: Caller, Path(job): Path<String>) -> Reply<Vec<ShardingInfo>> {
    Ok(Model(caller.operations().java_items(&job).await?))
}

pub(super) async fn disable_item(caller: Caller, Item { job, item }: Item) -> Reply<bool> {
    caller.operations().disable_item(&job, item, caller.note(None)).await?;
    Ok(Model(true))
}

pub(super) async fn enable_item(caller: Caller, Item { job, item }: Item) -> Reply<bool> {
    caller.operations().enable_item(&job, item).await?;
    Ok(Model(true))
}
