//! Cuts the raw text of one entry out of a document, so that it can be written again as it was.

use super::emit::Output;
use super::tree::{Content, Node};

/// A document and the mapping at its root.
pub(crate) struct Verbatim<'a> {
    chars: Vec<char>,
    root: &'a Node,
    text: &'a str,
}

impl<'a> Verbatim<'a> {
    pub(crate) fn new(text: &'a str, root: &'a Node) -> Self {
        Self {
            chars: text.chars().collect(),
            root,
            text,
        }
    }

    /// What stands behind the colon of the root's entry, as it can stand behind a colon in a block mapping.
    ///
    /// `None` if the entry cannot stand alone, because it is or holds an alias of something outside of it.
    pub(crate) fn of_entry(&self, index: usize) -> Option<String> {
        let (key, value) = &self.root.entries()[index];
        if value.refers_to.is_some_and(|target| target < key.span.start) {
            return None;
        }
        let is_flow = self.chars.get(self.root.span.start) == Some(&'{');
        if is_flow {
            Some(self.of_flow(value))
        } else {
            self.of_block(index, key)
        }
    }

    /// The lines from the key's colon to the next key's line.
    fn of_block(&self, index: usize, key: &Node) -> Option<String> {
        let lines: Vec<&str> = self.text.lines().collect();
        let next = self
            .root
            .entries()
            .get(index + 1)
            .map_or(lines.len() + 1, |(next, _)| next.line);
        let mut taken = lines.get(key.line - 1..next - 1)?.iter();
        let line_start = key.span.start - self.column(key.span.start);
        let first: String = taken
            .next()?
            .chars()
            .skip(self.behind_colon(key) - line_start)
            .collect();
        let rest = taken.take_while(|line| !line.starts_with("...") && !line.starts_with("---"));
        let text = rest.fold(first, |text, line| text + "\n" + line);
        Some(text.trim_end().to_owned())
    }

    fn column(&self, position: usize) -> usize {
        self.chars[..position].iter().rev().take_while(|c| **c != '\n').count()
    }

    /// The position behind the colon that ends a key.
    fn behind_colon(&self, key: &Node) -> usize {
        let start = key.span.start;
        let length = match self.chars.get(start) {
            Some(quote @ ('"' | '\'')) => {
                let mut escaped = false;
                let inner = self.chars[start + 1..].iter().take_while(|c| {
                    let is_end = **c == *quote && !escaped;
                    escaped = **c == '\\' && !escaped && *quote == '"';
                    !is_end
                });
                inner.count() + 2
            }
            _ => key.scalar().map_or(0, |name| name.chars().count()),
        };
        let blanks = self.chars[start + length..].iter().take_while(|c| **c != ':').count();
        start + length + blanks + 1
    }

    fn of_flow(&self, value: &Node) -> String {
        let mut text = " ".to_owned();
        match &value.content {
            Content::Scalar {
                text: scalar,
                is_plain: true,
            } if value.tag.is_empty() => text.push_str(scalar),
            Content::Scalar { text: scalar, .. } => {
                let mut output = Output::default();
                output.simple_key(scalar);
                if !value.tag.is_empty() {
                    text.push_str(&value.tag);
                    text.push(' ');
                }
                text.push_str(&output.into_text());
            }
            Content::Sequence(_) | Content::Mapping(_) => {
                if !value.tag.is_empty() {
                    text.push_str(&value.tag);
                    text.push(' ');
                }
                let raw: String = self.chars[value.span.start..=value.span.end].iter().collect();
                text.push_str(&raw.replace('\n', "\n  "));
            }
        }
        text
    }
}
