//! Decides which items are still to come to a barrier: pure, from the nodes of each item that is missing.
//!
//! Java waits for all items of the job, and so for ever if one does not run. Here an item is waited for only as long as
//! some instance may still run it in this firing. It is not waited for if it is switched off, has no instance or a
//! server that is switched off, is accounted for by its ledger, or is busy with another run; and, if its owner is an instance
//! of ours, once it has not been claimed for [`CLAIMED_WITHIN`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::core::firing::LATE_LIMIT;
use crate::cluster::instance::InstanceId;
use crate::cluster::layout::{ItemKind, Moment, Node};
use crate::cluster::ledger::Record;
use crate::registry::{Answer, Read};

use super::called::FiringKey;

/// An instance of ours that has not claimed an item so long after the others came is not going to: a firing that waits for a while
/// is given up.
const CLAIMED_WITHIN: Duration = Duration::from_secs(LATE_LIMIT.as_secs().unsigned_abs() + 2);

/// The job's instances and the items that are missing, as read.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    instances: BTreeSet<InstanceId>,
    /// The members of ours.
    members: BTreeSet<InstanceId>,
    items: BTreeMap<u32, Item>,
    /// Switched off, by name.
    disabled_servers: BTreeSet<String>,
}

/// One item, as read.
#[derive(Debug, Default)]
struct Item {
    owner: Option<InstanceId>,
    is_disabled: bool,
    is_running: bool,
    /// It waits for a take-over.
    is_queued: bool,
    record: Record,
}

/// The barrier that the items are to come to.
pub(super) struct Question<'a> {
    pub(super) moment: Moment,
    pub(super) firing: &'a FiringKey,
    /// The firing is a take-over: all its items have come.
    pub(super) is_takeover: bool,
    /// For how long this instance has been at the barrier.
    pub(super) waited: Duration,
    pub(super) now: Timestamp,
}

impl Attendance {
    /// Returns the reads for these items.
    pub(super) fn reads(job: &str, items: &[u32]) -> Vec<Read> {
        let mut reads = vec![
            Read::Children(Node::Instances.of(job)),
            Read::Children(Node::Members.of(job)),
        ];
        for &item in items {
            let nodes = [
                Node::ItemState {
                    item,
                    kind: ItemKind::Owner,
                },
                Node::ItemState {
                    item,
                    kind: ItemKind::Disabled,
                },
                Node::ItemState {
                    item,
                    kind: ItemKind::Running,
                },
                Node::FailoverItem(item),
                Node::LedgerItem(item),
            ];
            reads.extend(nodes.map(|node| Read::Data(node.of(job))));
        }
        reads
    }

    /// Creates it from the answers.
    pub(super) fn of(items: &[u32], answers: Vec<Answer>) -> Self {
        let mut answers = answers.into_iter();
        let mut ids = || match answers.next() {
            Some(Answer::Children(Some(names))) => names.iter().filter_map(|name| InstanceId::parse(name)).collect(),
            _ => BTreeSet::new(),
        };
        let (instances, members) = (ids(), ids());
        let mut data = || match answers.next() {
            Some(Answer::Data(found)) => found.map(|(data, _)| data),
            _ => None,
        };
        let items = items.iter().map(|&item| {
            let (owner, disabled, running) = (data(), data(), data());
            let (queued, ledger) = (data(), data());
            let known = Item {
                owner: owner.and_then(|owner| InstanceId::parse(&String::from_utf8_lossy(&owner))),
                is_disabled: disabled.is_some(),
                is_running: running.is_some(),
                is_queued: queued.is_some(),
                record: ledger.map(|ledger| Record::parse(&ledger)).unwrap_or_default(),
            };
            (item, known)
        });
        Self {
            items: items.collect(),
            instances,
            members,
            disabled_servers: BTreeSet::new(),
        }
    }

    /// Returns the servers of the owners; their switches are read next.
    pub(super) fn servers(&self) -> BTreeSet<String> {
        let owners = self.items.values().filter_map(|item| item.owner.as_ref());
        owners.map(|owner| owner.server().to_owned()).collect()
    }

    /// Applies the switches, in the order of [`servers`](Self::servers).
    pub(super) fn switched(&mut self, answers: Vec<Answer>) {
        let is_off = |answer: &Answer| !matches!(answer, Answer::Data(Some((data, _))) if data == b"ENABLED");
        let servers = self.servers().into_iter().zip(answers);
        self.disabled_servers = servers
            .filter(|(_, answer)| is_off(answer))
            .map(|(server, _)| server)
            .collect();
    }

    /// Returns the items that are still to come. Items of Java members, which write no ledger, count as long as they may come.
    pub(super) fn to_come(&self, question: &Question<'_>) -> Vec<u32> {
        let items = self.items.iter();
        items
            .filter(|(_, item)| self.is_to_come(item, question))
            .map(|(item, _)| *item)
            .collect()
    }

    /// Returns whether an instance may still come to the barrier with this item.
    fn is_to_come(&self, item: &Item, question: &Question<'_>) -> bool {
        let owner = item.owner.as_ref().filter(|owner| self.instances.contains(*owner));
        let is_javas = owner.is_some_and(|owner| !self.members.contains(owner));
        if let Some(run) = &item.record.run
            && FiringKey::of(run).is_same(question.firing)
        {
            let is_alive = InstanceId::parse(&run.owner).is_some_and(|id| self.is_alive(&id));
            // The item of a dead instance is repaired soon, or taken over.
            return run.end.is_none() && (is_alive || item.is_running || item.is_queued);
        }
        let is_busy =
            item.record.run.as_ref().is_some_and(|run| {
                run.end.is_none() && InstanceId::parse(&run.owner).is_some_and(|id| self.is_alive(&id))
            });
        match question.moment {
            Moment::Completed => is_javas && (item.is_running || !item.is_disabled),
            Moment::Started => {
                let is_off =
                    item.is_disabled || owner.is_none_or(|owner| self.disabled_servers.contains(owner.server()));
                if is_off || is_busy || question.is_takeover {
                    return false;
                }
                if is_javas {
                    return !item.is_running;
                }
                let is_accounted_for = match question.firing {
                    FiringKey::Time(due) => {
                        let until = item.record.until(question.now);
                        until.is_some_and(|until| until.as_millisecond() >= *due)
                    }
                    FiringKey::Requests(requests) => {
                        requests.iter().any(|request| item.record.answer_to(request).is_some())
                    }
                    FiringKey::Unknown => false,
                };
                !is_accounted_for && question.waited < CLAIMED_WITHIN
            }
        }
    }

    fn is_alive(&self, id: &InstanceId) -> bool {
        self.instances.contains(id) || self.members.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::ledger::{End, Run, Source, Verdict};

    use super::*;
    use crate::cluster::fixtures::id;
    use crate::cluster::recent::Kept;

    const OURS: &str = "10.0.0.1@-@7-abc123";
    const JAVAS: &str = "10.0.0.2@-@9";
    const DEAD: &str = "10.0.0.3@-@7-abc123";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Returns an item of this owner.
    fn of(owner: &str) -> Item {
        Item {
            owner: Some(id(owner)),
            ..Item::default()
        }
    }

    /// Its newest run, due at this second, by this instance.
    fn with_run(item: Item, owner: &str, second: i64, end: Option<Verdict>) -> Item {
        let run = Run {
            id: "r".into(),
            due: at(second).as_millisecond(),
            attempt: 1,
            owner: owner.into(),
            source: Source::Schedule,
            requests: Vec::new(),
            parameter: None,
            end: None,
        };
        let record = Record::default().claimed(run, at(second), Kept::of(1));
        let record = end.map_or(record.clone(), |verdict| record.ended(End::new(verdict)));
        Item { record, ..item }
    }

    /// Returns whether the item is waited for at this moment of the firing that is due at second 10, after so many seconds.
    fn is_awaited(item: Item, moment: Moment, waited: u64) -> bool {
        let attendance = Attendance {
            instances: BTreeSet::from([id(OURS), id(JAVAS)]),
            members: BTreeSet::from([id(OURS)]),
            items: BTreeMap::from([(0, item)]),
            disabled_servers: BTreeSet::new(),
        };
        let question = Question {
            moment,
            firing: &FiringKey::Time(at(10).as_millisecond()),
            is_takeover: false,
            waited: Duration::from_secs(waited),
            now: at(10),
        };
        !attendance.to_come(&question).is_empty()
    }

    #[test]
    fn waits_for_our_member_until_it_has_run_or_is_late() {
        use Moment::{Completed, Started};
        assert!(is_awaited(of(OURS), Started, 1), "it has not claimed it yet");
        assert!(!is_awaited(of(OURS), Started, 60), "nor is it going to");
        let before = with_run(of(OURS), OURS, 5, Some(Verdict::Succeeded));
        assert!(is_awaited(before, Started, 1));
        assert!(
            !is_awaited(with_run(of(OURS), OURS, 5, None), Started, 1),
            "it is busy with another"
        );
        for moment in [Started, Completed] {
            assert!(is_awaited(with_run(of(OURS), OURS, 10, None), moment, 60), "it runs");
            let ended = with_run(of(OURS), OURS, 10, Some(Verdict::Failed));
            assert!(!is_awaited(ended, moment, 1), "it has been there and gone");
            let later = with_run(of(OURS), OURS, 20, None);
            assert!(!is_awaited(later, moment, 1), "it is at a later firing");
        }
        assert!(!is_awaited(of(OURS), Completed, 1), "it has not begun");
    }

    #[test]
    fn waits_for_item_of_dead_instance_while_it_may_be_taken_over() {
        let lost = || with_run(of(DEAD), DEAD, 10, None);
        let marked = Item {
            is_running: true,
            ..lost()
        };
        assert!(is_awaited(marked, Moment::Completed, 60), "it is still to be repaired");
        let queued = Item {
            is_queued: true,
            ..lost()
        };
        assert!(
            is_awaited(queued, Moment::Completed, 60),
            "it is about to be taken over"
        );
        assert!(!is_awaited(lost(), Moment::Completed, 1));
        assert!(!is_awaited(of(DEAD), Moment::Started, 1));
    }

    #[test]
    fn waits_for_no_item_switched_off_or_without_owner() {
        let disabled = |owner| Item {
            is_disabled: true,
            ..of(owner)
        };
        for moment in Moment::ALL {
            assert!(!is_awaited(Item::default(), moment, 1));
            assert!(!is_awaited(disabled(OURS), moment, 1));
            assert!(!is_awaited(disabled(JAVAS), moment, 1));
        }
    }

    #[test]
    fn waits_for_a_java_member_without_limit() {
        let running = Item {
            is_running: true,
            ..of(JAVAS)
        };
        assert!(is_awaited(of(JAVAS), Moment::Started, 3600));
        assert!(is_awaited(of(JAVAS), Moment::Completed, 3600));
        assert!(is_awaited(running, Moment::Completed, 3600));
        let running = Item {
            is_running: true,
            ..of(JAVAS)
        };
        assert!(!is_awaited(running, Moment::Started, 1), "it is past that");
    }
}
