//! Writes one scalar as SnakeYAML does, folding long lines where it folds them.
//!
//! A rewrite by a member of ours changes only what was meant to change, if each scalar is written as Java has written it.

use std::fmt::Write as _;

use super::style::{self, Style};

/// Lines are folded at the first single blank after this column.
const BEST_WIDTH: usize = 80;

/// A text that grows, and where its last line stands.
///
/// The column counts UTF-16 units, because Java's does and it decides where a line is folded.
#[derive(Debug, Default)]
pub(super) struct Output {
    text: String,
    column: usize,
}

impl Output {
    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.encode_utf16().count();
    }

    pub(super) fn line_break(&mut self, indent: usize) {
        self.text.push('\n');
        self.column = 0;
        self.push(&" ".repeat(indent));
    }

    /// Starts a new line at `indent`, unless the output stands at the start of one.
    pub(super) fn start_line(&mut self) {
        if self.column > 0 {
            self.line_break(0);
        }
    }

    fn push_chars(&mut self, chars: &[char]) {
        for c in chars {
            self.text.push(*c);
            self.column += c.len_utf16();
        }
    }

    /// Writes a text as a value: `indent` is where its further lines start.
    pub(super) fn value(&mut self, text: &str, indent: usize) {
        match style::choose(text) {
            Style::Plain => self.plain(text, Some(indent)),
            Style::SingleQuoted => self.single_quoted(text, Some(indent)),
            Style::DoubleQuoted => self.double_quoted(text, Some(indent)),
            Style::Literal => self.literal(text, indent),
        }
    }

    /// Writes a text as a key in front of a colon: on one line of any length.
    pub(super) fn simple_key(&mut self, text: &str) {
        match style::choose(text) {
            Style::Plain => self.plain(text, None),
            Style::SingleQuoted => self.single_quoted(text, None),
            Style::DoubleQuoted | Style::Literal => self.double_quoted(text, None),
        }
    }

    /// Writes a text in double quotes and on one line, as it can stand anywhere.
    #[cfg(feature = "sources")]
    pub(super) fn quoted(&mut self, text: &str) {
        self.double_quoted(text, None);
    }

    /// Writes a text without quotes. `fold` is where further lines start; without it there are none.
    fn plain(&mut self, text: &str, fold: Option<usize>) {
        let chars: Vec<char> = text.chars().collect();
        self.folded(&chars, fold, false);
    }

    /// Writes a text in single quotes, in which a quote is doubled and nothing else is special.
    fn single_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.push("'");
        let chars: Vec<char> = text.replace('\'', "''").chars().collect();
        self.folded(&chars, fold, true);
        self.push("'");
    }

    /// Runs of blanks and of anything else in turn; a lone blank past the width becomes a line break.
    fn folded(&mut self, chars: &[char], fold: Option<usize>, keep_edges: bool) {
        let mut start = 0;
        while start < chars.len() {
            let is_blank = chars[start] == ' ';
            let length = chars[start..].iter().take_while(|c| (**c == ' ') == is_blank).count();
            let end = start + length;
            let is_edge = start == 0 || end == chars.len();
            match fold {
                Some(indent) if is_blank && length == 1 && self.column > BEST_WIDTH && !(keep_edges && is_edge) => {
                    self.line_break(indent);
                }
                _ => self.push_chars(&chars[start..end]),
            }
            start = end;
        }
    }

    /// `pending` are the characters that need no escape and are not written yet. A line is folded with a backslash, at a
    /// blank or after an escape.
    fn double_quoted(&mut self, text: &str, fold: Option<usize>) {
        let chars: Vec<char> = text.chars().collect();
        self.push("\"");
        let mut pending = 0;
        for end in 0..=chars.len() {
            let current = chars.get(end).copied();
            if current.is_none_or(|c| !matches!(c, ' '..='~') || c == '"' || c == '\\') {
                self.push_chars(&chars[pending.min(end)..end]);
                pending = end;
                if let Some(c) = current {
                    self.push(&escape(c));
                    pending = end + 1;
                }
            }
            let Some(indent) = fold else { continue };
            let is_inside = 0 < end && end + 1 < chars.len();
            let may_fold = current == Some(' ') || pending >= end;
            if is_inside && may_fold && self.column + end > BEST_WIDTH + pending {
                self.push_chars(&chars[pending.min(end)..end]);
                pending = pending.max(end);
                self.push("\\");
                self.line_break(indent);
                if chars[pending] == ' ' {
                    self.push("\\");
                }
            }
        }
        self.push("\"");
    }

    /// A literal block. Its header says how many line feeds end it, and the indentation if the first line could hide it.
    fn literal(&mut self, text: &str, indent: usize) {
        self.push("|");
        if text.starts_with([' ', '\n']) {
            self.push("2");
        }
        if !text.ends_with('\n') {
            self.push("-");
        } else if text == "\n" || text.ends_with("\n\n") {
            self.push("+");
        }
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.line_break(if line.is_empty() { 0 } else { indent });
            self.push(line);
        }
        self.line_break(0);
    }
}

/// Returns the escape of a character in double quotes.
fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => return escape_by_number(c),
    };
    format!("\\{short}")
}

/// Returns the escape of a character that has no short one; what can be printed stays as it is.
fn escape_by_number(c: char) -> String {
    let mut escaped = String::new();
    let written = match c {
        '\u{feff}' | '\u{fffe}'..='\u{ffff}' => write!(escaped, "\\u{:04x}", u32::from(c)),
        '\u{100}'.. => write!(escaped, "{c}"),
        '\u{a1}'..='\u{ff}' => write!(escaped, "{c}"),
        _ => write!(escaped, "\\x{:02x}", u32::from(c)),
    };
    written.expect("a string takes every character");
    escaped
}
