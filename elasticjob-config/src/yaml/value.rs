//! The values of plain scalars, as Java reads them.

use super::resolve::{Type, resolve};

/// The value of a switch. Java ignores case once it knows that a switch is meant, quotes or not.
pub(crate) fn bool_value(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The value of a whole number in any notation of YAML 1.1: `1_000`, `0x1F`, `0b11`, octal `010`, and `1:30` to base 60.
pub(crate) fn int_value(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text.as_str()),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let magnitude = if let Some(binary) = digits.strip_prefix("0b") {
        unsigned(binary, 2)?
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        unsigned(hexadecimal, 16)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        unsigned(&digits[1..], 8)?
    } else if digits.contains(':') {
        digits
            .split(':')
            .try_fold(0i64, |sum, part| sum.checked_mul(60)?.checked_add(unsigned(part, 10)?))?
    } else {
        unsigned(digits, 10)?
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// The text that Java makes of a plain scalar in an untyped map such as `props`: it parses the value and prints it again.
pub(crate) fn printed_by_java(text: &str) -> Option<String> {
    match resolve(text) {
        Type::Null => None,
        Type::Bool => bool_value(text).map(|value| value.to_string()),
        Type::Int => Some(int_value(text).map_or_else(|| text.to_owned(), |value| value.to_string())),
        Type::Float => Some(float_printed(text).unwrap_or_else(|| text.to_owned())),
        // Java prints a date in its own zone and language, which is never intended.
        Type::Timestamp | Type::Merge | Type::Text => Some(text.to_owned()),
    }
}

fn unsigned(digits: &str, radix: u32) -> Option<i64> {
    // `from_str_radix` would take a second sign.
    if digits.starts_with(['+', '-']) {
        None
    } else {
        i64::from_str_radix(digits, radix).ok()
    }
}

/// As Java's `Double.toString`: at least one digit after the point, an exponent outside of 10^-3 to 10^7.
fn float_printed(text: &str) -> Option<String> {
    let plain = text.replace('_', "");
    if plain.contains(':') {
        return None;
    }
    let value: f64 = match plain.to_ascii_lowercase().as_str() {
        ".nan" => return Some("NaN".to_owned()),
        ".inf" | "+.inf" => return Some("Infinity".to_owned()),
        "-.inf" => return Some("-Infinity".to_owned()),
        number => number.parse().ok()?,
    };
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return Some(format!("{value:?}"));
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e')?;
    let point = if mantissa.contains('.') { "" } else { ".0" };
    Some(format!("{mantissa}{point}E{exponent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_every_notation() {
        for (text, value) in [
            ("010", 8),
            ("-0x1F", -31),
            ("0b11", 3),
            ("1_000", 1000),
            ("1:30", 90),
            ("+7", 7),
            ("0", 0),
        ] {
            assert_eq!(int_value(text), Some(value), "{text}");
        }
        for text in ["", "-", "a", "--1", "0b", "08", "1.5", "99999999999999999999"] {
            assert_eq!(int_value(text), None, "{text}");
        }
    }

    #[test]
    fn untyped_scalars_should_print_as_java_prints_them() {
        for (text, printed) in [
            ("true", "true"),
            ("Yes", "true"),
            ("010", "8"),
            ("1.50", "1.5"),
            ("1e3", "1000.0"),
            ("1e10", "1.0E10"),
            ("1.25e-7", "1.25E-7"),
            ("2020-01-01", "2020-01-01"),
            ("text", "text"),
        ] {
            assert_eq!(printed_by_java(text).as_deref(), Some(printed), "{text}");
        }
        assert_eq!(printed_by_java("~"), None);
    }
}
