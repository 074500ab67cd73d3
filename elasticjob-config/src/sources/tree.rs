//! What every format is read into: texts, lists and maps, each with its origin.

use super::document;
use super::error::{Error, Origin};
use super::key;
use crate::yaml::tree::DEEPEST;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) origin: Origin,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// As it was written; nothing is an empty text.
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// A text and the path to it.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Tree {
    pub(super) fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    /// The entries of a map, none of anything else.
    pub(super) fn into_entries(self) -> Vec<(String, Self)> {
        match self.content {
            Content::Map(entries) => entries,
            Content::Text(_) | Content::List(_) => Vec::new(),
        }
    }

    /// All texts of a tree. A list of texts becomes one with commas, as all lists of ours can be written.
    pub(super) fn leaves(self, faults: &mut Vec<Error>) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.collect(Vec::new(), &mut leaves, faults);
        leaves
    }

    fn collect(self, path: Vec<String>, leaves: &mut Vec<Leaf>, faults: &mut Vec<Error>) {
        let origin = self.origin;
        if path.len() > DEEPEST {
            if is_ours(&path) {
                let key = path[..DEEPEST].join(".");
                faults.push(Error::new(key, format!("is nested deeper than {DEEPEST} levels")).at(origin));
            }
            return;
        }
        match self.content {
            Content::Text(text) => leaves.push(Leaf { path, text, origin }),
            Content::Map(entries) if entries.is_empty() => leaves.push(Leaf {
                path,
                text: String::new(),
                origin,
            }),
            Content::Map(entries) => {
                for (name, value) in entries {
                    let mut path = path.clone();
                    path.extend(parts_at(&path, name, &value));
                    value.collect(path, leaves, faults);
                }
            }
            Content::List(items) => match texts(items) {
                Some(texts) => leaves.push(Leaf {
                    path,
                    text: texts.join(","),
                    origin,
                }),
                // Lists of maps are found in other people's settings, and are none of our business there.
                None if !is_ours(&path) && !document::concerns_profiles(&path) => {}
                None => faults.push(Error::new(path.join("."), "a list of texts is expected").at(origin)),
            },
        }
    }
}

/// Whether a path is one of ElasticJob's.
pub(super) fn is_ours(path: &[String]) -> bool {
    path.first().is_some_and(|first| key::canonical(first) == "elasticjob")
}

/// The name of a job or of a user may hold dots if a map follows it; else dots stand for nesting.
fn parts_at(path: &[String], name: String, value: &Tree) -> Vec<String> {
    let is_name = is_ours(path) && key::has_names_below(&path[1..]);
    if is_name && matches!(value.content, Content::Map(_)) && !name.starts_with('[') {
        return vec![name];
    }
    key::parts(&name)
}

fn texts(items: Vec<Tree>) -> Option<Vec<String>> {
    let text = |item: Tree| match item.content {
        Content::Text(text) => Some(text),
        Content::List(_) | Content::Map(_) => None,
    };
    items.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(key: &str) -> (usize, Vec<Error>) {
        let at = |content| Tree {
            origin: Origin::Builder,
            content,
        };
        let mut faults = Vec::new();
        let text = at(Content::Text("x".to_owned()));
        let leaves = at(Content::Map(vec![(key.to_owned(), text)])).leaves(&mut faults);
        (leaves.len(), faults)
    }

    #[test]
    fn our_keys_beyond_the_depth_are_refused() {
        for levels in [DEEPEST, 1_000_000] {
            let (count, faults) = leaves(&format!("elasticjob{}", ".a".repeat(levels)));
            let expected = format!(
                "builder: `elasticjob{}`: is nested deeper than 64 levels",
                ".a".repeat(63)
            );
            assert_eq!((count, faults.len()), (0, 1));
            assert_eq!(faults[0].to_string(), expected);
            assert_eq!(leaves(&format!("spring{}", ".a".repeat(levels))), (0, Vec::new()));
        }
        assert_eq!(
            leaves(&format!("elasticjob{}", ".a".repeat(DEEPEST - 1))),
            (1, Vec::new())
        );
    }
}
