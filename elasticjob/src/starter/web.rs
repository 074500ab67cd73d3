//! One-off jobs as extractors of axum handlers.

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::job::Job;

use super::error::Error;
use super::{ElasticJob, OneOffJob};

impl<S: Send + Sync, J: Job> FromRequestParts<S> for OneOffJob<J> {
    type Rejection = OneOffRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let running = parts.extensions.get::<ElasticJob>().ok_or(OneOffRejection::NoLayer)?;
        running.one_off::<J>().map_err(OneOffRejection::NoJob)
    }
}

/// Why a handler cannot have its one-off job. A fault of the application: status 500.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OneOffRejection {
    /// The router does not hand the application in.
    #[error("the running `ElasticJob` is not in the request: add `.layer(Extension(elastic_job))` to the router")]
    NoLayer,
    /// The application does not have the job.
    #[error(transparent)]
    NoJob(Error),
}

impl IntoResponse for OneOffRejection {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// A request for a run that could not be recorded: 503 where another try may succeed, else 500.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = if self.is_retryable() {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        (status, self.to_string()).into_response()
    }
}
