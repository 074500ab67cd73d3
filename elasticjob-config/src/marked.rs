//! Showing where in a text something is wrong.

use std::fmt;
use std::ops::Range;

/// Writes `text` and, below it, carets under `span`.
///
/// An empty span gets one caret. Tabs keep their width, control characters that would tear the
/// two lines apart are shown as blanks.
pub(crate) fn underline(f: &mut fmt::Formatter<'_>, text: &str, span: &Range<usize>) -> fmt::Result {
    let shown: String = text
        .chars()
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect();
    let before = text.get(..span.start).unwrap_or(text);
    let inside = text.get(span.clone()).unwrap_or_default();
    let pad: String = before
        .chars()
        .map(|c| {
            if c == '\t' {
                "\t".to_owned()
            } else {
                " ".repeat(columns(c))
            }
        })
        .collect();
    let carets = "^".repeat(inside.chars().map(columns).sum::<usize>().max(1));
    write!(f, "  {shown}\n  {pad}{carets}")
}

/// How many columns a terminal gives to a character: two for those of East Asia.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F => 2,
        0xFF01..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x2_0000..=0x3_FFFD => 2,
        _ => 1,
    }
}

/// A part of a text that knows where in the text it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

impl<'a> Piece<'a> {
    pub(crate) fn whole(text: &'a str) -> Self {
        Self { text, start: 0 }
    }

    pub(crate) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The part from byte `from` up to `until` of this piece.
    pub(crate) fn slice(&self, from: usize, until: usize) -> Self {
        Self {
            text: &self.text[from..until],
            start: self.start + from,
        }
    }

    pub(crate) fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut from = 0;
        self.text.split(separator).map(move |text| {
            let piece = self.slice(from, from + text.len());
            from += text.len() + separator.len_utf8();
            piece
        })
    }

    pub(crate) fn split_once(&self, separator: char) -> Option<(Self, Self)> {
        let at = self.text.find(separator)?;
        Some((
            self.slice(0, at),
            self.slice(at + separator.len_utf8(), self.text.len()),
        ))
    }

    /// Without blanks and control characters at both ends, which is what Java calls trimming.
    pub(crate) fn trim(&self) -> Self {
        let is_blank = |c: char| c <= ' ';
        let text = self.text.trim_start_matches(is_blank);
        let from = self.text.len() - text.len();
        let text = text.trim_end_matches(is_blank);
        self.slice(from, from + text.len())
    }
}
