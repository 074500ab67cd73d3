//! The tree of nodes, and how transactions change it. Pure: no sessions, no clocks.
//!
//! A step is resolved against the tree as it is and then applied, so later steps see earlier ones. Each application
//! returns what takes it back; a step that is refused has those before it taken back in reverse. Copies of the tree on
//! servers that are behind apply the same changes, with everything decided, and so never differ.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::children::{Children, Hasher};
use super::net;
use crate::registry::{Answer, CreateMode, Error, Read, Stat, Step, WatchEvent, WriteError, Written, path};

/// One server's copy of everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    root: Node,
    /// The paths of each session's ephemeral nodes, so that its end need not search for them.
    ephemerals: BTreeMap<i64, HashSet<String, Hasher>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    data: Arc<[u8]>,
    stat: Stat,
    is_container: bool,
    /// How many children were ever created here: the source of sequential numbers.
    children_created: u32,
    children: Children,
}

/// What a transaction does to a node that it names twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Effects {
    #[default]
    OfEachStep,
    /// What the steps come to, as etcd carries it out.
    NetOfEachNode,
}

/// The number and the time of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) transaction: i64,
    pub(super) at: i64,
}

/// A transaction that happened, as the other servers receive it.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) stamp: Stamp,
    pub(super) changes: Vec<Change>,
}

/// One change, with everything decided.
#[derive(Debug)]
pub(super) enum Change {
    Created {
        path: String,
        data: Arc<[u8]>,
        life: Life,
    },
    Changed {
        path: String,
        data: Arc<[u8]>,
        /// Of a node that took the place of another in one transaction: how long it lives.
        replaced: Option<Life>,
    },
    Deleted {
        path: String,
    },
}

/// How long a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Persistent,
    Container,
    Ephemeral { session: i64 },
}

/// What it takes to take a change back, beside its path.
enum Undo {
    Create,
    Change { data: Arc<[u8]>, stat: Stat },
    Delete { node: Node },
}

impl Tree {
    /// Executes the steps for `session`: all, or none and the reason.
    pub(super) fn execute(
        &mut self,
        session: i64,
        steps: Vec<Step>,
        stamp: Stamp,
        effects: Effects,
    ) -> Result<(Vec<Written>, Transaction), WriteError> {
        let mut written = Vec::with_capacity(steps.len());
        let mut changes = Vec::with_capacity(steps.len());
        let mut undo = Vec::with_capacity(steps.len());
        for (index, step) in steps.into_iter().enumerate() {
            let change = match self.resolve(session, step) {
                Ok(change) => change,
                Err(error) => {
                    self.roll_back(&changes, undo);
                    return Err(WriteError {
                        step: Some(index),
                        error,
                    });
                }
            };
            let Some(change) = change else {
                written.push(Written::Checked);
                continue;
            };
            let (taken_back_by, answer) = self.apply(&change, stamp);
            undo.push(taken_back_by);
            written.push(answer);
            changes.push(change);
        }
        if effects == Effects::NetOfEachNode && net::is_any_named_twice(&changes) {
            self.roll_back(&changes, undo);
            let of_steps = std::mem::take(&mut changes);
            changes = net::of_each_node(&of_steps, |path| self.get(path).is_some());
            for change in &changes {
                self.apply(change, stamp);
            }
            self.correct(&mut written, &of_steps);
        }
        Ok((written, Transaction { stamp, changes }))
    }

    /// Has the answers to the steps that set a node say what it is now.
    fn correct(&self, written: &mut [Written], of_steps: &[Change]) {
        let changed = written.iter_mut().filter(|answer| **answer != Written::Checked);
        for (answer, change) in changed.zip(of_steps) {
            if let (Written::Set(stat), Some(node)) = (answer, self.get(change.path())) {
                *stat = node.stat;
            }
        }
    }

    /// What the step comes to on the tree as it is; `None` when it was but a check.
    fn resolve(&self, session: i64, step: Step) -> Result<Option<Change>, Error> {
        match step {
            Step::Create { path, data, mode } => self.resolve_create(session, path, data, mode).map(Some),
            Step::Set { path, data, version } => {
                self.expect_version(&path, version)?;
                Ok(Some(Change::Changed {
                    path,
                    data: shared(data),
                    replaced: None,
                }))
            }
            Step::Delete { path, version } => {
                let node = self.expect_version(&path, version)?;
                if !node.children.is_empty() {
                    return Err(Error::NotEmpty);
                }
                Ok(Some(Change::Deleted { path }))
            }
            Step::Check { path, version } => {
                self.expect_version(&path, version)?;
                Ok(None)
            }
        }
    }

    /// Decides what a creation comes to: its full name, and how long the node lives.
    fn resolve_create(&self, session: i64, mut path: String, data: Vec<u8>, mode: CreateMode) -> Result<Change, Error> {
        let parent = self.get(path::split(&path).0).ok_or(Error::NoNode)?;
        if parent.stat.ephemeral_owner != 0 {
            return Err(Error::EphemeralParent);
        }
        if mode == CreateMode::EphemeralSequential {
            path = format!("{path}{:010}", parent.children_created);
        }
        if parent.children.get(path::split(&path).1).is_some() {
            return Err(Error::NodeExists);
        }
        let life = match mode {
            CreateMode::Persistent => Life::Persistent,
            CreateMode::Container => Life::Container,
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => Life::Ephemeral { session },
        };
        Ok(Change::Created {
            path,
            data: shared(data),
            life,
        })
    }

    /// Returns the node, if it is there and has this version.
    fn expect_version(&self, path: &str, version: Option<i32>) -> Result<&Node, Error> {
        let node = self.get(path).ok_or(Error::NoNode)?;
        if version.is_some_and(|version| version != node.stat.version) {
            return Err(Error::BadVersion);
        }
        Ok(node)
    }

    /// Repeats what another copy of this tree has already done.
    pub(super) fn follow(&mut self, transaction: &Transaction) {
        for change in &transaction.changes {
            self.apply(change, transaction.stamp);
        }
    }

    /// Applies a change. Returns what reverts it, and the answer.
    fn apply(&mut self, change: &Change, stamp: Stamp) -> (Undo, Written) {
        match change {
            Change::Created { path, data, life } => {
                let ephemeral_owner = match *life {
                    Life::Ephemeral { session } => {
                        self.ephemerals.entry(session).or_default().insert(path.clone());
                        session
                    }
                    Life::Persistent | Life::Container => 0,
                };
                let stat = Stat {
                    version: 0,
                    created: stamp.transaction,
                    modified: stamp.transaction,
                    modified_at: stamp.at,
                    ephemeral_owner,
                };
                let is_container = matches!(life, Life::Container);
                let node = Node {
                    data: Arc::clone(data),
                    stat,
                    is_container,
                    ..Node::default()
                };
                let (parent, name) = path::split(path);
                let parent = self
                    .get_mut(parent)
                    .expect("a change is resolved against the tree it is applied to");
                parent.children_created += 1;
                parent.children.insert(name, node);
                (Undo::Create, Written::Created(path.clone()))
            }
            Change::Changed { path, data, replaced } => {
                if let Some(life) = *replaced {
                    self.become_of(path, life);
                }
                let node = self
                    .get_mut(path)
                    .expect("a change is resolved against the tree it is applied to");
                let undo = Undo::Change {
                    data: std::mem::replace(&mut node.data, Arc::clone(data)),
                    stat: node.stat,
                };
                node.stat.version = node.stat.version.wrapping_add(1);
                node.stat.modified = stamp.transaction;
                node.stat.modified_at = stamp.at;
                (undo, Written::Set(node.stat))
            }
            Change::Deleted { path } => {
                let node = self.remove(path);
                (Undo::Delete { node }, Written::Deleted)
            }
        }
    }

    /// Has a node live as long as the one that takes its place.
    fn become_of(&mut self, path: &str, life: Life) {
        let node = self
            .get_mut(path)
            .expect("a change is resolved against the tree it is applied to");
        let owner = match life {
            Life::Ephemeral { session } => session,
            Life::Persistent | Life::Container => 0,
        };
        let before = std::mem::replace(&mut node.stat.ephemeral_owner, owner);
        node.is_container = life == Life::Container;
        if before != 0 {
            self.forget_ephemeral(before, path);
        }
        if owner != 0 {
            self.ephemerals.entry(owner).or_default().insert(path.to_owned());
        }
    }

    fn forget_ephemeral(&mut self, owner: i64, path: &str) {
        if let Some(paths) = self.ephemerals.get_mut(&owner) {
            paths.remove(path);
            if paths.is_empty() {
                self.ephemerals.remove(&owner);
            }
        }
    }

    /// Takes changes back that were just made, the last first.
    fn roll_back(&mut self, changes: &[Change], undo: Vec<Undo>) {
        for (change, undo) in changes.iter().zip(undo).rev() {
            let path = change.path();
            match undo {
                Undo::Create => {
                    self.remove(path);
                    let parent = self
                        .get_mut(path::split(path).0)
                        .expect("a parent outlives its children");
                    parent.children_created -= 1;
                }
                Undo::Change { data, stat } => {
                    let node = self.get_mut(path).expect("what is deleted later is restored by now");
                    (node.data, node.stat) = (data, stat);
                }
                Undo::Delete { node } => {
                    if node.stat.ephemeral_owner != 0 {
                        self.ephemerals
                            .entry(node.stat.ephemeral_owner)
                            .or_default()
                            .insert(path.to_owned());
                    }
                    let (parent, name) = path::split(path);
                    let parent = self.get_mut(parent).expect("what is deleted later is restored by now");
                    parent.children.insert(name, node);
                }
            }
        }
    }

    /// Takes a node out that is there and has no children.
    fn remove(&mut self, path: &str) -> Node {
        let (parent, name) = path::split(path);
        let parent = self.get_mut(parent).expect("a parent outlives its children");
        let node = parent
            .children
            .remove(name)
            .expect("a change is resolved against the tree it is applied to");
        let owner = node.stat.ephemeral_owner;
        if owner != 0 {
            self.forget_ephemeral(owner, path);
        }
        node
    }

    /// The steps that end a session.
    pub(super) fn end_of(&self, session: i64) -> Vec<Step> {
        let mut paths: Vec<&String> = self.ephemerals.get(&session).into_iter().flatten().collect();
        paths.sort_unstable();
        paths
            .into_iter()
            .map(|path| Step::Delete {
                path: path.clone(),
                version: None,
            })
            .collect()
    }

    /// The steps that delete the containers which had children and have none.
    pub(super) fn empty_containers(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        collect_empty_containers(&self.root, "", &mut steps);
        steps
    }

    /// Answers one read.
    pub(super) fn read(&self, read: &Read) -> Answer {
        match read {
            Read::Data(path) => Answer::Data(self.get(path).map(|node| (node.data.to_vec(), node.stat))),
            Read::Children(path) => {
                let names = |node: &Node| {
                    let children = node.children.sorted().into_iter();
                    children.map(|(name, _)| name.to_owned()).collect()
                };
                Answer::Children(self.get(path).map(names))
            }
        }
    }

    fn get(&self, path: &str) -> Option<&Node> {
        segments(path).try_fold(&self.root, |node, name| node.children.get(name))
    }

    fn get_mut(&mut self, path: &str) -> Option<&mut Node> {
        segments(path).try_fold(&mut self.root, |node, name| node.children.get_mut(name))
    }
}

impl Change {
    /// Returns the path of the node.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Created { path, .. } | Self::Changed { path, .. } | Self::Deleted { path } => path,
        }
    }

    /// Returns the events for watches.
    pub(super) fn event(&self) -> WatchEvent {
        match self {
            Self::Created { path, .. } => WatchEvent::Created(path.clone()),
            Self::Changed { path, .. } => WatchEvent::Changed(path.clone()),
            Self::Deleted { path } => WatchEvent::Deleted(path.clone()),
        }
    }
}

/// Nodes without data share the same nothing.
fn shared(data: Vec<u8>) -> Arc<[u8]> {
    if data.is_empty() { Arc::default() } else { data.into() }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn collect_empty_containers(node: &Node, path: &str, steps: &mut Vec<Step>) {
    for (name, child) in node.children.sorted() {
        let path = format!("{path}/{name}");
        collect_empty_containers(child, &path, steps);
        if child.is_container && child.children.is_empty() && child.children_created > 0 {
            steps.push(Step::Delete { path, version: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { transaction: 7, at: 0 };

    fn create(path: &str, mode: CreateMode) -> Step {
        Step::Create {
            path: path.into(),
            data: b"x".to_vec(),
            mode,
        }
    }

    #[test]
    fn leaves_the_tree_after_a_refused_transaction() {
        let mut tree = Tree::default();
        let steps = vec![
            create("/a", CreateMode::Persistent),
            create("/a/b", CreateMode::Persistent),
            create("/a/e", CreateMode::Ephemeral),
        ];
        tree.execute(1, steps, STAMP, Effects::OfEachStep).unwrap();
        let before = format!("{tree:?}");

        let steps = vec![
            create("/a/n-", CreateMode::EphemeralSequential),
            Step::Delete {
                path: "/a/e".into(),
                version: None,
            },
            Step::Set {
                path: "/a/b".into(),
                data: b"y".to_vec(),
                version: Some(0),
            },
            Step::Delete {
                path: "/a/b".into(),
                version: Some(1),
            },
            create("/a/b/c", CreateMode::Persistent),
        ];
        let refused = tree.execute(1, steps, STAMP, Effects::OfEachStep).unwrap_err();

        assert_eq!(
            refused,
            WriteError {
                step: Some(4),
                error: Error::NoNode
            }
        );
        assert_eq!(format!("{tree:?}"), before);
    }

    #[test]
    fn a_follower_should_become_what_it_follows() {
        let (mut leader, mut follower) = (Tree::default(), Tree::default());
        for steps in [
            vec![
                create("/a", CreateMode::Container),
                create("/a/n-", CreateMode::EphemeralSequential),
            ],
            vec![Step::Set {
                path: "/a/n-0000000000".into(),
                data: vec![1],
                version: None,
            }],
            vec![create("/a/n-", CreateMode::EphemeralSequential)],
            vec![Step::Delete {
                path: "/a/n-0000000000".into(),
                version: Some(1),
            }],
        ] {
            let (_, transaction) = leader.execute(5, steps, STAMP, Effects::OfEachStep).unwrap();
            follower.follow(&transaction);
        }
        assert_eq!(format!("{follower:?}"), format!("{leader:?}"));
    }

    #[test]
    fn only_a_container_that_had_children_should_be_collected() {
        let mut tree = Tree::default();
        let steps = vec![
            create("/new", CreateMode::Container),
            create("/used", CreateMode::Container),
            create("/used/child", CreateMode::Persistent),
            Step::Delete {
                path: "/used/child".into(),
                version: None,
            },
        ];
        tree.execute(1, steps, STAMP, Effects::OfEachStep).unwrap();
        assert_eq!(
            tree.empty_containers(),
            [Step::Delete {
                path: "/used".into(),
                version: None
            }]
        );
    }
}
