//! Java's `.properties` files, in UTF-8.
//!
//! They are read as Spring does, which adds two things to Java's format: several documents in one file, and lists by
//! numbered keys.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::error::{Error, Errors, Origin};
use super::tree::{Content, Tree};
use crate::work::{self, Counted};
use crate::yaml::tree::{Limits, MOST_DOCUMENTS};

/// Reads a file of Java's properties: each key with its value. Of two values of a key the last counts, as in Java.
///
/// `path` names the file in errors. What is `\\$` in the text stays so: it hides a placeholder.
///
/// # Errors
/// Names the line of an escape that is none.
pub fn read_properties(path: &str, text: &str) -> Result<BTreeMap<String, String>, Errors> {
    let lines: Vec<&str> = text.lines().collect();
    let tree = document(path, 0, &lines)?;
    let Content::Map(entries) = tree.content else {
        return Ok(BTreeMap::new());
    };
    let mut properties = BTreeMap::new();
    for (name, value) in entries {
        match value.content {
            Content::Text(text) => drop(properties.insert(name, text)),
            Content::List(items) => properties.extend(items.into_iter().enumerate().filter_map(|(index, item)| {
                let Content::Text(text) = item.content else { return None };
                Some((format!("{name}[{index}]"), text))
            })),
            _ => {}
        }
    }
    Ok(properties)
}

/// Reads a file's documents.
pub(super) fn parse(path: &str, text: &str) -> Result<Vec<Tree>, Error> {
    let lines: Vec<&str> = text.lines().collect();
    let documents = documents(&lines);
    refuse_more("lines", lines.len(), Limits::FILE.nodes, path)?;
    refuse_more("documents", documents.len(), MOST_DOCUMENTS, path)?;
    documents
        .into_iter()
        .map(|range| document(path, range.start, &lines[range]))
        .collect()
}

fn refuse_more(what: &str, count: usize, most: usize, path: &str) -> Result<(), Error> {
    if count <= most {
        return Ok(());
    }
    let origin = Origin::File {
        path: path.to_owned(),
        line: None,
    };
    Err(Error::new("", format!("the file has {count} {what}, at most {most} are read")).at(origin))
}

/// The lines of each document that says anything. Spring separates them by `#---` or `!---` at the start of a line, unless a
/// comment that begins alike comes right before it, or any comment comes before the next setting.
fn documents(lines: &[&str]) -> Vec<Range<usize>> {
    let mut documents: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let mut is_empty = true;
    let mut comment_before = None;
    let mut is_within_setting = false;
    for (index, line) in lines.iter().enumerate() {
        let comment = line.trim_start().chars().next().filter(|c| matches!(c, '#' | '!'));
        match comment {
            _ if is_within_setting => is_within_setting = is_continued(line),
            Some(prefix) if is_separator(line) && comment_before != Some(prefix) => {
                if !is_empty {
                    documents.push(start..index);
                }
                (start, is_empty) = (index + 1, true);
            }
            Some(prefix) => {
                comment_before = Some(prefix);
                if is_empty && let Some(reopened) = documents.pop() {
                    (start, is_empty) = (reopened.start, false);
                }
            }
            None => {
                comment_before = None;
                is_empty &= line.trim().is_empty();
                is_within_setting = is_continued(line);
            }
        }
    }
    if !is_empty {
        documents.push(start..lines.len());
    }
    documents
}

/// Returns whether a comment separates two documents.
fn is_separator(line: &str) -> bool {
    let rest = line.strip_prefix(['#', '!']).and_then(|rest| rest.strip_prefix("---"));
    rest.is_some_and(|rest| rest.trim().is_empty())
}

/// Reads one document, whose first line is number `before` of the file, counted from 0.
fn document(path: &str, before: usize, lines: &[&str]) -> Result<Tree, Error> {
    let origin = |line| Origin::File {
        path: path.to_owned(),
        line,
    };
    let mut entries = Entries::default();
    let mut lines = lines.iter().copied().enumerate();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let line = logical_line(first, lines.by_ref().map(|(_, line)| line));
        let origin = origin(Some(before + index + 1));
        let (name, value) = split(&line);
        let unescaped = unescape(name).zip(unescape(value));
        let Some((name, value)) = unescaped else {
            return Err(Error::new(
                "",
                "not a properties file: `\\u` is followed by four hexadecimal digits",
            )
            .at(origin));
        };
        if let Err(problem) = entries.place(&name, value, origin.clone()) {
            return Err(Error::new(name, problem).at(origin));
        }
    }
    Ok(Tree {
        origin: origin(None),
        content: Content::Map(entries.entries),
    })
}

/// A line and those that it is continued by.
fn logical_line<'a>(first: &'a str, mut further: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    let mut part = first;
    loop {
        // Whether a line is continued is to be seen by itself: all of them together would be looked at again and again.
        let Some(continued) = part.strip_suffix('\\').filter(|_| is_continued(part)) else {
            line.push_str(part);
            return line;
        };
        line.push_str(continued);
        let Some(next) = further.next() else { return line };
        part = next.trim_start();
    }
}

/// The settings of a file.
#[derive(Default)]
struct Entries {
    entries: Vec<(String, Tree)>,
    /// Where each list stands among them.
    lists: HashMap<Counted<String>, usize>,
}

impl Entries {
    /// Adds an entry; `name[0]`, `name[1]` and so on make a list.
    fn place(&mut self, name: &str, value: String, origin: Origin) -> Result<(), String> {
        let item = Tree {
            origin: origin.clone(),
            content: Content::Text(value),
        };
        let Some((list, number)) = item_of_list(name) else {
            self.entries.push((name.to_owned(), item));
            return Ok(());
        };
        let index = *self.lists.entry(Counted(list.to_owned())).or_insert_with(|| {
            let content = Content::List(Vec::new());
            self.entries.push((list.to_owned(), Tree { origin, content }));
            self.entries.len() - 1
        });
        if let Content::List(items) = &mut self.entries[index].1.content {
            let next = items.len();
            if number.parse() != Ok(next) {
                return Err(format!(
                    "the items of a list are numbered from 0 on, in their order: [{next}] is next"
                ));
            }
            items.push(item);
        }
        Ok(())
    }
}

/// The list whose item is called so, and the number of the item.
fn item_of_list(name: &str) -> Option<(&str, &str)> {
    let (list, index) = name.strip_suffix(']')?.rsplit_once('[')?;
    let is_index = !index.is_empty() && index.bytes().all(|c| c.is_ascii_digit());
    is_index.then_some((list, index))
}

/// An odd number of backslashes at its end continues a line.
fn is_continued(line: &str) -> bool {
    let backslashes = line.bytes().rev().inspect(|_| work::step());
    backslashes.take_while(|c| *c == b'\\').count() % 2 == 1
}

/// Name and value are separated by `=`, `:` or a blank that no backslash escapes.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|c: char| {
        let is_end = !is_escaped && matches!(c, '=' | ':' | ' ' | '\t');
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start())
}

/// Resolves the escapes of a name or a value; `None` after a `\u` without its four digits.
fn unescape(text: &str) -> Option<String> {
    let mut units = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                None => break,
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let is_valid = digits.len() == 4 && digits.bytes().all(|c| c.is_ascii_hexdigit());
                    units.push(u16::from_str_radix(&digits, 16).ok().filter(|_| is_valid)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                // Kept, because it hides a placeholder.
                Some('$') => {
                    units.push(u16::from(b'\\'));
                    '$'
                }
                Some(other) => other,
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    // Two escapes may make one character.
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::assert_grows_with_input;

    fn parsed(text: &str) -> Vec<(String, Tree)> {
        let documents = parse("file", text).expect("it is well formed");
        match documents.into_iter().next().map(|document| document.content) {
            Some(Content::Map(entries)) => entries,
            _ => Vec::new(),
        }
    }

    mod cost {
        use super::*;

        #[test]
        fn of_lists_grows_with_their_number() {
            assert_grows_with_input(|size| {
                let text: String = (0..size).map(|list| format!("a{list}[0]=x\n")).collect();
                assert_eq!(parsed(&text).len(), size);
            });
        }

        #[test]
        fn of_continued_lines_grows_with_their_number() {
            assert_grows_with_input(|size| {
                let text = format!("a=\\\n{}x\n", "\\\\\\\n".repeat(size));
                let entries = parsed(&text);
                let Content::Text(value) = &entries[0].1.content else {
                    panic!("a text")
                };
                assert_eq!(*value, "\\".repeat(size) + "x");
            });
        }
    }

    #[test]
    fn more_than_a_file_has_is_refused() {
        let text = "a=\n".repeat(Limits::FILE.nodes + 1);
        let refused = |text: &str| parse("file", text).expect_err("it is too much").to_string();
        assert_eq!(
            refused(&text),
            "file: the file has 1000001 lines, at most 1000000 are read"
        );
        assert_eq!(parsed(&text["a=\n".len()..]).len(), Limits::FILE.nodes);
        let documents = "a=\n#---\n".repeat(MOST_DOCUMENTS + 1);
        assert_eq!(
            refused(&documents),
            "file: the file has 1001 documents, at most 1000 are read"
        );
    }
}
