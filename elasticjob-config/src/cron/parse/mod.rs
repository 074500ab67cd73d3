//! From text to a schedule: splits the fields, reads each, and judges how they go together.
//!
//! Every field is read although another is faulty, so that all faults are reported at once. Only if the text cannot be
//! split into fields there is nothing more to say than that; then a cron of Unix and its words such as `@daily` are
//! recognized, and translated in the message.

mod day_of_month;
mod day_of_week;
mod list;

use super::days::Days;
use super::error::Error;
use super::field::Field;
use super::schedule::{Schedule, Times};
use super::set::Set;
use super::years::Years;
use crate::marked::Piece;

/// Collects faults, so that all fields are read although one of them is faulty.
type Faults = Vec<Error>;

/// Reads an expression, or says all that is wrong with it.
pub(super) fn schedule(source: &str) -> Result<Schedule, Faults> {
    if let Some((at, blank)) = source
        .char_indices()
        .find(|(_, c)| c.is_whitespace() && !matches!(c, ' ' | '\t'))
    {
        let message = format!(
            "fields are separated by blanks or tabs, not by `{}`",
            blank.escape_debug()
        );
        return Err(vec![Error::new(None, at..at + blank.len_utf8(), message)]);
    }
    let tokens = tokens(source);
    if tokens.len() < 6 {
        return Err(vec![too_few_fields(source, &tokens)]);
    }
    let mut faults = Faults::new();
    check_question_marks(&tokens, &mut faults);
    // Quartz reads seven fields and leaves out what follows them.
    let token = |field: Field| tokens[field as usize];
    let mut set = |field: Field| list::set(field, token(field), &mut faults);
    let times = Times {
        seconds: set(Field::Second),
        minutes: set(Field::Minute),
        hours: set(Field::Hour),
    };
    let months = set(Field::Month);
    let of_month = given(token(Field::DayOfMonth)).map(|token| day_of_month::read(token, &mut faults));
    let of_week = given(token(Field::DayOfWeek)).map(|token| day_of_week::read(token, &mut faults));
    let years = tokens
        .get(Field::Year as usize)
        .map_or_else(Years::every, |&token| list::years(token, &mut faults));
    if !faults.is_empty() {
        return Err(faults);
    }
    let days = of_month.or(of_week).unwrap_or(Days::OfMonth(Set::default()));
    Ok(Schedule {
        times,
        days,
        months,
        years,
    })
}

/// The parts between blanks and tabs; no other white space separates.
fn tokens(source: &str) -> Vec<Piece<'_>> {
    let mut tokens = Vec::new();
    for part in Piece::whole(source).split(' ') {
        tokens.extend(part.split('\t').filter(|token| !token.text.is_empty()));
    }
    tokens
}

/// A day field that is not `?`.
fn given(token: Piece<'_>) -> Option<Piece<'_>> {
    (token.text != "?").then_some(token)
}

/// Returns that fields are missing, with what was probably meant.
fn too_few_fields(source: &str, tokens: &[Piece<'_>]) -> Error {
    const WANTED: &str =
        "an expression has 6 or 7 fields: second, minute, hour, day-of-month, month, day-of-week and perhaps year";
    let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let message = match texts[..] {
        [] => format!("{WANTED}; this one is empty"),
        [word] if word.starts_with('@') => match shorthand(word) {
            Some(expression) => format!("{WANTED}; for `{word}` write `{expression}`"),
            None => format!("{WANTED}; words such as `{word}` are unknown"),
        },
        [minute, hour, day, month, "*"] => {
            format!("{WANTED}; this one has 5, as the cron of Unix: write `0 {minute} {hour} {day} {month} ?`")
        }
        [minute, hour, "*", month, weekday] if weekday.contains(|c: char| c.is_ascii_alphabetic()) => {
            format!("{WANTED}; this one has 5, as the cron of Unix: write `0 {minute} {hour} ? {month} {weekday}`")
        }
        [_, _, _, _, _] => format!(
            "{WANTED}; this one has 5, as the cron of Unix: put a second in front, and `?` for the day field that does not matter"
        ),
        _ => format!("{WANTED}; this one has {}", texts.len()),
    };
    let start = tokens.first().map_or(0, |token| token.start);
    let end = tokens.last().map_or(source.len(), |token| token.span().end);
    Error::new(None, start..end, message)
}

/// Returns the expression that a word of other crons stands for.
fn shorthand(word: &str) -> Option<&'static str> {
    match word {
        "@yearly" | "@annually" => Some("0 0 0 1 1 ?"),
        "@monthly" => Some("0 0 0 1 * ?"),
        "@weekly" => Some("0 0 0 ? * SUN"),
        "@daily" | "@midnight" => Some("0 0 0 * * ?"),
        "@hourly" => Some("0 0 * * * ?"),
        _ => None,
    }
}

/// Exactly one of the two day fields must be `?`.
fn check_question_marks(tokens: &[Piece<'_>], faults: &mut Faults) {
    const RULE: &str = "exactly one of day-of-month and day-of-week must be `?`";
    let (of_month, of_week) = (tokens[Field::DayOfMonth as usize], tokens[Field::DayOfWeek as usize]);
    let with = |field: Field, text: &str| {
        let fields = tokens.iter().take(7).enumerate();
        let fields: Vec<&str> = fields
            .map(|(index, token)| if index == field as usize { text } else { token.text })
            .collect();
        fields.join(" ")
    };
    let (field, token, message) = match (given(of_month), given(of_week)) {
        (Some(_), None) | (None, Some(_)) => return,
        (None, None) => (
            Field::DayOfMonth,
            of_month,
            format!("{RULE}, not both: write `{}`", with(Field::DayOfMonth, "*")),
        ),
        (Some(_), Some(of_week)) if of_week.text == "*" => (
            Field::DayOfWeek,
            of_week,
            format!("{RULE}: write `{}`", with(Field::DayOfWeek, "?")),
        ),
        (Some(of_month), Some(_)) if of_month.text == "*" => (
            Field::DayOfMonth,
            of_month,
            format!("{RULE}: write `{}`", with(Field::DayOfMonth, "?")),
        ),
        (Some(_), Some(of_week)) => {
            let (by_month, by_week) = (with(Field::DayOfWeek, "?"), with(Field::DayOfMonth, "?"));
            (
                Field::DayOfWeek,
                of_week,
                format!("{RULE}: write `{by_month}` or `{by_week}`"),
            )
        }
    };
    faults.push(Error::new(field, token.span(), message));
}
