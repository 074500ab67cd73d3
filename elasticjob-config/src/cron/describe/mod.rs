//! An expression in words: what is said of the time of day, of the days and of the years, and how a language says it.

mod chinese;
mod days;
mod english;
mod time;
mod words;

use super::schedule::Schedule;
use time::Phrase;

/// The whole sentence in English, without a full stop.
pub(super) fn describe(schedule: &Schedule) -> String {
    let time = Phrase::of(&schedule.times);
    let days = days::phrase(&schedule.days, schedule.months);
    let mut text = english::time(&time);
    match days {
        Some(days) => {
            text.push(' ');
            text.push_str(&days);
        }
        // "every 5 seconds" says it all, "at 02:00" does not.
        None if time.is_repeated() => {}
        None => text.push_str(" every day"),
    }
    if !schedule.years.is_every() {
        text.push_str(", ");
        text.push_str(&english::years(&schedule.years));
    }
    text
}

/// The whole sentence in Chinese, without a full stop.
pub(super) fn describe_in_chinese(schedule: &Schedule) -> String {
    chinese::describe(schedule)
}
