//! A transaction of etcd, made from steps. Pure.
//!
//! etcd compares first, all at once, and then changes each key once. So the steps are gone through here, on what they
//! themselves make of the nodes. What they rely on beyond that becomes a [`Condition`] on what was there before, and what they
//! come to for each node becomes a [`Change`]. If the conditions do not hold, etcd says no more than that; the first of them that
//! fails, in the order of the steps, says which step was refused and why.

use std::collections::{BTreeMap, BTreeSet};

use crate::registry::{CreateMode, Error, Stat, Step, WriteError, Written};

use super::keys::{self, Keys, Place, Range};
use super::value::{Life, Meta, encode};

/// What has to be so before the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// The step that relies on it first.
    step: usize,
    pub(super) key: Vec<u8>,
    pub(super) test: Test,
}

/// What has to be so of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Absent,
    Present,
    /// It is there, and was put so often.
    Puts(i64),
    /// It is a node that stays.
    Parent,
    /// There is no key from it to before this one.
    NoneBefore(Vec<u8>),
    /// It was last put at this revision; 0 if it is not there. If it was not, the plan is made again.
    At(i64),
}

/// What happens to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It gets this value, and lives so.
    Put {
        key: Vec<u8>,
        value: Vec<u8>,
        life: Life,
    },
    /// It gets one of these values, and lives as it did.
    Keep {
        key: Vec<u8>,
        persistent: Vec<u8>,
        ephemeral: Vec<u8>,
    },
    Delete {
        key: Vec<u8>,
    },
}

/// The counter of sequential nodes below a node, as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) next: i64,
    /// When it was last put; 0 if it is not there.
    pub(super) revision: i64,
}

/// Where and when a transaction is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) keys: &'a Keys,
    pub(super) session: i64,
    /// In milliseconds since 1970.
    pub(super) at: i64,
}

/// A transaction, and what its answer will mean.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) conditions: Vec<Condition>,
    /// Nothing if a step is refused in any case.
    pub(super) changes: Vec<Change>,
    /// The jobs that the steps name.
    pub(super) jobs: BTreeSet<String>,
    /// The jobs of which a node changes.
    pub(super) changed: BTreeSet<String>,
    /// Of each step, as far as no step is refused in any case.
    answers: Vec<Planned>,
    /// The step that is refused if all before it are not.
    doomed: Option<WriteError>,
    session: i64,
    at: i64,
}

#[derive(Debug)]
enum Planned {
    Written(Written),
    /// The node is what its change makes of it.
    Set {
        path: String,
        life: Option<Life>,
    },
}

/// Why conditions did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused(WriteError),
    /// Another session was faster with a sequential node: to be planned again.
    Raced,
}

/// Returns the nodes with counters that have to be read before steps are planned.
pub(super) fn counted(steps: &[Step]) -> BTreeSet<&str> {
    let sequential = steps.iter().filter_map(|step| match step {
        Step::Create { path, mode, .. } if *mode == CreateMode::EphemeralSequential => Some(keys::parent(path)),
        _ => None,
    });
    sequential.collect()
}

impl Plan {
    /// Plans valid steps. `counters` has those of [`counted`] nodes that are there.
    pub(super) fn of(steps: &[Step], scene: Scene<'_>, counters: BTreeMap<&str, Counter>) -> Self {
        let mut draft = Draft {
            scene,
            nodes: BTreeMap::new(),
            order: Vec::new(),
            counters: counters
                .into_iter()
                .map(|(path, counter)| (path.to_owned(), (counter, false)))
                .collect(),
            conditions: Vec::new(),
        };
        let (mut answers, mut doomed) = (Vec::new(), None);
        for (index, step) in steps.iter().enumerate() {
            match draft.take(index, step) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    let step = Some(index);
                    doomed = Some(WriteError { step, error });
                    break;
                }
            }
        }
        let (changes, changed) = match &doomed {
            None => draft.changes(),
            Some(_) => (Vec::new(), BTreeSet::new()),
        };
        Self {
            conditions: draft.conditions,
            changes,
            jobs: steps.iter().map(|step| Place::of(step.path()).job.to_owned()).collect(),
            changed,
            answers,
            doomed,
            session: scene.session,
            at: scene.at,
        }
    }

    /// Returns whether etcd would not count the changes against its quota: it counts no transaction within a transaction, and lets
    /// one that it counts as nothing pass although it has no room.
    pub(super) fn is_uncounted(&self) -> bool {
        let is_within = |change: &Change| matches!(change, Change::Keep { .. });
        let is_counted = |change: &Change| matches!(change, Change::Put { .. });
        self.changes.iter().any(is_within) && !self.changes.iter().any(is_counted)
    }

    /// Returns the answer if all conditions held. `before` is what etcd says of the keys of the changes before the transaction,
    /// which had this revision.
    pub(super) fn answer(
        self,
        scene: Scene<'_>,
        revision: i64,
        before: &[Option<Meta>],
    ) -> Result<Vec<Written>, WriteError> {
        if let Some(doomed) = self.doomed {
            return Err(doomed);
        }
        let place = |change: &Change| match change {
            Change::Put { key, .. } | Change::Keep { key, .. } | Change::Delete { key } => key.clone(),
        };
        let before: BTreeMap<Vec<u8>, Option<Meta>> =
            self.changes.iter().map(place).zip(before.iter().copied()).collect();
        let answer = |planned| match planned {
            Planned::Written(written) => written,
            Planned::Set { path, life } => {
                let before = before.get(&scene.keys.node(&path)).copied().flatten();
                Written::Set(stat_after(before, life, &path, self.session, revision, self.at))
            }
        };
        Ok(self.answers.into_iter().map(answer).collect())
    }

    /// Returns why the conditions did not hold. `found` is what etcd has of the key of each condition, or of any key in its range.
    pub(super) fn failure(&self, found: &[Option<Meta>]) -> Failure {
        let mut is_raced = false;
        for (condition, found) in self.conditions.iter().zip(found) {
            match condition.test.failure(*found) {
                None => {}
                Some(Fault::Raced) => is_raced = true,
                Some(Fault::Error(error)) => {
                    let step = Some(condition.step);
                    return Failure::Refused(WriteError { step, error });
                }
            }
        }
        match (&self.doomed, is_raced) {
            (Some(doomed), false) => Failure::Refused(doomed.clone()),
            _ => Failure::Raced,
        }
    }
}

/// Returns what a node is after it was put.
fn stat_after(before: Option<Meta>, life: Option<Life>, path: &str, session: i64, revision: i64, at: i64) -> Stat {
    let Meta {
        version,
        created,
        lease,
        ..
    } = before.unwrap_or(Meta {
        created: revision,
        ..Meta::default()
    });
    let lease = match life {
        Some(Life::Ephemeral) => session,
        Some(Life::Persistent) => 0,
        None => lease,
    };
    Meta {
        version: version + 1,
        created,
        modified: revision,
        lease,
    }
    .stat_of(path, at)
}

impl Meta {
    /// Returns what the contract says of the node with this path: the namespace is there before it is put.
    pub(super) fn stat_of(self, path: &str, at: i64) -> Stat {
        let mut stat = self.stat(at);
        if Place::of(path).is_root() {
            stat.version = stat.version.saturating_add(1);
        }
        stat
    }
}

enum Fault {
    Error(Error),
    Raced,
}

impl Test {
    /// Returns why it fails, if it does.
    fn failure(&self, found: Option<Meta>) -> Option<Fault> {
        let error = match (self, found) {
            (Self::Absent, Some(_)) => Error::NodeExists,
            (Self::Present | Self::Parent, None) => Error::NoNode,
            (Self::Puts(puts), None) if *puts > 0 => Error::NoNode,
            (Self::Puts(puts), Some(meta)) if meta.version != *puts => Error::BadVersion,
            (Self::Parent, Some(meta)) if meta.lease != 0 => Error::EphemeralParent,
            (Self::NoneBefore(_), Some(_)) => Error::NotEmpty,
            (Self::At(revision), found) => {
                let is_other = found.map_or(0, |meta| meta.modified) != *revision;
                return is_other.then_some(Fault::Raced);
            }
            _ => return None,
        };
        Some(Fault::Error(error))
    }
}

/// A plan while its steps are gone through.
struct Draft<'a> {
    scene: Scene<'a>,
    nodes: BTreeMap<String, Node>,
    /// The nodes in the order in which they were first named.
    order: Vec<String>,
    /// The counters, and whether a step has used them.
    counters: BTreeMap<String, (Counter, bool)>,
    conditions: Vec<Condition>,
}

/// A node as far as the steps say something of it.
#[derive(Debug, Default)]
struct Node {
    before: Before,
    now: Now,
    /// The last step that named it.
    named: usize,
}

/// What the conditions say of a node before the transaction.
#[derive(Debug, Default)]
struct Before {
    is_there: Option<bool>,
    stays: bool,
    puts: Option<i64>,
}

/// What the steps have made of it.
#[derive(Debug, Default)]
enum Now {
    #[default]
    Untouched,
    Data {
        data: Vec<u8>,
        /// `None` for that of before.
        life: Option<Life>,
        /// How often it was set since it was created, or by these steps if they did not create it.
        sets: i32,
    },
    Deleted,
}

impl Draft<'_> {
    /// Takes in a step.
    ///
    /// # Errors
    /// Why it is refused, if all steps before it are not.
    fn take(&mut self, step: usize, of: &Step) -> Result<Planned, Error> {
        match of {
            Step::Create { path, data, mode } => self.create(step, path, data, *mode),
            Step::Set { path, data, version } => {
                self.expect(step, path, *version)?;
                let node = self.node(step, path);
                let (life, sets) = match node.now {
                    Now::Data { life, sets, .. } => (life, sets + 1),
                    Now::Untouched | Now::Deleted => (None, 1),
                };
                let data = data.clone();
                node.now = Now::Data { data, life, sets };
                let path = path.clone();
                Ok(Planned::Set { path, life })
            }
            Step::Delete { path, version } => {
                self.expect(step, path, *version)?;
                self.expect_childless(step, path)?;
                self.node(step, path).now = Now::Deleted;
                Ok(Planned::Written(Written::Deleted))
            }
            Step::Check { path, version } => {
                self.expect(step, path, *version)?;
                Ok(Planned::Written(Written::Checked))
            }
        }
    }

    fn create(&mut self, step: usize, path: &str, data: &[u8], mode: CreateMode) -> Result<Planned, Error> {
        self.expect_parent(step, keys::parent(path))?;
        let path = match mode {
            CreateMode::EphemeralSequential => self.number(step, path),
            _ => path.to_owned(),
        };
        let key = self.scene.keys.node(&path);
        let node = self.node(step, &path);
        match (&node.now, node.before.is_there) {
            (Now::Deleted, _) => {}
            (Now::Data { .. }, _) | (Now::Untouched, Some(true)) => return Err(Error::NodeExists),
            (Now::Untouched, _) => {
                node.before.is_there = Some(false);
                self.require(step, key, Test::Absent);
            }
        }
        let life = match mode {
            CreateMode::Persistent | CreateMode::Container => Life::Persistent,
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => Life::Ephemeral,
        };
        self.node(step, &path).now = Now::Data {
            data: data.to_vec(),
            life: Some(life),
            sets: 0,
        };
        Ok(Planned::Written(Written::Created(path)))
    }

    /// Returns the path of the next sequential node with this prefix.
    fn number(&mut self, step: usize, prefix: &str) -> String {
        let parent = keys::parent(prefix);
        let (counter, is_used) = self.counters.entry(parent.to_owned()).or_default();
        let path = format!("{prefix}{:010}", counter.next);
        counter.next += 1;
        let revision = counter.revision;
        if !std::mem::replace(is_used, true) {
            let key = self.scene.keys.counter(parent);
            self.require(step, key, Test::At(revision));
        }
        path
    }

    /// Has the node be there, with this version if one is given.
    fn expect(&mut self, step: usize, path: &str, version: Option<i32>) -> Result<(), Error> {
        let node = self.node(step, path);
        let expected = match (&node.now, version) {
            (Now::Deleted, _) => return Err(Error::NoNode),
            (
                Now::Data {
                    life: Some(_), sets, ..
                },
                Some(version),
            ) => {
                return if version == *sets {
                    Ok(())
                } else {
                    Err(Error::BadVersion)
                };
            }
            (Now::Data { life: Some(_), .. }, None) => return Ok(()),
            (Now::Data { sets, .. }, Some(version)) => Some(version - sets),
            (Now::Untouched | Now::Data { .. }, version) => version,
        };
        self.expect_before(step, path, expected)
    }

    /// Has the node be there before the transaction, with this version if one is given.
    fn expect_before(&mut self, step: usize, path: &str, version: Option<i32>) -> Result<(), Error> {
        let key = self.scene.keys.node(path);
        let first = i64::from(!Place::of(path).is_root());
        let before = &mut self.node(step, path).before;
        let puts = version.map(|version| i64::from(version) + first);
        match (puts, before.puts) {
            (Some(puts), Some(known)) if puts != known => return Err(Error::BadVersion),
            (Some(puts), None) if puts >= first => {
                (before.is_there, before.puts) = (Some(true), Some(puts));
                self.require(step, key, Test::Puts(puts));
                return Ok(());
            }
            _ => {}
        }
        // The namespace is always there.
        if before.is_there.is_none() && first > 0 {
            before.is_there = Some(true);
            self.require(step, key, Test::Present);
        }
        match puts {
            Some(puts) if puts < first => Err(Error::BadVersion),
            _ => Ok(()),
        }
    }

    /// Has the node be there and take children.
    fn expect_parent(&mut self, step: usize, path: &str) -> Result<(), Error> {
        if Place::of(path).is_root() {
            return Ok(());
        }
        let node = self.node(step, path);
        match node.now {
            Now::Deleted => Err(Error::NoNode),
            Now::Data {
                life: Some(Life::Persistent),
                ..
            } => Ok(()),
            Now::Data {
                life: Some(Life::Ephemeral),
                ..
            } => Err(Error::EphemeralParent),
            Now::Untouched | Now::Data { .. } => {
                if !std::mem::replace(&mut node.before.stays, true) {
                    node.before.is_there = Some(true);
                    let key = self.scene.keys.node(path);
                    self.require(step, key, Test::Parent);
                }
                Ok(())
            }
        }
    }

    /// Has the node have no children.
    fn expect_childless(&mut self, step: usize, path: &str) -> Result<(), Error> {
        let below = format!("{path}/");
        let children = self
            .nodes
            .range(below.clone()..)
            .take_while(|(child, _)| child.starts_with(&below));
        let mut deleted = BTreeSet::new();
        for (child, node) in children.filter(|(child, _)| keys::parent(child) == path) {
            match node.now {
                Now::Data { .. } => return Err(Error::NotEmpty),
                Now::Deleted if node.before.is_there == Some(true) => drop(deleted.insert(self.scene.keys.node(child))),
                Now::Deleted | Now::Untouched => {}
            }
        }
        if self.node(step, path).before.is_there == Some(true) {
            for Range { from, to } in self.scene.keys.children(path).without(&deleted) {
                self.require(step, from, Test::NoneBefore(to));
            }
        }
        Ok(())
    }

    fn require(&mut self, step: usize, key: Vec<u8>, test: Test) {
        self.conditions.push(Condition { step, key, test });
    }

    fn node(&mut self, step: usize, path: &str) -> &mut Node {
        if !self.nodes.contains_key(path) {
            self.order.push(path.to_owned());
        }
        let node = self.nodes.entry(path.to_owned()).or_default();
        node.named = step;
        node
    }

    /// Returns what the steps come to for each key, and the jobs with nodes that change. Nodes that are put come first, parents
    /// before their children; nodes that are deleted come behind, children first.
    fn changes(&self) -> (Vec<Change>, BTreeSet<String>) {
        let Scene { keys, at, .. } = self.scene;
        let (mut changes, mut deleted, mut changed) = (Vec::new(), Vec::new(), BTreeSet::new());
        for path in &self.order {
            let (node, place) = (&self.nodes[path], Place::of(path));
            match &node.now {
                Now::Untouched => continue,
                Now::Deleted if node.before.is_there == Some(false) => continue,
                Now::Deleted => deleted.push((node.named, path)),
                Now::Data { data, life, .. } => changes.push(put(keys.node(path), *life, at, data, place)),
            }
            changed.insert(place.job.to_owned());
            if place.is_job() && matches!(node.now, Now::Data { life: Some(_), .. }) {
                let (key, value) = (keys.job(place.job), Vec::new());
                let life = node.now.life();
                changes.push(Change::Put { key, value, life });
            }
        }
        for (path, (counter, _)) in self.counters.iter().filter(|(_, (_, is_used))| *is_used) {
            changes.push(Change::Put {
                key: keys.counter(path),
                value: counter.next.to_string().into_bytes(),
                life: Life::Persistent,
            });
        }
        deleted.sort_unstable();
        for (_, path) in deleted {
            let place = Place::of(path);
            changes.push(Change::Delete { key: keys.node(path) });
            if !self.counters.get(path).is_some_and(|(_, is_used)| *is_used) {
                changes.push(Change::Delete {
                    key: keys.counter(path),
                });
            }
            if place.is_job() {
                changes.push(Change::Delete {
                    key: keys.job(place.job),
                });
            }
        }
        (changes, changed)
    }
}

impl Now {
    fn life(&self) -> Life {
        match self {
            Self::Data { life: Some(life), .. } => *life,
            _ => Life::Persistent,
        }
    }
}

fn put(key: Vec<u8>, life: Option<Life>, at: i64, data: &[u8], place: Place<'_>) -> Change {
    match life {
        // The namespace may never have been put, and stays.
        None if place.is_root() => put(key, Some(Life::Persistent), at, data, place),
        Some(life) => Change::Put {
            key,
            value: encode(life, at, data),
            life,
        },
        None => Change::Keep {
            key,
            persistent: encode(Life::Persistent, at, data),
            ephemeral: encode(Life::Ephemeral, at, data),
        },
    }
}

#[cfg(test)]
mod tests;
