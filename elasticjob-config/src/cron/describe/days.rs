//! The days in words.

use super::words;
use crate::cron::days::Days;
use crate::cron::field::{MONTHS, WEEKDAYS};
use crate::cron::set::Set;

/// "on the last Friday of the month"; none for every day.
pub(super) fn phrase(days: &Days, months: Set) -> Option<String> {
    let all_months = months.len() == 12;
    let month_names = || words::runs(months, |month| MONTHS[usize::from(month) - 1].to_owned());
    if days.is_every() {
        return (!all_months).then(|| format!("every day in {}", month_names()));
    }
    // A date is of every month, a place within the month is of the month.
    let of = |usual: &str| if all_months { usual.to_owned() } else { month_names() };
    Some(match *days {
        Days::OfMonth(days) => format!("on {} of {}", numbered(days), of("every month")),
        Days::Last { before: 0 } => format!("on the last day of {}", of("the month")),
        Days::Last { before } => format!("on the {} the last day of {}", days_before(before), of("the month")),
        Days::NearestWeekday { day } => {
            format!(
                "on the weekday nearest to the {} of {}",
                words::ordinal(day.into()),
                of("the month")
            )
        }
        Days::LastNearestWeekday { before: 0 } => format!("on the last weekday of {}", of("the month")),
        Days::LastNearestWeekday { before } => {
            format!(
                "on the weekday nearest to the {} the last day of {}",
                days_before(before),
                of("the month")
            )
        }
        Days::OfWeek(days) if all_months => weekdays(days),
        Days::OfWeek(days) => format!("{} in {}", weekdays(days), month_names()),
        Days::LastOfWeek { weekday } => format!("on the last {} of {}", name(weekday), of("the month")),
        Days::NthOfWeek { weekday, nth } => {
            let nth = ["first", "second", "third", "fourth", "fifth"][usize::from(nth) - 1];
            format!("on the {nth} {} of {}", name(weekday), of("the month"))
        }
    })
}

/// "the 1st, the 15th and the 20th to 25th"
fn numbered(days: Set) -> String {
    match words::step(days) {
        Some(step) if step > 1 && days.len() > 4 => {
            let first = words::ordinal(days.first().unwrap_or_default().into());
            format!(
                "every {} day from the {first} to the {}",
                words::ordinal(step.into()),
                last_ordinal(days)
            )
        }
        _ => words::runs(days, |day| format!("the {}", words::ordinal(day.into()))),
    }
}

fn last_ordinal(days: Set) -> String {
    words::ordinal(days.last().unwrap_or_default().into())
}

/// "day before", "3rd day before"
fn days_before(days: u8) -> String {
    match days {
        1 => "day before".to_owned(),
        _ => format!("{} day before", words::ordinal(days.into())),
    }
}

/// "from Monday to Friday", "every Tuesday and Thursday". The week may go on around its end.
fn weekdays(days: Set) -> String {
    let week_around = days.or(days.shift(7));
    let run = words::split_runs(week_around).into_iter().find(|&(first, last)| {
        let length = last - first + 1;
        (3..7).contains(&length) && u32::from(length) == days.len()
    });
    match run {
        Some((first, last)) => format!("from {} to {}", name(first), name(last)),
        None => format!("every {}", words::each(days, |day| name(day).to_owned())),
    }
}

/// Names a weekday; 8 is Sunday again.
fn name(weekday: u8) -> &'static str {
    WEEKDAYS[usize::from(weekday - 1) % 7]
}
