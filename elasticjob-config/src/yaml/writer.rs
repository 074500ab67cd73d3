//! Writes the block mapping that a `config` node is.

use std::collections::BTreeMap;

use super::emit::Output;

/// A key as long as this does not fit in front of its colon: SnakeYAML takes less than 128, and counts a `!!str` in.
const LONGEST_SIMPLE_KEY: usize = 123;

/// What can stand behind a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Texts(&'a [String]),
    Map(&'a BTreeMap<String, String>),
    /// YAML that was read earlier, from behind its key's colon to the end of its last line, to be written as it was.
    Verbatim(&'a str),
}

/// Collects entries and writes them in alphabetical order.
#[derive(Debug, Default)]
pub(crate) struct Writer<'a> {
    entries: BTreeMap<&'a str, Value<'a>>,
}

impl<'a> Writer<'a> {
    /// Adds an entry. Empty lists and maps are left out, as Java does.
    pub(crate) fn entry(&mut self, key: &'a str, value: Value<'a>) {
        let is_left_out = match value {
            Value::Texts(texts) => texts.is_empty(),
            Value::Map(map) => map.is_empty(),
            _ => false,
        };
        if !is_left_out {
            self.entries.insert(key, value);
        }
    }

    /// The document, with one line feed at its end.
    pub(crate) fn finish(self) -> String {
        let mut output = Output::default();
        for (key, value) in self.entries {
            output.start_line();
            write_entry(&mut output, key, value);
        }
        output.start_line();
        output.into_text()
    }
}

fn write_entry(output: &mut Output, key: &str, value: Value<'_>) {
    write_key(output, key);
    match value {
        Value::Bool(value) => output.push(&format!(" {value}")),
        Value::Int(value) => output.push(&format!(" {value}")),
        Value::Texts(texts) => write_list(output, texts),
        Value::Map(map) => write_map(output, map),
        Value::Verbatim(text) => output.push(text),
        Value::Text(text) => {
            output.push(" ");
            output.value(text, 2);
        }
    }
}

fn write_list(output: &mut Output, texts: &[String]) {
    for text in texts {
        output.start_line();
        output.push("- ");
        output.value(text, 2);
    }
}

fn write_map(output: &mut Output, map: &BTreeMap<String, String>) {
    for (key, text) in map {
        output.start_line();
        output.push("  ");
        if is_short(key) && !key.is_empty() && !key.contains('\n') {
            output.simple_key(key);
            output.push(":");
        } else {
            output.push("? ");
            output.value(key, 4);
            output.start_line();
            output.push("  :");
        }
        output.push(" ");
        output.value(text, 4);
    }
}

/// Writes a key of the document, on one line of its own if it does not fit in front of a colon.
fn write_key(output: &mut Output, key: &str) {
    if is_short(key) {
        output.simple_key(key);
    } else {
        output.push("? ");
        output.simple_key(key);
        output.start_line();
    }
    output.push(":");
}

fn is_short(key: &str) -> bool {
    key.encode_utf16().count() < LONGEST_SIMPLE_KEY
}
