//! What a text means as the value of a setting, whether a file holds it or an operator gives it.

use std::str::FromStr;

use jiff::SignedDuration;

pub(crate) use crate::list::items as list;
pub(crate) use crate::yaml::value::bool_value as switch;

pub(crate) const SWITCH: &str = "`true` or `false` is expected";
pub(crate) const LIST: &str = "a list is written `a, b` or `[a, b]`";
pub(crate) const WHOLE_NUMBER: &str = "a whole number is expected";
pub(crate) const DURATION: &str = "a duration is expected, such as `10s`, `500ms` or `1m 30s`";

/// A number, or a whole one in hexadecimal digits: `0x1F`, which Spring reads from every source.
pub(crate) fn number<T: FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok()?.to_string().parse().ok(),
        _ => text.parse().ok(),
    }
}

/// A duration that may be negative, which means none in some of Java's settings.
pub(crate) fn duration(text: &str) -> Option<SignedDuration> {
    text.trim().parse().ok()
}
