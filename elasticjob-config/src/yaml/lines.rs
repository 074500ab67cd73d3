//! The lines of a text as YAML 1.1 has them, for a parser that knows those of YAML 1.2.
//!
//! Java members and Spring read YAML 1.1. Three more characters end a line there: U+0085, which is a line feed to its
//! reader, and U+2028 and U+2029, which stay what they are in a text. SnakeYAML writes them so in literal blocks. And a
//! block ends with a line feed only if its last line does.

use std::borrow::Cow;
use std::collections::BTreeSet;

use yaml_rust2::scanner::TScalarStyle;

use super::tree::{Position, SyntaxError};

/// A text in which each line ends with a line feed, and what stands in the place of the other characters that end one.
pub(crate) struct Lines<'a> {
    text: Cow<'a, str>,
    breaks: Breaks,
    /// For each line the smallest indentation of it and those after it, blank ones aside; empty if the last line has its
    /// line feed.
    indentation: Vec<usize>,
    /// How many lines end, and the number of the last that is not blank.
    count: usize,
    last: usize,
}

enum Breaks {
    /// Each is a line feed. These are the numbers of the lines that end with U+2028 or U+2029, ascending.
    LineFeeds(Vec<(usize, char)>),
    /// They stand in quotes, as in JSON: each is a character that the text does not use otherwise.
    Quoted(StandIns),
}

/// Characters in the place of others, and how many of them there are in a text.
struct StandIns {
    /// What each stands for: a line feed between two words is a blank in quotes.
    characters: Vec<(char, char)>,
    count: usize,
}

/// What ends a line in YAML 1.1 alone.
const ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

impl<'a> Lines<'a> {
    /// The text with each of its line breaks as a line feed.
    pub(crate) fn new(text: &'a str) -> Self {
        if !text.contains('\r') && !text.contains(ENDS) {
            return Self::of_line_feeds(Cow::Borrowed(text), Breaks::LineFeeds(Vec::new()));
        }
        let mut lines = String::with_capacity(text.len());
        let mut separated = Vec::new();
        let mut number = 1;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\u{2028}' | '\u{2029}' => separated.push((number, c)),
                '\r' => drop(chars.next_if_eq(&'\n')),
                '\n' | '\u{85}' => {}
                c => {
                    lines.push(c);
                    continue;
                }
            }
            lines.push('\n');
            number += 1;
        }
        Self::of_line_feeds(Cow::Owned(lines), Breaks::LineFeeds(separated))
    }

    /// The text with stand-ins for all that ends a line in YAML 1.1 alone. `None` if there is nothing to stand in for, or no
    /// character to do so.
    pub(crate) fn quoted(text: &'a str) -> Option<Self> {
        if !text.contains(ENDS) {
            return None;
        }
        let is_private = |c: &char| ('\u{e000}'..='\u{f8ff}').contains(c);
        let used: BTreeSet<char> = text.chars().filter(is_private).collect();
        let unused = ('\u{e000}'..='\u{f8ff}').filter(|c| !used.contains(c));
        let characters: Vec<(char, char)> = unused.zip([' ', ENDS[1], ENDS[2]]).collect();
        let [next_line, line, paragraph] = characters.as_slice() else {
            return None;
        };
        let mut count = 0;
        let mut stand_in = |c, (other, _): &(char, char)| {
            count += usize::from(c != *other);
            *other
        };
        let replaced = text.chars().map(|c| match c {
            '\u{85}' => stand_in(c, next_line),
            '\u{2028}' => stand_in(c, line),
            '\u{2029}' => stand_in(c, paragraph),
            c => c,
        });
        let replaced: String = replaced.collect();
        let text = replaced.replace("\r\n", "\n").replace('\r', "\n");
        let breaks = Breaks::Quoted(StandIns { characters, count });
        Some(Self::of_line_feeds(Cow::Owned(text), breaks))
    }

    fn of_line_feeds(text: Cow<'a, str>, breaks: Breaks) -> Self {
        let indentation = if text.ends_with('\n') {
            Vec::new()
        } else {
            smallest_indentations(&text)
        };
        let blank = text.len() - text.trim_end_matches([' ', '\n']).len();
        let count = text.matches('\n').count();
        let last = count + 1 - text[text.len() - blank..].matches('\n').count();
        Self {
            text,
            breaks,
            indentation,
            count,
            last,
        }
    }

    /// The text with line feeds.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether these lines are those that every reader finds.
    pub(crate) fn are_as_written(&self) -> bool {
        matches!(&self.breaks, Breaks::LineFeeds(separated) if separated.is_empty())
    }

    /// Whether a block whose content starts here goes on to the end of the text, which is in a line without line feed.
    fn end_in_block(&self, start: Position) -> bool {
        let column = start.column.max(1);
        let is_within = |indentation: &usize| *indentation >= column;
        let last = self.text.rsplit('\n').next().unwrap_or_default();
        self.indentation.get(start.line - 1).is_some_and(is_within) && last.chars().count() >= column
    }
}

fn smallest_indentations(text: &str) -> Vec<usize> {
    let indentation = |line: &str| match line.trim_start_matches(' ') {
        "" => usize::MAX,
        rest => line.len() - rest.len(),
    };
    let mut smallest: Vec<usize> = text.split('\n').map(indentation).collect();
    for index in (1..smallest.len()).rev() {
        smallest[index - 1] = smallest[index - 1].min(smallest[index]);
    }
    smallest
}

/// Gives the scalars of a parser, which come in their order, the ends of lines that the text has.
pub(super) struct Restored<'a> {
    lines: &'a Lines<'a>,
    /// How many of the separators or stand-ins belong to scalars that are done.
    done: usize,
}

impl<'a> Restored<'a> {
    pub(super) fn new(lines: &'a Lines<'a>) -> Self {
        Self { lines, done: 0 }
    }

    /// What a scalar is that starts here and that the parser takes for `text`.
    ///
    /// # Errors
    /// If it holds what ends a line in YAML 1.1, or if that stands before it, where YAML 1.2 makes something else of it.
    pub(super) fn scalar(&mut self, text: String, style: TScalarStyle, start: Position) -> Result<String, SyntaxError> {
        let is_block = matches!(style, TScalarStyle::Literal | TScalarStyle::Folded);
        let text = if is_block { self.block(text, start) } else { text };
        match (&self.lines.breaks, style) {
            (Breaks::LineFeeds(separated), TScalarStyle::Literal) if !separated.is_empty() => {
                self.literal(&text, start, separated)
            }
            (Breaks::Quoted(stand_ins), TScalarStyle::SingleQuoted | TScalarStyle::DoubleQuoted) => {
                let (text, count) = stand_ins.replaced(&text);
                self.done += count;
                Ok(text)
            }
            _ => Ok(text),
        }
    }

    /// # Errors
    /// If something that ends a line in YAML 1.1 is left.
    pub(super) fn finish(&self) -> Result<(), SyntaxError> {
        match &self.lines.breaks {
            Breaks::LineFeeds(separated) => self.refuse_before(usize::MAX, separated),
            Breaks::Quoted(stand_ins) if self.done == stand_ins.count => Ok(()),
            Breaks::Quoted(_) => Err(refused(1, 1, ENDS[1])),
        }
    }

    /// A block without the line feed that the parser adds to a last line that has none.
    fn block(&self, mut text: String, start: Position) -> String {
        if !text.is_empty() && text.bytes().all(|c| c == b'\n') {
            return self.blank_lines(text, start);
        }
        if text.ends_with('\n') && self.lines.end_in_block(start) {
            text.pop();
        }
        text
    }

    /// A block of blank lines up to the end of the text, for which the parser makes a line feed of the indicator's.
    fn blank_lines(&self, text: String, start: Position) -> String {
        let lines = self.lines;
        if start.line != lines.last {
            return text;
        }
        let content = lines.text.trim_end_matches([' ', '\n']);
        let header = content.rsplit('\n').next().unwrap_or_default();
        let indicator: String = header.chars().skip(start.column).take_while(|c| *c != ' ').collect();
        if !indicator.starts_with(['|', '>']) {
            text
        } else if indicator.contains('+') {
            "\n".repeat(lines.count - lines.last)
        } else {
            String::new()
        }
    }

    /// Each line feed of a literal block ends one line of the text: the first ones those of blank lines above `start`.
    fn literal(&mut self, text: &str, start: Position, separated: &[(usize, char)]) -> Result<String, SyntaxError> {
        let blank = text.bytes().take_while(|c| *c == b'\n').count();
        let mut line = start.line.saturating_sub(blank);
        self.refuse_before(line, separated)?;
        let mut restored = String::with_capacity(text.len());
        for c in text.chars() {
            if c != '\n' {
                restored.push(c);
                continue;
            }
            match separated.get(self.done) {
                Some((number, separator)) if *number == line => {
                    self.done += 1;
                    restored.push(*separator);
                }
                _ => restored.push('\n'),
            }
            line += 1;
        }
        Ok(restored)
    }

    fn refuse_before(&self, line: usize, separated: &[(usize, char)]) -> Result<(), SyntaxError> {
        match separated.get(self.done) {
            Some((number, separator)) if *number < line => {
                let text = self.lines.text.split('\n').nth(number - 1).unwrap_or_default();
                Err(refused(*number, text.chars().count() + 1, *separator))
            }
            _ => Ok(()),
        }
    }
}

impl StandIns {
    /// A text without stand-ins, and how many there were in it. One beside a blank is left: the blank is part of the line
    /// break for YAML 1.1.
    fn replaced(&self, text: &str) -> (String, usize) {
        let found = |c: char| self.characters.iter().find(|(stand_in, _)| *stand_in == c);
        let is_word = |c: Option<&char>| c.is_some_and(|c| !matches!(c, ' ' | '\t' | '\n') && found(*c).is_none());
        let mut count = 0;
        let chars: Vec<char> = text.chars().collect();
        let replaced = chars.iter().enumerate().map(|(index, c)| match found(*c) {
            Some((_, other)) if is_word(chars[..index].last()) && is_word(chars.get(index + 1)) => {
                count += 1;
                *other
            }
            _ => *c,
        });
        (replaced.collect(), count)
    }
}

fn refused(line: usize, column: usize, end: char) -> SyntaxError {
    let code = u32::from(end);
    SyntaxError {
        line,
        column,
        problem: format!(
            "the character U+{code:X} ends a line for Java members, so it must be written as an escape, in double quotes"
        ),
    }
}
