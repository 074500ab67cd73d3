//! Takes one entry out of a document, so that it can be written again: as it was if possible.
//!
//! What leaves this module can be read again, as the same value: each entry is written and parsed before it is given out.

use super::emit::Output;
use super::lines::Lines;
use super::resolve::Type;
use super::style::{self, Style};
use super::tree::{self, Content, Limits, Node, Position};
use super::writer::{Value, Writer};

/// A longer key does not fit in front of its colon.
const LONGEST_SIMPLE_KEY: usize = 120;

/// A document and the mapping at its root.
pub(crate) struct Verbatim<'a> {
    lines: Vec<Line<'a>>,
    root: &'a Node,
}

/// Why an entry cannot be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unkept {
    /// It is or holds an alias of something outside of it.
    RefersElsewhere,
    /// No notation of ours says what it says.
    Unreadable,
}

impl<'a> Verbatim<'a> {
    pub(crate) fn new(lines: &'a Lines<'_>, root: &'a Node) -> Self {
        Self {
            lines: lines.text().split('\n').map(Line::new).collect(),
            root,
        }
    }

    /// What stands behind the colon of the root's entry, as it can stand behind a colon in a block mapping.
    ///
    /// The raw text, comments included, if that still says the same when it stands alone; else the value in one line.
    pub(crate) fn of_entry(&self, index: usize) -> Result<String, Unkept> {
        let (key, value) = &self.root.entries()[index];
        if value.refers_to.is_some_and(|target| target < key.start) {
            return Err(Unkept::RefersElsewhere);
        }
        let name = key.scalar().ok_or(Unkept::Unreadable)?;
        let raw = if self.is_flow() {
            self.of_flow(value)
        } else {
            self.of_block(index, key)
        };
        raw.filter(|text| {
            is_common(text) && !self.has_odd_scalar(value, self.is_flow()) && can_be_read(name, text, value)
        })
        .or_else(|| Some(in_one_line(value)).filter(|text| can_be_read(name, text, value)))
        .ok_or(Unkept::Unreadable)
    }

    fn is_flow(&self) -> bool {
        self.from(self.root.start).is_some_and(|rest| rest.starts_with('{'))
    }

    /// The lines from the key's colon to the next key's line.
    fn of_block(&self, index: usize, key: &Node) -> Option<String> {
        let next = self.root.entries().get(index + 1);
        let end = next.map_or(self.lines.len() + 1, |(next, _)| next.start.line);
        let lines = self.lines.get(key.start.line - 1..end.checked_sub(1)?)?.iter();
        let mut lines = lines
            .map(|line| line.text)
            .take_while(|line| !line.starts_with("...") && !line.starts_with("---"));
        let first = lines.next()?;
        let mut text = if first.starts_with('?') && key.start.column > 0 {
            // A key that has lines of its own: the colon begins the line after them.
            lines.find_map(|line| line.strip_prefix(':'))?.to_owned()
        } else {
            self.behind_colon(key)?.to_owned()
        };
        for line in lines {
            text.push('\n');
            text.push_str(line);
        }
        text.truncate(text.trim_end().len());
        Some(text)
    }

    /// The rest of the line behind the colon that ends a key of one line.
    fn behind_colon(&self, key: &Node) -> Option<&'a str> {
        let text = self.from(key.start)?;
        let behind_key = match text.chars().next()? {
            quote @ ('"' | '\'') => behind_quotes(text, quote)?,
            _ => text.strip_prefix(key.scalar()?)?,
        };
        behind_key.trim_start_matches([' ', '\t']).strip_prefix(':')
    }

    /// Returns the text of a value in a document that is written in braces, as in JSON.
    fn of_flow(&self, value: &Node) -> Option<String> {
        let (Content::Sequence(_) | Content::Mapping(_)) = value.content else {
            return Some(in_one_line(value));
        };
        let tag = match value.tag.as_str() {
            "" => String::new(),
            tag => format!("{tag} "),
        };
        Some(format!(" {tag}{}", self.between(value.start, value.end)?))
    }

    /// The text of some lines up to a token of one character, that included. Further lines are indented.
    fn between(&self, start: Position, end: Position) -> Option<String> {
        let behind_last = Position {
            line: end.line,
            column: end.column + 1,
        };
        let first = self.from(start)?;
        let last = self.from(behind_last)?;
        if start.line == end.line {
            return Some(first.strip_suffix(last)?.to_owned());
        }
        let mut text = first.to_owned();
        for line in self.lines.get(start.line..end.line)? {
            text.push_str("\n  ");
            text.push_str(line.text);
        }
        text.truncate(text.len().checked_sub(last.len())?);
        Some(text)
    }

    /// Whether a plain text within brackets is one that Java's reader might refuse there.
    fn has_odd_scalar(&self, node: &Node, is_in_brackets: bool) -> bool {
        let has_brackets = || is_in_brackets || self.from(node.start).is_some_and(|rest| rest.starts_with(['[', '{']));
        match &node.content {
            Content::Scalar { text, is_plain } => {
                let is_special = node.kind() == Type::Text && style::choose(text) != Style::Plain;
                is_in_brackets && *is_plain && (text.is_empty() || is_special || text.contains(['?', ':']))
            }
            Content::Sequence(items) => {
                let has_brackets = has_brackets();
                items.iter().any(|item| self.has_odd_scalar(item, has_brackets))
            }
            Content::Mapping(entries) => {
                let has_brackets = has_brackets();
                let is_odd = |node| self.has_odd_scalar(node, has_brackets);
                entries.iter().any(|(key, value)| is_odd(key) || is_odd(value))
            }
        }
    }

    /// The rest of a line. `None` if the text has no such place.
    fn from(&self, position: Position) -> Option<&'a str> {
        self.lines.get(position.line.checked_sub(1)?)?.from(position.column)
    }
}

/// A line that finds its columns without counting them each time.
struct Line<'a> {
    text: &'a str,
    /// Where each character starts, if one of them has several bytes.
    starts: Option<Vec<usize>>,
}

impl<'a> Line<'a> {
    fn new(text: &'a str) -> Self {
        let starts = || text.char_indices().map(|(start, _)| start).chain([text.len()]);
        Self {
            text,
            starts: (!text.is_ascii()).then(|| starts().collect()),
        }
    }

    fn from(&self, column: usize) -> Option<&'a str> {
        let start = match &self.starts {
            Some(starts) => *starts.get(column)?,
            None => column,
        };
        self.text.get(start..)
    }
}

/// What follows a quoted text that ends in its line.
fn behind_quotes(text: &str, quote: char) -> Option<&str> {
    let mut rest = text.get(1..)?;
    loop {
        let end = rest.find([quote, '\\'])?;
        let (found, behind) = (rest.as_bytes()[end], rest.get(end + 1..)?);
        let mut behind_escape = behind.chars();
        rest = match found {
            b'\\' if quote == '"' => behind_escape.next().map(|_| behind_escape.as_str())?,
            b'\\' => behind,
            _ if quote == '\'' && behind.starts_with('\'') => &behind[1..],
            _ => return Some(behind),
        };
    }
}

/// Whether YAML 1.1 and 1.2 read a raw text alike: Java's reader takes no tab between tokens, and breaks lines at three
/// characters that are none to ours.
fn is_common(text: &str) -> bool {
    !text.contains(['\t', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Whether an entry that is written so gives the value again.
fn can_be_read(key: &str, text: &str, value: &Node) -> bool {
    let mut writer = Writer::default();
    writer.entry(key, Value::Verbatim(text));
    let Ok(documents) = tree::parse(&writer.finish(), Limits::STORED) else {
        return false;
    };
    let [document] = documents.as_slice() else { return false };
    let [(read_key, read)] = document.entries() else {
        return false;
    };
    read_key.scalar() == Some(key) && read_key.kind() == Type::Text && read.says_the_same_as(value)
}

/// A value in one line, in the notation of JSON with tags: every reader understands that.
pub(crate) fn in_one_line(value: &Node) -> String {
    let mut output = Output::default();
    output.push(" ");
    write(&mut output, value);
    output.into_text()
}

/// Writes a node in one line.
fn write(output: &mut Output, node: &Node) {
    if node.tag.starts_with('!') {
        output.push(&format!("{} ", node.tag));
    } else if !node.tag.is_empty() {
        output.push(&format!("!<{}> ", node.tag));
    }
    match &node.content {
        Content::Scalar { text, .. } => match node.kind() {
            Type::Text => output.quoted(text),
            Type::Null => output.push("null"),
            _ => output.push(text),
        },
        Content::Sequence(items) => {
            output.push("[");
            for (index, item) in items.iter().enumerate() {
                output.push(if index == 0 { "" } else { ", " });
                write(output, item);
            }
            output.push("]");
        }
        Content::Mapping(entries) => {
            output.push("{");
            for (index, (key, value)) in entries.iter().enumerate() {
                output.push(if index == 0 { "" } else { ", " });
                let is_simple = key.scalar().is_some_and(|text| text.len() < LONGEST_SIMPLE_KEY);
                output.push(if is_simple { "" } else { "? " });
                write(output, key);
                output.push(if is_simple { ": " } else { " : " });
                write(output, value);
            }
            output.push("}");
        }
    }
}
