//! The time of day in words.

use std::fmt;

use super::words;
use crate::cron::schedule::Times;
use crate::cron::set::Set;

/// Clock times are listed up to this many.
const MAX_LISTED: u64 = 4;

/// The members of a regular list are named up to this many.
const MAX_MEMBERS: u32 = 6;

/// A phrase for the time of day.
pub(super) struct Phrase {
    pub(super) text: String,
    /// Whether it stands for many times a day, and so needs no "every day".
    pub(super) is_repeated: bool,
}

/// The best phrase there is: clock times, an interval, or the three fields one by one.
pub(super) fn phrase(times: &Times) -> Phrase {
    if let Some(text) = clock_times(times) {
        return Phrase {
            text,
            is_repeated: false,
        };
    }
    let text = interval(times).unwrap_or_else(|| by_field(times));
    Phrase {
        text,
        is_repeated: true,
    }
}

/// "at 02:00", "at 09:00, 12:00 and 18:00".
fn clock_times(times: &Times) -> Option<String> {
    // From three on, a regular interval reads better than its times.
    let listed = times.len() <= MAX_LISTED && (times.len() <= 2 || interval(times).is_none());
    let [second] = members(times.seconds)[..] else {
        return None;
    };
    let mut texts = Vec::new();
    for hour in times.hours.iter().filter(|_| listed) {
        texts.extend(times.minutes.iter().map(|minute| clock(hour, minute, second)));
    }
    (!texts.is_empty()).then(|| format!("at {}", words::join(&texts)))
}

/// "every 5 minutes from 14:00 to 14:55".
fn interval(times: &Times) -> Option<String> {
    let Times {
        seconds,
        minutes,
        hours,
    } = *times;
    let is_zero = |set: Set| set == Set::single(0);
    let hours_run = run(hours);
    if is_zero(seconds) && is_zero(minutes) {
        let every = every(hours, "hour", 24)?;
        return Some(match hours_run {
            _ if wraps(hours, 24) => every,
            _ => format!("{every} {}", span(times)),
        });
    }
    let (first_hour, last_hour) = hours_run?;
    let all_day = first_hour == 0 && last_hour == 23;
    let (every, seamless) = if is_zero(seconds) {
        (every(minutes, "minute", 60)?, wraps(minutes, 60))
    } else if minutes == Set::range(0, 59) {
        (every(seconds, "second", 60)?, wraps(seconds, 60))
    } else if first_hour == last_hour && run(minutes).is_some() && (wraps(seconds, 60)) {
        (every(seconds, "second", 60)?, true)
    } else {
        return None;
    };
    // Several hours are one span only when the interval goes on from hour to hour.
    match (all_day, seamless) {
        (true, true) => Some(every),
        (false, true) => Some(format!("{every} {}", span(times))),
        (_, false) if first_hour == last_hour && is_zero(seconds) => Some(format!("{every} {}", span(times))),
        (_, false) => None,
    }
}

/// "at second 30 of minutes 0 to 5 of hours 9 and 17". A zero second and what comes every time before
/// a wider field goes without saying.
fn by_field(times: &Times) -> String {
    let mut parts: Vec<Part> = Vec::new();
    let fields = [
        (times.seconds, "second", 60),
        (times.minutes, "minute", 60),
        (times.hours, "hour", 24),
    ];
    for (set, unit, size) in fields {
        let is_silent = match parts.last() {
            None => unit == "second" && set == Set::single(0),
            // Every second of every minute is every second, and so on.
            Some(Part::Every(_)) => set == Set::range(0, size - 1),
            Some(Part::Named(_)) => false,
        };
        if !is_silent {
            parts.push(field(set, unit, size, parts.is_empty()));
        }
    }
    let text = parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" of ");
    if text.starts_with("every") {
        text
    } else {
        format!("at {text}")
    }
}

/// A field in words.
#[derive(PartialEq)]
enum Part {
    Every(&'static str),
    Named(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(unit) => write!(f, "every {unit}"),
            Self::Named(text) => f.write_str(text),
        }
    }
}

/// "every minute", "minute 5", "minutes 0 to 5 and 9", "every 7th minute from 0 to 56", and as the
/// first part of a sentence also "every 5 minutes".
fn field(set: Set, unit: &'static str, size: u8, is_first: bool) -> Part {
    let list = || words::runs(set, |value| value.to_string());
    match words::step(set) {
        _ if set == Set::range(0, size - 1) => Part::Every(unit),
        Some(step) if step > 1 && is_first && wraps(set, size) => Part::Named(format!("every {step} {unit}s")),
        Some(step) if step > 1 && set.len() > MAX_MEMBERS => {
            let step = words::ordinal(step.into());
            let (first, last) = (set.first().unwrap_or_default(), set.last().unwrap_or_default());
            Part::Named(format!("every {step} {unit} from {first} to {last}"))
        }
        _ if set.len() == 1 => Part::Named(format!("{unit} {}", list())),
        _ => Part::Named(format!("{unit}s {}", list())),
    }
}

/// "every minute", "every 5 minutes": when the distance is always the same.
fn every(set: Set, unit: &str, size: u8) -> Option<String> {
    match words::step(set) {
        Some(1) => Some(format!("every {unit}")),
        Some(step) => Some(format!("every {step} {unit}s")),
        None if wraps(set, size) => Some(format!("every {} {unit}s", size / 2)),
        None => None,
    }
}

/// Whether the distance from the last member around to the first, at 0, is that of the others.
fn wraps(set: Set, size: u8) -> bool {
    let step = match words::step(set) {
        Some(step) => step,
        None if set == Set::single(0).or(Set::single(size / 2)) => size / 2,
        None => return false,
    };
    set.contains(0) && set.last() == Some(size - step)
}

/// First and last member of a set without holes.
fn run(set: Set) -> Option<(u8, u8)> {
    match words::split_runs(set)[..] {
        [run] => Some(run),
        _ => None,
    }
}

/// "from 09:00 to 17:45".
fn span(times: &Times) -> String {
    let first = |set: Set| set.first().unwrap_or_default();
    let last = |set: Set| set.last().unwrap_or_default();
    let with_seconds = times.seconds != Set::single(0);
    let show = |hour, minute, second| {
        if with_seconds {
            format!("{hour:02}:{minute:02}:{second:02}")
        } else {
            format!("{hour:02}:{minute:02}")
        }
    };
    format!(
        "from {} to {}",
        show(first(times.hours), first(times.minutes), first(times.seconds)),
        show(last(times.hours), last(times.minutes), last(times.seconds)),
    )
}

fn clock(hour: u8, minute: u8, second: u8) -> String {
    match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

fn members(set: Set) -> Vec<u8> {
    set.iter().collect()
}
