//! YAML files: every value with its line.

use std::collections::HashSet;

use super::error::{Error, Origin};
use super::tree::{Content, Tree};
use crate::work::Counted;
use crate::yaml::tree::{self as yaml, Limits, Node};

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

fn tree(path: &str, node: Node) -> Tree {
    let origin = Origin::File {
        path: path.to_owned(),
        line: Some(node.start.line),
    };
    let content = match node.content {
        yaml::Content::Scalar { text, is_plain } => {
            let is_null = is_plain && matches!(text.as_str(), "~" | "null" | "Null" | "NULL");
            Content::Text(if is_null { String::new() } else { text })
        }
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
                match (is_merge, value.content) {
                    (true, Content::Map(entries)) => merged.extend(entries),
                    (_, content) => {
                        let name = key.scalar().unwrap_or_default().to_owned();
                        own.push((
                            name,
                            Tree {
                                origin: value.origin,
                                content,
                            },
                        ));
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
