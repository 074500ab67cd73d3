//! What went wrong, as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use elasticjob::operation::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::gate::Refusal;

/// Why a request was not carried out.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says of which kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The words of the status.
    title: &'static str,
    status: u16,
    /// What went wrong, in words for operators.
    detail: String,
    /// Whether the same request may succeed later.
    retryable: bool,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            retryable: false,
        }
    }

    pub(super) fn of_refusal(refusal: Refusal, jobs: &[String]) -> Self {
        match refusal {
            Refusal::Stranger => Self::new(StatusCode::UNAUTHORIZED, "a token is needed, or the cookie of a page"),
            Refusal::OtherOrigin => {
                let detail = "the request has no token, and was sent by a page of another origin";
                Self::new(StatusCode::FORBIDDEN, detail)
            }
            Refusal::NotByToken => Self::new(StatusCode::FORBIDDEN, "a token changes nothing of its user"),
            Refusal::Lacks(rights) => {
                let detail = format!("this needs the rights of a visitor that is {rights}");
                Self::new(StatusCode::FORBIDDEN, detail)
            }
            // As for a job that is not there.
            Refusal::NoSuchJob => {
                let job = jobs.first().cloned().unwrap_or_default();
                Self::from(Error::NoSuchJob { job })
            }
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (detail, retryable) = (error.chain().to_string(), error.is_retryable());
        let status = error.into_response().status();
        Self {
            retryable,
            ..Self::new(status, detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let form = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, form);
        response
    }
}

/// The body of a request, as JSON. No body is an empty object.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| {
            let status = if error.is_data() {
                StatusCode::UNPROCESSABLE_ENTITY
            } else {
                StatusCode::BAD_REQUEST
            };
            Problem::new(status, format!("the body is not what is expected: {error}"))
        })
    }
}

/// What stands behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let asked = query.map(|Query(asked)| Self(asked));
        asked.map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()))
    }
}

/// The names in the path.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        let named = path.map(|Path(names)| Self(names));
        named.map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()))
    }
}
