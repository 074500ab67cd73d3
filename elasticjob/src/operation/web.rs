//! Errors of operations as answers of axum handlers.
//!
//! The body has the error with all its causes in one line, as text, for people. Programs go by the status.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::web::{answer, of_registry};

use super::Error;

/// Answers with all that led to the error, as a text, by its kind:
///
/// | status | |
/// |---|---|
/// | 404 | the job, the item, the server or the instance is not there |
/// | 409 | what there is does not allow it: the job is paused, or served, or was changed meanwhile |
/// | 413 | a parameter, or a note, is too long |
/// | 422 | no job could run by the configuration that was given |
/// | 503 | the registry is away, or no instance is there: another try may succeed |
/// | 500 | the registry refuses |
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        answer(status(&self), &self).into_response()
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        error if error.is_not_found() => StatusCode::NOT_FOUND,
        Error::Registry { source, .. } => of_registry(source),
        error if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        Error::ParameterTooLong { .. } | Error::NoteTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Unacceptable { .. } | Error::Unusable { .. } | Error::Unreadable { .. } | Error::AnotherJob { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        _ => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use elasticjob_config::job::JobConfig;

    use super::*;
    use crate::operation::{Operations, Target};
    use crate::registry::memory::MemoryRegistry;
    use crate::registry::{self, CreateMode, Registry as _, Step};

    /// Operations on a registry with a job that no instance serves.
    async fn operations() -> Operations {
        let registry = MemoryRegistry::new();
        let session = registry.connect().await.unwrap();
        for (path, text) in [("/job", ""), ("/job/config", "jobName: job\nshardingTotalCount: 2\n")] {
            let create = Step::Create {
                path: path.to_owned(),
                data: text.as_bytes().to_vec(),
                mode: CreateMode::Persistent,
            };
            session.write(vec![create]).await.unwrap();
        }
        Operations::new(Arc::new(registry))
    }

    #[tokio::test]
    async fn errors_of_operations_have_the_status_of_their_kind() {
        let operations = operations().await;
        let stored = operations.configuration("job").await.unwrap().unwrap();
        let config = stored.config.clone().unwrap();
        let other = JobConfig::builder("other").sharding_total_count(1).build().unwrap();
        let changed = config.with_settings([("failover", Some("true"))]).unwrap();
        let registry = |source| Error::Registry {
            registry: "zookeeper at zk1:2181".to_owned(),
            source,
        };
        let job = Target::job("job");
        operations.disable(&job, None).await.unwrap();
        let paused = operations.trigger("job", None).await.unwrap_err();
        operations.enable(&job).await.unwrap();
        for (error, status, text) in [
            (
                operations.trigger("jbo", None).await.unwrap_err(),
                404,
                "there is no job `jbo`",
            ),
            (
                operations.trigger("job", None).await.unwrap_err(),
                503,
                "no instance that could run it",
            ),
            (paused, 409, "job `job` is paused"),
            (
                operations.trigger("job", Some(&"x".repeat(2_000))).await.unwrap_err(),
                413,
                "the parameter has 2000 bytes",
            ),
            (
                operations.update_configuration("job", &other, 0).await.unwrap_err(),
                422,
                "the configuration is that of job `other`",
            ),
            (
                stored.with_settings([("cron", Some("61 * * * * ?"))]).unwrap_err(),
                422,
                "`cron` is `61 * * * * ?`: seconds are 0 to 59",
            ),
            (
                operations.update_configuration("job", &changed, 7).await.unwrap_err(),
                409,
                "has version 0, not 7",
            ),
            (
                registry(registry::Error::ConnectionLoss),
                503,
                "connection to the registry lost",
            ),
            (
                registry(registry::Error::Unreachable("zk1:2181 refuses connections".to_owned())),
                503,
                "zk1:2181 refuses connections",
            ),
            (
                registry(registry::Error::Busy(
                    "canceling statement due to lock timeout".to_owned(),
                )),
                503,
                "the registry is busy",
            ),
            (
                registry(registry::Error::Refused("/job: no auth".to_owned())),
                500,
                "/job: no auth",
            ),
        ] {
            let (found, body) = answer(super::status(&error), &error);
            assert_eq!(found.as_u16(), status, "{body}");
            assert!(body.contains(text), "{body}");
        }
    }
}
