//! The day-of-month field: lists, and the forms with `L` and `W`.

use super::{Faults, list};
use crate::cron::days::Days;
use crate::cron::error::Error;
use crate::cron::field::Field;
use crate::marked::Piece;

const FIELD: Field = Field::DayOfMonth;
/// The longest way back from the last day of a month.
const MAX_BEFORE_LAST: u8 = 30;

/// Reads the field. What is faulty is reported, and the result then worth nothing.
pub(super) fn read(token: Piece<'_>, faults: &mut Faults) -> Days {
    let special = match token.text.as_bytes() {
        [b'l' | b'L', ..] if !token.text.contains(',') => Some(from_last(token)),
        [.., b'w' | b'W'] if !token.text.contains(',') => Some(nearest_weekday(token)),
        _ => None,
    };
    match special {
        Some(Ok(days)) => days,
        Some(Err(fault)) => {
            faults.push(fault);
            Days::Last { before: 0 }
        }
        None => Days::OfMonth(list::set(FIELD, token, faults)),
    }
}

/// `L`, `L-3`, `LW` and `L-3W`.
fn from_last(token: Piece<'_>) -> Result<Days, Error> {
    let (head, weekday) = match token.text.as_bytes() {
        [.., b'w' | b'W'] => (token.slice(1, token.text.len() - 1), true),
        _ => (token.slice(1, token.text.len()), false),
    };
    let before = match head.split_once('-') {
        _ if head.text.is_empty() => 0,
        Some((nothing, before)) if nothing.text.is_empty() => days_before_last(before)?,
        _ => {
            let message = format!(
                "after `L` comes nothing, `W` or `-` and a number, not `{}`",
                head.text.escape_debug()
            );
            return Err(Error::new(FIELD, head.span(), message));
        }
    };
    Ok(if weekday {
        Days::LastNearestWeekday { before }
    } else {
        Days::Last { before }
    })
}

fn days_before_last(piece: Piece<'_>) -> Result<u8, Error> {
    let plain = !piece.text.is_empty() && piece.text.bytes().all(|byte| byte.is_ascii_digit());
    let before = piece
        .text
        .parse()
        .ok()
        .filter(|&before| plain && before <= MAX_BEFORE_LAST);
    before.ok_or_else(|| {
        let message = format!(
            "`L-n` goes back 0 to {MAX_BEFORE_LAST} days from the last day of the month, not `{}`",
            piece.text.escape_debug()
        );
        Error::new(FIELD, piece.span(), message)
    })
}

/// `15W`.
fn nearest_weekday(token: Piece<'_>) -> Result<Days, Error> {
    let day = list::value(FIELD, token.slice(0, token.text.len() - 1))?;
    Ok(Days::NearestWeekday { day: day.number as u8 })
}
