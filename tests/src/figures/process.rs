//! What the operating system says of this process, and of others.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

/// Memory that is resident, in bytes.
pub(super) fn resident_memory() -> anyhow::Result<u64> {
    Ok(status("self", "VmRSS")? * 1024)
}

/// Returns the most memory that ever was resident, in bytes.
pub(super) fn peak_memory() -> anyhow::Result<u64> {
    Ok(status("self", "VmHWM")? * 1024)
}

/// Has [`peak_memory`] count from here on.
pub(super) fn forget_peak_memory() -> anyhow::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("this figure needs Linux")
}

/// Returns what all threads together have spent of the processors' time.
pub(super) fn processor_time() -> Duration {
    // It starts at 0 with the process, so it is never negative.
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Threads that exist.
pub(super) fn threads() -> anyhow::Result<u64> {
    status("self", "Threads")
}

/// Memory of another process that is resident, in bytes, and its threads.
pub(super) fn footprint(process: Pid) -> anyhow::Result<(u64, u64)> {
    let process = process.as_raw_nonzero().to_string();
    Ok((status(&process, "VmRSS")? * 1024, status(&process, "Threads")?))
}

fn status(process: &str, key: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("this figure needs Linux")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("/proc/{process}/status has no {key}"))
}
