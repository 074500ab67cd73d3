//! Where time comes from.
//!
//! Two clocks are needed, because each is wrong for the other's purpose. The time of day says when a job is due, but it
//! can be set. The time that passes says how long something lasts, and includes the time in which the machine sleeps.
//! Timers of the runtime follow neither: they stand still while the machine sleeps, so a wait for a time of day looks
//! again after each jump.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until as sleep_until_instant};

use super::jumps::JumpDetector;
use crate::tasks::Tasks;
use crate::uptime;

/// How often the wall clock is compared with the monotonic one.
const COMPARISON_INTERVAL: Duration = Duration::from_secs(1);

/// As far ahead as a timer is ever set: tokio cannot represent every instant.
const FAR_AHEAD: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// The time of day, and the time that passes.
///
/// [`SystemClock`] is that of the machine, [`ManualClock`] one for tests. [`Builder::clock`](crate::starter::Builder::clock) takes another:
///
/// ```
/// use std::time::Duration;
/// use elasticjob::schedule::{Clock, SystemClock};
/// use jiff::{SignedDuration, Timestamp};
/// use tokio::sync::watch;
///
/// /// The clock of a machine that is an hour behind.
/// #[derive(Debug, Default)]
/// struct Behind(SystemClock);
///
/// impl Clock for Behind {
///     fn now(&self) -> Timestamp {
///         self.0.now() - SignedDuration::from_hours(1)
///     }
///
///     fn elapsed(&self) -> Duration {
///         self.0.elapsed()
///     }
///
///     fn jumps(&self) -> watch::Receiver<u64> {
///         self.0.jumps()
///     }
/// }
///
/// assert!(Behind::default().now() < SystemClock::new().now());
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time of day. It jumps when it is set.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment. It never jumps, and runs on while the machine sleeps.
    /// Only differences of two calls have a meaning.
    fn elapsed(&self) -> Duration;

    /// Returns the instant, for timers, at which [`now`](Self::now) will be `at` if the clock is not set and the
    /// machine does not sleep. For a time that has come it returns the present instant; for one that is more than a
    /// year ahead, an instant in a year.
    fn instant_at(&self, at: Timestamp) -> Instant {
        match Duration::try_from(at.duration_since(self.now())) {
            Ok(delay) => self.instant_after(delay),
            Err(_) => Instant::now(),
        }
    }

    /// The instant, for timers, at which `delay` will have passed; at most an instant in a year.
    fn instant_after(&self, delay: Duration) -> Instant {
        Instant::now() + delay.min(FAR_AHEAD)
    }

    /// Counts how often the time of day jumped: because it was set, or the machine slept.
    /// Timers that wait for a time of day are then wrong.
    /// A clock that never jumps may return a receiver that never changes.
    fn jumps(&self) -> watch::Receiver<u64>;
}

/// Waits until the clock's time of day is `at` or later, also if the clock is set meanwhile.
///
/// # Cancel safety
/// Safe.
pub async fn sleep_until(clock: &dyn Clock, at: Timestamp) {
    let mut jumps = clock.jumps();
    // A timer may be a little early by the wall clock, which is slewed: so look again.
    while clock.now() < at {
        tokio::select! {
            () = sleep_until_instant(clock.instant_at(at)) => {}
            Ok(()) = jumps.changed() => {}
        }
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    jumps: watch::Sender<u64>,
}

impl SystemClock {
    /// The machine's clock. [`Clock::jumps`] stays silent until something watches for them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            jumps: watch::Sender::new(0),
        }
    }

    /// Starts the task that watches for jumps, which [`Clock::jumps`] then reports within a second. One a process.
    pub(crate) fn watch_for_jumps(self: Arc<Self>, tasks: &Tasks) {
        let token = tasks.token().clone();
        tasks.spawn_essential("clock-watch", async move {
            let mut detector = JumpDetector::new(self.now(), uptime::awake());
            let mut ticks = interval(COMPARISON_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = token.cancelled() => return,
                }
                if let Some(jump) = detector.observe(self.now(), uptime::awake()) {
                    tracing::warn!(%jump, "the wall clock jumped");
                    self.jumps.send_modify(|count| *count += 1);
                }
            }
        });
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        uptime::uptime()
    }

    fn jumps(&self) -> watch::Receiver<u64> {
        self.jumps.subscribe()
    }
}

/// A clock that follows tokio's time and that can be set: for tests, above all while tokio's time is paused.
///
/// ```
/// # use elasticjob::schedule::{Clock, ManualClock};
/// # use jiff::SignedDuration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = ManualClock::starting_at("2025-10-26T00:59:59Z".parse().unwrap());
/// let jumps = clock.jumps();
/// clock.shift(SignedDuration::from_hours(-1));
/// assert!(clock.now() < "2025-10-26T00:00:00Z".parse().unwrap());
/// assert!(jumps.has_changed().unwrap());
/// # }
/// ```
#[derive(Debug)]
pub struct ManualClock {
    /// Std mutex: never held across an await.
    origin: Mutex<Origin>,
    jumps: watch::Sender<u64>,
}

/// What the clock shows at one instant of tokio's.
#[derive(Clone, Copy, Debug)]
struct Origin {
    instant: Instant,
    time: Timestamp,
    elapsed: Duration,
}

impl ManualClock {
    /// A clock that shows `time` now.
    #[must_use]
    pub fn starting_at(time: Timestamp) -> Self {
        let origin = Origin {
            instant: Instant::now(),
            time,
            elapsed: Duration::ZERO,
        };
        Self {
            origin: Mutex::new(origin),
            jumps: watch::Sender::new(0),
        }
    }

    /// Sets the clock to `time`.
    /// [`Clock::elapsed`] is not changed, and [`Clock::jumps`] reports it.
    pub fn set(&self, time: Timestamp) {
        self.change(|now| now.time = time);
    }

    /// Sets the clock forward or back by `by`.
    /// It stops at the earliest and at the latest time that can be represented.
    pub fn shift(&self, by: SignedDuration) {
        self.change(|now| now.time = saturating_add(now.time, by));
    }

    /// The machine slept for `time`: both clocks went on, timers did not.
    /// [`Clock::jumps`] reports it, as it does on a real machine.
    pub fn suspend(&self, time: Duration) {
        self.change(|now| {
            now.time = saturating_add(now.time, saturating_signed(time));
            now.elapsed += time;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Origin)) {
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = origin.at(Instant::now());
        change(&mut now);
        *origin = now;
        drop(origin);
        self.jumps.send_modify(|count| *count += 1);
    }

    fn read(&self) -> Origin {
        self.origin
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .at(Instant::now())
    }
}

impl Origin {
    fn at(self, instant: Instant) -> Self {
        let passed = instant.saturating_duration_since(self.instant);
        Self {
            instant,
            time: saturating_add(self.time, saturating_signed(passed)),
            elapsed: self.elapsed + passed,
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.read().time
    }

    fn elapsed(&self) -> Duration {
        self.read().elapsed
    }

    fn jumps(&self) -> watch::Receiver<u64> {
        self.jumps.subscribe()
    }
}

fn saturating_signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn saturating_add(time: Timestamp, by: SignedDuration) -> Timestamp {
    let limit = if by.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    time.checked_add(by).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn noon() -> ManualClock {
        ManualClock::starting_at(time("2025-06-01T12:00:00Z"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_manual_clock_should_follow_tokio_time() {
        let clock = noon();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), time("2025-06-01T12:01:30Z"));
        assert_eq!(clock.elapsed(), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_monotonic_time_when_set() {
        let clock = noon();
        let jumps = clock.jumps();
        clock.shift(SignedDuration::from_hours(-2));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now(), time("2025-06-01T10:00:01Z"));
        assert_eq!(clock.elapsed(), Duration::from_secs(1));
        assert_eq!(*jumps.borrow(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn moves_both_clocks_but_no_timer_by_a_sleep() {
        let clock = noon();
        let before = Instant::now();
        clock.suspend(Duration::from_secs(3600));
        assert_eq!(clock.now(), time("2025-06-01T13:00:00Z"));
        assert_eq!(clock.elapsed(), Duration::from_secs(3600));
        assert_eq!(Instant::now(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn limits_instants_to_a_year_ahead() {
        let clock = noon();
        assert_eq!(
            clock.instant_at(time("2025-06-01T12:00:05Z")),
            Instant::now() + Duration::from_secs(5)
        );
        assert_eq!(clock.instant_at(time("2025-06-01T11:00:00Z")), Instant::now());
        assert_eq!(clock.instant_at(Timestamp::MAX), Instant::now() + FAR_AHEAD);
        assert_eq!(clock.instant_after(Duration::MAX), Instant::now() + FAR_AHEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_sleepers_by_the_clock_that_is_set() {
        let clock = Arc::new(noon());
        let start = Instant::now();
        let at = time("2025-06-01T13:00:00Z");
        let sleeper = {
            let clock = Arc::clone(&clock);
            Tasks::new().spawn("sleeper", async move { sleep_until(&*clock, at).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        clock.shift(SignedDuration::from_mins(30));
        tokio::time::sleep(Duration::from_secs(1)).await;
        clock.shift(SignedDuration::from_mins(-10));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), at);
        assert_eq!(start.elapsed(), Duration::from_secs(40 * 60));
    }

    #[tokio::test(start_paused = true)]
    async fn time_beyond_what_a_timestamp_holds_should_saturate() {
        let clock = noon();
        clock.shift(SignedDuration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
        clock.shift(SignedDuration::MIN);
        assert_eq!(clock.now(), Timestamp::MIN);
    }

    #[test]
    fn the_system_clock_should_pass_time() {
        let clock = SystemClock::new();
        let (now, elapsed) = (clock.now(), clock.elapsed());
        std::thread::yield_now();
        assert!(clock.elapsed() >= elapsed);
        assert!(elapsed > Duration::ZERO);
        // This machine's clock may be set during the test, but not to last century.
        assert!(now > time("2020-01-01T00:00:00Z"));
    }

    #[tokio::test]
    async fn ends_the_watch_for_jumps_at_a_stop() {
        let tasks = Tasks::new();
        Arc::new(SystemClock::new()).watch_for_jumps(&tasks);
        tasks.token().cancel();
        tasks
            .close_and_wait(Instant::now() + Duration::from_secs(10))
            .await
            .unwrap();
    }
}
