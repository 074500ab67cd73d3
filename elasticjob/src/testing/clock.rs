//! The clock of one simulated machine: off by some, faster or slower by some, and set by somebody now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::schedule::Clock;

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
    /// How many seconds pass on it in one.
    rate: f64,
    jumps: watch::Sender<u64>,
}

impl MachineClock {
    pub(super) fn new(began: Instant, origin: Timestamp, offset: SignedDuration, uptime: Duration, rate: f64) -> Self {
        Self {
            began,
            origin,
            offset: Mutex::new(offset),
            uptime,
            rate,
            jumps: watch::Sender::new(0),
        }
    }

    /// Somebody sets the clock; nobody notices before [`notice`](Self::notice).
    pub(super) fn set_offset(&self, offset: SignedDuration) {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner) = offset;
    }

    pub(super) fn notice(&self) {
        self.jumps.send_modify(|count| *count += 1);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::MAX);
        let offset = *self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        self.origin + passed + offset
    }

    fn elapsed(&self) -> Duration {
        self.uptime + self.began.elapsed().mul_f64(self.rate)
    }

    fn instant_at(&self, at: Timestamp) -> Instant {
        let delay = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        Instant::now() + delay.min(Duration::from_secs(86_400))
    }

    fn instant_after(&self, delay: Duration) -> Instant {
        // Never early: whoever waits for the fence would else look too soon.
        let delay = delay.min(Duration::from_secs(86_400)).div_f64(self.rate);
        Instant::now() + delay + Duration::from_nanos(1)
    }

    fn jumps(&self) -> watch::Receiver<u64> {
        self.jumps.subscribe()
    }
}
