//! One-off jobs as extractors of axum handlers.
//!
//! The router hands the running application in with `.layer(Extension(elastic_job))`. Errors of triggers become
//! answers, so a handler may return them with `?`.

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::cluster::worker::TriggerError;
use crate::job::Job;
use crate::web::{answer, of_registry};

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
        answer(StatusCode::INTERNAL_SERVER_ERROR, &self).into_response()
    }
}

/// Answers with all that led to the error, as a text, by its kind:
///
/// | status | |
/// |---|---|
/// | 404 | there is no such one-off job |
/// | 409 | the job is paused |
/// | 413 | the parameter is too long |
/// | 503 | the registry is away, the job is not registered at present, or the application stops: another try may succeed |
/// | 500 | the registry refuses, or the application has another fault |
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        answer(status(&self), &self).into_response()
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::NoSuchOneOffJob { .. } => StatusCode::NOT_FOUND,
        Error::Registry { source, .. } => of_registry(source),
        Error::Trigger { source, .. } => match source {
            TriggerError::Registry(source) => of_registry(source),
            TriggerError::Paused(_) => StatusCode::CONFLICT,
            TriggerError::NotRegistered | TriggerError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            TriggerError::ParameterTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        },
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn explains_a_refused_request_over_http() {
        let trigger = |source| Error::Trigger {
            job: "rebuild".to_owned(),
            source,
        };
        let registry = |source| Error::Registry {
            registry: "zookeeper at zk1:2181, namespace /shop".to_owned(),
            source,
        };
        let refused = || registry::Error::Refused("no access to namespace /shop".to_owned());
        let (length, limit) = (2_000, 1_024);
        for (error, status, text) in [
            (
                trigger(TriggerError::Registry(registry::Error::ConnectionLoss)),
                503,
                "job `rebuild`: no run can be asked for: the request could not be recorded: connection to the registry lost, \
                 outcome unknown",
            ),
            (trigger(TriggerError::NotRegistered), 503, "not registered at present"),
            (trigger(TriggerError::Stopped), 503, "the job has stopped"),
            (
                trigger(TriggerError::Paused(None)),
                409,
                "the job is paused: `enable` ends that",
            ),
            (
                trigger(TriggerError::ParameterTooLong { length, limit }),
                413,
                "the parameter has 2000 bytes, the limit is 1024",
            ),
            (
                trigger(TriggerError::Registry(refused())),
                500,
                "no access to namespace /shop",
            ),
            (
                registry(refused()),
                500,
                "the registry refused: no access to namespace /shop",
            ),
            (
                registry(registry::Error::Unreachable("zk1:2181 refuses connections".to_owned())),
                503,
                "zk1:2181 refuses",
            ),
            (
                Error::NoSuchOneOffJob {
                    name: "rebiuld".to_owned(),
                    known: vec!["rebuild".to_owned()],
                },
                404,
                "no one-off job `rebiuld`: there is `rebuild`",
            ),
            (Error::Stopped("why".to_owned()), 500, "why"),
        ] {
            let (found, body) = answer(super::status(&error), &error);
            assert_eq!(found.as_u16(), status, "{body}");
            assert!(body.contains(text), "{body}");
        }
    }
}
