//! The form of the answers: always status 200, with what went wrong in the body.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use elasticjob::operation::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::Outcome;

/// What a handler returns.
pub(super) type Reply<T> = Result<Model<T>, Failure>;

/// The answer to a request that was carried out.
pub(super) struct Model<T>(pub(super) T);

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Failure {
    code: u16,
    message: String,
}

/// Java's `ResponseResult`, with its fields in its order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<T> {
    success: bool,
    error_code: u16,
    error_msg: Option<String>,
    model: Option<T>,
}

impl<T: Serialize> IntoResponse for Model<T> {
    fn into_response(self) -> Response {
        Json(Envelope {
            success: true,
            error_code: 0,
            error_msg: None,
            model: Some(self.0),
        })
        .into_response()
    }
}

impl Failure {
    /// The request says something that it must not.
    pub(super) fn argument(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code: 400, message }
    }

    /// No visitor is known. The words are Java's.
    pub(super) fn unauthorized() -> Self {
        Self::forbidden("Unauthorized.")
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code: 403, message }
    }

    /// What was asked for cannot be done.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code: 500, message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::refused(error.chain().to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The status is that of a success.
        let outcome = Outcome::Failed(self.message.clone());
        let envelope = Json(Envelope::<()> {
            success: false,
            error_code: self.code,
            error_msg: Some(self.message),
            model: None,
        });
        (Extension(outcome), envelope).into_response()
    }
}

/// The body of a request, as JSON of any content type, as curl sends it.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| Failure::argument(rejection.body_text()))?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self)
            .map_err(|error| Failure::argument(format!("the body is not what is expected: {error}")))
    }
}
