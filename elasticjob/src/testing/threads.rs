//! Blocking work on threads of its own, of which one runs at a time and only while the simulation waits for it.
//!
//! So blocking code is run as it is, and the order of everything still comes from the seed. Virtual time passes for it
//! in [`sleep`] alone.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::cluster::mutation;

/// Lets that much virtual time pass for the blocking work which calls it, in a simulation; sleeps anywhere else.
///
/// Blocking jobs call it in the place of `std::thread::sleep`, so that the same code runs in a test and in production.
/// It takes effect on the thread that the framework runs the work on, and not on threads that the work starts.
///
/// ```
/// use std::time::Duration;
///
/// fn rebuild_report() {
///     // One step of many.
///     elasticjob::testing::sleep_blocking(Duration::from_millis(1));
/// }
/// # rebuild_report();
/// ```
pub fn sleep_blocking(duration: Duration) {
    let baton = BATON.take();
    let Some(baton) = baton else {
        return thread::sleep(duration);
    };
    let goes_on = baton.pauses.send(Pause::Sleep(duration)).is_ok() && baton.turns.recv().is_ok();
    BATON.set(Some(baton));
    if !goes_on {
        // Its machine is no more.
        resume_unwind(Box::new(MachineIsGone));
    }
}

thread_local! {
    static BATON: RefCell<Option<Baton>> = const { RefCell::new(None) };
}

/// A thread's side of the exchange of turns.
struct Baton {
    turns: Receiver<()>,
    pauses: SyncSender<Pause>,
}

/// What blocking work gives its turn back for.
enum Pause {
    Sleep(Duration),
    Over,
}

/// Unwinds blocking work whose machine crashed.
struct MachineIsGone;

/// Returns whether this thread does blocking work of a simulation, so that it runs only while that waits for it.
pub(super) fn is_in_turn() -> bool {
    BATON.with_borrow(Option::is_some)
}

/// Runs the work to its end, in turns with everything else.
pub(super) async fn run(work: Box<dyn FnOnce() + Send>) {
    let thread = Thread::start(work);
    while let Pause::Sleep(time) = thread.take_turn() {
        tokio::time::sleep(time).await;
    }
}

/// A thread that waits for its turn. Dropping it ends its work where it is.
struct Thread {
    turns: Option<Sender<()>>,
    pauses: Receiver<Pause>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn start(work: Box<dyn FnOnce() + Send>) -> Self {
        let (turns, awaited) = channel();
        let (pauses, paused) = sync_channel(1);
        let (runtime, left_out) = (Handle::current(), mutation::left_out());
        let handle = thread::spawn(move || {
            // Time and what is left out are those of the simulation.
            let _runtime = runtime.enter();
            let _left_out = mutation::leave_out(left_out);
            if awaited.recv().is_err() {
                return;
            }
            BATON.set(Some(Baton {
                turns: awaited,
                pauses: pauses.clone(),
            }));
            work();
            // No task waits if the machine is gone.
            let _ = pauses.send(Pause::Over);
        });
        Self {
            turns: Some(turns),
            pauses: paused,
            handle: Some(handle),
        }
    }

    /// Lets the work go on until it sleeps or is over, and waits for that.
    fn take_turn(&self) -> Pause {
        let is_given = self.turns.as_ref().is_some_and(|turns| turns.send(()).is_ok());
        if is_given {
            self.pauses.recv().unwrap_or(Pause::Over)
        } else {
            Pause::Over
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.turns = None;
        // Waited for, so that nothing of it happens beside the simulation. It has unwound where it was ended.
        let _ = self.handle.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_should_pass_for_blocking_work() {
        let began = Instant::now();
        let seen = Arc::new(AtomicU32::new(0));
        let reported = Arc::clone(&seen);
        let work = move || {
            sleep_blocking(Duration::from_secs(3600));
            reported.store(u32::try_from(began.elapsed().as_secs()).unwrap(), Ordering::Relaxed);
        };
        run(Box::new(work)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn stops_work_on_a_crashed_machine() {
        let steps = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&steps);
        let work = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            sleep_blocking(Duration::from_secs(2));
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let cut_short = tokio::time::timeout(Duration::from_secs(1), run(Box::new(work))).await;
        assert!(cut_short.is_err());
        assert_eq!(steps.load(Ordering::Relaxed), 1);
        assert_eq!(Arc::strong_count(&steps), 1, "what it held is gone");
    }
}
