//! What the operating system says of this process.

use std::time::Duration;

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

/// Memory that is resident, in bytes.
pub(super) fn resident_memory() -> anyhow::Result<u64> {
    Ok(status("VmRSS")? * 1024)
}

/// The most memory that ever was resident, in bytes.
pub(super) fn peak_memory() -> anyhow::Result<u64> {
    Ok(status("VmHWM")? * 1024)
}

/// What all threads together have spent of the processors' time.
pub(super) fn processor_time() -> Duration {
    // It starts at 0 with the process, so it is never negative.
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Threads that exist.
pub(super) fn threads() -> anyhow::Result<u64> {
    status("Threads")
}

fn status(key: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("this figure needs Linux")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("/proc/self/status has no {key}"))
}
