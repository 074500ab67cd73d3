//! What a simulation cannot bring: answers from outside of it.
//!
//! Virtual time passes as soon as nothing is left to do, so a job that waits for a socket, a file or a thread of its own gets its
//! answer at a moment that no seed decides, if it gets it at all. Such a run fails, with an error that says what to do, and the
//! simulation has a violation that names the job. Three things are noticed:
//!
//! - tokio's panic where its I/O is asked for, which simulations switch off;
//! - a wake-up that comes from a thread which is not the simulation's (`tokio::fs`, `spawn_blocking`, another runtime);
//! - a simulation that makes no step for a while of real time, since code in it waits for virtual time and blocks at once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::threads;

/// What tokio says where it has no driver for I/O or for signals and processes.
const TOKIO_WITHOUT_IO: [&str; 2] = ["but IO is disabled", "there is no signal driver running"];

/// A job asked for something from outside of its simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromOutside {
    job: Arc<str>,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    /// It asked tokio for I/O.
    Io,
    /// This thread woke it.
    WokenBy(String),
}

impl FromOutside {
    /// Returns what the text of a failure shows, if that is tokio's word on I/O.
    pub(super) fn of_failure(job: &Arc<str>, text: &str) -> Option<Self> {
        let is_of_io = TOKIO_WITHOUT_IO.iter().any(|words| text.contains(words));
        is_of_io.then(|| Self {
            job: Arc::clone(job),
            how: How::Io,
        })
    }
}

impl fmt::Display for FromOutside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, how } = self;
        match how {
            How::Io => write!(f, "job {job} asks tokio for real I/O")?,
            How::WokenBy(thread) => write!(f, "job {job} waits for work of the thread `{thread}`")?,
        }
        f.write_str(
            ", which a simulation in virtual time cannot bring: give the job a component that stands for what is outside, and let it \
             block in `run_blocking` alone (not in `spawn_blocking`, `tokio::fs`, a thread or a runtime of its own)",
        )
    }
}

impl std::error::Error for FromOutside {}

/// Notices the thread that wakes a run.
pub(super) struct Wakes {
    job: Arc<str>,
    simulation: ThreadId,
    /// The first thread outside of the simulation that woke the run.
    from_outside: OnceLock<String>,
}

impl Wakes {
    /// Watches a run of this job, for the simulation of this thread.
    pub(super) fn watch(job: &Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            job: Arc::clone(job),
            simulation: thread::current().id(),
            from_outside: OnceLock::new(),
        })
    }

    /// Returns a waker for a poll of the run.
    pub(super) fn waker(self: &Arc<Self>, inner: &Waker) -> Waker {
        Waker::from(Arc::new(WatchedWaker {
            wakes: Arc::clone(self),
            inner: inner.clone(),
        }))
    }

    /// Returns what woke the run, if that was outside of the simulation.
    pub(super) fn woken_from_outside(&self) -> Option<FromOutside> {
        self.from_outside.get().map(|thread| FromOutside {
            job: Arc::clone(&self.job),
            how: How::WokenBy(thread.clone()),
        })
    }
}

/// The waker that a run is polled with. It looks which thread wakes, and passes the wake-up on.
struct WatchedWaker {
    wakes: Arc<Wakes>,
    inner: Waker,
}

impl Wake for WatchedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let thread = thread::current();
        if thread.id() != self.wakes.simulation && !threads::is_in_turn() {
            let name = thread.name().unwrap_or("without a name").to_owned();
            // The first one is enough.
            let _ = self.wakes.from_outside.set(name);
        }
        self.inner.wake_by_ref();
    }
}

/// Counts the steps of a simulation, for the thread that waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Arc<AtomicU64>);

/// The simulation made no step for that long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck(pub(super) Duration);

impl Steps {
    /// Counts a step.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for the end of the simulation: for what it sends, or for its thread to panic, which drops the sender.
    ///
    /// # Errors
    /// [`Stuck`] when it made no step for `limit`.
    pub(super) fn wait_for<T>(&self, end: &Receiver<T>, limit: Duration) -> Result<Option<T>, Stuck> {
        loop {
            let before = self.0.load(Ordering::Relaxed);
            match end.recv_timeout(limit) {
                Ok(end) => return Ok(Some(end)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if self.0.load(Ordering::Relaxed) == before => return Err(Stuck(limit)),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
