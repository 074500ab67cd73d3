//! The runs of items that go on, so that the log can name each that keeps a process from its end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::error;

/// The runs of all jobs of a process that go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Underway(Arc<Mutex<Runs>>);

#[derive(Debug, Default)]
struct Runs {
    newest: u64,
    all: BTreeMap<u64, Arc<RunUnderway>>,
}

/// A run that goes on.
#[derive(Debug)]
struct RunUnderway {
    job: Arc<str>,
    item: u32,
    id: Arc<str>,
    /// Pieces of blocking work that go on.
    blocking: AtomicUsize,
    /// The job's future is being polled.
    is_polled: AtomicBool,
}

/// The place of a run in the list. The run goes on until all clones are gone: its blocking work holds some.
#[derive(Clone, Debug)]
pub(crate) struct Ticket(Arc<Listed>);

#[derive(Debug)]
struct Listed {
    number: u64,
    run: Arc<RunUnderway>,
    underway: Underway,
}

/// A run that did not end when it was to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) job: Arc<str>,
    pub(crate) item: u32,
    pub(crate) run: Arc<str>,
    pub(crate) holds: Holds,
}

/// What a run that does not end is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A thread for blocking work. The process can end with it.
    BlockingThread,
    /// A thread of the runtime, in a poll that does not return. A runtime that is dropped waits for it without end.
    RuntimeThread,
    /// Nothing: its future waits.
    Nothing,
}

impl Leftover {
    /// Logs that the run goes on although it should have ended.
    pub(crate) fn log(&self) {
        let Self { job, item, run, holds } = self;
        error!(job = &**job, item, run = &**run, %holds, "an item has not ended, and is left behind");
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BlockingThread => "a thread for blocking work",
            Self::RuntimeThread => "a thread of the runtime: its async code blocks",
            Self::Nothing => "nothing: it waits",
        })
    }
}

impl Underway {
    /// Lists a run until all clones of the ticket are gone.
    pub(crate) fn enter(&self, job: Arc<str>, item: u32, id: Arc<str>) -> Ticket {
        let run = Arc::new(RunUnderway {
            job,
            item,
            id,
            blocking: AtomicUsize::new(0),
            is_polled: AtomicBool::new(false),
        });
        let mut runs = self.runs();
        runs.newest += 1;
        let number = runs.newest;
        runs.all.insert(number, Arc::clone(&run));
        drop(runs);
        Ticket(Arc::new(Listed {
            number,
            run,
            underway: self.clone(),
        }))
    }

    /// Returns the runs that go on, oldest first.
    pub(crate) fn leftovers(&self) -> Vec<Leftover> {
        let runs = self.runs();
        let leftover = |run: &Arc<RunUnderway>| Leftover {
            job: Arc::clone(&run.job),
            item: run.item,
            run: Arc::clone(&run.id),
            holds: match (
                run.is_polled.load(Ordering::Relaxed),
                run.blocking.load(Ordering::Relaxed),
            ) {
                (true, _) => Holds::RuntimeThread,
                (false, 0) => Holds::Nothing,
                (false, _) => Holds::BlockingThread,
            },
        };
        runs.all.values().map(leftover).collect()
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Counts blocking work of the run as going on until the answer is dropped.
    pub(crate) fn blocking(&self) -> Blocking {
        self.0.run.blocking.fetch_add(1, Ordering::Relaxed);
        Blocking(self.clone())
    }

    /// Calls `poll`, which polls the job's future, and marks the run as polled meanwhile.
    pub(crate) fn polled<T>(&self, poll: impl FnOnce() -> T) -> T {
        let is_polled = &self.0.run.is_polled;
        is_polled.store(true, Ordering::Relaxed);
        let polled = poll();
        is_polled.store(false, Ordering::Relaxed);
        polled
    }
}

/// Blocking work of a run that goes on.
#[derive(Debug)]
pub(crate) struct Blocking(Ticket);

impl Drop for Blocking {
    fn drop(&mut self) {
        self.0.0.run.blocking.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.underway.runs().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(underway: &Underway) -> Vec<Holds> {
        underway.leftovers().into_iter().map(|left| left.holds).collect()
    }

    #[test]
    fn knows_what_a_run_holds() {
        let underway = Underway::default();
        let ticket = underway.enter("settle".into(), 3, "run".into());
        assert_eq!(holds(&underway), [Holds::Nothing]);
        ticket.polled(|| assert_eq!(holds(&underway), [Holds::RuntimeThread]));
        let blocking = ticket.blocking();
        // The run is over, and its work goes on.
        drop(ticket);
        assert_eq!(
            underway.leftovers(),
            [Leftover {
                job: "settle".into(),
                item: 3,
                run: "run".into(),
                holds: Holds::BlockingThread,
            }]
        );
        drop(blocking);
        assert_eq!(holds(&underway), []);
    }
}
