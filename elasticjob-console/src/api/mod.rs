//! The API for programs: that of the Java console below `/api`, and our own below `/api/v2`.
//!
//! Both read and change the registry by [`Operations`], and not by the picture that pages are made of: a program that has changed
//! something reads what is so.

pub(crate) mod java;
pub(crate) mod v2;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use elasticjob::operation::{Note, Operations};

use crate::access::Visitor;
use crate::gate::Refusal;
use crate::routes::Site;

/// A program that calls, and what it calls.
pub(crate) struct Caller {
    site: Site,
    visitor: Visitor,
}

impl Caller {
    fn operations(&self) -> &Operations {
        self.site.world.operations()
    }

    fn sees(&self) -> impl Fn(&str) -> bool {
        |job| self.visitor.sees(job)
    }

    /// Returns the note of what this caller switches off.
    fn note(&self, reason: Option<&str>) -> Option<Note> {
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        Some(self.operations().note(Some(self.visitor.name()), reason))
    }
}

impl FromRequestParts<Site> for Caller {
    type Rejection = StatusCode;

    /// The gate has let the visitor of the request through, so there is one.
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, StatusCode> {
        let visitor = parts.extensions.get::<Visitor>().cloned();
        Ok(Self {
            site: site.clone(),
            visitor: visitor.ok_or(StatusCode::FORBIDDEN)?,
        })
    }
}

/// Returns the answer of the API to a request that may not reach its route; `None` if the route is none of the API.
pub(crate) fn refused(path: &str, refusal: Refusal, jobs: &[String]) -> Option<Response> {
    if path.starts_with("/api/v2/") {
        Some(v2::refused(refusal, jobs))
    } else {
        path.starts_with("/api/").then(|| java::refused(refusal, jobs))
    }
}
