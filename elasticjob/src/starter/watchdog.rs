//! Ends a process that should stop and cannot.
//!
//! A future that blocks its thread is never dropped, and a runtime that is dropped waits for its threads without end. If the
//! runtime has one thread, not even a signal is heard then. So this is a thread with a runtime of its own.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tracing::{error, warn};

use crate::executor::{Holds, Underway};

use super::running::LEAVE_LIMIT;
use super::signal;

/// How long a process may take to end once the jobs have to have stopped.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// The exit status of a process that had to be ended: an internal fault of the program, by the convention of BSD.
const EXIT_STATUS: i32 = 70;

/// Watches a process until it ends. Dropping it says that the jobs have stopped; their items are watched on.
#[derive(Debug)]
pub(super) struct Watchdog {
    has_stopped: Arc<AtomicBool>,
}

impl Watchdog {
    /// Waits for a signal to stop, in a thread that the end of the process does not wait for.
    pub(super) fn start(grace_period: Duration, underway: Underway) -> Self {
        let has_stopped = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&has_stopped);
        // The jobs have this limit after the grace period, and then the tasks.
        let limit = grace_period.saturating_add(LEAVE_LIMIT * 2).saturating_add(EXIT_LIMIT);
        let watching = thread::Builder::new().name("elasticjob-watchdog".to_owned());
        let started = watching.spawn(move || watch(limit, &underway, &watched));
        if let Err(error) = started {
            warn!(%error, "no thread for the watchdog: a job that blocks the runtime can keep the process from its end");
        }
        Self { has_stopped }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.has_stopped.store(true, Ordering::Relaxed);
    }
}

/// Waits for a signal to stop and then for `limit`. If the jobs have not stopped by then, or one of their items still
/// blocks a thread of the runtime, it ends the process with [`EXIT_STATUS`].
fn watch(limit: Duration, underway: &Underway, has_stopped: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    match runtime {
        Ok(runtime) => runtime.block_on(signal::stop_signal()),
        Err(error) => {
            warn!(%error, "no runtime for the watchdog: a job that blocks the runtime can keep the process from its end");
            return;
        }
    }
    thread::sleep(limit);
    let leftovers = underway.leftovers();
    let is_blocked = leftovers.iter().any(|left| left.holds == Holds::RuntimeThread);
    if has_stopped.load(Ordering::Relaxed) && !is_blocked {
        // What goes on is the application's own.
        return;
    }
    for leftover in leftovers {
        leftover.log();
    }
    error!(status = EXIT_STATUS, after = ?limit, "the application cannot stop by itself: the process is ended");
    process::exit(EXIT_STATUS);
}
