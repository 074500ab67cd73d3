//! The clock of one simulated machine: off by some, faster or slower than others, and set by an operator now and then.
//!
//! It has two hands, as a real one. The time of day is what operators and time services set. The clock that only moves
//! forward runs at a rate of its own, up to the bound within which the framework promises that two runs never overlap:
//! fences are tested at the edge of what is promised.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::fence::CLOCK_RATES;
use crate::schedule::Clock;

/// What the clocks of healthy machines differ by at most, either way.
pub(super) const SKEW: Duration = Duration::from_millis(250);

/// What a time service slews a clock by at most: chrony's limit, unless it is configured.
const SLEW: f64 = 0.083;

/// How far a time service lets the time of day drift before it turns it round.
pub(super) const SWAY: Duration = Duration::from_millis(100);

/// The faults of a clock that is not set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flaws {
    /// How far the time of day is off.
    skew: SignedDuration,
    /// How many seconds pass on the machine in one, by the clock that only moves forward.
    rate: f64,
    /// How much the time of day gains in a second, and loses in one of the next, as a time service slews it.
    slew: f64,
}

/// A clock that follows tokio's time in its own way.
#[derive(Debug)]
pub(super) struct MachineClock {
    /// When the simulation began, and what a right clock showed then.
    began: Instant,
    origin: Timestamp,
    /// How far the time of day is off. A std mutex: never held across an await.
    offset: Mutex<SignedDuration>,
    /// How long the machine had been up.
    uptime: Duration,
    flaws: Flaws,
    /// Whether an operator ever set it.
    was_set: AtomicBool,
    jumps: watch::Sender<u64>,
}

impl Flaws {
    /// Rates up to the [bound](CLOCK_RATES) that is documented, which is reached by some.
    pub(super) fn draw(rng: &mut fastrand::Rng) -> Self {
        let up_to = |limit: f64, rng: &mut fastrand::Rng| match rng.u8(..4) {
            0 => limit,
            1 => -limit,
            _ => limit * (2.0 * rng.f64() - 1.0),
        };
        let skew = i64::try_from((SKEW - SWAY).as_millis()).unwrap_or_default();
        Self {
            skew: SignedDuration::from_millis(rng.i64(-skew..=skew)),
            rate: 1.0 + up_to(CLOCK_RATES, rng),
            slew: up_to(SLEW, rng),
        }
    }
}

impl MachineClock {
    /// Returns the clock of a machine that has been up for so long when the simulation begins.
    pub(super) fn new(began: Instant, origin: Timestamp, uptime: Duration, flaws: Flaws) -> Self {
        Self {
            began,
            origin,
            offset: Mutex::new(flaws.skew),
            uptime,
            flaws,
            was_set: AtomicBool::new(false),
            jumps: watch::Sender::new(0),
        }
    }

    /// Sets the clock, as an operator does; the process does not notice before [`notice`](Self::notice).
    pub(super) fn set_offset(&self, offset: SignedDuration) {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner) = offset;
        self.was_set.store(true, Ordering::Relaxed);
    }

    /// Sets the clock as right as it was at first.
    pub(super) fn set_right(&self) {
        self.set_offset(self.flaws.skew);
    }

    /// Returns whether an operator ever set it: until then it is as right as a healthy machine's.
    pub(super) fn was_set(&self) -> bool {
        self.was_set.load(Ordering::Relaxed)
    }

    /// Returns how far the time of day has drifted after so long.
    fn sway(&self, passed: Duration) -> SignedDuration {
        let slew = self.flaws.slew;
        if slew == 0.0 {
            return SignedDuration::ZERO;
        }
        let half = SWAY.as_secs_f64() / slew.abs();
        let place = passed.as_secs_f64().rem_euclid(2.0 * half);
        SignedDuration::from_secs_f64(slew * place.min(2.0 * half - place))
    }

    /// Has the process learn that its clock was set.
    pub(super) fn notice(&self) {
        self.jumps.send_modify(|count| *count += 1);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::MAX);
        let offset = *self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        self.origin + passed + offset + self.sway(self.began.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.uptime + self.began.elapsed().mul_f64(self.flaws.rate)
    }

    fn instant_at(&self, at: Timestamp) -> Instant {
        let delay = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        Instant::now() + delay.min(Duration::from_secs(86_400))
    }

    fn instant_after(&self, delay: Duration) -> Instant {
        // Never early: a task that waits for the fence would check too soon.
        let delay = delay.min(Duration::from_secs(86_400)).div_f64(self.flaws.rate);
        Instant::now() + delay + Duration::from_nanos(1)
    }

    fn jumps(&self) -> watch::Receiver<u64> {
        self.jumps.subscribe()
    }
}
