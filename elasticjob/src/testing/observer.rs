//! Looks at the registry itself, beside all nodes and without delay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;

use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::Record;
use crate::registry::{Answer, CreateMode, Read, Session, Step, Watch, WatchEvent};

use super::history::History;

/// A client of the registry that nothing happens to.
pub(super) struct Observer {
    session: Arc<dyn Session>,
    watches: BTreeMap<String, Box<dyn Watch>>,
    history: History,
}

impl Observer {
    pub(super) async fn new(session: Arc<dyn Session>, jobs: &[String], history: History) -> Self {
        let mut watches = BTreeMap::new();
        for job in jobs {
            let watch = session.watch(&Node::Root.of(job)).await.expect("nobody else watches");
            watches.insert(job.clone(), watch);
        }
        Self {
            session,
            watches,
            history,
        }
    }

    /// Takes in what happened since it last looked.
    pub(super) fn look(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut events = Vec::new();
        for (job, watch) in &mut self.watches {
            while let Poll::Ready(event) = watch.poll_next(&mut context) {
                events.push((job.clone(), event));
            }
        }
        for (job, event) in events {
            match &event {
                WatchEvent::Deleted(path) => {
                    if let Some(Node::Instance(id)) = Node::parse(&job, path) {
                        self.history.instance_gone(&job, id);
                    }
                }
                WatchEvent::Created(path) => self.created(&job, path),
                WatchEvent::Changed(path) => self.changed(&job, path),
                _ => {}
            }
        }
    }

    fn created(&self, job: &str, path: &str) {
        match Node::parse(job, path) {
            Some(Node::ItemState {
                item,
                kind: ItemKind::Running,
            }) => self.claimed(job, item),
            Some(Node::ItemState {
                item,
                kind: ItemKind::Owner,
            }) => {
                let owner = self.state(job, item, ItemKind::Owner).unwrap_or_default();
                self.history.note(format!("registry: {job}/{item} belongs to {owner}"));
            }
            Some(Node::LeaderInstance) => {
                let leader = self.data(path).unwrap_or_default();
                self.history.note(format!("registry: {leader} leads {job}"));
            }
            Some(Node::Instance(id)) => self.history.instance_joined(job, id),
            _ => {}
        }
    }

    fn changed(&self, job: &str, path: &str) {
        if let Some(Node::LedgerItem(_)) = Node::parse(job, path)
            && let Some(run) = self.data(path).and_then(|data| Record::parse(data.as_bytes()).run)
            && run.end.is_some()
        {
            self.history.ended(run.id);
        }
    }

    /// Only its owner may claim an item, or whoever takes it over.
    fn claimed(&self, job: &str, item: u32) {
        let holder = self.state(job, item, ItemKind::Running);
        let taker = self.state(job, item, ItemKind::Failover);
        let owner = taker.or_else(|| self.state(job, item, ItemKind::Owner));
        if let Some(holder) = holder
            && owner.as_ref() != Some(&holder)
        {
            let owner = owner.unwrap_or_else(|| "nobody".to_owned());
            self.history
                .violation(format!("{job}/{item} of {owner} is claimed by {holder}"));
        }
    }

    fn state(&self, job: &str, item: u32, kind: ItemKind) -> Option<String> {
        self.data(&Node::ItemState { item, kind }.of(job))
    }

    /// A node's data.
    pub(super) fn data(&self, path: &str) -> Option<String> {
        match self.read(Read::Data(path.to_owned())) {
            Answer::Data(found) => found.map(|(data, _)| String::from_utf8_lossy(&data).into_owned()),
            Answer::Children(_) => None,
        }
    }

    /// The names of a node's children; none where it is missing.
    pub(super) fn children(&self, path: &str) -> Vec<String> {
        match self.read(Read::Children(path.to_owned())) {
            Answer::Children(found) => found.unwrap_or_default(),
            Answer::Data(_) => Vec::new(),
        }
    }

    fn read(&self, read: Read) -> Answer {
        let answers = self
            .session
            .read(vec![read])
            .now_or_never()
            .expect("answered on the spot");
        answers.expect("nothing happens to it").remove(0)
    }

    /// Sets a node's data, as an operator does; whether it was there.
    pub(super) fn set(&self, path: &str, data: &str) -> bool {
        self.write(Step::Set {
            path: path.to_owned(),
            data: data.into(),
            version: None,
        })
    }

    pub(super) fn create(&self, path: &str) -> bool {
        self.write(Step::Create {
            path: path.to_owned(),
            data: Vec::new(),
            mode: CreateMode::Persistent,
        })
    }

    pub(super) fn delete(&self, path: &str) -> bool {
        self.write(Step::Delete {
            path: path.to_owned(),
            version: None,
        })
    }

    fn write(&self, step: Step) -> bool {
        let written = self
            .session
            .write(vec![step])
            .now_or_never()
            .expect("answered on the spot");
        written.is_ok()
    }
}
