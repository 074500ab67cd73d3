use std::fmt;

use crate::job::BoxError;

/// The database of the history did not do what it was asked.
///
/// Its text says what was asked and of which database, without a password; the source says what the database answered,
/// or that it did not. History is beside the jobs: an error here never keeps a job from running.
#[derive(Debug, thiserror::Error)]
#[error("{asked} in {database}")]
pub struct Error {
    pub(super) asked: &'static str,
    pub(super) database: String,
    pub(super) kind: FaultyPart,
    #[source]
    pub(super) source: BoxError,
}

/// The part that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultyPart {
    /// What was to be written cannot be: the same rows will be refused again.
    Rows,
    /// The database, or the way to it.
    Database,
}

impl Error {
    /// Returns whether the database answered, and refused: the connection works.
    pub(super) fn is_an_answer(&self) -> bool {
        let source = self.source.downcast_ref::<sqlx::Error>();
        source.is_some_and(|source| source.as_database_error().is_some())
    }

    /// With all that led to it, in one line.
    pub(crate) fn chain(&self) -> impl fmt::Display + '_ {
        crate::chain::Chain(self)
    }
}
