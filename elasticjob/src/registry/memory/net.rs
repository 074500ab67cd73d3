//! What the steps of a transaction come to for each node. Pure.
//!
//! etcd takes one change of a key in a transaction. A registry on it writes what is left in the end, and so a node that is
//! deleted and created again stays the same node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tree::{Change, Life};

/// What is left of the changes of one node.
struct Net {
    /// Whether the node was there before.
    was_there: bool,
    last: Last,
}

enum Last {
    Data { data: Arc<[u8]>, created: Option<Life> },
    Deleted,
}

/// Returns whether two of the changes are about one node.
pub(super) fn is_any_named_twice(changes: &[Change]) -> bool {
    let mut named = BTreeSet::new();
    !changes.iter().all(|change| named.insert(change.path()))
}

/// Returns at most one change of each node. `was_there` says whether a node was there before. What is created or set comes in
/// the order in which it was first named, so that parents come first; what is deleted comes behind, children first.
pub(super) fn of_each_node(changes: &[Change], was_there: impl Fn(&str) -> bool) -> Vec<Change> {
    let mut nodes: BTreeMap<&str, Net> = BTreeMap::new();
    let (mut first, mut last) = (Vec::new(), BTreeMap::new());
    for (index, change) in changes.iter().enumerate() {
        let path = change.path();
        let net = nodes.entry(path).or_insert_with(|| {
            first.push(path);
            Net {
                was_there: was_there(path),
                last: Last::Deleted,
            }
        });
        last.insert(path, index);
        net.last = match change {
            Change::Created { data, life, .. } => Last::Data {
                data: Arc::clone(data),
                created: Some(*life),
            },
            Change::Changed { data, .. } => Last::Data {
                data: Arc::clone(data),
                created: match net.last {
                    Last::Data { created, .. } => created,
                    Last::Deleted => None,
                },
            },
            Change::Deleted { .. } => Last::Deleted,
        };
    }
    let written = first.iter().filter_map(|path| {
        let (net, path) = (&nodes[path], (*path).to_owned());
        match &net.last {
            Last::Data { data, created } => Some(net.written(path, Arc::clone(data), *created)),
            Last::Deleted => None,
        }
    });
    let mut deleted: Vec<&str> = first.iter().copied().filter(|path| nodes[path].is_deleted()).collect();
    deleted.sort_unstable_by_key(|path| last[path]);
    let deleted = deleted
        .into_iter()
        .map(|path| Change::Deleted { path: path.to_owned() });
    written.chain(deleted).collect()
}

impl Net {
    fn is_deleted(&self) -> bool {
        self.was_there && matches!(self.last, Last::Deleted)
    }

    fn written(&self, path: String, data: Arc<[u8]>, created: Option<Life>) -> Change {
        match created {
            Some(life) if !self.was_there => Change::Created { path, data, life },
            replaced => Change::Changed { path, data, replaced },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod a_node_named_twice {
        use super::*;

        fn created(path: &str, data: &str) -> Change {
            Change::Created {
                path: path.to_owned(),
                data: data.as_bytes().into(),
                life: Life::Persistent,
            }
        }

        fn changed(path: &str, data: &str) -> Change {
            Change::Changed {
                path: path.to_owned(),
                data: data.as_bytes().into(),
                replaced: None,
            }
        }

        fn deleted(path: &str) -> Change {
            Change::Deleted { path: path.to_owned() }
        }

        /// `there` were there before.
        fn check(there: &[&str], changes: &[Change], expected: &[&str]) {
            let shown = |change: &Change| match change {
                Change::Created { path, data, .. } => format!("+{path}={}", String::from_utf8_lossy(data)),
                Change::Changed { path, data, replaced } => {
                    let sign = if replaced.is_some() { "~" } else { "=" };
                    format!("{sign}{path}={}", String::from_utf8_lossy(data))
                }
                Change::Deleted { path } => format!("-{path}"),
            };
            let net = of_each_node(changes, |path| there.contains(&path));
            assert_eq!(net.iter().map(shown).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn has_the_last_of_its_changes() {
            check(&[], &[created("/a", "1"), changed("/a", "2")], &["+/a=2"]);
            check(&["/a"], &[changed("/a", "1"), changed("/a", "2")], &["=/a=2"]);
            check(&["/a"], &[changed("/a", "1"), deleted("/a")], &["-/a"]);
            check(&[], &[created("/a", "1"), deleted("/a")], &[]);
        }

        #[test]
        fn stays_if_it_is_replaced() {
            check(&["/a"], &[deleted("/a"), created("/a", "2")], &["~/a=2"]);
            let steps = [deleted("/a"), created("/a", "2"), changed("/a", "3")];
            check(&["/a"], &steps, &["~/a=3"]);
            let steps = [deleted("/a"), created("/a", "2"), deleted("/a")];
            check(&["/a"], &steps, &["-/a"]);
        }

        #[test]
        fn comes_behind_its_parent_and_goes_before_it() {
            let steps = [changed("/a", "1"), deleted("/a/b"), deleted("/a")];
            check(&["/a", "/a/b"], &steps, &["-/a/b", "-/a"]);
            let steps = [
                created("/a", "1"),
                created("/a/b", "2"),
                deleted("/a/b"),
                created("/a/b", "3"),
                changed("/a", "4"),
            ];
            check(&[], &steps, &["+/a=4", "+/a/b=3"]);
        }
    }
}
