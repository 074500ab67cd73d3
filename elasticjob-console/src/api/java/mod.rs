//! The API of the Java console, for scripts that were written for it.
//!
//! Answers, statuses and names are Java's. What differs on purpose is in `docs/api.md`: an operation that reaches nothing says so, the
//! configuration is checked, secrets are masked, and no page of another origin is let in.

mod centre;
mod configuration;
mod data_source;
mod dump;
mod envelope;
mod event_trace;
mod jobs;
mod login;
mod servers;

use axum::extract::{FromRequestParts, Path};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use elasticjob::operation::Error;

use crate::access::Rights;
use crate::api::Caller;
use crate::gate::Refusal;
use crate::routes::Site;
use crate::table::{Needs, Route, get, post, row};

use envelope::Failure;

pub(crate) use dump::Dumps;

const VIEWER: Needs = Needs::Rights(Rights::Viewer);
const OPERATOR: Needs = Needs::Rights(Rights::Operator);
const EDITOR: Needs = Needs::Rights(Rights::Editor);
const ADMIN: Needs = Needs::Rights(Rights::Admin);

/// The routes, by the names of the Java console.
pub(crate) const ROUTES: &[Route] = &[
    post(login::PATH, Needs::Nothing, |method| on(method, login::log_in)),
    get("/api/jobs/count", VIEWER, |method| on(method, jobs::count)),
    get("/api/jobs/getAllJobsBriefInfo", VIEWER, |method| on(method, jobs::all)),
    post("/api/jobs/{job}/trigger", OPERATOR, |method| on(method, jobs::trigger)),
    post("/api/jobs/{job}/disable", OPERATOR, |method| on(method, jobs::disable)),
    post("/api/jobs/{job}/enable", OPERATOR, |method| on(method, jobs::enable)),
    post("/api/jobs/{job}/shutdown", OPERATOR, |method| {
        on(method, jobs::shut_down)
    }),
    get("/api/jobs/{job}/sharding", VIEWER, |method| on(method, jobs::items)),
    post("/api/jobs/{job}/sharding/{item}/disable", OPERATOR, |method| {
        on(method, jobs::disable_item)
    }),
    post("/api/jobs/{job}/sharding/{item}/enable", OPERATOR, |method| {
        on(method, jobs::enable_item)
    }),
    get("/api/jobs/config/{job}", VIEWER, |method| {
        on(method, configuration::read)
    }),
    row(Method::PUT, "/api/jobs/config", EDITOR, |method| {
        on(method, configuration::write)
    }),
    row(Method::DELETE, "/api/jobs/config/{job}", ADMIN, |method| {
        on(method, jobs::remove)
    }),
    get("/api/servers/count", VIEWER, |method| on(method, servers::count)),
    get("/api/servers/getAllServersBriefInfo", VIEWER, |method| {
        on(method, servers::all)
    }),
    post("/api/servers/{server}/disable", OPERATOR, |method| {
        on(method, servers::disable)
    }),
    post("/api/servers/{server}/enable", OPERATOR, |method| {
        on(method, servers::enable)
    }),
    post("/api/servers/{server}/shutdown", OPERATOR, |method| {
        on(method, servers::shut_down)
    }),
    row(Method::DELETE, "/api/servers/{server}", ADMIN, |method| {
        on(method, servers::remove)
    }),
    get("/api/servers/{server}/jobs", VIEWER, |method| on(method, servers::jobs)),
    post("/api/servers/{server}/jobs/{job}/disable", OPERATOR, |method| {
        on(method, servers::disable_job)
    }),
    post("/api/servers/{server}/jobs/{job}/enable", OPERATOR, |method| {
        on(method, servers::enable_job)
    }),
    post("/api/servers/{server}/jobs/{job}/shutdown", OPERATOR, |method| {
        on(method, servers::shut_down_job)
    }),
    row(Method::DELETE, "/api/servers/{server}/jobs/{job}", ADMIN, |method| {
        on(method, servers::remove_job)
    }),
    post("/api/servers/{server}/{port}/jobs/{job}/dump", ADMIN, |method| {
        on(method, dump::dump)
    }),
    get("/api/registry-center/activated", VIEWER, |method| {
        on(method, centre::activated)
    }),
    get("/api/registry-center/load", VIEWER, |method| on(method, centre::load)),
    post("/api/registry-center/add", ADMIN, |method| on(method, centre::change)),
    post("/api/registry-center/connect", ADMIN, |method| {
        on(method, centre::connect)
    }),
    row(Method::DELETE, "/api/registry-center", ADMIN, |method| {
        on(method, centre::change)
    }),
    post("/api/event-trace/execution", VIEWER, |method| {
        on(method, event_trace::executions)
    }),
    get("/api/event-trace/execution/jobNames", VIEWER, |method| {
        on(method, event_trace::jobs)
    }),
    get("/api/event-trace/execution/jobNames/{prefix}", VIEWER, |method| {
        on(method, event_trace::jobs_like)
    }),
    get("/api/event-trace/execution/ip", VIEWER, |method| {
        on(method, event_trace::ips)
    }),
    get("/api/event-trace/execution/ip/{prefix}", VIEWER, |method| {
        on(method, event_trace::ips_like)
    }),
    post("/api/event-trace/status", VIEWER, |method| {
        on(method, event_trace::statuses)
    }),
    get("/api/event-trace/status/jobNames", VIEWER, |method| {
        on(method, event_trace::status_jobs)
    }),
    get("/api/event-trace/status/jobNames/{prefix}", VIEWER, |method| {
        on(method, event_trace::status_jobs_like)
    }),
    get("/api/data-source/drivers", VIEWER, |method| {
        on(method, data_source::drivers)
    }),
    get("/api/data-source/activated", VIEWER, |method| {
        on(method, data_source::activated)
    }),
    get("/api/data-source/load", VIEWER, |method| on(method, data_source::load)),
    post("/api/data-source/add", ADMIN, |method| on(method, data_source::change)),
    post("/api/data-source/connectTest", ADMIN, |method| {
        on(method, data_source::change)
    }),
    post("/api/data-source/connect", ADMIN, |method| {
        on(method, data_source::connect)
    }),
    row(Method::DELETE, "/api/data-source", ADMIN, |method| {
        on(method, data_source::change)
    }),
];

/// The job and the item of a path.
struct Item {
    job: String,
    item: u32,
}

impl FromRequestParts<Site> for Item {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        let Path((job, item)) = Path::<(String, String)>::from_request_parts(parts, site)
            .await
            .map_err(|rejection| Failure::argument(rejection.body_text()))?;
        match item.parse() {
            Ok(item) => Ok(Self { job, item }),
            Err(_) => Err(Failure::argument(format!(
                "item `{item}` of job `{job}` is not a number"
            ))),
        }
    }
}

/// Returns the answer to a request that may not reach its route.
pub(super) fn refused(refusal: Refusal, jobs: &[String]) -> Response {
    let failure = match refusal {
        Refusal::Stranger => Failure::unauthorized(),
        Refusal::OtherOrigin => {
            Failure::forbidden("the request has no token, and was sent by a page of another origin")
        }
        Refusal::NotByToken => Failure::forbidden("a token changes nothing of its user"),
        Refusal::Lacks(rights) => Failure::forbidden(format!("this needs the rights of a visitor that is {rights}")),
        // As for a job that is not there.
        Refusal::NoSuchJob => {
            let job = jobs.first().cloned().unwrap_or_default();
            Failure::from(Error::NoSuchJob { job })
        }
    };
    failure.into_response()
}
