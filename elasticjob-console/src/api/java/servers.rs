//! Servers, in all jobs that the caller sees, and in one.

use axum::Json;
use axum::extract::Path;
use elasticjob::operation::java::JobBriefInfo;
use elasticjob::operation::{Error, ServerBrief, Target};

use super::Caller;
use super::envelope::{Failure, Model, Reply};

impl Caller {
    /// Returns what a server is to the caller: that in all jobs, or in each of those that the caller sees.
    async fn on(&self, server: &str) -> Result<Vec<Target>, Failure> {
        if self.visitor.jobs().is_all() {
            return Ok(vec![Target::server(server)]);
        }
        let jobs = self.operations().java_jobs_on(server, self.sees()).await?;
        if jobs.is_empty() {
            let (server, job) = (server.to_owned(), None);
            return Err(Error::NoSuchServer { server, job }.into());
        }
        let target = |job: JobBriefInfo| Target::job_on_server(job.job_name, server);
        Ok(jobs.into_iter().map(target).collect())
    }
}

/// Answers with a bare number, as Java does.
pub(super) async fn count(caller: Caller) -> Result<Json<usize>, Failure> {
    Ok(Json(caller.operations().java_servers(caller.sees()).await?.len()))
}

pub(super) async fn all(caller: Caller) -> Reply<Vec<ServerBrief>> {
    Ok(Model(caller.operations().java_servers(caller.sees()).await?))
}

pub(super) async fn jobs(caller: Caller, Path(server): Path<String>) -> Reply<Vec<JobBriefInfo>> {
    Ok(Model(caller.operations().java_jobs_on(&server, caller.sees()).await?))
}

pub(super) async fn disable(caller: Caller, Path(server): Path<String>) -> Reply<bool> {
    for target in caller.on(&server).await? {
        caller.operations().disable(&target, caller.note(None)).await?;
    }
    Ok(Model(true))
}

pub(super) async fn enable(caller: Caller, Path(server): Path<String>) -> Reply<bool> {
    for target in caller.on(&server).await? {
        caller.operations().enable(&target).await?;
    }
    Ok(Model(true))
}

pub(super) async fn shut_down(caller: Caller, Path(server): Path<String>) -> Reply<bool> {
    for target in caller.on(&server).await? {
        caller.operations().shut_down(&target).await?;
    }
    Ok(Model(true))
}

/// Shuts the server down, and removes it from each job.
pub(super) async fn remove(caller: Caller, Path(server): Path<String>) -> Reply<bool> {
    for target in caller.on(&server).await? {
        caller.operations().remove(&target).await?;
    }
    Ok(Model(true))
}

pub(super) async fn disable_job(caller: Caller, Path((server, job)): Path<(String, String)>) -> Reply<bool> {
    let target = Target::job_on_server(job, server);
    caller.operations().disable(&target, caller.note(None)).await?;
    Ok(Model(true))
}

pub(super) async fn enable_job(caller: Caller, Path((server, job)): Path<(String, String)>) -> Reply<bool> {
    let target = Target::job_on_server(job, server);
    caller.operations().enable(&target).await?;
    Ok(Model(true))
}

pub(super) async fn shut_down_job(caller: Caller, Path((server, job)): Path<(String, String)>) -> Reply<bool> {
    let target = Target::job_on_server(job, server);
    caller.operations().shut_down(&target).await?;
    Ok(Model(true))
}

pub(super) async fn remove_job(caller: Caller, Path((server, job)): Path<(String, String)>) -> Reply<bool> {
    let target = Target::job_on_server(job, server);
    caller.operations().remove(&target).await?;
    Ok(Model(true))
}
