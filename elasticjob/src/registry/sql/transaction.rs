//! What the steps of a transaction do to the rows that they name. Pure.
//!
//! The nodes that a transaction names are read as a [`Page`], the steps are executed on it, and the rows that differ afterwards
//! are written: so a refused step changes nothing, and a transaction of many steps costs few statements.
//!
//! The rules are those of ZooKeeper: a node needs a parent that is not ephemeral, a node with children cannot be
//! deleted, a version that is given has to be the one that is there, and a sequential node gets the next number of its
//! parent, which never comes again while the parent is there. A later step sees what the earlier ones did.

use std::collections::{BTreeMap, BTreeSet};

use crate::registry::{CreateMode, Error, Stat, Step, WatchEvent, WriteError, Written, path};

/// A node as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) data: Vec<u8>,
    pub(super) stat: Stat,
    /// The number of the next sequential child.
    pub(super) next_number: i64,
}

/// The number and the time of a transaction, and its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) token: i64,
    /// In milliseconds since 1970.
    pub(super) at: i64,
    pub(super) session: i64,
}

/// A row that has to become another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RowChange {
    Put(String, Node),
    Remove(String),
}

/// What a transaction did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) answers: Vec<Written>,
    /// What happened, step by step.
    pub(super) events: Vec<WatchEvent>,
    /// The net effect on each row.
    pub(super) rows: Vec<RowChange>,
}

/// What a transaction has to read before it can be executed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Nodes, by path.
    pub(super) nodes: BTreeSet<String>,
    /// Nodes whose children have to be counted, as far as [`Needs::count_to`].
    pub(super) parents: BTreeSet<String>,
    pub(super) count_to: i64,
}

/// The nodes that a transaction names, and their parents.
#[derive(Debug, Default)]
pub(super) struct Page {
    entries: BTreeMap<String, Entry>,
}

/// A node on the page, or the place of one that is missing.
#[derive(Debug, Default)]
struct Entry {
    was_there: bool,
    is_changed: bool,
    node: Option<Node>,
    /// Counted only for nodes that are to be deleted.
    children: i64,
}

impl Needs {
    /// What the steps need. Sequential nodes need a [second look](Page::numbered), since their parents number them.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut needs = Self::default();
        for step in steps {
            match step {
                Step::Create { path, mode, .. } => {
                    needs.nodes.insert(path::split(path).0.to_owned());
                    if *mode != CreateMode::EphemeralSequential {
                        needs.nodes.insert(path.clone());
                    }
                }
                Step::Set { path, .. } | Step::Check { path, .. } => {
                    needs.nodes.insert(path.clone());
                }
                Step::Delete { path, .. } => {
                    needs.nodes.insert(path.clone());
                    needs.parents.insert(path.clone());
                    // A node with more children than that has some left at the end.
                    needs.count_to += 1;
                }
            }
        }
        needs
    }
}

impl Page {
    /// Puts the nodes that are needed on the page: those that are there, and the others as missing.
    pub(super) fn add(&mut self, needed: BTreeSet<String>, found: impl IntoIterator<Item = (String, Node)>) {
        for path in needed {
            self.entries.entry(path).or_default();
        }
        for (path, node) in found {
            let entry = self.entries.entry(path).or_default();
            (entry.was_there, entry.node) = (true, Some(node));
        }
    }

    /// Puts down how many children a node has.
    pub(super) fn count(&mut self, parent: &str, children: i64) {
        if let Some(entry) = self.entries.get_mut(parent) {
            entry.children = children;
        }
    }

    /// Returns the paths that the sequential nodes of the steps may get.
    pub(super) fn numbered(&self, steps: &[Step]) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        let mut count: BTreeMap<&str, i64> = BTreeMap::new();
        for step in steps {
            let Step::Create {
                path,
                mode: CreateMode::EphemeralSequential,
                ..
            } = step
            else {
                continue;
            };
            let parent = path::split(path).0;
            let so_far = count.entry(parent).or_default();
            let stored = self.get(parent).map_or(0, |node| node.next_number);
            // From 0 if the transaction itself creates the parent, again or for the first time.
            paths.extend([numbered(path, stored + *so_far), numbered(path, *so_far)]);
            *so_far += 1;
        }
        paths.retain(|path| !self.entries.contains_key(path));
        paths
    }

    /// Executes the steps: all, or none and the reason.
    pub(super) fn execute(mut self, steps: Vec<Step>, stamp: Stamp) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome::default();
        for (index, step) in steps.into_iter().enumerate() {
            let refused = |error| WriteError {
                step: Some(index),
                error,
            };
            let (answer, event) = self.step(step, stamp).map_err(refused)?;
            outcome.answers.push(answer);
            outcome.events.extend(event);
        }
        outcome.rows = self.changed_rows();
        Ok(outcome)
    }

    /// Executes one step on the page. Returns its answer, and what it changed.
    fn step(&mut self, step: Step, stamp: Stamp) -> Result<(Written, Option<WatchEvent>), Error> {
        match step {
            Step::Create { path, data, mode } => {
                let path = self.create(path, data, mode, stamp)?;
                Ok((Written::Created(path.clone()), Some(WatchEvent::Created(path))))
            }
            Step::Set { path, data, version } => {
                let node = self.expect_version(&path, version)?;
                node.data = data;
                node.stat.version = node.stat.version.wrapping_add(1);
                (node.stat.modified, node.stat.modified_at) = (stamp.token, stamp.at);
                let stat = node.stat;
                self.entry(&path).is_changed = true;
                Ok((Written::Set(stat), Some(WatchEvent::Changed(path))))
            }
            Step::Delete { path, version } => {
                self.expect_version(&path, version)?;
                let entry = self.entry(&path);
                if entry.children > 0 {
                    return Err(Error::NotEmpty);
                }
                (entry.node, entry.is_changed) = (None, true);
                if let Some(parent) = self.entries.get_mut(path::split(&path).0) {
                    parent.children -= 1;
                }
                Ok((Written::Deleted, Some(WatchEvent::Deleted(path))))
            }
            Step::Check { path, version } => {
                self.expect_version(&path, version)?;
                Ok((Written::Checked, None))
            }
        }
    }

    /// Creates a node and returns its path, which has a number at its end if it is sequential.
    fn create(&mut self, mut path: String, data: Vec<u8>, mode: CreateMode, stamp: Stamp) -> Result<String, Error> {
        let parent = path::split(&path).0.to_owned();
        let node = self.get(&parent).ok_or(Error::NoNode)?;
        if node.stat.ephemeral_owner != 0 {
            return Err(Error::EphemeralParent);
        }
        let is_sequential = mode == CreateMode::EphemeralSequential;
        if is_sequential {
            path = numbered(&path, node.next_number);
        }
        if self.get(&path).is_some() {
            return Err(Error::NodeExists);
        }
        let ephemeral_owner = match mode {
            CreateMode::Persistent | CreateMode::Container => 0,
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => stamp.session,
        };
        let stat = Stat {
            version: 0,
            created: stamp.token,
            modified: stamp.token,
            modified_at: stamp.at,
            ephemeral_owner,
        };
        let entry = self.entry(&path);
        entry.node = Some(Node {
            data,
            stat,
            next_number: 0,
        });
        (entry.is_changed, entry.children) = (true, 0);
        let parent = self.entry(&parent);
        parent.children += 1;
        if is_sequential && let Some(node) = &mut parent.node {
            node.next_number += 1;
            parent.is_changed = true;
        }
        Ok(path)
    }

    /// Returns a node, if it is there and has this version, or any if none is given.
    fn expect_version(&mut self, path: &str, version: Option<i32>) -> Result<&mut Node, Error> {
        let node = self.entry(path).node.as_mut().ok_or(Error::NoNode)?;
        if version.is_some_and(|version| version != node.stat.version) {
            return Err(Error::BadVersion);
        }
        Ok(node)
    }

    fn get(&self, path: &str) -> Option<&Node> {
        self.entries.get(path).and_then(|entry| entry.node.as_ref())
    }

    fn entry(&mut self, path: &str) -> &mut Entry {
        self.entries
            .get_mut(path)
            .expect("all that the steps name was put on the page")
    }

    /// Returns what is to be written. A node that was created and deleted again leaves nothing.
    fn changed_rows(self) -> Vec<RowChange> {
        let changed = self.entries.into_iter().filter(|(_, entry)| entry.is_changed);
        let rows = changed.filter_map(|(path, entry)| match entry.node {
            Some(node) => Some(RowChange::Put(path, node)),
            None if entry.was_there => Some(RowChange::Remove(path)),
            None => None,
        });
        rows.collect()
    }
}

/// Returns the path of a sequential node: ten digits at least, as ZooKeeper writes them, so that the order of texts is
/// that of numbers.
fn numbered(prefix: &str, number: i64) -> String {
    format!("{prefix}{number:010}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        token: 7,
        at: 70,
        session: 3,
    };

    fn create_as(path: &str, mode: CreateMode) -> Step {
        Step::Create {
            path: path.into(),
            data: b"x".to_vec(),
            mode,
        }
    }

    fn create(path: &str) -> Step {
        create_as(path, CreateMode::Persistent)
    }

    fn delete(path: &str) -> Step {
        Step::Delete {
            path: path.into(),
            version: None,
        }
    }

    fn set(path: &str) -> Step {
        Step::Set {
            path: path.into(),
            data: b"y".to_vec(),
            version: None,
        }
    }

    /// Executes steps on these nodes: each with the number of its next sequential child, and of its children.
    fn execute(nodes: &[(&str, i64, i64)], steps: Vec<Step>) -> Result<Outcome, WriteError> {
        let found = |wanted: &BTreeSet<String>| {
            let found = nodes.iter().filter(|(path, ..)| wanted.contains(*path));
            let node = |next_number| Node {
                next_number,
                ..Node::default()
            };
            found
                .map(|(path, number, _)| ((*path).to_owned(), node(*number)))
                .collect::<Vec<_>>()
        };
        let (mut page, needs) = (Page::default(), Needs::of(&steps));
        let nodes_found = found(&needs.nodes);
        page.add(needs.nodes, nodes_found);
        for (path, _, children) in nodes.iter().filter(|(path, ..)| needs.parents.contains(*path)) {
            page.count(path, (*children).min(needs.count_to));
        }
        let numbered = page.numbered(&steps);
        let nodes_found = found(&numbered);
        page.add(numbered, nodes_found);
        page.execute(steps, STAMP)
    }

    fn refused(step: usize, error: Error) -> Result<Outcome, WriteError> {
        Err(WriteError {
            step: Some(step),
            error,
        })
    }

    mod rows {
        use super::*;

        #[test]
        fn are_written_once_with_the_net_effect() {
            let steps = vec![
                delete("/a/b"),
                create("/a/b"),
                set("/a/b"),
                create("/a/c"),
                delete("/a/c"),
                delete("/a/d"),
            ];
            let outcome = execute(&[("/a", 0, 2), ("/a/b", 5, 0), ("/a/d", 0, 0)], steps).unwrap();
            let [RowChange::Put(put, node), RowChange::Remove(removed)] = &outcome.rows[..] else {
                panic!("{outcome:?}");
            };
            assert_eq!((&**put, &**removed, &node.data[..]), ("/a/b", "/a/d", &b"y"[..]));
            assert_eq!((node.stat.version, node.stat.created, node.next_number), (1, 7, 0));
            assert_eq!(outcome.events.len(), 6, "each step has its event");
        }

        #[test]
        fn that_are_only_checked_are_not_written() {
            let check = Step::Check {
                path: "/a".into(),
                version: Some(0),
            };
            let outcome = execute(&[("/a", 0, 0)], vec![check]).unwrap();
            assert_eq!((outcome.rows, outcome.events), (vec![], vec![]));
        }
    }

    mod sequential_nodes {
        use super::*;

        fn numbered_below_a(nodes: &[(&str, i64, i64)], steps: Vec<Step>) -> Vec<Written> {
            let mut steps = steps;
            steps.extend(vec![create_as("/a/n-", CreateMode::EphemeralSequential); 2]);
            execute(nodes, steps).unwrap().answers.split_off(steps_before(nodes))
        }

        fn steps_before(nodes: &[(&str, i64, i64)]) -> usize {
            usize::from(nodes.len() > 1) * 2
        }

        #[test]
        fn have_the_next_numbers_of_their_parent() {
            let written = |number: &str| Written::Created(format!("/a/n-{number}"));
            assert_eq!(
                numbered_below_a(&[("/a", 41, 3)], vec![]),
                [written("0000000041"), written("0000000042")]
            );
            let again = vec![delete("/a"), create("/a")];
            assert_eq!(
                numbered_below_a(&[("/a", 41, 0), ("/", 0, 1)], again),
                [written("0000000000"), written("0000000001")]
            );
        }

        #[test]
        fn refuse_a_name_that_is_taken() {
            let steps = vec![create_as("/a/n-", CreateMode::EphemeralSequential)];
            assert_eq!(
                execute(&[("/a", 4, 1), ("/a/n-0000000004", 0, 0)], steps),
                refused(0, Error::NodeExists)
            );
        }
    }

    mod deletions {
        use super::*;

        #[test]
        fn need_a_node_without_children() {
            let nodes = [("/a", 0, 2), ("/a/b", 0, 0), ("/a/c", 0, 0)];
            assert_eq!(
                execute(&nodes, vec![delete("/a/b"), delete("/a")]),
                refused(1, Error::NotEmpty)
            );
            let all = vec![delete("/a/b"), delete("/a/c"), delete("/a")];
            assert_eq!(execute(&nodes, all).unwrap().rows.len(), 3);
            let with_a_new_one = vec![delete("/a/b"), delete("/a/c"), create("/a/b"), delete("/a")];
            assert_eq!(execute(&nodes, with_a_new_one), refused(3, Error::NotEmpty));
        }
    }
}
