//! What is said of the time of day.

use std::fmt;

use super::words;
use crate::cron::schedule::Times;
use crate::cron::set::Set;

/// Clock times are listed up to this many.
const MAX_LISTED: u64 = 4;

/// The members of a regular list are named up to this many.
const MAX_MEMBERS: u32 = 6;

/// What is said of the time of day. The languages are in files of their own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phrase {
    /// At these times.
    At(Vec<Clock>),
    /// Again and again, the whole day or between two times.
    Every {
        step: u8,
        unit: Unit,
        span: Option<(Clock, Clock)>,
    },
    /// The fields one by one, from seconds to hours.
    Fields(Vec<(Unit, Part)>),
}

/// A time of day, with its seconds if they are to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    hour: u8,
    minute: u8,
    second: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
}

/// What is said of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// One in so many, all around.
    Step(u8),
    /// One in so many, from the first to the last.
    StepWithin { step: u8, first: u8, last: u8 },
    /// These.
    Values(Set),
}

impl Unit {
    fn size(self) -> u8 {
        match self {
            Self::Second | Self::Minute => 60,
            Self::Hour => 24,
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)?;
        self.second.iter().try_for_each(|second| write!(f, ":{second:02}"))
    }
}

impl Phrase {
    /// The best phrase there is: clock times, an interval, or the three fields one by one.
    pub(super) fn of(times: &Times) -> Self {
        clock_times(times)
            .or_else(|| interval(times))
            .unwrap_or_else(|| Self::Fields(by_field(times)))
    }

    /// Returns whether it stands for many times a day, and so needs no "every day".
    pub(super) fn is_repeated(&self) -> bool {
        !matches!(self, Self::At(_))
    }
}

fn clock_times(times: &Times) -> Option<Phrase> {
    // From three on, a regular interval reads better than its times.
    let listed = times.len() <= MAX_LISTED && (times.len() <= 2 || interval(times).is_none());
    let [second] = members(times.seconds)[..] else {
        return None;
    };
    let second = Some(second).filter(|second| *second != 0);
    let mut all = Vec::new();
    for hour in times.hours.iter().filter(|_| listed) {
        all.extend(times.minutes.iter().map(|minute| Clock { hour, minute, second }));
    }
    (!all.is_empty()).then_some(Phrase::At(all))
}

fn interval(times: &Times) -> Option<Phrase> {
    let Times {
        seconds,
        minutes,
        hours,
    } = *times;
    let is_zero = |set: Set| set == Set::single(0);
    let every = |set: Set, unit, has_span| {
        Some(Phrase::Every {
            step: even_step(set, unit)?,
            unit,
            span: if has_span { Some(span(times)) } else { None },
        })
    };
    let hours_run = run(hours);
    if is_zero(seconds) && is_zero(minutes) {
        return every(hours, Unit::Hour, !wraps(hours, Unit::Hour));
    }
    let (first_hour, last_hour) = hours_run?;
    let is_all_day = first_hour == 0 && last_hour == 23;
    let (set, unit, is_seamless) = if is_zero(seconds) {
        (minutes, Unit::Minute, wraps(minutes, Unit::Minute))
    } else if minutes == Set::range(0, 59) {
        (seconds, Unit::Second, wraps(seconds, Unit::Second))
    } else if first_hour == last_hour && run(minutes).is_some() && wraps(seconds, Unit::Second) {
        (seconds, Unit::Second, true)
    } else {
        return None;
    };
    // Several hours are one span only when the interval goes on from hour to hour.
    match (is_all_day, is_seamless) {
        (true, true) => every(set, unit, false),
        (false, true) => every(set, unit, true),
        (_, false) if first_hour == last_hour && is_zero(seconds) => every(set, unit, true),
        (_, false) => None,
    }
}

/// A zero second and what comes every time before a wider field goes without saying.
fn by_field(times: &Times) -> Vec<(Unit, Part)> {
    let mut parts: Vec<(Unit, Part)> = Vec::new();
    let fields = [
        (times.seconds, Unit::Second),
        (times.minutes, Unit::Minute),
        (times.hours, Unit::Hour),
    ];
    for (set, unit) in fields {
        let is_silent = match parts.last() {
            None => unit == Unit::Second && set == Set::single(0),
            // Every second of every minute is every second, and so on.
            Some((_, Part::All)) => set == Set::range(0, unit.size() - 1),
            Some(_) => false,
        };
        if !is_silent {
            parts.push((unit, part(set, unit, parts.is_empty())));
        }
    }
    parts
}

fn part(set: Set, unit: Unit, is_first: bool) -> Part {
    match words::step(set) {
        _ if set == Set::range(0, unit.size() - 1) => Part::All,
        Some(step) if step > 1 && is_first && wraps(set, unit) => Part::Step(step),
        Some(step) if step > 1 && set.len() > MAX_MEMBERS => Part::StepWithin {
            step,
            first: set.first().unwrap_or_default(),
            last: set.last().unwrap_or_default(),
        },
        _ => Part::Values(set),
    }
}

/// The distance between members, when it is always the same.
fn even_step(set: Set, unit: Unit) -> Option<u8> {
    words::step(set).or_else(|| wraps(set, unit).then_some(unit.size() / 2))
}

/// Whether the distance from the last member around to the first, at 0, is that of the others.
fn wraps(set: Set, unit: Unit) -> bool {
    let size = unit.size();
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

/// The first and the last time.
fn span(times: &Times) -> (Clock, Clock) {
    let with_seconds = times.seconds != Set::single(0);
    let clock = |end: fn(Set) -> Option<u8>| Clock {
        hour: end(times.hours).unwrap_or_default(),
        minute: end(times.minutes).unwrap_or_default(),
        second: with_seconds.then(|| end(times.seconds).unwrap_or_default()),
    };
    (clock(Set::first), clock(Set::last))
}

fn members(set: Set) -> Vec<u8> {
    set.iter().collect()
}
