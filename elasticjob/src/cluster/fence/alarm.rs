//! The thread that wakes all tasks that wait for a fence.
//!
//! The alarm is for promptness, and safety does not rest on it: work is polled through [`Gated`](super::Gated), which
//! looks at the clock before each poll. But a future that is waiting is not polled, so without the alarm a blocked run
//! would not be dropped, and a caller would not learn that its session cannot be relied on any more.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::State;
use crate::guard;

/// The alarm of this process. It has a thread of its own, because a runtime wakes no task while jobs block all its
/// threads.
pub(super) static ALARM: Alarm = Alarm::new();

/// How long the thread sleeps at most: its timer does not know how long the machine slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Passes fences when they are due. It has a thread as long as it has fences.
pub(super) struct Alarm {
    /// A mutex of std: the thread and the few tasks that create fences hold it for moments, and never while they wake a waiter.
    watched: Mutex<Watched>,
    added: Condvar,
}

struct Watched {
    fences: Vec<Weak<State>>,
    /// Counts what was added, so that the thread misses none between looking and sleeping.
    additions: u64,
    has_thread: bool,
}

impl Alarm {
    pub(super) const fn new() -> Self {
        let watched = Watched {
            fences: Vec::new(),
            additions: 0,
            has_thread: false,
        };
        Self {
            watched: Mutex::new(watched),
            added: Condvar::new(),
        }
    }

    /// Watches a fence until it has passed or is gone.
    pub(super) fn watch(&'static self, fence: &Arc<State>) -> io::Result<()> {
        let mut watched = self.lock();
        if !watched.has_thread {
            thread::Builder::new()
                .name("elasticjob-fence".to_owned())
                .spawn(|| self.run())?;
            watched.has_thread = true;
        }
        watched.fences.push(Arc::downgrade(fence));
        watched.additions += 1;
        drop(watched);
        self.added.notify_one();
        Ok(())
    }

    /// Passes the fences that are due and sleeps until the next one is, until there is none.
    fn run(&self) {
        while let Some((fences, additions)) = self.next_round() {
            // Without the lock: passing a fence calls the wakers of others, and dropping the last reference
            // to one does too.
            let Some(next) = fences.iter().filter_map(|fence| remaining(fence)).min() else {
                continue;
            };
            drop(fences);
            let watched = self.lock();
            let sleep = next.min(LONGEST_SLEEP);
            let slept = self
                .added
                .wait_timeout_while(watched, sleep, |watched| watched.additions == additions);
            drop(slept.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Returns the fences that are still to pass; `None` when there are none, and then the thread ends.
    fn next_round(&self) -> Option<(Vec<Arc<State>>, u64)> {
        let mut watched = self.lock();
        let fences: Vec<_> = watched
            .fences
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|fence| !fence.passed.is_cancelled())
            .collect();
        watched.fences = fences.iter().map(Arc::downgrade).collect();
        watched.has_thread = !fences.is_empty();
        watched.has_thread.then_some((fences, watched.additions))
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Survives the clock of one fence, which is handed in: the thread is there for all of them.
fn remaining(fence: &State) -> Option<Duration> {
    guard::call(|| fence.remaining()).unwrap_or_else(|_| {
        // Its due time can no longer be computed.
        fence.close();
        None
    })
}

#[cfg(test)]
mod tests {
    use super::super::Fence;
    use super::*;
    use crate::schedule::{Clock, SystemClock};

    const SESSION_TIMEOUT: Duration = Duration::from_millis(90);

    fn set_up(alarm: &'static Alarm) -> (Arc<SystemClock>, Fence, Duration) {
        let clock = Arc::new(SystemClock::new());
        let sent_at = clock.elapsed();
        let fence = Fence::with_alarm(clock.clone(), SESSION_TIMEOUT, sent_at, alarm);
        (clock, fence, sent_at)
    }

    /// Waits on a runtime without timers, on its only thread: nothing but the alarm can wake it.
    fn wait_for(fence: &Fence) {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(fence.passed());
    }

    #[test]
    fn wakes_waiters_when_the_fence_is_due() {
        static ALARM: Alarm = Alarm::new();
        let (clock, fence, sent_at) = set_up(&ALARM);
        wait_for(&fence);
        assert!(fence.is_passed());
        assert!(clock.elapsed() >= sent_at + Duration::from_millis(60));
    }

    #[test]
    fn wakes_early_for_an_earlier_fence() {
        static ALARM: Alarm = Alarm::new();
        let clock = Arc::new(SystemClock::new());
        let late = Fence::with_alarm(clock.clone(), Duration::from_secs(3600), clock.elapsed(), &ALARM);
        let (_, early, _) = set_up(&ALARM);
        wait_for(&early);
        assert!(!late.is_passed());
    }

    #[test]
    fn ends_its_thread_with_the_last_fence() {
        static ALARM: Alarm = Alarm::new();
        for _ in 0..2 {
            let (clock, fence, _) = set_up(&ALARM);
            assert!(ALARM.lock().has_thread);
            drop(fence);
            let deadline = clock.elapsed() + Duration::from_secs(10);
            while ALARM.lock().has_thread {
                assert!(clock.elapsed() < deadline, "the thread runs without a fence");
                thread::yield_now();
            }
        }
    }

    /// Fails on the alarm's thread, not where the fence is made.
    #[derive(Debug)]
    struct BrokenClock(thread::ThreadId);

    impl Clock for BrokenClock {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            assert_eq!(thread::current().id(), self.0, "the clock is broken");
            Duration::ZERO
        }

        fn jumps(&self) -> tokio::sync::watch::Receiver<u64> {
            tokio::sync::watch::channel(0).1
        }
    }

    #[test]
    fn passes_only_the_fence_with_a_clock_that_panics() {
        static ALARM: Alarm = Alarm::new();
        let broken = Arc::new(BrokenClock(thread::current().id()));
        let untold = Fence::with_alarm(broken, Duration::from_secs(3600), Duration::ZERO, &ALARM);
        wait_for(&untold);
        let (_, other, _) = set_up(&ALARM);
        wait_for(&other);
        assert!(other.is_passed());
    }
}
