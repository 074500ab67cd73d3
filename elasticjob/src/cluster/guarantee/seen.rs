//! The state of a barrier as this instance knows it: read once, and followed by events.
//!
//! All requests about a barrier are made here, from the state that was seen: each creates only what is missing and
//! deletes only what is there. If that has changed, the registry refuses the transaction, and the barrier is read
//! again.

use std::collections::BTreeSet;

use crate::cluster::layout::{Guarantee, Moment, Node};
use crate::registry::{Answer, CreateMode, Read, Step, WatchEvent};

use super::called::Called;

/// The state of a barrier as this instance knows it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    has_root: bool,
    is_open: bool,
    has_latch: bool,
    pub(super) registered: BTreeSet<u32>,
    pub(super) contenders: BTreeSet<String>,
    pub(super) called: Called,
    called_version: Option<i32>,
}

impl Seen {
    /// Returns the reads that show the state of a barrier.
    pub(super) fn reads(job: &str, moment: Moment) -> Vec<Read> {
        let children = [Guarantee::Root, Guarantee::Barrier(moment), Guarantee::Latch(moment)];
        let children = children.map(|node| Read::Children(Node::Guarantee(node).of(job)));
        children.into_iter().chain([Read::Data(Node::Called.of(job))]).collect()
    }

    /// Creates the state from the answers to [`reads`](Self::reads), in their order.
    pub(super) fn of(answers: Vec<Answer>) -> Self {
        let mut seen = Self::default();
        let mut answers = answers.into_iter();
        let mut children = || match answers.next() {
            Some(Answer::Children(found)) => found,
            _ => None,
        };
        seen.has_root = children().is_some();
        let registered = children();
        seen.is_open = registered.is_some();
        seen.registered = registered
            .iter()
            .flatten()
            .filter_map(|name| name.parse().ok())
            .collect();
        let contenders = children();
        seen.has_latch = contenders.is_some();
        seen.contenders = contenders.into_iter().flatten().collect();
        if let Some(Answer::Data(Some((data, stat)))) = answers.next() {
            seen.called = Called::parse(&data);
            seen.called_version = Some(stat.version);
        }
        seen
    }

    /// Applies an event. Events that are older than the last read change nothing in the end, because all come in order.
    pub(super) fn note(&mut self, job: &str, moment: Moment, event: &WatchEvent) {
        let (path, exists) = match event {
            WatchEvent::Created(path) | WatchEvent::Changed(path) => (path, true),
            WatchEvent::Deleted(path) => (path, false),
            _ => return,
        };
        let Some(Node::Guarantee(node)) = Node::parse(job, path) else {
            return;
        };
        match node {
            Guarantee::Root => self.has_root = exists,
            Guarantee::Barrier(of) if of == moment => self.is_open = exists,
            Guarantee::Latch(of) if of == moment => self.has_latch = exists,
            Guarantee::Item(of, item) if of == moment => {
                if exists {
                    self.registered.insert(item);
                } else {
                    self.registered.remove(&item);
                }
            }
            Guarantee::Candidate(of, name) if of == moment => {
                if exists {
                    self.contenders.insert(name.to_owned());
                } else {
                    self.contenders.remove(name);
                }
            }
            _ => {}
        }
    }

    /// Returns the steps that register the items, which an instance that died may have left behind.
    pub(super) fn register(&self, job: &str, moment: Moment, items: &[u32]) -> Vec<Step> {
        let mut steps = self.parents(job, Guarantee::Barrier(moment));
        for &item in items {
            let path = Node::Guarantee(Guarantee::Item(moment, item)).of(job);
            if self.registered.contains(&item) {
                steps.push(delete(path.clone()));
            }
            steps.push(create(path, CreateMode::Persistent));
        }
        steps
    }

    /// Returns the steps that join the contenders, and remove contenders that this process left behind.
    pub(super) fn contend(&self, job: &str, moment: Moment, own: &[&str], name: &str) -> Vec<Step> {
        let mut steps = self.parents(job, Guarantee::Latch(moment));
        steps.extend(leave(job, moment, own));
        let path = Node::Guarantee(Guarantee::Candidate(moment, name)).of(job);
        steps.push(create(path, CreateMode::EphemeralSequential));
        steps
    }

    /// Returns the steps that create the root and the node below it if they are missing. The latch is a container, like all of Curator's.
    fn parents(&self, job: &str, node: Guarantee<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.has_root {
            steps.push(create(Node::Guarantee(Guarantee::Root).of(job), CreateMode::Persistent));
        }
        let (exists, mode) = match node {
            Guarantee::Latch(_) => (self.has_latch, CreateMode::Container),
            _ => (self.is_open, CreateMode::Persistent),
        };
        if !exists {
            steps.push(create(Node::Guarantee(node).of(job), mode));
        }
        steps
    }

    /// Returns the steps that remove these items; with the last items the barrier goes, too.
    pub(super) fn withdraw(&self, job: &str, moment: Moment, items: &BTreeSet<u32>) -> Vec<Step> {
        let ours = self.registered.intersection(items);
        let mut steps: Vec<Step> = ours
            .map(|item| delete(Node::Guarantee(Guarantee::Item(moment, *item)).of(job)))
            .collect();
        if self.is_open && self.registered.is_subset(items) {
            steps.push(delete(Node::Guarantee(Guarantee::Barrier(moment)).of(job)));
        }
        steps
    }

    /// Returns the steps that remove the barrier and record that the hook was called.
    pub(super) fn close(&self, job: &str, moment: Moment, called: &Called) -> Vec<Step> {
        let mut steps = self.withdraw(job, moment, &self.registered);
        let (path, data) = (Node::Called.of(job), called.to_bytes());
        steps.push(match self.called_version {
            Some(version) => Step::Set {
                path,
                data,
                version: Some(version),
            },
            None => Step::Create {
                path,
                data,
                mode: CreateMode::Persistent,
            },
        });
        steps
    }
}

/// Removes contenders.
pub(super) fn leave(job: &str, moment: Moment, own: &[&str]) -> Vec<Step> {
    let nodes = own
        .iter()
        .map(|name| Node::Guarantee(Guarantee::Candidate(moment, name)));
    nodes.map(|node| delete(node.of(job))).collect()
}

fn create(path: String, mode: CreateMode) -> Step {
    Step::Create {
        path,
        data: Vec::new(),
        mode,
    }
}

fn delete(path: String) -> Step {
    Step::Delete { path, version: None }
}
