//! Parameters of sharding items: `0=Beijing,1=Shanghai`.
//!
//! Reads what ElasticJob for Java reads, in the same way: blanks around items and values do not count, a
//! comma at the end neither, and the last of several values for one item wins. Refused although Java
//! takes it: a `=` at the end of a value, which Java cuts off, and digits other than 0 to 9.
//!
//! ```
//! # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
//! use elasticjob::configuration::item_parameters::ItemParameters;
//!
//! let parameters = ItemParameters::parse("0=Beijing, 1 = Shanghai")?;
//! assert_eq!(parameters.get(1), Some("Shanghai"));
//! assert!(parameters.check_range(1).is_err());
//! # Ok::<(), elasticjob_config::item_parameters::Errors>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use crate::marked::{Piece, underline};
use crate::ranges::Ranges;

/// More faults than these are counted and not listed.
const MOST_LISTED: usize = 10;

/// A parameter for each of some items.
///
/// Two are equal when they give the same values to the same items, however they were written. Shown
/// in canonical form: by item, without blanks.
#[derive(Clone, Debug, Default)]
pub struct ItemParameters {
    text: String,
    values: BTreeMap<i32, Value>,
}

#[derive(Clone, Debug)]
struct Value {
    text: String,
    /// Where the item's number stands.
    item_span: Range<usize>,
}

impl ItemParameters {
    /// Reads parameters. An empty text has none.
    ///
    /// # Errors
    /// Everything that is wrong with the text, with places.
    pub fn parse(text: &str) -> Result<Self, Errors> {
        let mut values = BTreeMap::new();
        let mut errors = Vec::new();
        for piece in pieces(text) {
            match pair(piece.trim()) {
                Ok((item, value)) => drop(values.insert(item, value)),
                Err(error) => errors.push(error),
            }
        }
        let text = text.to_owned();
        if errors.is_empty() {
            Ok(Self { text, values })
        } else {
            Err(Errors { text, errors })
        }
    }

    /// The parameter of an item.
    #[must_use]
    pub fn get(&self, item: u32) -> Option<&str> {
        let item = i32::try_from(item).ok()?;
        self.values.get(&item).map(|value| value.text.as_str())
    }

    /// Items and parameters by item. Negative items are possible, since Java takes them.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &str)> {
        self.values.iter().map(|(&item, value)| (item, value.text.as_str()))
    }

    /// Whether no item has a parameter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Checks that each item is one of the `total` items of a job.
    ///
    /// # Errors
    /// Each item that is not.
    pub fn check_range(&self, total: u32) -> Result<(), Errors> {
        let outside = self
            .values
            .iter()
            .filter(|(item, _)| u32::try_from(**item).map_or(true, |item| item >= total));
        let mut errors: Vec<Error> = outside
            .map(|(item, value)| Error {
                span: value.item_span.clone(),
                message: out_of_range(&Ranges::from_iter([*item]), total),
                outside: Some((*item, total)),
            })
            .collect();
        errors.sort_by_key(|error| error.span.start);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Errors {
                text: self.text.clone(),
                errors,
            })
        }
    }
}

impl PartialEq for ItemParameters {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ItemParameters {}

impl fmt::Display for ItemParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (item, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{item}={value}")?;
        }
        Ok(())
    }
}

/// One fault of item parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    span: Range<usize>,
    message: String,
    /// The item, where the fault is that the job has no such item, and how many it has.
    outside: Option<(i32, u32)>,
}

impl Error {
    /// The wrong part, as bytes of the text.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What is wrong, and what is expected.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// All faults of item parameters, in the order of the text; never none.
///
/// Shown as several lines, each fault followed by the text with carets under the wrong part. If they are many, the first
/// are shown so, and all are summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    text: String,
    errors: Vec<Error>,
}

impl Errors {
    /// The text that was refused.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The faults.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.errors.iter()
    }

    /// What is wrong, in one line without the text. One fault of many items is said once.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut messages: Vec<String> = self.outside().into_iter().collect();
        let mut said = BTreeSet::new();
        let others = self.errors.iter().filter(|error| error.outside.is_none());
        let others: Vec<&str> = others
            .map(Error::message)
            .filter(|message| said.insert(*message))
            .collect();
        messages.extend(others.iter().take(MOST_LISTED).map(|&message| message.to_owned()));
        if others.len() > MOST_LISTED {
            messages.push(format!("and {} more faults", others.len() - MOST_LISTED));
        }
        messages.join("; ")
    }

    /// What is said of all items that the job does not have.
    fn outside(&self) -> Option<String> {
        let outside = || self.errors.iter().filter_map(|error| error.outside);
        let (_, total) = outside().next()?;
        let items: BTreeSet<i32> = outside().map(|(item, _)| item).collect();
        Some(out_of_range(&items.into_iter().collect(), total))
    }

    /// Everything in one line, without carets.
    #[must_use]
    pub fn one_line(&self) -> String {
        format!(
            "invalid item parameters `{}`: {}",
            self.text.escape_debug(),
            self.summary()
        )
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid item parameters")?;
        for error in self.errors.iter().take(MOST_LISTED) {
            write!(f, "\n{}\n", error.message)?;
            underline(f, &self.text, &error.span)?;
        }
        if self.errors.len() > MOST_LISTED {
            write!(f, "\n{} faults in all: {}", self.errors.len(), self.summary())
        } else {
            Ok(())
        }
    }
}

impl std::error::Error for Errors {}

/// The parts between commas; empty ones at the end do not count.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let end = text.trim_end_matches(',').len();
    Piece::whole(text).slice(0, end).split(',').filter(move |_| end > 0)
}

fn pair(piece: Piece<'_>) -> Result<(i32, Value), Error> {
    const WANTED: &str = "parameters are written `item=value`, separated by commas";
    let fail = |span: Range<usize>, what: String| {
        Err(Error {
            span,
            message: format!("{WANTED}: {what}"),
            outside: None,
        })
    };
    if piece.text.is_empty() {
        return fail(piece.span(), "this one is empty".to_owned());
    }
    let Some((item, value)) = piece.split_once('=') else {
        return fail(piece.span(), format!("`{}` has no `=`", piece.text.escape_debug()));
    };
    let (item, value) = (item.trim(), value.trim());
    if value.text.is_empty() {
        return fail(
            piece.span(),
            format!("item `{}` has no value", item.text.escape_debug()),
        );
    }
    if value.text.contains('=') {
        return fail(
            value.span(),
            format!("the value `{}` contains `=`", value.text.escape_debug()),
        );
    }
    let number = item.text.parse().map_err(|_| Error {
        span: item.span(),
        message: format!(
            "an item is a whole number such as 0, not `{}`",
            item.text.escape_debug()
        ),
        outside: None,
    })?;
    Ok((
        number,
        Value {
            text: value.text.to_owned(),
            item_span: item.span(),
        },
    ))
}

fn out_of_range(items: &Ranges, total: u32) -> String {
    let there_is = match items.count() {
        1 => "there is no item",
        _ => "there are no items",
    };
    match total {
        0 => format!("{there_is} {items}: the job has no items"),
        1 => format!("{there_is} {items}: the only item is 0"),
        _ => format!("{there_is} {items}: items are 0 to {}", total - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(i32, &str)]) {
        let parameters = ItemParameters::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(parameters.iter().collect::<Vec<_>>(), expected);
    }

    /// Checks the wrong parts of a text.
    #[track_caller]
    fn check_refused(text: &str, expected: &[&str]) {
        let errors = ItemParameters::parse(text).expect_err(text);
        let parts: Vec<&str> = errors.iter().map(|error| &text[error.span()]).collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_java_reads_should_be_read_alike() {
        check("0=A,1=B", &[(0, "A"), (1, "B")]);
        check("0=A, 1 = B ", &[(0, "A"), (1, "B")]);
        check(" 0 = A b ", &[(0, "A b")]);
        check("0=A,0=B", &[(0, "B")]);
        check("-1=A", &[(-1, "A")]);
        check("+1=北京", &[(1, "北京")]);
        check("0=A,", &[(0, "A")]);
        check("0=A,,", &[(0, "A")]);
        check("", &[]);
        check(",", &[]);
    }

    #[test]
    fn what_java_refuses_should_be_refused_with_places() {
        check_refused("0=A,,1=B", &[""]);
        check_refused(",0=A", &[""]);
        check_refused("0=", &["0="]);
        check_refused("0=,1=B", &["0="]);
        check_refused("0= ,1=B", &["0="]);
        check_refused("0=A=B", &["A=B"]);
        check_refused("0, a=A,1.5=A", &["0", "a", "1.5"]);
        check_refused("  ", &[""]);
        check_refused("=A", &[""]);
        check_refused("99999999999=A", &["99999999999"]);
    }

    #[test]
    fn a_value_that_java_cuts_is_refused() {
        check_refused("0=QQ==", &["QQ=="]);
    }

    #[test]
    fn items_beyond_the_total_are_faults_with_places() {
        let text = "3=D, 1=B,-1=Z,0=A";
        let parameters = ItemParameters::parse(text).expect("well formed");
        let errors = parameters.check_range(3).expect_err("3 and -1 are outside");
        let found: Vec<_> = errors
            .iter()
            .map(|error| (&text[error.span()], error.message()))
            .collect();
        let expected = [
            ("3", "there is no item 3: items are 0 to 2"),
            ("-1", "there is no item -1: items are 0 to 2"),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            ItemParameters::parse("0=A,2=C").and_then(|parameters| parameters.check_range(3)),
            Ok(())
        );
    }

    mod many_faults {
        use super::*;

        /// The faults of 1,200 items, each written so, in a job of `total`.
        fn errors(total: u32, written: impl Fn(u32) -> String) -> Errors {
            let text = (0..1_200).map(written).collect::<Vec<_>>().join(",");
            ItemParameters::parse(&text)
                .and_then(|parameters| parameters.check_range(total))
                .expect_err("each is wrong")
        }

        #[test]
        fn of_one_kind_are_said_once() {
            let outside = errors(3, |item| format!("{item}=A"));
            assert_eq!(outside.iter().count(), 1_197);
            assert_eq!(outside.summary(), "there are no items 3-1199: items are 0 to 2");
            let same = errors(3, |item| format!("{item}="));
            assert_eq!(same.summary().matches("has no value").count(), MOST_LISTED);
            assert!(same.summary().ends_with("; and 1190 more faults"), "{}", same.summary());
            let empty = errors(3, |_| " ".to_owned());
            assert_eq!(empty.summary().matches("this one is empty").count(), 1);
        }

        #[test]
        fn repeat_the_text_for_the_first_alone() {
            for errors in [
                errors(3, |item| format!("{item}=A")),
                errors(3, |item| format!("{item}")),
            ] {
                let shown = errors.to_string();
                assert_eq!(shown.matches(errors.text()).count(), MOST_LISTED);
                assert!(shown.ends_with(&errors.summary()), "{shown}");
                assert!(errors.one_line().ends_with(&errors.summary()));
            }
        }
    }

    #[test]
    fn the_canonical_form_reads_back_equal() {
        let parameters = ItemParameters::parse(" 1 = B, 0=A ,").expect("well formed");
        assert_eq!(parameters.to_string(), "0=A,1=B");
        assert_eq!(ItemParameters::parse("0=A,1=B"), Ok(parameters));
    }

    #[test]
    fn errors_should_show_carets_under_wide_text_too() {
        let shown = ItemParameters::parse("0=北京,x=B")
            .expect_err("x is no number")
            .to_string();
        assert!(shown.ends_with("  0=北京,x=B\n         ^"), "{shown}");
    }
}
