//! A few times, and what lies in the middle and at the end of them.

use std::time::Duration;

use super::print;

/// Prints median, 99th percentile and number of `times`.
pub(super) fn print_times(name: &str, mut times: Vec<Duration>) -> anyhow::Result<()> {
    anyhow::ensure!(!times.is_empty(), "nothing was measured of `{name}`");
    times.sort_unstable();
    let milliseconds = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1000.0);
    print(format!("{name}: median"), milliseconds(times[times.len() / 2]), "ms");
    // The largest of fewer than a hundred.
    let last = (times.len() * 99).div_ceil(100) - 1;
    print(format!("{name}: 99th percentile"), milliseconds(times[last]), "ms");
    print(format!("{name}: measured"), times.len(), "times");
    Ok(())
}
