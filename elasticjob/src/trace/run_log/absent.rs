//! No logs of runs: the program was built without a history that would keep them.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::Span;

use crate::run::Lines;

/// The attempt that a log would be of.
#[expect(dead_code, reason = "a history alone reads it")]
pub(crate) struct LoggedRun {
    pub(crate) job: Arc<str>,
    pub(crate) item: u32,
    pub(crate) run_id: String,
    pub(crate) attempt: u32,
    pub(crate) scheduled_time: Timestamp,
    pub(crate) launched_at: Timestamp,
}

/// Opens no log.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunLogs;

/// A log that there cannot be.
#[derive(Debug)]
pub(crate) enum OpenLog {}

impl RunLogs {
    pub(crate) fn open(&self, _run: LoggedRun, _secrets: &Arc<[String]>, _span: &Span) -> Option<OpenLog> {
        None
    }
}

impl OpenLog {
    pub(crate) fn lines(&self) -> &Arc<Lines> {
        match *self {}
    }

    pub(crate) fn end(self, _is_success: bool) {
        match self {}
    }
}
