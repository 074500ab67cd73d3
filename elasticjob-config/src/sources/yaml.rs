//! YAML files: every value with its line.

use std::collections::HashSet;

use super::error::{Error, Origin};
use super::tree::{Content, Tree};
use crate::work::Counted;
use crate::yaml::tree::{self as yaml, Limits, Node};
use crate::yaml::value::printed_by_java;

/// Reads a file's documents.
pub(super) fn parse(path: &str, text: &str) -> Result<Vec<Tree>, Error> {
    let documents = yaml::parse(text, Limits::FILE).map_err(|error| {
        let origin = Origin::File {
            path: path.to_owned(),
            line: Some(error.line),
        };
        Error::new("", format!("not YAML: {} (column {})", error.problem, error.column)).at(origin)
    })?;
    Ok(documents.into_iter().map(|root| tree(path, root)).collect())
}

/// The text that Spring makes of a scalar, key or value: Java parses what is not quoted by YAML 1.1, so that `010` is 8, `yes`
/// is true and `1.50` is 1.5, and prints the value again.
fn text(scalar: &Node) -> String {
    let text = scalar.scalar().unwrap_or_default();
    if scalar.is_plain() {
        printed_by_java(text).unwrap_or_default()
    } else {
        text.to_owned()
    }
}

/// Adds what `<<` brings: of several maps the first counts.
fn merge(entries: Vec<(String, Tree)>, merged: &mut Vec<(String, Tree)>) {
    for (name, value) in entries {
        if merged.iter().all(|(taken, _)| *taken != name) {
            merged.push((name, value));
        }
    }
}

fn tree(path: &str, node: Node) -> Tree {
    let origin = Origin::File {
        path: path.to_owned(),
        line: Some(node.start.line),
    };
    let content = match node.content {
        yaml::Content::Scalar { .. } => Content::Text(text(&node)),
        yaml::Content::Sequence(items) => Content::List(items.into_iter().map(|item| tree(path, item)).collect()),
        yaml::Content::Mapping(entries) => {
            let mut merged = Vec::new();
            let mut own = Vec::new();
            for (key, value) in entries {
                let line = key.start.line;
                let is_merge = key.is_plain() && key.scalar() == Some("<<");
                let mut value = tree(path, value);
                if let Origin::File { line: position, .. } = &mut value.origin {
                    *position = Some(line);
                }
                match value.content {
                    Content::Map(entries) if is_merge => merge(entries, &mut merged),
                    Content::List(items) if is_merge && items.iter().all(Tree::is_map) => {
                        items
                            .into_iter()
                            .for_each(|item| merge(item.into_entries(), &mut merged));
                    }
                    content => {
                        let origin = value.origin;
                        own.push((text(&key), Tree { origin, content }));
                    }
                }
            }
            let taken: HashSet<Counted<&str>> = own.iter().map(|(name, _)| Counted(name.as_str())).collect();
            merged.retain(|(name, _): &(String, Tree)| !taken.contains(&Counted(name.as_str())));
            merged.append(&mut own);
            Content::Map(merged)
        }
    };
    Tree { origin, content }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::assert_grows_with_input;

    #[test]
    fn the_cost_of_a_merge_grows_with_its_keys() {
        assert_grows_with_input(|size| {
            let entries = |name: &str| -> String { (0..size).map(|key| format!("  {name}{key}: x\n")).collect() };
            let text = format!("a: &a\n{}b:\n  <<: *a\n{}", entries("k"), entries("l"));
            let documents = parse("file", &text).expect("it is well formed");
            let Content::Map(mut entries) = documents.into_iter().next().expect("there is one").content else {
                panic!("a map")
            };
            let Some((
                _,
                Tree {
                    content: Content::Map(merged),
                    ..
                },
            )) = entries.pop()
            else {
                panic!("a map")
            };
            assert_eq!(merged.len(), 2 * size);
        });
    }
}
