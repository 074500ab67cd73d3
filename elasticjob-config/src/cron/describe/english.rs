//! The time of day and the years in English; `days.rs` has the days.

use super::time::{Part, Phrase, Unit};
use super::words;
use crate::cron::field;
use crate::cron::years::{Progression, Years};

fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Second => "second",
        Unit::Minute => "minute",
        Unit::Hour => "hour",
    }
}

/// "at 09:00, 12:00 and 18:00", "every 5 minutes from 14:00 to 14:55", "at second 30 of minutes 0 to 5 of hours 9 and 17".
pub(super) fn time(phrase: &Phrase) -> String {
    match phrase {
        Phrase::At(times) => {
            let times: Vec<String> = times.iter().map(ToString::to_string).collect();
            format!("at {}", words::join(&times))
        }
        Phrase::Every { step, unit, span } => {
            let every = every(*step, *unit);
            span.as_ref().map_or_else(
                || every.clone(),
                |(first, last)| format!("{every} from {first} to {last}"),
            )
        }
        Phrase::Fields(parts) => {
            let parts: Vec<String> = parts.iter().map(|(unit, part)| field(*unit, *part)).collect();
            let text = parts.join(" of ");
            if text.starts_with("every") {
                text
            } else {
                format!("at {text}")
            }
        }
    }
}

/// "every minute", "every 5 minutes".
fn every(step: u8, unit: Unit) -> String {
    match step {
        1 => format!("every {}", name(unit)),
        _ => format!("every {step} {}s", name(unit)),
    }
}

/// "every minute", "minute 5", "minutes 0 to 5 and 9", "every 7th minute from 0 to 56".
fn field(unit: Unit, part: Part) -> String {
    let unit_name = name(unit);
    match part {
        Part::All => every(1, unit),
        Part::Step(step) => every(step, unit),
        Part::StepWithin { step, first, last } => {
            format!(
                "every {} {unit_name} from {first} to {last}",
                words::ordinal(step.into())
            )
        }
        Part::Values(set) => {
            let list = words::runs(set, |value| value.to_string());
            let ending = if set.len() == 1 { "" } else { "s" };
            format!("{unit_name}{ending} {list}")
        }
    }
}

/// "in 2026 and 2028", "from 2027 on".
pub(super) fn years(years: &Years) -> String {
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
    let open = last == field::YEARS.1;
    match step {
        _ if first == last => first.to_string(),
        1 if open => format!("from {first} on"),
        1 => format!("{first} to {last}"),
        _ if open => format!("every {} year from {first} on", words::ordinal(step)),
        _ => format!("every {} year from {first} to {last}", words::ordinal(step)),
    }
}
