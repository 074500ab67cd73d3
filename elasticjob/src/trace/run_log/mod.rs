//! The log of a run: what is logged inside its span, and what its script says, kept beside its row in the history.
//!
//! The application adds [`RunLog::layer`] to its subscriber. The executor opens a [log](OpenLog) for each attempt whose job is recorded, and
//! hangs it on the span of the run, where the layer finds it for each event. Scripts write to it by themselves, so that their output is
//! kept also without the layer.
//!
//! No job waits: a message is formatted and put into a ring in memory, which keeps the newest. [`Sink`] holds the logs of the runs that go on
//! and those of the runs that have ended, and a task of the history writes them. It writes the log of a run that takes longer than some
//! seconds while that goes on, so that it can be followed, and so that a process that dies leaves the log of its runs.

mod layer;
mod sink;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Span;

use crate::run::Lines;

pub use self::layer::RunLog;
pub(crate) use self::layer::is_installed;
pub(crate) use self::sink::{Record, SHORT, Sink, Taken};

/// The attempt that a log is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedRun {
    pub(crate) job: Arc<str>,
    pub(crate) item: u32,
    pub(crate) run_id: String,
    pub(crate) attempt: u32,
    pub(crate) scheduled_time: Timestamp,
    pub(crate) launched_at: Timestamp,
}

/// Where the logs of runs go: a sink for each place of history. Clones share the sinks.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunLogs(Arc<[Sink]>);

impl RunLogs {
    pub(crate) fn new(sinks: Vec<Sink>) -> Self {
        Self(sinks.into())
    }

    /// Opens the log of a run that begins, and hangs it on its span. `None` if the history keeps no log of this job. The log never has
    /// one of `secrets`.
    pub(crate) fn open(&self, run: LoggedRun, secrets: &Arc<[String]>, span: &Span) -> Option<OpenLog> {
        let sink = self.0.iter().find(|sink| sink.jobs().has(&run.job))?;
        let began = (run.launched_at, Instant::now());
        let lines = Arc::new(Lines::new(sink.settings(), began, Arc::clone(secrets)));
        let number = sink.open(run, Arc::clone(&lines))?;
        layer::attach(span, &lines);
        Some(OpenLog {
            sink: sink.clone(),
            number,
            lines,
            is_success: false,
        })
    }
}

/// The log of a run that goes on. A log that is dropped without an [end](Self::end) is one of a run that did not succeed.
#[derive(Debug)]
pub(crate) struct OpenLog {
    sink: Sink,
    number: u64,
    lines: Arc<Lines>,
    is_success: bool,
}

impl OpenLog {
    /// Returns where the run's own output goes.
    pub(crate) fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    /// Hands the log to the history.
    pub(crate) fn end(mut self, is_success: bool) {
        self.is_success = is_success;
    }
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        self.sink.end(self.number, self.is_success);
    }
}
