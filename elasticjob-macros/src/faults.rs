//! Everything that is wrong with one use of an attribute.

use std::fmt::Display;
use std::ops::Range;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Collects faults, so that all are reported at once.
#[derive(Default)]
pub(crate) struct Faults {
    errors: Vec<syn::Error>,
}

impl Faults {
    /// Adds a fault, marked at all of `tokens`.
    pub(crate) fn add(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.errors.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a fault of a part of a literal. A part of a literal cannot be marked, so the message repeats its
    /// `text` with carets.
    pub(crate) fn add_within(&mut self, tokens: impl ToTokens, message: impl Display, text: &str, span: Range<usize>) {
        self.add(tokens, format_args!("{message}\n{}", underlined(text, span)));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// One `compile_error!` for each fault.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.errors.iter().map(syn::Error::to_compile_error).collect()
    }
}

/// The text with carets below the bytes of `span`; below its end, if they are none.
fn underlined(text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text).chars().count();
    let within = text.get(span).unwrap_or_default().chars().count();
    // What would break the line takes one column as well.
    let line: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    format!("{line}\n{}{}", " ".repeat(before), "^".repeat(within.max(1)))
}

/// The one of `candidates` that was probably meant: the nearest one, or one of which only the first words
/// were written.
pub(crate) fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (written.len() / 3).max(1);
    let is_start = |candidate: &str| {
        candidate
            .strip_prefix(written)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    let distances = candidates.map(|candidate| {
        let distance = if is_start(candidate) {
            1
        } else {
            distance(written, candidate)
        };
        (distance, candidate)
    });
    let (least, candidate) = distances.min_by_key(|&(distance, _)| distance)?;
    (least <= allowed).then_some(candidate)
}

/// How many characters to insert, delete or replace, or to exchange with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    // `rows[i][j]` is the distance of the first `i` characters of one to the first `j` of the other.
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
                let exchanged = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
                let least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if exchanged {
                    least.min(rows[i - 2][j - 2] + 1)
                } else {
                    least
                }
            };
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_should_count_edits() {
        assert_eq!(distance("", "cron"), 4);
        assert_eq!(distance("corn", "cron"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("misfire", "misfire"), 0);
    }

    #[test]
    fn only_something_near_should_be_suggested() {
        let keys = || ["cron", "sharding", "failover"].into_iter();
        assert_eq!(nearest("shading", keys()), Some("sharding"));
        assert_eq!(nearest("fail_over", keys()), Some("failover"));
        assert_eq!(
            nearest("max_time_diff", ["max_time_diff_seconds"].into_iter()),
            Some("max_time_diff_seconds")
        );
        assert_eq!(nearest("colour", keys()), None);
    }

    #[test]
    fn carets_should_stand_below_the_wrong_characters() {
        assert_eq!(underlined("0=Ü,x=B", 5..6), "0=Ü,x=B\n    ^");
        assert_eq!(underlined("0=A\n", 3..3), "0=A \n   ^");
    }
}
