//! How a job says what happened.

pub use crate::erased::BoxError;

/// How the run of one item ended. What an error leads to is up to the job's error handler.
pub type Outcome = Result<(), BoxError>;

/// What a function may return to be a job: nothing, or a `Result<(), E>` of any error, `String` and
/// `anyhow::Error` included.
///
/// ```
/// use elasticjob::job::{BoxError, IntoOutcome};
///
/// assert!(().into_outcome().is_ok());
/// let failed: Result<(), std::num::ParseIntError> = "many".parse::<u32>().map(drop);
/// assert_eq!(failed.into_outcome().unwrap_err().to_string(), "invalid digit found in string");
/// assert_eq!(Err::<(), _>("no route").into_outcome().unwrap_err().to_string(), "no route");
/// ```
#[diagnostic::on_unimplemented(
    message = "a job cannot return `{Self}`",
    label = "not the outcome of a job",
    note = "return nothing, or `Result<(), E>` where `E` is an error, a `String` or an `anyhow::Error`"
)]
pub trait IntoOutcome {
    /// Converts the returned value.
    ///
    /// # Errors
    /// The job's own.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}
