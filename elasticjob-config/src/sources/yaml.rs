//! YAML files: every value with its line.

use super::error::{Error, Origin};
use super::tree::{Content, Tree};
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
            merged.retain(|(name, _)| own.iter().all(|(taken, _)| taken != name));
            merged.append(&mut own);
            Content::Map(merged)
        }
    };
    Tree { origin, content }
}
