//! The progress of a run, for the time limit that ends runs without progress.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// When a run last got ahead: when a stream was through with a batch. Clones are of the same run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(
    /// A std mutex: never held across an await.
    Arc<Mutex<Option<Instant>>>,
);

impl Progress {
    /// Reports that the run has just advanced.
    pub(crate) fn made(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When it last did, if ever.
    pub(crate) fn newest(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
