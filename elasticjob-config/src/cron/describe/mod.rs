//! An expression in words: a phrase for the time of day, one for the days, one for the years.

mod days;
mod time;
mod words;

use super::schedule::Schedule;
use super::years::{Progression, Years};

/// The whole sentence, without a full stop.
pub(super) fn describe(schedule: &Schedule) -> String {
    let time = time::phrase(&schedule.times);
    let days = days::phrase(&schedule.days, schedule.months);
    let mut text = time.text;
    match days {
        Some(days) => {
            text.push(' ');
            text.push_str(&days);
        }
        // "every 5 seconds" says it all, "at 02:00" does not.
        None if time.is_repeated => {}
        None => text.push_str(" every day"),
    }
    if !schedule.years.is_every() {
        text.push_str(", ");
        text.push_str(&years(&schedule.years));
    }
    text
}

fn years(years: &Years) -> String {
    let single = |part: &&Progression| part.first == part.last;
    let leading = if years.parts().first().as_ref().is_some_and(single) {
        "in "
    } else {
        ""
    };
    let parts: Vec<String> = years.parts().iter().map(|part| progression(*part)).collect();
    format!("{leading}{}", words::join(&parts))
}

fn progression(Progression { first, last, step }: Progression) -> String {
    let open = last == super::field::YEARS.1;
    match step {
        _ if first == last => first.to_string(),
        1 if open => format!("from {first} on"),
        1 => format!("{first} to {last}"),
        _ if open => format!("every {} year from {first} on", words::ordinal(step)),
        _ => format!("every {} year from {first} to {last}", words::ordinal(step)),
    }
}
