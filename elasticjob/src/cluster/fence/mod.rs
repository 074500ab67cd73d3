//! Keeps work from outliving the registry session it was started under.
//!
//! Others may start our work as soon as the registry ends our session, which it does a session timeout after
//! it last heard from us, whether we notice or not. So a [`Fence`] passes before that: two thirds of the
//! timeout after the newest moment at which the session is known to have lived. Work is polled through
//! [`Gated`] alone, which looks at the fence first each time: a process that was stopped and goes on, however
//! late, executes no further poll.
//!
//! A fence proves nothing by itself. It relies on its owner to note contacts honestly: only answers that
//! need the quorum (a write, a `sync`), each by the time at which it was *sent*.
//!
//! The margin of a third covers what the clocks of the two machines [differ by in rate](CLOCK_RATES), and the time that a
//! poll takes which began just before the fence passed: of the timeout a sixth is left for it if the clocks differ so much.
//!
//! Why the contact counts from when the request was sent: the registry extends the session when it receives the
//! request, which is after it was sent and before the answer comes. Counted from the answer, the fence could pass after
//! the session has ended. Why reads do not count: a server that is cut off from the others answers reads, while the
//! others let the session expire.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::cluster::mutation::Mutation;
use crate::schedule::Clock;
use crate::tasks::Tasks;

mod alarm;
mod gated;

pub(crate) use gated::{Gated, Stopped};

use alarm::{ALARM, Alarm};

/// The most by which the clock of an instance may run faster or slower than that of the registry's server, as a share of
/// it: the promise that two runs of an item never overlap rests on it. If the time services of two machines slew their
/// clocks in opposite directions as fast as they ever do (chrony: 8.3 percent), the clocks differ by 18 percent.
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(dead_code, reason = "what is promised, for clusters in virtual time")
)]
pub(crate) const CLOCK_RATES: f64 = 0.2;

/// Stands for "it has passed" where otherwise stands when it will.
const PASSED: u64 = 0;

/// The moment after which nothing may run any more under one session. Clones are the same fence.
///
/// Once it has passed it stays so for ever: a new session needs a new fence. Dropping the last clone passes it.
#[derive(Clone)]
pub(crate) struct Fence {
    state: Arc<State>,
}

impl Fence {
    /// Returns the fence of a session that is known to have lived at `sent_at`, which is [`Clock::elapsed`] when a
    /// call was sent that the registry's quorum has answered.
    ///
    /// A thread wakes the waiters, so that they are woken even if the runtime is stuck.
    pub(crate) fn new(clock: Arc<dyn Clock>, session_timeout: Duration, sent_at: Duration) -> Self {
        Self::with_alarm(clock, session_timeout, sent_at, &ALARM)
    }

    /// As [`Fence::new`], but a task wakes the waiters: for virtual time.
    pub(crate) fn on_tokio_time(
        clock: Arc<dyn Clock>,
        session_timeout: Duration,
        sent_at: Duration,
        tasks: &Tasks,
    ) -> Self {
        let state = State::new(clock, session_timeout, sent_at);
        let (watched, passed) = (Arc::downgrade(&state), state.passed.clone());
        tasks.spawn_essential("fence", async move {
            tokio::select! {
                biased;
                () = pass_when_due(watched) => {}
                () = passed.cancelled() => {}
            }
        });
        Self { state }
    }

    fn with_alarm(clock: Arc<dyn Clock>, session_timeout: Duration, sent_at: Duration, alarm: &'static Alarm) -> Self {
        let fence = Self {
            state: State::new(clock, session_timeout, sent_at),
        };
        if let Err(error) = alarm.watch(&fence.state) {
            // Without its alarm a fence could not be trusted: so nothing runs under it.
            error!(%error, "no thread for the fence alarm, giving the session up");
            fence.close();
        }
        fence
    }

    /// Notes that the registry's quorum answered a call that was sent at `sent_at`, by [`Clock::elapsed`].
    ///
    /// Moves the fence forward and never back, and not at all once it has passed.
    pub(crate) fn note_contact(&self, sent_at: Duration) {
        self.state.note_contact(sent_at);
    }

    /// Passes the fence now: the session is lost.
    pub(crate) fn close(&self) {
        self.state.close();
    }

    /// Returns whether the fence has passed.
    pub(crate) fn is_passed(&self) -> bool {
        self.state.remaining().is_none()
    }

    /// Returns how long until the fence passes if there is no further contact; zero once it has passed.
    pub(crate) fn remaining(&self) -> Duration {
        self.state.remaining().unwrap_or_default()
    }

    /// Cancelled when the fence has passed, or its last clone is gone. Only the fence may cancel it: callers get children.
    pub(crate) fn token(&self) -> CancellationToken {
        self.state.passed.clone()
    }

    /// Waits until the fence has passed, or its last clone is gone.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) fn passed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.state.passed.clone().cancelled_owned()
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("remaining", &self.remaining()).finish()
    }
}

struct State {
    clock: Arc<dyn Clock>,
    /// How long a contact is good for.
    reach: Duration,
    /// When the fence passes, in nanoseconds of [`Clock::elapsed`], or [`PASSED`]. One atomic for both, so
    /// that no contact can slip in between the look at the time and the word that it has passed.
    passes_at: AtomicU64,
    /// Cancelled once the fence has passed, which wakes the waiters.
    passed: CancellationToken,
}

impl State {
    fn new(clock: Arc<dyn Clock>, session_timeout: Duration, sent_at: Duration) -> Arc<Self> {
        let margin = if Mutation::FenceWithoutMargin.is_on() {
            Duration::ZERO
        } else {
            session_timeout / 3
        };
        let reach = session_timeout - margin;
        let passes_at = AtomicU64::new(nanoseconds(sent_at.saturating_add(reach)));
        Arc::new(Self {
            clock,
            reach,
            passes_at,
            passed: CancellationToken::new(),
        })
    }

    fn note_contact(&self, sent_at: Duration) {
        if self.remaining().is_none() {
            return;
        }
        let later = nanoseconds(sent_at.saturating_add(self.reach));
        let forward = |now| (now != PASSED && now < later).then_some(later);
        // Refused when the fence has passed or is further ahead: both are as they should be.
        let _ = self
            .passes_at
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, forward);
    }

    /// Passes the fence before its time.
    fn close(&self) {
        self.passes_at.store(PASSED, Ordering::Release);
        self.passed.cancel();
    }

    /// Returns the time until the fence passes; `None` if it has. A caller that finds it due makes it pass.
    fn remaining(&self) -> Option<Duration> {
        loop {
            let passes_at = self.passes_at.load(Ordering::Acquire);
            if passes_at == PASSED {
                return None;
            }
            if Mutation::SkipSelfFencing.is_on() {
                return Some(self.reach);
            }
            let remaining = passes_at.saturating_sub(nanoseconds(self.clock.elapsed()));
            if remaining > 0 {
                return Some(Duration::from_nanos(remaining));
            }
            // A contact may have been noted meanwhile: then look again.
            if self
                .passes_at
                .compare_exchange(passes_at, PASSED, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
            {
                self.passed.cancel();
                return None;
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.passed.cancel();
    }
}

/// Wakes at the fence's time, and when the clock jumps: timers know nothing of the machine's sleep.
async fn pass_when_due(fence: Weak<State>) {
    loop {
        let Some((instant, mut jumps)) = fence.upgrade().and_then(|fence| {
            let remaining = fence.remaining()?;
            Some((fence.clock.instant_after(remaining), fence.clock.jumps()))
        }) else {
            return;
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(instant) => {}
            Ok(()) = jumps.changed() => {}
        }
    }
}

/// 584 years fit.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::schedule::ManualClock;

    /// The fence passes 6 s after a contact.
    const SESSION_TIMEOUT: Duration = Duration::from_secs(9);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn set_up() -> (Arc<ManualClock>, Tasks, Fence) {
        let clock = Arc::new(ManualClock::starting_at(jiff::Timestamp::UNIX_EPOCH));
        let tasks = Tasks::new();
        let fence = Fence::on_tokio_time(clock.clone(), SESSION_TIMEOUT, Duration::ZERO, &tasks);
        (clock, tasks, fence)
    }

    #[tokio::test(start_paused = true)]
    async fn passes_after_two_thirds_of_the_timeout() {
        let (_clock, _tasks, fence) = set_up();
        advance(seconds(6) - Duration::from_nanos(1)).await;
        assert!(!fence.is_passed());
        assert_eq!(fence.remaining(), Duration::from_nanos(1));
        advance(Duration::from_nanos(1)).await;
        assert!(fence.is_passed());
        assert_eq!(fence.remaining(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_contacts_from_their_sending() {
        let (_clock, _tasks, fence) = set_up();
        advance(seconds(5)).await;
        fence.note_contact(seconds(3));
        assert_eq!(fence.remaining(), seconds(4));
        fence.note_contact(seconds(1));
        assert_eq!(fence.remaining(), seconds(4));
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_waiters_when_the_last_contact_is_used_up() {
        let (_clock, _tasks, fence) = set_up();
        let start = Instant::now();
        advance(seconds(5)).await;
        fence.note_contact(seconds(4));
        fence.passed().await;
        assert_eq!(start.elapsed().as_secs(), 10);
        assert!(fence.is_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn stays_passed_after_later_answers() {
        let (clock, _tasks, fence) = set_up();
        // It passed without a check.
        clock.suspend(seconds(7));
        fence.note_contact(seconds(6));
        assert!(fence.is_passed());
        fence.note_contact(seconds(7));
        assert!(fence.is_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_session_should_pass_its_fence_at_once() {
        let (_clock, _tasks, fence) = set_up();
        let waiting = fence.passed();
        fence.close();
        waiting.await;
        fence.note_contact(seconds(3));
        assert!(fence.is_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn passes_and_wakes_waiters_after_a_sleep_of_the_machine() {
        let (clock, _tasks, fence) = set_up();
        let start = Instant::now();
        // Let the task set its timer first.
        tokio::task::yield_now().await;
        clock.suspend(seconds(3600));
        fence.passed().await;
        assert_eq!(start.elapsed().as_secs(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_its_task_with_the_fence() {
        let (_clock, tasks, fence) = set_up();
        let clone = fence.clone();
        drop(fence);
        assert!(tasks.close_and_wait(Instant::now() + seconds(1)).await.is_err());
        drop(clone);
        assert!(tasks.close_and_wait(Instant::now() + seconds(1)).await.is_ok());
    }
}
