//! What waits to be written of the logs of runs.
//!
//! Bounded: logs of runs that have ended take 16 MiB at most while the database is away; of what comes then nothing is kept, and it is
//! counted. Logs of runs that go on take what their runs may log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use elasticjob_config::sources::{KeptRunLogs, RunLogSettings, TracedJobs};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::LoggedRun;
use crate::run::Lines;

/// Most bytes of ended logs that wait.
const WAITING: usize = 16 * 1024 * 1024;

/// A run that takes longer has its log written while it goes on.
pub(crate) const SHORT: Duration = Duration::from_secs(2);

/// The logs of the runs of some jobs, between the runs and the history. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    jobs: TracedJobs,
    settings: RunLogSettings,
    /// A std mutex: never held across an await.
    state: Mutex<State>,
    /// Set when a run has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<u64, Open>,
    next: u64,
    ended: VecDeque<Record>,
    bytes: usize,
    dropped: u64,
    /// Whether no log can be kept.
    is_closed: bool,
}

#[derive(Debug)]
struct Open {
    run: Arc<LoggedRun>,
    lines: Arc<Lines>,
    since: Instant,
    /// Up to which message it has been handed out to be written.
    written: u64,
}

/// What is to be done with the log of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Write {
        run: Arc<LoggedRun>,
        text: String,
        /// Whether there will be no more of it.
        is_over: bool,
    },
    /// It was written while the run went on, and is not kept.
    Remove(Arc<LoggedRun>),
}

/// What was taken to be written.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) records: Vec<Record>,
    /// Logs that were never written, since the last time.
    pub(crate) dropped: u64,
}

impl Record {
    fn weight(&self) -> usize {
        match self {
            Self::Write { text, .. } => text.len() + 256,
            Self::Remove(_) => 256,
        }
    }
}

impl Sink {
    /// Returns a sink that nothing has gone into; `None` if no log is to be kept.
    pub(crate) fn new(jobs: TracedJobs, settings: RunLogSettings) -> Option<Self> {
        if settings.keep == KeptRunLogs::None {
            return None;
        }
        super::layer::keep(settings.level);
        Some(Self(Arc::new(Shared {
            jobs,
            settings,
            state: Mutex::default(),
            ended: Notify::new(),
        })))
    }

    pub(super) fn jobs(&self) -> &TracedJobs {
        &self.0.jobs
    }

    pub(super) fn settings(&self) -> RunLogSettings {
        self.0.settings
    }

    /// Adds the log of a run that begins, and returns its number; `None` if no log can be kept.
    pub(super) fn open(&self, run: LoggedRun, lines: Arc<Lines>) -> Option<u64> {
        let mut state = self.state();
        if state.is_closed {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let open = Open {
            run: Arc::new(run),
            lines,
            since: Instant::now(),
            written: 0,
        };
        state.open.insert(number, open);
        Some(number)
    }

    /// Hands over the log of a run that has ended, if it is to be kept.
    pub(super) fn end(&self, number: u64, is_success: bool) {
        let mut state = self.state();
        let Some(open) = state.open.remove(&number) else {
            return;
        };
        let is_kept = !is_success || self.0.settings.keep == KeptRunLogs::All;
        let record = if is_kept && open.lines.revision() > 0 {
            Record::Write {
                run: open.run,
                text: open.lines.text().text,
                is_over: true,
            }
        } else if open.written > 0 {
            Record::Remove(open.run)
        } else {
            return;
        };
        let weight = record.weight();
        if state.bytes + weight > WAITING {
            state.dropped += 1;
            return;
        }
        state.bytes += weight;
        state.ended.push_back(record);
        drop(state);
        self.0.ended.notify_one();
    }

    /// Forgets all logs, and takes none any more.
    pub(crate) fn close(&self) {
        *self.state() = State {
            is_closed: true,
            ..State::default()
        };
    }

    /// Waits until a run has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn ended(&self) {
        self.0.ended.notified().await;
    }

    /// Takes what is to be written: logs of runs that have ended, up to `bytes` of them, and, if these are all, what is new of runs that
    /// go on for this long at least.
    pub(crate) fn take(&self, bytes: usize, age: Duration) -> Taken {
        let mut state = self.state();
        let mut taken = Taken {
            records: Vec::new(),
            dropped: std::mem::take(&mut state.dropped),
        };
        let mut weight = 0;
        while weight < bytes
            && let Some(record) = state.ended.pop_front()
        {
            weight += record.weight();
            state.bytes -= record.weight();
            taken.records.push(record);
        }
        for open in state.open.values_mut() {
            if weight >= bytes {
                break;
            }
            if open.since.elapsed() < age || open.lines.revision() == open.written {
                continue;
            }
            let said = open.lines.text();
            open.written = said.revision;
            let record = Record::Write {
                run: Arc::clone(&open.run),
                text: said.text,
                is_over: false,
            };
            weight += record.weight();
            taken.records.push(record);
        }
        taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tracing::Span;

    use super::super::{OpenLog, RunLogs};
    use super::*;

    fn sink(keep: KeptRunLogs) -> Sink {
        let mut settings = RunLogSettings::default();
        settings.keep = keep;
        Sink::new(TracedJobs::All, settings).expect("logs are kept")
    }

    fn run(item: u32) -> LoggedRun {
        LoggedRun {
            job: "job".into(),
            item,
            run_id: format!("run{item}"),
            attempt: 1,
            scheduled_time: Timestamp::UNIX_EPOCH,
            launched_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn open(sink: &Sink, item: u32) -> OpenLog {
        let log = RunLogs::new(vec![sink.clone()]).open(run(item), &Arc::default(), &Span::none());
        log.expect("a log of this job")
    }

    /// What is taken, in words.
    fn taken(sink: &Sink) -> Vec<String> {
        let said = |record: Record| match record {
            Record::Write { run, text, is_over } => {
                let last = text.lines().last().and_then(|line| line.rsplit(' ').next());
                format!("{} {} {is_over}", run.run_id, last.unwrap_or_default())
            }
            Record::Remove(run) => format!("{} removed", run.run_id),
        };
        sink.take(usize::MAX, SHORT).records.into_iter().map(said).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn has_the_logs_of_runs_that_did_not_succeed() {
        let sink = sink(KeptRunLogs::Failed);
        for (item, is_success) in [(0, true), (1, false)] {
            let log = open(&sink, item);
            log.lines().add("INFO", "said");
            log.end(is_success);
        }
        // One that is given up did not succeed, and one that said nothing has no log.
        let given_up = open(&sink, 2);
        given_up.lines().add("INFO", "said");
        drop(given_up);
        open(&sink, 3).end(false);
        assert_eq!(taken(&sink), ["run1 said true", "run2 said true"]);
    }

    #[tokio::test(start_paused = true)]
    async fn has_what_is_new_of_a_run_that_goes_on() {
        let sink = sink(KeptRunLogs::Failed);
        let log = open(&sink, 0);
        log.lines().add("INFO", "first");
        assert!(taken(&sink).is_empty(), "it may end soon");
        tokio::time::advance(SHORT).await;
        assert_eq!(taken(&sink), ["run0 first false"]);
        assert!(taken(&sink).is_empty(), "nothing is new");
        log.lines().add("INFO", "second");
        assert_eq!(taken(&sink), ["run0 second false"]);
        log.end(true);
        assert_eq!(taken(&sink), ["run0 removed"]);
    }

    #[tokio::test(start_paused = true)]
    async fn holds_no_more_than_its_bound() {
        let sink = sink(KeptRunLogs::All);
        let long = "x".repeat(8 * 1024);
        for item in 0..4000 {
            let log = open(&sink, item);
            log.lines().add("INFO", &long);
            log.end(true);
        }
        let Taken { records, dropped } = sink.take(usize::MAX, SHORT);
        let bytes: usize = records.iter().map(Record::weight).sum();
        assert!(
            bytes <= WAITING && records.len() > 1000,
            "{} of {bytes} bytes",
            records.len()
        );
        assert_eq!(records.len() as u64 + dropped, 4000);
        assert_eq!(sink.take(usize::MAX, SHORT).dropped, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn is_none_if_nothing_is_kept() {
        let mut settings = RunLogSettings::default();
        settings.keep = KeptRunLogs::None;
        assert!(Sink::new(TracedJobs::All, settings).is_none());
    }
}
