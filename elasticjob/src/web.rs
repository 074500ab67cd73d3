//! Errors as answers of axum handlers. Each type of error says which status its kinds have.

use std::error::Error;

use http::StatusCode;

use crate::chain::Chain;
use crate::registry;

/// Returns an answer with the error and all its causes as its text.
pub(crate) fn answer(status: StatusCode, error: &(dyn Error + 'static)) -> (StatusCode, String) {
    (status, Chain(error).to_string())
}

/// Returns the status for what a registry did not do: 503 if another try may succeed.
pub(crate) fn of_registry(error: &registry::Error) -> StatusCode {
    if error.is_permanent() {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
