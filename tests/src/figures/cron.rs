//! The next fire time of an expression. `cargo bench -p elasticjob-config --bench cron` says more.

use std::hint::black_box;

use anyhow::Context as _;
use elasticjob::configuration::cron::Expression;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::print;

const CALLS: u32 = 100_000;

pub(super) fn measure() -> anyhow::Result<()> {
    let new_york = TimeZone::get("America/New_York")?;
    let expressions = [
        ("every 5 seconds", "0/5 * * * * ?"),
        ("daily", "0 0 2 * * ?"),
        ("weekdays", "0 30 9-17 ? * MON-FRI"),
        ("last friday", "0 15 10 ? * 6L"),
        ("29 february", "0 0 0 29 2 ?"),
        ("never", "0 0 0 30 2 ?"),
    ];
    let start: Timestamp = "2024-02-28T22:59:59Z".parse()?;
    for (name, text) in expressions {
        let expression = Expression::parse(text).map_err(|error| anyhow::anyhow!("{text}: {error}"))?;
        // Each call goes on from the last, so that all times of day and of year are met.
        let mut after = start;
        let begin = Instant::now();
        for _ in 0..CALLS {
            after = expression.next_after(black_box(after), &new_york).unwrap_or(start);
        }
        let each = begin.elapsed().checked_div(CALLS).context("there are calls")?;
        print(format!("next of {name}, New York"), each.as_nanos(), "ns");
    }
    Ok(())
}
