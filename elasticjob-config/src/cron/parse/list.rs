//! Lists of values, ranges and steps: the part of the grammar that all fields share.
//!
//! A list has elements between commas. An element is `*`, a value, or a range `a-b`, and may have a step behind a
//! slash; a value with a step goes on to the field's largest value. A range whose end is below its begin goes around:
//! `22-2` are the hours from 22 to 2. Years do not.
//!
//! What Quartz takes and then reads otherwise than its writer meant is refused here, and the message says what to
//! write.

use super::Faults;
use crate::cron::error::Error;
use crate::cron::field::Field;
use crate::cron::set::Set;
use crate::cron::years::{Progression, Years};
use crate::marked::Piece;

/// Reads a list as a set. What is faulty is reported and left out.
pub(super) fn set(field: Field, token: Piece<'_>, faults: &mut Faults) -> Set {
    let mut set = Set::default();
    each(field, token, faults, |element| {
        let (min, max) = field.bounds();
        let size = max - min + 1;
        let last = if element.last < element.first {
            element.last + size
        } else {
            element.last
        };
        for value in (element.first..=last).step_by(element.step.into()) {
            // Beyond the maximum a range goes on at the minimum.
            set.insert(((value - min) % size + min) as u8);
        }
        Ok(())
    });
    set
}

/// Reads the year field. What is faulty is reported and left out.
pub(super) fn years(token: Piece<'_>, faults: &mut Faults) -> Years {
    let mut years = Years::none();
    each(
        Field::Year,
        token,
        faults,
        |Element {
             first,
             last,
             step,
             span,
         }| {
            if first > last {
                let message = format!("a range of years goes upwards: write `{last}-{first}`");
                return Err(Error::new(Field::Year, span, message));
            }
            years.insert(Progression { first, last, step });
            Ok(())
        },
    );
    years
}

/// One element of a list: every `step`-th value from `first` to `last`, which may be crossed.
struct Element {
    first: u16,
    last: u16,
    step: u16,
    span: std::ops::Range<usize>,
}

/// Reads the elements of a list, and goes on behind one that is faulty.
fn each(field: Field, token: Piece<'_>, faults: &mut Faults, mut take: impl FnMut(Element) -> Result<(), Error>) {
    let single = !token.text.contains(',');
    for piece in token.split(',') {
        if let Err(fault) = element(field, piece, single).and_then(&mut take) {
            faults.push(fault);
        }
    }
}

/// Reads one element. `single` says that it is the whole list.
fn element(field: Field, piece: Piece<'_>, single: bool) -> Result<Element, Error> {
    let (min, max) = field.bounds();
    let span = piece.span();
    if piece.text.is_empty() {
        return Err(Error::new(
            field,
            span,
            format!("an element of the {field} list is empty: leave out the extra comma"),
        ));
    }
    let (base, step) = match piece.split_once('/') {
        Some((base, step)) => (base, Some(step)),
        None => (piece, None),
    };
    if base.text == "*" && step.is_none() && !single {
        let message = format!("`*` is every {field} already: leave out the rest of the list");
        return Err(Error::new(field, span, message));
    }
    if base.text == "*" || (base.text.is_empty() && step.is_some()) {
        let step = step.map_or(Ok(1), |step| read_step(field, step))?;
        return Ok(Element {
            first: min,
            last: max,
            step,
            span,
        });
    }
    match base.split_once('-') {
        Some((first, last)) => range(field, first, last, step, span),
        None => {
            let first = value(field, base)?;
            let Some(step) = step else {
                return Ok(Element {
                    first: first.number,
                    last: first.number,
                    step: 1,
                    span,
                });
            };
            refuse_named_step(field, first, max, step)?;
            Ok(Element {
                first: first.number,
                last: max,
                step: read_step(field, step)?,
                span,
            })
        }
    }
}

/// Reads an element with two ends.
fn range(
    field: Field,
    first: Piece<'_>,
    last: Piece<'_>,
    step: Option<Piece<'_>>,
    span: std::ops::Range<usize>,
) -> Result<Element, Error> {
    let (first, last) = (value(field, first)?, value(field, last)?);
    if first.named != last.named {
        let message = format!(
            "a range is of names or of numbers, not of both: write `{}-{}`",
            first.number, last.number
        );
        return Err(Error::new(field, span, message));
    }
    let step = match step {
        Some(step) => {
            refuse_named_step(field, first, last.number, step)?;
            read_step(field, step)?
        }
        None => 1,
    };
    Ok(Element {
        first: first.number,
        last: last.number,
        step,
        span,
    })
}

/// Quartz takes `MON/2` and `MON-FRI/2` and ignores the step.
fn refuse_named_step(field: Field, first: Value, last: u16, step: Piece<'_>) -> Result<(), Error> {
    if !first.named {
        return Ok(());
    }
    let message = format!(
        "a step does not work with names: write `{}-{last}/{}`",
        first.number, step.text
    );
    Err(Error::new(field, step.span(), message))
}

/// Reads what stands behind a slash. A step of 0 and one beyond the field's largest value are faults.
fn read_step(field: Field, piece: Piece<'_>) -> Result<u16, Error> {
    let max = field.max_step();
    let wrong = |what: &str| {
        Error::new(
            field,
            piece.span(),
            format!("a step of the {field} field is 1 to {max}, {what}"),
        )
    };
    match digits(piece.text) {
        _ if piece.text.is_empty() => Err(wrong("but it is missing")),
        Some(step) if (1..=max).contains(&step) => Ok(step),
        _ => Err(wrong(&format!("not {}", quoted(piece.text)))),
    }
}

/// A single value, and whether it was given by name.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) number: u16,
    named: bool,
}

/// Reads one number or name.
pub(super) fn value(field: Field, piece: Piece<'_>) -> Result<Value, Error> {
    let (min, max) = field.bounds();
    let fail = |message: String| Err(Error::new(field, piece.span(), message));
    let text = piece.text;
    if let Some(number) = digits(text).filter(|number| (min..=max).contains(number)) {
        return Ok(Value { number, named: false });
    }
    if let Some(index) = field
        .names()
        .iter()
        .position(|name| name[..3].eq_ignore_ascii_case(text))
    {
        return Ok(Value {
            number: min + index as u16,
            named: true,
        });
    }
    if text.is_empty() {
        return fail(format!("a number is missing: {}", field.allowed()));
    }
    if let Some(name) = meant(field, text) {
        return fail(format!(
            "names of the {field} field have three letters: write `{}`",
            name[..3].to_ascii_uppercase()
        ));
    }
    if text.contains('?') {
        return fail("`?` stands alone, and for day-of-month or day-of-week only".to_owned());
    }
    if let Some(special) = text.chars().find(|c| matches!(c.to_ascii_uppercase(), 'L' | 'W' | '#')) {
        let number: String = text.chars().filter(char::is_ascii_digit).collect();
        if !number.is_empty() || text.len() == 1 || text.eq_ignore_ascii_case("LW") {
            return fail(match special.to_ascii_uppercase() {
                'L' => "`L` is for day-of-month (`L`, `L-3`, `LW`) and day-of-week (`L`, `6L`), alone in its field"
                    .to_owned(),
                'W' => "`W` is for day-of-month (`15W`, `LW`), alone in its field".to_owned(),
                _ => "`#` is for day-of-week (`6#3`, `FRI#3`), alone in its field".to_owned(),
            });
        }
    }
    fail(format!("{}, not {}", field.allowed(), quoted(text)))
}

/// The name that a longer or shorter spelling of at least two letters stands for.
fn meant(field: Field, text: &str) -> Option<&'static str> {
    let starts = |long: &str, short: &str| {
        long.get(..short.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(short))
    };
    let mut names = field
        .names()
        .iter()
        .filter(|name| text.len() >= 2 && starts(name, text));
    names.next().filter(|_| names.next().is_none()).copied()
}

/// Plain digits, or none if it is anything else or does not fit.
fn digits(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Numbers as they are, anything else in quotes.
fn quoted(text: &str) -> String {
    match text.parse::<i128>() {
        Ok(_) => text.to_owned(),
        Err(_) => format!("`{}`", text.escape_debug()),
    }
}
