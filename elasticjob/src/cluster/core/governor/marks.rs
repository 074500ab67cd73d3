//! Stale marks: `running` nodes of instances that are gone.
//!
//! A mark with a session goes with it and is never stale. A persistent mark, which failover needs, outlives its holder.
//! It keeps the item from running and from moving until a member of ours removes it, in a transaction that also records
//! it in the ledger.
//!
//! A holder counts as dead only if the view has no instance of that id, and an instance that an operator removed counts
//! as alive until it has left. What becomes of the item then depends on the ledger:
//!
//! - The run is open, failover is on, and attempts are left: the item is queued, and a survivor goes on with the run as
//!   its next attempt.
//! - The run is open and its attempts are used up: the item is parked. It runs again at its next time, and the run has
//!   ended as lost.
//! - The run is open and failover is off, or the item is switched off or gone: the run has ended as lost.
//! - The end of the run is recorded: only the mark was left.
//! - The ledger knows no run of the holder: it was a Java member's, and its mark says that it was running, so the item
//!   is queued.
//!
//! Before any of it is decided, the mark and the ledger are read after a sync. The repair expects the version of the
//! ledger that was read, so a holder that lives after all and writes in between wins.

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::{End, Reason, Record, Run, Verdict};
use crate::cluster::mutation::Mutation;
use crate::cluster::recent::Kept;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::{ItemView, MarkHolder, View, look};
use crate::registry::{Answer, CreateMode, Read, Stat, Step};

/// Returns whether it is for `me` to repair marks: for the leader if it is one of ours, else for the first of ours.
pub(crate) fn is_repairer(view: &View, me: &InstanceId) -> bool {
    match &view.leader {
        Some(leader) if view.members.contains_key(leader) => leader == me,
        _ => view.members.keys().next() == Some(me),
    }
}

/// Returns the next items with a mark that has to be checked: its holder is gone, or unknown.
pub(crate) fn suspects(view: &View, from: u32) -> Vec<u32> {
    let is_suspect = |holder: &MarkHolder| match holder {
        MarkHolder::Unknown => true,
        MarkHolder::Instance(id) => is_dead(view, id),
        MarkHolder::Session | MarkHolder::Unnamed => false,
    };
    let is_marked = |item: &ItemView| {
        look();
        item.mark.as_ref().is_some_and(|mark| is_suspect(&mark.holder))
    };
    let marked = view
        .items
        .range(from..)
        .filter(|(number, item)| is_marked(item) || is_taken_for_running(view, **number, item));
    marked.map(|(item, _)| *item).take(view.limits().batch()).collect()
}

/// The fault that is put in on purpose: what a dead instance owned counts as what it was running.
fn is_taken_for_running(view: &View, number: u32, item: &ItemView) -> bool {
    let is_left = |owner: &InstanceId| !view.instances.contains(owner);
    Mutation::FailOverFinished.is_on()
        && !view.failover_queue.contains(&number)
        && item.mark.is_none()
        && item.owner.as_ref().is_some_and(is_left)
}

/// What has to be read to judge the suspects.
pub(crate) fn survey(view: &View, suspects: &[u32]) -> Vec<Read> {
    let job = view.job();
    let of = |item: &u32| {
        let state = |kind| Node::ItemState { item: *item, kind };
        let nodes = [
            state(ItemKind::Running),
            Node::LedgerItem(*item),
            state(ItemKind::Failovering),
        ];
        nodes.map(|node| Read::Data(node.of(job)))
    };
    suspects.iter().flat_map(of).collect()
}

/// Marks found stale, and the transaction that removes them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repair {
    pub(crate) items: Vec<u32>,
    /// Those of them that were tried often enough.
    pub(crate) parked: Vec<u32>,
    /// The items with runs that are lost with their instances, including parked ones.
    pub(crate) lost: Vec<(u32, Option<Run>)>,
    pub(crate) steps: Vec<Step>,
}

/// What happens to an item if its instance died while running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Succession {
    /// Whether other instances take such items over.
    pub(crate) failover: bool,
    /// How often an item is tried at one time.
    pub(crate) attempts: u32,
    pub(crate) total: u32,
}

/// Judges the suspects by what was read, in the order of [`survey`].
pub(crate) fn repair(view: &View, suspects: &[u32], answers: Vec<Answer>, succession: Succession) -> Option<Repair> {
    let mut answers = answers.into_iter().map(|answer| match answer {
        Answer::Data(found) => found,
        Answer::Children(_) => None,
    });
    let mut transaction = Transaction::on(view);
    let (mut items, mut parked, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for item in suspects.iter().copied() {
        let [mark, ledger, failovering] = [(); 3].map(|()| answers.next().flatten());
        let Some(remedy) = Remedy::of(view, item, mark, ledger, failovering.is_some(), succession) else {
            continue;
        };
        if !transaction.add_if_it_fits(|transaction| remedy.add_to(transaction, view, succession.total)) {
            // They are suspects still once these are repaired.
            break;
        }
        let Remedy { bequest, record, .. } = remedy;
        match bequest {
            Bequest::Lost => lost.push((item, record.run)),
            Bequest::Parked => {
                parked.push(item);
                lost.push((item, record.run));
            }
            Bequest::Unrecorded => lost.extend(record.replaced(None).map(|run| (item, Some(run)))),
            Bequest::Queued | Bequest::Nothing => {}
        }
        items.push(item);
    }
    (!items.is_empty()).then(|| Repair {
        items,
        parked,
        lost,
        steps: transaction.into_steps(),
    })
}

/// What puts one item right that a dead instance left.
struct Remedy {
    item: u32,
    bequest: Bequest,
    /// The ledger as it was found, and its version if it is there.
    record: Record,
    version: Option<i32>,
    is_marked: bool,
    is_failovering: bool,
}

impl Remedy {
    /// Judges one suspect; `None` if no dead instance holds it.
    fn of(
        view: &View,
        item: u32,
        mark: Option<(Vec<u8>, Stat)>,
        ledger: Option<(Vec<u8>, Stat)>,
        is_failovering: bool,
        succession: Succession,
    ) -> Option<Self> {
        let is_marked = mark.is_some();
        let left = || {
            let state = view.items.get(&item)?;
            let is_covered = succession.failover && item < succession.total && !state.is_disabled;
            (is_covered && is_taken_for_running(view, item, state)).then(|| state.owner.clone())?
        };
        let holder = mark
            .and_then(|(data, stat)| dead_holder(view, &data, stat))
            .or_else(left)?;
        let version = ledger.as_ref().map(|(_, stat)| stat.version);
        let record = ledger.map_or_else(Record::default, |(data, _)| Record::parse(&data));
        Some(Self {
            item,
            bequest: bequeathed(view, item, &record, &holder, succession),
            record,
            version,
            is_marked,
            is_failovering,
        })
    }

    /// Returns the ledger once it is put right.
    fn after(&self, kept: Kept) -> Record {
        match self.bequest {
            Bequest::Queued | Bequest::Nothing => self.record.clone(),
            Bequest::Unrecorded => self.record.without_run(kept),
            Bequest::Lost => self.record.ended(End::new(Verdict::Lost)),
            Bequest::Parked => {
                let end = End::coded(Verdict::Lost, Reason::Parked);
                self.record.ended(end)
            }
        }
    }

    fn add_to(&self, transaction: &mut Transaction<'_>, view: &View, total: u32) {
        let item = self.item;
        let state = |kind| Node::ItemState { item, kind };
        let after = self.after(Kept::of(total)).to_bytes();
        match self.version {
            Some(version) => transaction.set(Node::LedgerItem(item), after, Some(version)),
            None => transaction.create(Node::LedgerItem(item), after, CreateMode::Persistent),
        };
        if self.is_marked {
            transaction.delete(state(ItemKind::Running));
        }
        if self.is_failovering {
            transaction.delete(state(ItemKind::Failovering));
        }
        let is_queued = matches!(self.bequest, Bequest::Queued | Bequest::Unrecorded);
        if is_queued && !view.failover_queue.contains(&item) {
            transaction.create(Node::FailoverItem(item), "", CreateMode::Persistent);
        }
    }
}

/// What a dead instance leaves of an item.
enum Bequest {
    /// An instance has to take it over.
    Queued,
    /// So it is, but its run is not in the ledger.
    Unrecorded,
    /// Its run will not be repeated.
    Lost,
    /// It was tried often enough.
    Parked,
    /// Its end is recorded, or there is nothing to record: only the mark was left.
    Nothing,
}

/// Decides what becomes of the run that a dead holder of a mark has left.
fn bequeathed(view: &View, item: u32, record: &Record, holder: &InstanceId, succession: Succession) -> Bequest {
    let is_recorded = record.is_open_of(holder.as_str());
    let is_ours = record.run.as_ref().is_some_and(|run| run.owner == holder.as_str());
    let is_heritable =
        succession.failover && item < succession.total && !view.items.get(&item).is_some_and(|item| item.is_disabled);
    let is_last = |run: &Run| {
        let is_used_up = run.attempt >= succession.attempts && !Mutation::NeverPark.is_on();
        is_used_up || Mutation::ParkAtOnce.is_on()
    };
    match &record.run {
        _ if Mutation::RepairSilently.is_on() => Bequest::Nothing,
        Some(run) if is_recorded && is_heritable && is_last(run) => Bequest::Parked,
        Some(_) if is_recorded && is_heritable => Bequest::Queued,
        Some(_) if is_recorded => Bequest::Lost,
        _ if is_ours && !(Mutation::FailOverFinished.is_on() && is_heritable) => Bequest::Nothing,
        // A Java member's: it wrote nothing here, and its mark says that it was running.
        _ if is_heritable => Bequest::Unrecorded,
        _ => Bequest::Nothing,
    }
}

/// Returns the holder that a mark names, if the mark is persistent and the holder is dead. A mark of a session is never
/// stale.
fn dead_holder(view: &View, data: &[u8], stat: Stat) -> Option<InstanceId> {
    let holder = InstanceId::parse(std::str::from_utf8(data).ok()?)?;
    (stat.ephemeral_owner == 0 && is_dead(view, &holder)).then_some(holder)
}

/// Returns whether the instance is gone. An instance that an operator removed is alive until it has left.
fn is_dead(view: &View, holder: &InstanceId) -> bool {
    if Mutation::BuryRemoved.is_on() {
        !view.instances.contains(holder)
    } else {
        !view.is_alive(holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fixtures::{id, view};

    fn data(text: &str) -> Answer {
        Answer::Data(Some((
            text.as_bytes().to_vec(),
            Stat {
                version: 4,
                ..Stat::default()
            },
        )))
    }

    const NONE: Succession = Succession {
        failover: false,
        attempts: 3,
        total: 2,
    };

    #[test]
    fn removes_mark_and_writes_ledger_at_once() {
        let view = view([
            "/instances/a@-@1",
            "/sharding/0/running=a@-@2",
            "/sharding/1/running=a@-@1",
            "/ledger/items/0",
        ]);
        assert_eq!(suspects(&view, 0), [0]);
        let repair = repair(&view, &[0], vec![data("a@-@2"), data("")], NONE).expect("one to repair");
        assert_eq!(repair.items, [0]);
        let expected = [
            Step::Set {
                path: "/job/ledger/items/0".into(),
                data: Record::default().to_bytes(),
                version: Some(4),
            },
            Step::Delete {
                path: "/job/sharding/0/running".into(),
                version: None,
            },
        ];
        assert_eq!(repair.steps, expected);
    }

    #[test]
    fn removes_takeover_node_that_the_view_lacks() {
        let view = view(["/instances/a@-@1", "/sharding/0/running=a@-@2", "/ledger/items/0"]);
        let answers = vec![data("a@-@2"), data(""), data("a@-@2")];
        let repair = repair(&view, &[0], answers, NONE).expect("one to repair");
        let deleted = Step::Delete {
            path: "/job/sharding/0/failovering".into(),
            version: None,
        };
        assert_eq!(repair.steps.last(), Some(&deleted));
    }

    #[test]
    fn leaves_marks_that_are_gone_or_live() {
        let view = view(["/instances/a@-@1", "/sharding/0/running=a@-@2"]);
        assert_eq!(
            repair(&view, &[0], vec![Answer::Data(None), Answer::Data(None)], NONE),
            None
        );
        assert_eq!(repair(&view, &[0], vec![data("a@-@1"), Answer::Data(None)], NONE), None);
        let session = Answer::Data(Some((
            b"a@-@9".to_vec(),
            Stat {
                ephemeral_owner: 3,
                ..Stat::default()
            },
        )));
        assert_eq!(repair(&view, &[0], vec![session, Answer::Data(None)], NONE), None);
    }

    #[test]
    fn are_repaired_by_leader_or_first_of_ours() {
        let members = ["/ledger/members/a@-@1", "/ledger/members/a@-@2"];
        let ours = view([&members[..], &["/leader/election/instance=a@-@2"]].concat());
        assert!(is_repairer(&ours, &id("a@-@2")) && !is_repairer(&ours, &id("a@-@1")));
        let java = view([&members[..], &["/leader/election/instance=b@-@7"]].concat());
        assert!(is_repairer(&java, &id("a@-@1")) && !is_repairer(&java, &id("a@-@2")));
    }
}
