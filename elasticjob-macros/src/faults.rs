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

/// The one of `candidates` that was probably meant.
pub(crate) fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (written.len() / 3).max(1);
    let distances = candidates.map(|candidate| (distance(written, candidate), candidate));
    let (least, candidate) = distances.min_by_key(|&(distance, _)| distance)?;
    (least <= allowed).then_some(candidate)
}

/// Levenshtein's distance: how many characters to insert, delete or replace.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_should_count_edits() {
        assert_eq!(distance("", "cron"), 4);
        assert_eq!(distance("corn", "cron"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("misfire", "misfire"), 0);
    }

    #[test]
    fn only_something_near_should_be_suggested() {
        let keys = || ["cron", "sharding", "failover"].into_iter();
        assert_eq!(nearest("shading", keys()), Some("sharding"));
        assert_eq!(nearest("fail_over", keys()), Some("failover"));
        assert_eq!(nearest("colour", keys()), None);
    }

    #[test]
    fn carets_should_stand_below_the_wrong_characters() {
        assert_eq!(underlined("0=Ü,x=B", 5..6), "0=Ü,x=B\n    ^");
        assert_eq!(underlined("0=A\n", 3..3), "0=A \n   ^");
    }
}
