//! What a plain scalar means in YAML 1.1, which is what Java members read and write.
//!
//! YAML 1.2 has fewer such forms (`yes` and `010` are a text and ten there), so these rules cannot be left to a 1.2
//! library. The patterns are those of SnakeYAML's resolver. Of numbers there are fewer from 1.33 on than in 1.26, which Java
//! members up to ElasticJob 3.0.3 have: `08` is one there, and `._1` is one only since. Each version writes such a text
//! plain if it is none to itself, so a text is what it is here if any of them takes it for one. What is written has to be
//! [a text for all](is_text_for_all).

/// The type that YAML 1.1 gives to a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    Merge,
    Text,
}

/// The type of a plain scalar.
pub(crate) fn resolve(text: &str) -> Type {
    match text {
        "" | " " | "~" | "null" | "Null" | "NULL" => return Type::Null,
        "<<" => return Type::Merge,
        _ => {}
    }
    if is_bool(text) {
        return Type::Bool;
    }
    // SnakeYAML asks in this order, and `1_000` matches both of the first two patterns.
    if is_int(text) {
        Type::Int
    } else if is_float(text) {
        Type::Float
    } else if is_timestamp(text) {
        Type::Timestamp
    } else {
        Type::Text
    }
}

/// Whether all Java members take a plain scalar for a text.
pub(super) fn is_text_for_all(text: &str) -> bool {
    resolve(text) == Type::Text && !is_number_for_some(text)
}

/// Whether a version of SnakeYAML takes this for a number that another takes for a text: `08`, `0_8`, `0x_` and `-_` (which
/// it then fails on) in 1.26, `._1` and `._` since.
fn is_number_for_some(text: &str) -> bool {
    let number = unsign(text);
    if let Some(binary) = number.strip_prefix("0b") {
        return !binary.is_empty() && all(binary, "01_");
    }
    if let Some(hexadecimal) = number.strip_prefix("0x") {
        return !hexadecimal.is_empty() && hexadecimal.chars().all(|c| c.is_ascii_hexdigit() || c == '_');
    }
    let (digits, has_valid_exponent) = split_exponent(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // Only these can begin a number.
    let may_be_one = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
    may_be_one
        && has_valid_exponent
        && !(whole.is_empty() && fraction.is_empty())
        && all(whole, "0123456789_")
        && all(fraction, "0123456789_")
}

fn is_bool(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let capitalized = || lower[..1].to_ascii_uppercase() + &lower[1..];
    matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off")
        && (text == lower || text == lower.to_ascii_uppercase() || text == capitalized())
}

fn is_int(text: &str) -> bool {
    let digits = unsign(text);
    if let Some(binary) = digits.strip_prefix("0b") {
        return binary.contains(['0', '1']) && all(binary, "01_");
    }
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        let is_digit = |c: char| c.is_ascii_hexdigit();
        return hexadecimal.contains(is_digit) && hexadecimal.chars().all(|c| is_digit(c) || c == '_');
    }
    match digits.as_bytes() {
        [b'0'] => true,
        [b'0', octal @ ..] => {
            let is_digit = |digit: &u8| matches!(digit, b'0'..=b'7');
            octal.iter().any(is_digit) && octal.iter().all(|digit| is_digit(digit) || *digit == b'_')
        }
        [b'1'..=b'9', ..] => {
            let (first, rest) = digits.split_once(':').unwrap_or((digits, ""));
            all(first, "0123456789_") && (first.len() == digits.len() || rest.split(':').all(is_sexagesimal))
        }
        _ => false,
    }
}

fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let number = unsign(text);
    if matches!(number, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    if let Some(fraction) = number.strip_prefix('.') {
        let (digits, has_valid_exponent) = split_exponent(fraction);
        return !digits.is_empty() && all(digits, "0123456789") && has_valid_exponent;
    }
    if !number.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    if let Some((first, rest)) = number.split_once(':') {
        let Some((whole, fraction)) = rest.split_once('.') else {
            return false;
        };
        return all(first, "0123456789_") && whole.split(':').all(is_sexagesimal) && all(fraction, "0123456789_");
    }
    let (digits, has_valid_exponent) = split_exponent(number);
    match digits.split_once('.') {
        Some((whole, fraction)) => all(whole, "0123456789_") && all(fraction, "0123456789_") && has_valid_exponent,
        None => digits.len() < number.len() && all(digits, "0123456789_") && has_valid_exponent,
    }
}

/// The part before an exponent, and whether what follows, if anything, is one.
fn split_exponent(number: &str) -> (&str, bool) {
    match number.split_once(['e', 'E']) {
        None => (number, true),
        Some((digits, exponent)) => {
            let exponent = unsign(exponent);
            (digits, !exponent.is_empty() && all(exponent, "0123456789"))
        }
    }
}

/// Returns whether this is a digit of base 60, of one or two characters.
fn is_sexagesimal(part: &str) -> bool {
    matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
}

/// `2020-01-01`, or with a time of day: `2020-1-1T1:00:00.5 +8:00`.
fn is_timestamp(text: &str) -> bool {
    let mut rest = Scan(text);
    if !rest.digits(4, 4) || !rest.one("-") {
        return false;
    }
    let before_month = rest.0;
    if rest.digits(2, 2) && rest.one("-") && rest.digits(2, 2) && rest.0.is_empty() {
        return true;
    }
    rest.0 = before_month;
    if !(rest.digits(1, 2) && rest.one("-") && rest.digits(1, 2)) {
        return false;
    }
    if !rest.one("Tt") && !rest.blanks() {
        return false;
    }
    if !(rest.digits(1, 2) && rest.one(":") && rest.digits(2, 2) && rest.one(":") && rest.digits(2, 2)) {
        return false;
    }
    if rest.one(".") {
        rest.digits(0, usize::MAX);
    }
    let before_zone = rest.0;
    rest.blanks();
    if rest.one("Z") {
        return rest.0.is_empty();
    }
    if rest.one("+-") {
        return rest.digits(1, 2) && (rest.0.is_empty() || rest.one(":") && rest.digits(2, 2) && rest.0.is_empty());
    }
    before_zone.is_empty()
}

/// The rest of a text that is being matched; each step takes what it matches.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    /// Takes up to `most` digits; whether there were at least so many.
    fn digits(&mut self, least: usize, most: usize) -> bool {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        self.0 = &self.0[count..];
        count >= least
    }

    /// Takes one character if it is one of these.
    fn one(&mut self, of: &str) -> bool {
        let found = self.0.starts_with(|c: char| of.contains(c));
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    /// Takes all blanks and tabs; whether there was one.
    fn blanks(&mut self) -> bool {
        let trimmed = self.0.trim_start_matches([' ', '\t']);
        let found = trimmed.len() < self.0.len();
        self.0 = trimmed;
        found
    }
}

fn unsign(number: &str) -> &str {
    number.strip_prefix(['+', '-']).unwrap_or(number)
}

fn all(text: &str, allowed: &str) -> bool {
    text.chars().all(|c| allowed.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: Type, texts: &[&str]) {
        for text in texts {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
    }

    #[test]
    fn plain_scalars_resolve_as_in_yaml_1_1() {
        check(Type::Null, &["", "~", "null", "Null", "NULL"]);
        check(Type::Bool, &["yes", "No", "ON", "off", "true", "False", "TRUE"]);
        check(
            Type::Int,
            &[
                "0",
                "-1",
                "+12",
                "010",
                "0x1F",
                "0b01",
                "1_000",
                "1:30",
                "190:20:30",
                "0_7",
            ],
        );
        check(
            Type::Float,
            &[
                "1.5", "1.", ".5", "+.5e3", "1e3", "1_0.5E-3", ".inf", "-.INF", ".NaN", "1:30.5",
            ],
        );
        check(
            Type::Timestamp,
            &[
                "2020-01-01",
                "2020-1-1T1:00:00",
                "2020-01-01 10:00:00.5 +8:00",
                "2001-12-14t21:59:43Z",
            ],
        );
        check(Type::Merge, &["<<"]);
        let texts = [
            "y",
            "n",
            "=",
            "0o17",
            "yEs",
            "09",
            "1:60",
            "2020-1-1",
            "08",
            "0_8",
            "0_",
            "0b_",
            "0x_",
            "-_",
            "+_1",
            "e3",
            "1e",
            "-",
            ".",
            "+.nan",
            "0 0/5 * * * ?",
        ];
        check(Type::Text, &texts);
    }

    #[test]
    fn numbers_of_some_versions_are_no_texts_for_all() {
        for text in [
            "08", "09", "0089", "-08", "0_8", "0_9", "00_8", "0778", "-_", "+_1", "0_", "0__", "0b_", "0x_", "-0x_",
            "-_.", "+_.5", "-_1e5", "._1", "._", "-.1_0", "._1e5",
        ] {
            assert_eq!((resolve(text), is_text_for_all(text)), (Type::Text, false), "{text}");
        }
        for text in [
            "_", "_1", "_1e3", "1.5.5", "1e", "08a", "0b", "0x", "0o17", "-", "+", ".", "-.", ".e1", "0:0", "1:60", "y",
        ] {
            assert!(is_text_for_all(text), "{text}");
        }
    }
}
