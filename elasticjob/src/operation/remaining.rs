//! The order in which a subtree is deleted: children before their parents, and some nodes at a time.
//!
//! The nodes right below a job's root go at the end, its configuration among them. Of each level, only the names below some nodes of the level above are held, since a job may have millions of nodes. What the
//! registry answers is taken in as it comes: nodes that others created or deleted meanwhile only cost further requests. Nothing
//! here talks to a registry.

use crate::registry::{Limits, Size, Step, size_of};

/// The children of so many nodes are listed together. There may be many below each.
const LISTED_TOGETHER: usize = 1_000;

/// What is still to be deleted.
#[derive(Debug)]
pub(super) struct Remaining {
    /// From the root down: below each level are the children of some of its nodes.
    levels: Vec<Level>,
    /// What one transaction takes.
    limits: Limits,
}

/// Nodes of one depth.
#[derive(Debug, Default)]
struct Level {
    /// What is below these is not known.
    unlisted: Vec<String>,
    /// There is nothing below these, once all levels below this one are empty.
    listed: Vec<String>,
}

/// The next request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Lists the children of these nodes.
    List(Vec<String>),
    /// Deletes these nodes in one transaction.
    Delete(Vec<String>),
}

impl Remaining {
    /// A node, and all that is below it.
    pub(super) fn below(root: String, limits: Limits) -> Self {
        let level = Level {
            unlisted: vec![root],
            listed: Vec::new(),
        };
        Self {
            levels: vec![level],
            limits,
        }
    }

    /// Takes the nodes that are the next to be asked for; `None` if nothing remains.
    pub(super) fn next(&mut self) -> Option<Next> {
        loop {
            let level = self.levels.last_mut()?;
            if !level.listed.is_empty() {
                return Some(Next::Delete(take_transaction(&mut level.listed, self.limits)));
            }
            if !level.unlisted.is_empty() {
                let first = level.unlisted.len().saturating_sub(LISTED_TOGETHER);
                return Some(Next::List(level.unlisted.split_off(first)));
            }
            self.levels.pop();
        }
    }

    /// Records the names of the children of each node of a [`Next::List`]; `None` for a node that is not there any more.
    pub(super) fn listed(&mut self, nodes: impl Iterator<Item = (String, Option<Vec<String>>)>) {
        let Some(level) = self.levels.last_mut() else { return };
        let mut below = Level::default();
        for (path, children) in nodes {
            let Some(children) = children else { continue };
            below
                .unlisted
                .extend(children.iter().map(|name| format!("{path}/{name}")));
            level.listed.push(path);
        }
        self.levels.push(below);
    }

    /// Takes the nodes of a [`Next::Delete`] back, which may be there still, and have children again.
    pub(super) fn refused(&mut self, paths: Vec<String>) {
        if let Some(level) = self.levels.last_mut() {
            level.unlisted.extend(paths);
        }
    }
}

/// Returns the steps that delete these nodes.
pub(super) fn deletion(paths: &[String]) -> Vec<Step> {
    paths.iter().cloned().map(delete).collect()
}

fn delete(path: String) -> Step {
    Step::Delete { path, version: None }
}

/// Takes as many of the last nodes as one transaction deletes, one at least.
fn take_transaction(nodes: &mut Vec<String>, limits: Limits) -> Vec<String> {
    let (mut taken, mut size) = (Vec::new(), Size::default());
    while let Some(path) = nodes.pop() {
        size += size_of(&[delete(path.clone())]);
        if !limits.take(size) && !taken.is_empty() {
            nodes.push(path);
            break;
        }
        taken.push(path);
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::limits;

    /// Nodes, each with its ancestors.
    #[derive(Debug, Default)]
    struct Tree(BTreeSet<String>);

    impl Tree {
        fn plant(&mut self, path: &str) {
            let ends = path.match_indices('/').skip(1).map(|(end, _)| end).chain([path.len()]);
            self.0.extend(ends.map(|end| path[..end].to_owned()));
        }

        /// A job of so many items, as it is after a run.
        fn of_items(items: u32) -> Self {
            let mut tree = Self::default();
            for path in ["/job/config", "/job/ledger/epoch", "/job/servers/a"] {
                tree.plant(path);
            }
            for item in 0..items {
                tree.plant(&format!("/job/sharding/{item}/instance"));
                tree.plant(&format!("/job/ledger/items/{item}"));
            }
            tree
        }

        fn children(&self, path: &str) -> Option<Vec<String>> {
            let below = format!("{path}/");
            let names = self
                .0
                .range(below.clone()..)
                .map_while(|path| path.strip_prefix(&below));
            let names = names.filter(|name| !name.contains('/')).map(str::to_owned).collect();
            self.0.contains(path).then_some(names)
        }

        /// As a registry: all or nothing.
        fn delete(&mut self, paths: &[String]) -> bool {
            let before = self.0.clone();
            for path in paths {
                let is_empty = self.children(path).is_some_and(|children| children.is_empty());
                if !is_empty {
                    self.0 = before;
                    return false;
                }
                self.0.remove(path);
            }
            true
        }
    }

    impl Remaining {
        fn held(&self) -> usize {
            let held = self
                .levels
                .iter()
                .map(|level| level.unlisted.len() + level.listed.len());
            held.sum()
        }

        /// Records what the tree answers.
        fn list(&mut self, tree: &Tree, paths: Vec<String>) {
            self.listed(paths.into_iter().map(|path| (path.clone(), tree.children(&path))));
        }
    }

    mod a_job {
        use super::*;

        #[test]
        fn of_many_items_is_deleted_while_the_names_of_one_level_are_held() {
            let items = 3 * LISTED_TOGETHER;
            let mut tree = Tree::of_items(u32::try_from(items).expect("few"));
            let nodes = tree.0.len();
            assert_eq!(nodes, 3 * items + 8);
            let mut remaining = Remaining::below("/job".to_owned(), Limits::default());
            let (mut deleted, mut most) = (0, 0);
            while let Some(next) = remaining.next() {
                match next {
                    Next::List(paths) => remaining.list(&tree, paths),
                    Next::Delete(paths) => {
                        assert!(tree.delete(&paths), "{paths:?}");
                        deleted += paths.len();
                    }
                }
                most = most.max(remaining.held());
            }
            assert_eq!((deleted, tree.0.len()), (nodes, 0));
            assert!(most <= items + LISTED_TOGETHER + 8, "{most} of {nodes}");
        }

        #[test]
        fn keeps_its_configuration_to_the_end() {
            let mut tree = Tree::of_items(10);
            let mut remaining = Remaining::below("/job".to_owned(), Limits::default());
            let mut before = 0;
            while let Some(next) = remaining.next() {
                match next {
                    Next::List(paths) => remaining.list(&tree, paths),
                    Next::Delete(paths) => {
                        before = tree.0.len();
                        assert!(tree.0.contains("/job/config") || paths == ["/job"]);
                        assert!(tree.delete(&paths), "{paths:?}");
                    }
                }
            }
            assert_eq!(before, 1);
        }
    }

    mod nodes_that_others_write {
        use super::*;

        #[test]
        fn are_deleted_in_a_further_round() {
            let mut tree = Tree::of_items(2);
            let mut remaining = Remaining::below("/job".to_owned(), Limits::default());
            let (mut refusals, mut has_written) = (0, false);
            while let Some(next) = remaining.next() {
                match next {
                    Next::List(paths) => remaining.list(&tree, paths),
                    Next::Delete(paths) => {
                        if paths.contains(&"/job/sharding/1".to_owned()) && !has_written {
                            has_written = true;
                            tree.plant("/job/sharding/1/running/deep");
                        }
                        if !tree.delete(&paths) {
                            refusals += 1;
                            remaining.refused(paths);
                        }
                    }
                }
            }
            assert!(has_written);
            assert_eq!((refusals, tree.0.len()), (1, 0));
        }

        #[test]
        fn are_passed_over_if_they_are_gone() {
            let mut tree = Tree::of_items(2);
            let mut remaining = Remaining::below("/job".to_owned(), Limits::default());
            let mut refusals = 0;
            while let Some(next) = remaining.next() {
                match next {
                    Next::List(paths) => remaining.list(&tree, paths),
                    Next::Delete(paths) => {
                        tree.0.remove("/job/ledger/items/1");
                        if !tree.delete(&paths) {
                            refusals += 1;
                            remaining.refused(paths);
                        }
                    }
                }
            }
            assert_eq!(refusals, 1);
            assert!(tree.0.is_empty(), "{tree:?}");
        }
    }

    #[test]
    fn a_transaction_takes_no_more_than_it_may() {
        let _limits = limits::lower(1024, 1);
        let mut nodes: Vec<String> = (0..100).map(|node| format!("/job/{node:0100}")).collect();
        let mut taken = Vec::new();
        while !nodes.is_empty() {
            let some = take_transaction(&mut nodes, Limits::default());
            assert!(
                (1..10).contains(&some.len()) && size_of(&deletion(&some)).bytes <= 1024,
                "{}",
                some.len()
            );
            taken.extend(some);
        }
        assert_eq!(
            (taken.len(), taken[0].ends_with("99"), taken[99].ends_with("00")),
            (100, true, true)
        );
        let mut long = vec!["x".repeat(5_000)];
        assert_eq!(take_transaction(&mut long, Limits::default()).len(), 1, "one at least");
    }
}
