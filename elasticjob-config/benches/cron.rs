//! What reading an expression and computing its fire times costs. Lines are `name: value unit`.

use std::hint::black_box;
use std::time::Duration;

use elasticjob_config::cron::Expression;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const BATCHES: usize = 31;
const CALLS: u32 = 2_000;

fn main() {
    let start: Timestamp = "2024-02-28T22:59:59Z".parse().expect("a time");
    let new_york = TimeZone::get("America/New_York").expect("a time zone database");
    let zones = [("utc", &TimeZone::UTC), ("new york", &new_york)];

    let expressions = [
        ("every 5 seconds", "0/5 * * * * ?"),
        ("daily", "0 0 2 * * ?"),
        ("weekdays", "0 30 9-17 ? * MON-FRI"),
        ("last friday", "0 15 10 ? * 6L"),
        ("nearest weekday", "0 0 12 15W * ?"),
        ("29 february", "0 0 0 29 2 ?"),
        ("never: 30 february", "0 0 0 30 2 ?"),
        ("never: in a gap", "* * 2 ? MAR SUN#2"),
    ];
    for (name, text) in expressions {
        report(&format!("parse {name}"), || Expression::parse(black_box(text)));
        let expression = Expression::parse(text).expect("a valid expression");
        for (zone_name, zone) in zones {
            // Each call goes on from the last, so that all times of day and of year are met.
            let mut after = start;
            report(&format!("next {name}, {zone_name}"), || {
                after = expression.next_after(black_box(after), zone).unwrap_or(start);
                after
            });
        }
    }

    let every_second = Expression::parse("* * * * * ?").expect("a valid expression");
    let year_later: Timestamp = "2025-02-28T22:59:59Z".parse().expect("a time");
    report("count a year of seconds, new york", || {
        every_second.count_between(start, black_box(year_later), &new_york)
    });
    report("latest in a year, new york", || {
        every_second.latest_at_or_before(black_box(year_later), start, &new_york)
    });
    report("describe", || every_second.describe());
}

/// Prints the median over some batches of what a call takes.
fn report<T>(name: &str, mut call: impl FnMut() -> T) {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let start = now();
            for _ in 0..CALLS {
                black_box(call());
            }
            start.elapsed() / CALLS
        })
        .collect();
    batches.sort_unstable();
    println!("{name}: {} ns", batches[BATCHES / 2].as_nanos());
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
