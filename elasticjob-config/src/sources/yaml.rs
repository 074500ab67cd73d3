//! YAML files: every value with its line, several documents with profiles.

use super::error::{Error, Origin};
use super::tree::{Content, Tree};
use crate::yaml::tree::{self as yaml, Limits, Node};

/// A document, and the profiles that it is for; none if it is for all.
pub(super) struct Document {
    pub(super) tree: Tree,
    pub(super) profiles: Vec<String>,
}

/// Reads a file's documents.
pub(super) fn parse(path: &str, text: &str) -> Result<Vec<Document>, Error> {
    let documents = yaml::parse(text, Limits::FILE).map_err(|error| {
        let origin = Origin::File {
            path: path.to_owned(),
            line: Some(error.line),
        };
        Error::new("", format!("not YAML: {} (column {})", error.problem, error.column)).at(origin)
    })?;
    let convert = |root: Node| Document {
        profiles: profiles(&root),
        tree: tree(path, root),
    };
    Ok(documents.into_iter().map(convert).collect())
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

/// What Spring calls `spring.config.activate.on-profile`.
fn profiles(root: &Node) -> Vec<String> {
    let mut node = root;
    let mut path = "spring.config.activate.on-profile";
    loop {
        let mut entries = node.entries().iter();
        let Some((name, value)) = entries.find_map(|(key, value)| {
            let name = key.scalar()?;
            (path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))).then_some((name, value))
        }) else {
            return Vec::new();
        };
        if name == path {
            return value.scalar().map(super::profile::names).unwrap_or_default();
        }
        path = &path[name.len() + 1..];
        node = value;
    }
}
