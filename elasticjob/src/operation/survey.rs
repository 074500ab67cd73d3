//! What has to be read of a job, in two rounds, and what was found.
//!
//! The first round asks for what there is, the second for what is in it. Nothing here talks to a registry.
//!
//! Two rounds are enough because the layout is two levels deep wherever names are not known beforehand. So the cost
//! does not grow with the depth of the tree, and many jobs share the requests of each round. The answers are fed into
//! the same [`View`] that a worker has, so operators see a job as its members do. What was read is not of one moment: a
//! change relies on versions, and not on the survey.

use std::collections::BTreeMap;

use elasticjob_config::job::{Errors, JobConfig};

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::Record;
use crate::cluster::progress::StoredProgress;
use crate::cluster::refusal::Standby;
use crate::cluster::view::{StoredConfig, View};
use crate::registry::{Answer, Limits, Read, Stat};

use super::Note;
use super::switch::Switch;

/// How much is read of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What its status depends on.
    Brief,
    /// All that we know the meaning of.
    Whole,
}

/// One job as it was found.
#[derive(Debug)]
pub(super) struct Survey {
    depth: Depth,
    pub(super) view: View,
    /// The text of the configuration and its version.
    pub(super) config: Option<StoredConfig>,
    /// The text of the epoch and its version.
    pub(super) epoch: Option<Stored<Vec<u8>>>,
    pub(super) ledgers: BTreeMap<u32, Stored<Record>>,
    pub(super) notes: BTreeMap<Switch, Stored<Note>>,
    /// Processes that have the job and take no part in it, and why.
    pub(super) standbys: BTreeMap<String, Standby>,
    /// What runs report of their progress, by item.
    progress: BTreeMap<u32, StoredProgress>,
    /// The transaction that threw each switch that is there.
    thrown: BTreeMap<Switch, i64>,
    /// What the next round has to read.
    next: Vec<Wanted>,
}

/// Something to be read.
#[derive(Debug)]
pub(super) enum Wanted {
    Node(Read),
    /// The state of an item. A job may have a million, of each of which several nodes are read.
    Item(u32),
    /// The ledger of an item.
    Ledger(u32),
}

/// Something of ours in the registry.
#[derive(Clone, Debug)]
pub(super) struct Stored<T> {
    pub(super) value: T,
    pub(super) stat: Stat,
}

impl Survey {
    pub(super) fn new(limits: Limits, job: &str, depth: Depth) -> Self {
        let of = |node: Node<'_>| node.of(job);
        let mut next = vec![
            Read::Data(of(Node::Root)),
            Read::Data(of(Node::Config)),
            Read::Data(of(Node::Pause)),
            Read::Children(of(Node::Servers)),
            Read::Children(of(Node::Instances)),
            Read::Children(of(Node::Sharding)),
        ];
        if depth == Depth::Whole {
            next.extend(
                [Node::LeaderInstance, Node::Necessary, Node::Processing, Node::Epoch].map(|node| Read::Data(of(node))),
            );
            next.extend(
                [
                    Node::Ledger,
                    Node::LedgerItems,
                    Node::Members,
                    Node::Standbys,
                    Node::Cancels,
                    Node::Progresses,
                    Node::Requests,
                    Node::Notes,
                    Node::ServerNotes,
                    Node::ItemNotes,
                    Node::Trigger,
                    Node::FailoverItems,
                ]
                .map(|node| Read::Children(of(node))),
            );
        }
        Self {
            depth,
            view: View::within(limits, job),
            config: None,
            epoch: None,
            ledgers: BTreeMap::new(),
            notes: BTreeMap::new(),
            standbys: BTreeMap::new(),
            progress: BTreeMap::new(),
            thrown: BTreeMap::new(),
            next: next.into_iter().map(Wanted::Node).collect(),
        }
    }

    /// What is to be read next; nothing after the second round.
    pub(super) fn take_wanted(&mut self) -> Vec<Wanted> {
        std::mem::take(&mut self.next)
    }

    /// The reads for what is wanted.
    pub(super) fn reads(&self, wanted: &Wanted) -> Vec<Read> {
        let of = |node: Node<'_>| Read::Data(node.of(self.job()));
        match *wanted {
            Wanted::Node(ref read) => vec![read.clone()],
            Wanted::Ledger(item) => vec![of(Node::LedgerItem(item))],
            Wanted::Item(item) => {
                let kinds: &[ItemKind] = match self.depth {
                    Depth::Brief => &[ItemKind::Owner],
                    Depth::Whole => &ItemKind::ALL,
                };
                let states = kinds.iter().map(|kind| of(Node::ItemState { item, kind: *kind }));
                states.collect()
            }
        }
    }

    /// Records what was read.
    pub(super) fn note(&mut self, read: &Read, answer: Answer) {
        match (read, answer) {
            (Read::Data(path), Answer::Data(Some((data, stat)))) => self.found(path, data, stat),
            (Read::Children(path), Answer::Children(Some(names))) => self.listed(path, &names),
            _ => {}
        }
    }

    fn found(&mut self, path: &str, data: Vec<u8>, stat: Stat) {
        let job = self.job().to_owned();
        match Node::parse(&job, path) {
            Some(Node::LedgerItem(item)) => {
                let value = Record::parse(&data);
                self.ledgers.insert(item, Stored { value, stat });
            }
            Some(Node::Standby(id)) => {
                self.standbys.insert(id.to_owned(), Standby::parse(&data));
            }
            Some(Node::Progress(item)) => {
                self.progress
                    .extend(StoredProgress::parse(&data).map(|stored| (item, stored)));
            }
            Some(Node::Epoch) => {
                let value = data.clone();
                self.epoch = Some(Stored { value, stat });
            }
            Some(Node::ServerNote(ip)) => self.noted(Switch::Server(ip.to_owned()), &data, stat),
            Some(Node::ItemNote(item)) => self.noted(Switch::Item(item), &data, stat),
            Some(Node::Server(ip)) => {
                self.thrown.insert(Switch::Server(ip.to_owned()), stat.modified);
            }
            Some(Node::ItemState {
                item,
                kind: ItemKind::Disabled,
            }) => {
                self.thrown.insert(Switch::Item(item), stat.modified);
            }
            _ => {}
        }
        self.view.read(path, Some((data, stat)));
        if let Some(config) = self.view.take_config() {
            self.config = Some(config);
        }
    }

    fn noted(&mut self, switch: Switch, data: &[u8], stat: Stat) {
        if let Some(value) = Note::parse(data) {
            self.notes.insert(switch, Stored { value, stat });
        }
    }

    fn listed(&mut self, path: &str, names: &[String]) {
        let job = self.job().to_owned();
        self.view.read(path, Some((Vec::new(), Stat::default())));
        for name in names {
            let path = format!("{path}/{name}");
            match Node::parse(&job, &path) {
                // Their being there is all that matters.
                Some(Node::Instance(_) | Node::FailoverItem(_)) => {
                    self.view.read(&path, Some((Vec::new(), Stat::default())));
                }
                Some(Node::Item(item)) => {
                    self.view.read(&path, Some((Vec::new(), Stat::default())));
                    self.next.push(Wanted::Item(item));
                }
                Some(Node::LedgerItem(item)) => self.next.push(Wanted::Ledger(item)),
                Some(
                    Node::Server(_)
                    | Node::Member(_)
                    | Node::Standby(_)
                    | Node::Cancel(_)
                    | Node::Progress(_)
                    | Node::Request(_)
                    | Node::TriggerFor(_)
                    | Node::ServerNote(_)
                    | Node::ItemNote(_),
                ) => self.next.push(Wanted::Node(Read::Data(path))),
                _ => {}
            }
        }
    }

    pub(super) fn job(&self) -> &str {
        self.view.job()
    }

    /// Returns whether there is anything of the job.
    pub(super) fn exists(&self) -> bool {
        self.view.root.is_some()
    }

    /// The configuration, if there is one.
    pub(super) fn configuration(&self) -> Option<Result<JobConfig, Errors>> {
        Some(JobConfig::from_yaml(&self.config.as_ref()?.text))
    }

    /// What was said when this was switched off, if it still is by the same word.
    pub(super) fn note_of(&self, switch: &Switch) -> Option<&Note> {
        let note = self.notes.get(switch)?;
        (self.thrown.get(switch) == Some(&note.stat.modified)).then_some(&note.value)
    }

    /// What the run of an item that goes on reports of its progress.
    pub(super) fn progress_of(&self, item: u32) -> Option<&StoredProgress> {
        let run = self.ledgers.get(&item)?.value.run.as_ref()?;
        let is_its = |stored: &&StoredProgress| stored.run == run.id && stored.attempt == run.attempt;
        self.progress.get(&item).filter(is_its).filter(|_| run.end.is_none())
    }

    /// The instances on one server.
    pub(super) fn instances_on<'a>(&'a self, server: &'a str) -> impl Iterator<Item = &'a InstanceId> {
        self.view.instances.iter().filter(move |id| id.server() == server)
    }
}
