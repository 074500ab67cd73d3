//! Recording ends: one transaction for all that ended since the last, each mark removed and each ledger set.

use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::Record;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::{Answer, Error, MAX_TRANSACTION_SIZE, Read, WriteError, Written, size_of};

use super::claim::Found;
use super::{Circumstances, FiringRequest, Firings, Recording, Slot};

/// After so many refusals that nothing explains, an end is given up and said.
const ATTEMPTS: u32 = 5;

/// An end that could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unrecorded {
    pub(crate) item: u32,
    pub(crate) reason: &'static str,
}

/// What to read to know what became of ends.
pub(super) fn survey(view: &View, items: &[u32]) -> Vec<Read> {
    let job = view.job();
    let of = |item: &u32| {
        [
            Read::Data(
                Node::ItemState {
                    item: *item,
                    kind: ItemKind::Running,
                }
                .of(job),
            ),
            Read::Data(Node::LedgerItem(*item).of(job)),
        ]
    };
    items.iter().flat_map(of).collect()
}

impl Firings {
    /// The transaction that records all ends there are, unless more are about to come.
    pub(super) fn record_ends(&mut self, circumstances: &Circumstances<'_>) -> Option<FiringRequest> {
        if !matches!(self.recording, Recording::Idle) || self.ended.is_empty() {
            return None;
        }
        let is_lingering = self.linger_until().is_some_and(|until| circumstances.elapsed < until);
        if is_lingering && !self.running.is_empty() {
            return None;
        }
        let mut transaction = Transaction::on(circumstances.view);
        let mut items = Vec::new();
        let mut size = 0;
        for (item, ended) in &self.ended {
            let mut steps = Transaction::on(circumstances.view);
            if ended.running.is_marked {
                steps.delete(Node::ItemState {
                    item: *item,
                    kind: ItemKind::Running,
                });
            }
            let record = ended.running.record.ended(ended.end.clone());
            steps.set(Node::LedgerItem(*item), record.to_bytes(), Some(ended.running.version));
            let steps = steps.into_steps();
            size += size_of(&steps);
            if size > MAX_TRANSACTION_SIZE && !items.is_empty() {
                break;
            }
            transaction.extend(steps);
            items.push(*item);
        }
        if items.len() == self.ended.len() {
            self.first_end_at = None;
        }
        self.recording = Recording::InFlight(items);
        Some(FiringRequest::RecordEnds(transaction.into_steps()))
    }

    /// The recording was answered.
    pub(crate) fn recorded(&mut self, result: Result<Vec<Written>, WriteError>) {
        let Recording::InFlight(items) = std::mem::replace(&mut self.recording, Recording::Idle) else {
            return;
        };
        let written = match result {
            Ok(written) => written,
            Err(WriteError {
                error: Error::SessionExpired,
                ..
            }) => return,
            Err(_) => {
                self.recording = Recording::Doubtful(items);
                return;
            }
        };
        let stats = written.into_iter().filter_map(|written| match written {
            Written::Set(stat) => Some(stat),
            _ => None,
        });
        for (item, stat) in items.into_iter().zip(stats) {
            if let Some(ended) = self.ended.remove(&item) {
                let record = ended.running.record.ended(ended.end);
                self.slots.insert(
                    item,
                    Slot {
                        version: stat.version,
                        record,
                    },
                );
            }
            self.close(item);
        }
    }

    /// What was read after a recording was refused or its answer lost. Those that are recorded are closed, those that
    /// are not are tried again as things are now, and those that somebody else recorded are given up.
    pub(crate) fn settled_ends(&mut self, me: &str, answers: Result<Vec<Answer>, Error>) -> Vec<Unrecorded> {
        let Recording::Settling(items) = std::mem::replace(&mut self.recording, Recording::Idle) else {
            return Vec::new();
        };
        let Ok(answers) = answers else {
            self.recording = Recording::Doubtful(items);
            return Vec::new();
        };
        let mut answers = Found::new(answers);
        let mut unrecorded = Vec::new();
        for item in items {
            let mark = answers.next();
            let ledger = answers.next();
            let Some(ended) = self.ended.get_mut(&item) else {
                continue;
            };
            let found = ledger.map(|(data, stat)| (Record::parse(&data), stat.version));
            let reason = match &found {
                None => Some("its ledger is gone"),
                Some((record, version)) => match &record.run {
                    Some(run) if run.id != ended.running.run.id || run.attempt != ended.running.run.attempt => {
                        Some("the item has been claimed by another run")
                    }
                    Some(run) if run.end.is_some() => {
                        self.slots.insert(
                            item,
                            Slot {
                                version: *version,
                                record: record.clone(),
                            },
                        );
                        self.ended.remove(&item);
                        self.close(item);
                        continue;
                    }
                    Some(_) if ended.attempts >= ATTEMPTS => Some("the registry keeps refusing it"),
                    Some(_) => None,
                    None => Some("its ledger was reset"),
                },
            };
            if let Some(reason) = reason {
                unrecorded.push(Unrecorded { item, reason });
                self.ended.remove(&item);
                self.close(item);
                continue;
            }
            if let Some((record, version)) = found {
                ended.attempts += 1;
                ended.running.version = version;
                ended.running.record = record;
                ended.running.is_marked = mark.is_some_and(|(holder, _)| holder == me.as_bytes());
            }
        }
        if !self.ended.is_empty() {
            self.first_end_at.get_or_insert_default();
        }
        unrecorded
    }
}
