//! The API for programs: that of the Java console below `/api`, and our own below `/api/v2`.
//!
//! Both read and change the registry by [`Operations`](elasticjob::operation::Operations), and not by the picture that pages are made of: a
//! program that has changed something reads what is so.

pub(crate) mod java;

use axum::response::Response;

use crate::gate::Refusal;

/// Returns the answer of the API to a request that may not reach its route; `None` if the route is none of the API.
pub(crate) fn refused(path: &str, refusal: Refusal, jobs: &[String]) -> Option<Response> {
    path.starts_with("/api/").then(|| java::refused(refusal, jobs))
}
