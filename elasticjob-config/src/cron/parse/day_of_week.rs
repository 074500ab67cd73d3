//! The day-of-week field: lists, and the forms with `L` and `#`.

use super::{Faults, list};
use crate::cron::days::Days;
use crate::cron::error::Error;
use crate::cron::field::Field;
use crate::cron::set::Set;
use crate::marked::Piece;

const FIELD: Field = Field::DayOfWeek;
const SATURDAY: u8 = 7;

/// Reads the field. What is faulty is reported, and the result then worth nothing.
pub(super) fn read(token: Piece<'_>, faults: &mut Faults) -> Days {
    let special = match token.text.as_bytes() {
        _ if token.text.contains(',') => None,
        // Not the last day of the week by any logic, but what Quartz does.
        [b'l' | b'L'] => return Days::OfWeek(Set::single(SATURDAY)),
        [.., b'l' | b'L'] => Some(last(token)),
        _ => token.split_once('#').map(|(weekday, nth)| nth_of_month(weekday, nth)),
    };
    match special {
        Some(Ok(days)) => days,
        Some(Err(fault)) => {
            faults.push(fault);
            Days::OfWeek(Set::default())
        }
        None => Days::OfWeek(list::set(FIELD, token, faults)),
    }
}

/// `6L` and `FRIL`.
fn last(token: Piece<'_>) -> Result<Days, Error> {
    let weekday = list::value(FIELD, token.slice(0, token.text.len() - 1))?;
    Ok(Days::LastOfWeek {
        weekday: weekday.number as u8,
    })
}

/// `6#3` and `FRI#3`.
fn nth_of_month(weekday: Piece<'_>, nth: Piece<'_>) -> Result<Days, Error> {
    let weekday = list::value(FIELD, weekday)?.number as u8;
    match nth.text.as_bytes() {
        &[digit @ b'1'..=b'5'] => Ok(Days::NthOfWeek {
            weekday,
            nth: digit - b'0',
        }),
        _ => {
            let message = format!(
                "after `#` comes 1 to 5, the week of the month, not `{}`",
                nth.text.escape_debug()
            );
            Err(Error::new(FIELD, nth.span(), message))
        }
    }
}
