//! Java's `.properties` files, in UTF-8.

use std::collections::BTreeMap;
use std::ops::Range;

use super::error::{Error, Errors, Origin};
use super::tree::{Content, Tree};

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
    let documents = documents(&lines).into_iter();
    documents
        .map(|range| document(path, range.start, &lines[range]))
        .collect()
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
    let mut entries: Vec<(String, Tree)> = Vec::new();
    let mut lines = lines.iter().enumerate();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut line = first.to_owned();
        while is_continued(&line) {
            line.pop();
            let Some((_, next)) = lines.next() else { break };
            line.push_str(next.trim_start());
        }
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
        place(&mut entries, name, value, origin);
    }
    Ok(Tree {
        origin: origin(None),
        content: Content::Map(entries),
    })
}

/// Adds an entry; `name[0]`, `name[1]` and so on make a list.
fn place(entries: &mut Vec<(String, Tree)>, name: String, value: String, origin: Origin) {
    let item = Tree {
        origin: origin.clone(),
        content: Content::Text(value),
    };
    let is_index = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let list = name
        .strip_suffix(']')
        .and_then(|name| name.rsplit_once('['))
        .filter(|(_, index)| is_index(index));
    let Some((list, _)) = list else {
        entries.push((name, item));
        return;
    };
    match entries.iter_mut().find(|(taken, _)| taken == list) {
        Some((
            _,
            Tree {
                content: Content::List(items),
                ..
            },
        )) => items.push(item),
        _ => entries.push((
            list.to_owned(),
            Tree {
                origin,
                content: Content::List(vec![item]),
            },
        )),
    }
}

/// An odd number of backslashes at its end continues a line.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|c| *c == b'\\').count() % 2 == 1
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
