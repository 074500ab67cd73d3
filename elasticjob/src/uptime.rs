//! Time that passes on this machine: clocks that are never set.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Returns the time since some fixed moment. It runs on while the machine sleeps, if the system has such a clock.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn uptime() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    // Both fields are never negative on this clock, which starts at 0 when the machine does.
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Returns the time since some fixed moment. It runs on while the machine sleeps, if the system has such a clock.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn uptime() -> Duration {
    awake()
}

/// Returns the time since some fixed moment while the machine was awake.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where that it stops during sleep is wanted"
)]
pub(crate) fn awake() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Instant::now().duration_since(*START)
}
