//! Which values a property may have: for each kind of value, its description in words and its parser.
//!
//! Blanks around numbers, flags and durations are ignored. A text is taken as it is.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use elasticjob_config::Secret;
use jiff::SignedDuration;

/// What the value of a property may be: in words, and as code.
///
/// ```
/// use std::collections::BTreeMap;
/// use elasticjob::property::{Accepts, Reader};
///
/// const EVEN: Accepts<u32> = Accepts::new("an even number", |text| text.parse().ok().filter(|n| n % 2 == 0));
///
/// let props = BTreeMap::from([("pairs".to_owned(), "3".to_owned())]);
/// let mut reader = Reader::new(&props);
/// let pairs = reader.required("pairs", &EVEN);
/// let faults = reader.finish(pairs).unwrap_err();
/// assert_eq!(faults.to_string(), "`props.pairs` is `3`: expected an even number");
/// ```
pub struct Accepts<T> {
    expected: &'static str,
    parse: Parse<T>,
    is_secret: bool,
}

enum Parse<T> {
    Plain(fn(&str) -> Option<T>),
    Explained(fn(&str) -> Result<T, String>),
}

impl<T> Accepts<T> {
    /// What `parse` gives a value for. `expected` ends a sentence that begins with "expected".
    /// `parse` must not panic: if it does, the fault names the type that was read and not the property.
    #[must_use]
    pub const fn new(expected: &'static str, parse: fn(&str) -> Option<T>) -> Self {
        Self {
            expected,
            parse: Parse::Plain(parse),
            is_secret: false,
        }
    }

    /// As [`new`](Self::new), where `parse` says what is wrong.
    #[must_use]
    pub const fn explained(expected: &'static str, parse: fn(&str) -> Result<T, String>) -> Self {
        Self {
            expected,
            parse: Parse::Explained(parse),
            is_secret: false,
        }
    }

    /// The same, of values that no message shows.
    /// Properties with names such as `password` and `token` are secret without this.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// What is expected, in words.
    #[must_use]
    pub fn expected(&self) -> &'static str {
        self.expected
    }

    /// Returns whether no message shows the value.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// The value, or what is wrong with the text.
    pub(super) fn parse(&self, text: &str) -> Result<T, String> {
        let expected = self.expected;
        match self.parse {
            Parse::Plain(parse) => parse(text).ok_or_else(|| format!("expected {expected}")),
            Parse::Explained(parse) => parse(text).map_err(|problem| {
                if self.is_secret {
                    // It may quote the value.
                    format!("expected {expected}")
                } else {
                    format!("expected {expected}: {problem}")
                }
            }),
        }
    }
}

impl<T> fmt::Debug for Accepts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accepts").field(&self.expected).finish()
    }
}

/// Any text.
pub const TEXT: Accepts<String> = Accepts::new("a text", |text| Some(text.to_owned()));

/// Any text, which nothing ever shows.
pub const SECRET: Accepts<Secret> = Accepts::new("a text", |text| Some(Secret::new(text))).secret();

/// `true` or `false`, in any case.
pub const FLAG: Accepts<bool> = Accepts::new("`true` or `false`", |text| {
    text.trim().to_ascii_lowercase().parse().ok()
});

/// A number of 1 or more.
pub const POSITIVE: Accepts<NonZeroU32> = Accepts::new("a whole number of 1 or more", |text| text.trim().parse().ok());

/// A port of TCP or UDP.
pub const PORT: Accepts<u16> = Accepts::new("a port from 1 to 65535", |text| {
    text.trim().parse().ok().filter(|port| *port > 0)
});

/// A number of milliseconds, as Java's properties have it.
pub const MILLISECONDS: Accepts<Duration> = Accepts::new("a number of milliseconds, 1 or more", |text| {
    let milliseconds: NonZeroU32 = text.trim().parse().ok()?;
    Some(Duration::from_millis(milliseconds.get().into()))
});

/// A duration that is longer than none.
pub const DURATION: Accepts<Duration> = Accepts::new("a duration, such as `10s`, `500ms` or `1m 30s`", |text| {
    duration(text).filter(|duration| !duration.is_zero())
});

/// A duration, or `0`, which switches off what it is for.
pub const DURATION_OR_OFF: Accepts<Option<Duration>> =
    Accepts::new("a duration, such as `10s` or `1m 30s`, or 0 for none", |text| {
        if text.trim() == "0" {
            return Some(None);
        }
        duration(text).map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
    });

/// Texts between commas, at least one.
pub const LIST: Accepts<Vec<String>> = Accepts::new("texts, separated by commas", |text| {
    let texts: Vec<String> = text
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    Some(texts).filter(|texts| !texts.is_empty())
});

fn duration(text: &str) -> Option<Duration> {
    let duration: SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(duration).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: PartialEq + fmt::Debug>(accepts: &Accepts<T>, good: &[(&str, T)], bad: &[&str]) {
        for (text, value) in good {
            assert_eq!(accepts.parse(text).as_ref(), Ok(value), "{text}");
        }
        for text in bad {
            assert_eq!(
                accepts.parse(text),
                Err(format!("expected {}", accepts.expected())),
                "{text}"
            );
        }
    }

    #[test]
    fn values_should_be_what_is_expected_or_be_refused() {
        check(&FLAG, &[("true", true), (" FALSE ", false)], &["yes", "1", ""]);
        check(
            &POSITIVE,
            &[("7", NonZeroU32::MIN.saturating_add(6))],
            &["0", "-1", "1.5", "many"],
        );
        check(
            &PORT,
            &[("465", 465), ("65535", 65_535)],
            &["0", "65536", "smtp", "-25"],
        );
        check(
            &MILLISECONDS,
            &[(" 3000 ", Duration::from_secs(3))],
            &["0", "-5", "3s", "1e3"],
        );
        check(
            &DURATION,
            &[("1m 30s", Duration::from_secs(90))],
            &["0s", "-1s", "soon", "5"],
        );
        check(
            &DURATION_OR_OFF,
            &[("0", None), ("0s", None), ("1m", Some(Duration::from_secs(60)))],
            &["-1m", "off"],
        );
        let list = vec!["a@x.org".to_owned(), "b@x.org".to_owned()];
        check(&LIST, &[("a@x.org, b@x.org,", list)], &[",", " , "]);
    }

    #[test]
    fn explains_no_fault_of_a_secret() {
        const EXPLAINED: Accepts<String> = Accepts::explained("a word", |text| Err(format!("`{text}` is none")));
        assert_eq!(
            EXPLAINED.parse("tiger").unwrap_err(),
            "expected a word: `tiger` is none"
        );
        const SECRET: Accepts<String> = EXPLAINED.secret();
        assert_eq!(SECRET.parse("tiger").unwrap_err(), "expected a word");
    }
}
