//! One-off jobs as extractors of axum handlers.

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::chain::Chain;
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
        (StatusCode::INTERNAL_SERVER_ERROR, Chain(&self).to_string()).into_response()
    }
}

/// A request for a run that could not be recorded: 503 if another try may succeed, else 500, with all that led to it.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        answer(&self).into_response()
    }
}

fn answer(error: &Error) -> (StatusCode, String) {
    let status = match error.is_retryable() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.chain().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;
    use crate::starter::TriggerError;

    #[test]
    fn a_request_that_is_refused_should_say_why_over_http() {
        let error = |source| Error::Trigger {
            job: "rebuild".to_owned(),
            source: TriggerError::Registry(source),
        };
        assert_eq!(
            answer(&error(registry::Error::ConnectionLoss)),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "job `rebuild`: no run can be asked for: the request could not be recorded: connection to the registry lost, \
                 outcome unknown"
                    .to_owned()
            )
        );
        let error = Error::Registry {
            registry: "zookeeper at zk1:2181, namespace /shop".to_owned(),
            source: registry::Error::Refused("no access to namespace /shop".to_owned()),
        };
        let (status, text) = answer(&error);
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            text.ends_with("the registry refused: no access to namespace /shop"),
            "{text}"
        );
    }
}
