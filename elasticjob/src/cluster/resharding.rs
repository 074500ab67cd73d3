//! Sharing the items out anew: when it is due, and the transaction that does it.
//!
//! The leader compares what the assignment was made for, kept in `ledger/epoch`, with what there is now, so no
//! reason can be lost with a flag or a leader. It changes only what changes, in one transaction, and leaves an item
//! that is running where it is: that one is noted as deferred, and moves once its mark is gone. Nobody else waits
//! for it. Only to the instance that runs it, having taken it over, does it move at once.

mod shared_out;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::registry::{Answer, CreateMode, Read, Step, size_of};

use super::extent::Extent;
use super::instance::InstanceId;
use super::layout::{ItemKind, Node};
use super::ledger::Record;
use super::mutation::Mutation;
use super::noted_items::NotedItems;
use super::transaction::{Transaction, packed};
use super::view::{ItemView, View};

pub(crate) use shared_out::SharedOut;

/// An item of those that moved takes so many bytes in the epoch at most,
const BYTES_A_MOVED_ITEM: usize = 24;
/// and all of them together this part of a transaction.
const BYTES_OF_MOVED_ITEMS: usize = 4;

/// What an assignment is made for, beside the instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) total: u32,
    pub(crate) strategy: &'a str,
    /// Stands for what the strategy takes of the configuration; 0 for nothing.
    pub(crate) settings: u32,
}

/// What an assignment is made for, as kept in `ledger/epoch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    instances: Vec<String>,
    total: u32,
    strategy: String,
    #[serde(default, skip_serializing_if = "is_nothing")]
    settings: u32,
    /// Items that were running and are still to be moved, or removed.
    #[serde(default, skip_serializing_if = "NotedItems::is_empty")]
    deferred: NotedItems,
    /// The items that were given to no instance on purpose.
    #[serde(default, skip_serializing_if = "NotedItems::is_empty")]
    left_out: NotedItems,
    /// The items whose owner changed with this assignment, with the new one's place among the instances. Left out where
    /// these are so many that they would not go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved: Option<Vec<(u32, Option<usize>)>>,
    /// In how many transactions it was brought about, each of which is an epoch; 0 for one.
    #[serde(default, skip_serializing_if = "is_nothing")]
    parts: u32,
}

impl Basis {
    /// What an assignment made now would be made for.
    pub(crate) fn now(view: &View, terms: Terms<'_>) -> Self {
        Self {
            instances: view.candidates_for_items().map(|id| id.as_str().to_owned()).collect(),
            total: terms.total,
            strategy: terms.strategy.to_owned(),
            settings: terms.settings,
            deferred: NotedItems::default(),
            left_out: NotedItems::default(),
            moved: None,
            parts: 0,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a basis has only strings and numbers, which JSON can hold")
    }

    /// The items that wait for their runs to end.
    pub(crate) fn deferred(&self) -> &NotedItems {
        &self.deferred
    }

    /// The items that were given to no instance on purpose.
    pub(crate) fn left_out(&self) -> &NotedItems {
        &self.left_out
    }

    /// Whether the item was given to no instance on purpose.
    pub(crate) fn leaves_out(&self, item: u32) -> bool {
        self.left_out.contains(item)
    }

    /// Whether the assignment is being brought about, in several parts of which this is not the last.
    pub(crate) fn is_unfinished(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the assignment was made for this instance, too.
    pub(crate) fn counts(&self, id: &InstanceId) -> bool {
        self.instances.iter().any(|counted| counted == id.as_str())
    }

    /// How many epochs the assignment took.
    pub(crate) fn parts(&self) -> u32 {
        self.parts.max(1)
    }

    /// The items whose owner changed with this assignment, each with its new one; `None` where that is not told.
    pub(crate) fn moved(&self) -> Option<Vec<(u32, Option<InstanceId>)>> {
        let owner = |(item, place): &(u32, Option<usize>)| {
            let owner = place.map(|place| InstanceId::parse(self.instances.get(place)?));
            Some((*item, owner.map_or(Some(None), |owner| owner.map(Some))?))
        };
        self.moved.as_ref()?.iter().map(owner).collect()
    }

    /// Whether an assignment made now would be made for the same. Asked often, so it makes nothing.
    fn is_of(&self, view: &View, terms: Terms<'_>) -> bool {
        let is_same = |(own, now): (&String, &InstanceId)| *own == now.as_str();
        self.total == terms.total
            && self.strategy == terms.strategy
            && self.settings == terms.settings
            && self.instances.len() == view.candidates_for_items().count()
            && self.instances.iter().zip(view.candidates_for_items()).all(is_same)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_nothing(settings: &u32) -> bool {
    *settings == 0
}

/// Why the items have to be shared out anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody said so.
    Flag,
    /// Instances, total count, strategy or what that takes are not those that the assignment was made for.
    Cluster,
    /// An item that had to wait for its run can move now.
    Deferred,
    /// An item belongs to nobody who is there.
    Orphan,
}

/// Whether the leader has to share the items out, and why.
pub(crate) fn reason(view: &View, terms: Terms<'_>, is_static: bool) -> Option<Reason> {
    view.candidates_for_items().next()?;
    if view.is_resharding() {
        return Some(Reason::Flag);
    }
    let Some(stored) = view.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref()) else {
        return Some(Reason::Cluster);
    };
    let is_free = |item: &u32| view.items.get(item).is_none_or(|item| item.mark.is_none());
    if stored.deferred.iter().any(|item| is_free(&item)) {
        return Some(Reason::Deferred);
    }
    if is_static && stored.total == terms.total {
        return None;
    }
    if !stored.is_of(view, terms) {
        return Some(Reason::Cluster);
    }
    let is_orphan = |item: &u32, state: &ItemView| match &state.owner {
        // One that still runs was looked at, and waits for its end.
        Some(owner) => !view.instances.contains(owner) && !stored.deferred.contains(*item),
        None => false,
    };
    let mut items = view.items.range(..terms.total);
    items
        .any(|(item, state)| is_orphan(item, state))
        .then_some(Reason::Orphan)
}

/// Says to everybody, Java members included, that the items are about to be shared out.
pub(crate) fn announce(view: &View) -> Vec<Step> {
    let mut transaction = Transaction::on(view);
    transaction.check(Node::LeaderInstance, None);
    transaction.create(Node::Necessary, "", CreateMode::Persistent);
    transaction.into_steps()
}

/// Flags, for a Java member that may lead next, that there is something to share out: it flags only what happens while it
/// leads itself, and whoever gives the leadership up is about to have no items.
pub(crate) fn leave_to_java(view: &View, transaction: &mut Transaction<'_>) {
    if view.has_java_members() && !view.is_resharding_necessary {
        transaction.create(Node::Necessary, "", CreateMode::Persistent);
    }
}

/// The items that an assignment has to look at: those to be, and those there are.
pub(crate) fn scope(view: &View, total: u32) -> Vec<u32> {
    let beyond = view
        .items
        .range(total..)
        .filter(|(_, item)| item.exists || item.owner.is_some());
    (0..total).chain(beyond.map(|(item, _)| *item)).collect()
}

/// What has to be read of the items, freshly.
pub(crate) fn survey(view: &View, scope: &[u32]) -> Vec<Read> {
    let job = view.job();
    let of = |item: &u32| {
        let state = |kind| Node::ItemState { item: *item, kind }.of(job);
        [
            Read::Data(state(ItemKind::Owner)),
            Read::Data(state(ItemKind::Running)),
            Read::Data(Node::LedgerItem(*item).of(job)),
            Read::Children(Node::Item(*item).of(job)),
        ]
    };
    scope.iter().flat_map(of).collect()
}

/// One item as the survey found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Surveyed {
    item: u32,
    owner: Option<InstanceId>,
    /// Somebody who lives, as far as we know, is running it.
    is_running: bool,
    /// Who that is, where the mark says so.
    runner: Option<InstanceId>,
    ledger: Option<i32>,
    /// The names below `sharding/{item}`; `None` where that is missing.
    children: Option<Vec<String>>,
}

impl Surveyed {
    /// The item and its owner, if it has one.
    pub(crate) fn owned(&self) -> Option<(u32, &InstanceId)> {
        Some((self.item, self.owner.as_ref()?))
    }
}

/// Reads the answers to [`survey`].
pub(crate) fn surveyed(view: &View, scope: &[u32], answers: Vec<Answer>) -> Vec<Surveyed> {
    let mut answers = answers.into_iter();
    let data = |answers: &mut std::vec::IntoIter<Answer>| match answers.next() {
        Some(Answer::Data(found)) => found,
        _ => None,
    };
    let mut found = Vec::with_capacity(scope.len());
    for item in scope {
        let owner = data(&mut answers).and_then(|(data, _)| InstanceId::parse(&String::from_utf8_lossy(&data)));
        let mark = data(&mut answers);
        let mut runner = None;
        let is_running = mark
            .filter(|_| !Mutation::MoveRunning.is_on())
            .is_some_and(|(data, stat)| {
                runner = InstanceId::parse(&String::from_utf8_lossy(&data));
                stat.ephemeral_owner != 0 || runner.as_ref().is_none_or(|holder| view.is_alive(holder))
            });
        let ledger = data(&mut answers).map(|(_, stat)| stat.version);
        let children = match answers.next() {
            Some(Answer::Children(children)) => children,
            _ => None,
        };
        found.push(Surveyed {
            item: *item,
            owner,
            is_running,
            runner,
            ledger,
            children,
        });
    }
    found
}

/// Returns the transactions that bring the assignment about, to be executed in order, usually one, and what the log says of it.
///
/// `target` names the owner of each item below the total.
pub(crate) fn transactions(
    view: &View,
    basis: &Basis,
    target: &[Option<InstanceId>],
    items: &[Surveyed],
    extent: &Extent,
) -> (Vec<Vec<Step>>, SharedOut) {
    let places: BTreeMap<&str, usize> = basis.instances.iter().map(String::as_str).zip(0..).collect();
    let mut basis = basis.clone();
    let without_owner = (0..).zip(target).filter(|(_, owner)| owner.is_none());
    basis.left_out = without_owner.map(|(item, _)| item).collect();
    let mut changes = Vec::new();
    let mut moved = Vec::new();
    for surveyed in items {
        let wanted = target.get(surveyed.item as usize);
        match change(view, surveyed, wanted, extent) {
            Change::Deferred => basis.deferred.insert(surveyed.item),
            Change::Steps(steps) => {
                let wanted = wanted.and_then(Option::as_ref);
                if surveyed.owner.as_ref() != wanted {
                    moved.push((
                        surveyed.item,
                        wanted.and_then(|owner| places.get(owner.as_str()).copied()),
                    ));
                }
                changes.push(steps);
            }
        }
    }

    let shared_out = SharedOut::new(view, &basis, items, moved.iter().map(|(item, _)| *item));
    let limit = limits::worker_transaction_size(view.job());
    if moved.len() <= limit / BYTES_OF_MOVED_ITEMS / BYTES_A_MOVED_ITEM {
        basis.moved = Some(moved);
    }
    let frame = size_of(&framed(view, Part::ONLY, &Basis::default()));
    let mut parts = packed(changes, limit.saturating_sub(frame), size_of);
    // What the assignment was made for grows with the instances and the items, and may need a transaction of its own.
    let last = parts.last().expect("there is one at least");
    if size_of(last) + size_of(&framed(view, Part::ONLY, &basis)) > limit && !last.is_empty() {
        parts.push(Vec::new());
    }
    let count = parts.len();
    if count > 1 {
        basis.parts = u32::try_from(count).unwrap_or(u32::MAX);
    }
    let all = |(index, changes): (usize, Vec<Step>)| {
        let part = Part { index, count };
        // Only the last part says that all is done; those before leave the reason standing.
        let mut steps = match part.is_last() {
            true => framed(view, part, &basis),
            false => framed(view, part, &Basis::default()),
        };
        steps.extend(changes);
        steps
    };
    (parts.into_iter().enumerate().map(all).collect(), shared_out)
}

/// One of the transactions of an assignment.
#[derive(Clone, Copy, Debug)]
struct Part {
    index: usize,
    count: usize,
}

impl Part {
    const ONLY: Self = Self { index: 0, count: 1 };

    fn is_last(self) -> bool {
        self.index + 1 == self.count
    }
}

/// What is in such a transaction beside the changes of items: what it relies on, and the next epoch.
fn framed(view: &View, part: Part, basis: &Basis) -> Vec<Step> {
    let mut transaction = Transaction::on(view);
    transaction.check_namespace().check(Node::LeaderInstance, None);
    let data = basis.to_bytes();
    let index = i32::try_from(part.index).unwrap_or(i32::MAX);
    match &view.epoch {
        Some(epoch) => transaction.set(Node::Epoch, data, Some(epoch.version.saturating_add(index))),
        None if index == 0 => transaction.create(Node::Epoch, data, CreateMode::Persistent),
        None => transaction.set(Node::Epoch, data, Some(index - 1)),
    };
    if index == 0 {
        transaction.ensure(Node::Sharding).ensure(Node::LedgerItems);
    }
    if part.is_last() && view.is_resharding_necessary {
        transaction.delete(Node::Necessary);
    }
    if part.is_last() && view.is_resharding_processing {
        transaction.delete(Node::Processing);
    }
    transaction.into_steps()
}

enum Change {
    Deferred,
    Steps(Vec<Step>),
}

/// What has to happen to one item. `wanted` is `None` for one beyond the total.
fn change(view: &View, surveyed: &Surveyed, wanted: Option<&Option<InstanceId>>, extent: &Extent) -> Change {
    let item = surveyed.item;
    let job = view.job();
    let create = |node: Node<'_>, data: Vec<u8>| Step::Create {
        path: node.of(job),
        data,
        mode: CreateMode::Persistent,
    };
    let owner_node = Node::ItemState {
        item,
        kind: ItemKind::Owner,
    };
    let mut steps = Vec::new();

    let is_settled = wanted.is_some_and(|wanted| *wanted == surveyed.owner);
    let is_gone = wanted.is_none() && surveyed.children.is_none();
    // It took the item over. A Java member would not expect to be given what it runs.
    let is_at_home = wanted
        .and_then(Option::as_ref)
        .is_some_and(|wanted| surveyed.runner.as_ref() == Some(wanted) && view.members.contains_key(wanted));
    if surveyed.is_running && !is_settled && !is_gone && !is_at_home {
        return Change::Deferred;
    }
    if wanted.is_some() && surveyed.children.is_none() {
        steps.push(create(Node::Item(item), Vec::new()));
    }
    // The version of the ledger tells whether somebody of ours claimed the item since the survey.
    match surveyed.ledger {
        Some(_) if is_settled || is_gone => {}
        Some(version) => steps.push(Step::Check {
            path: Node::LedgerItem(item).of(job),
            version: Some(version),
        }),
        None if wanted.is_some() => {
            let record = Record::begun(extent.since(item));
            steps.push(create(Node::LedgerItem(item), record.to_bytes()));
        }
        None => {}
    }
    let Some(wanted) = wanted else {
        for child in surveyed.children.iter().flatten() {
            steps.push(Step::Delete {
                path: format!("{}/{child}", Node::Item(item).of(job)),
                version: None,
            });
        }
        if surveyed.children.is_some() {
            steps.push(Step::Delete {
                path: Node::Item(item).of(job),
                version: None,
            });
        }
        return Change::Steps(steps);
    };
    if is_settled {
        return Change::Steps(steps);
    }
    // Never a change of data: Java's cache would go on answering with the old owner.
    if surveyed.owner.is_some() {
        steps.push(Step::Delete {
            path: owner_node.of(job),
            version: None,
        });
    }
    if let Some(owner) = wanted {
        steps.push(create(owner_node, owner.as_str().into()));
    }
    Change::Steps(steps)
}

#[cfg(test)]
mod tests {
    use crate::registry::Stat;

    use super::*;

    fn avg(total: u32) -> Terms<'static> {
        Terms {
            total,
            strategy: "AVG_ALLOCATION",
            settings: 0,
        }
    }

    fn id(text: &str) -> InstanceId {
        InstanceId::parse(text).expect("an id")
    }

    fn view(nodes: &[&str]) -> View {
        let mut view = View::new("job");
        let always = [
            "/leader",
            "/leader/sharding",
            "/leader/sharding/necessary",
            "/servers/a=ENABLED",
            "/ledger",
        ];
        for node in always.iter().chain(nodes) {
            let (path, data) = node.split_once('=').unwrap_or((node, ""));
            view.read(
                &format!("/job{path}"),
                Some((data.as_bytes().to_vec(), Stat::default())),
            );
        }
        view
    }

    fn surveyed(item: u32, owner: &str, is_running: bool) -> Surveyed {
        Surveyed {
            item,
            owner: InstanceId::parse(owner),
            is_running,
            runner: None,
            ledger: Some(5),
            children: Some(vec!["instance".to_owned()]),
        }
    }

    fn shown(steps: &[Step]) -> Vec<String> {
        let show = |step: &Step| match step {
            Step::Create { path, data, .. } => format!("+{path}={}", String::from_utf8_lossy(data)),
            Step::Set { path, version, .. } => format!("={path}@{version:?}"),
            Step::Delete { path, .. } => format!("-{path}"),
            Step::Check { path, version } => format!("?{path}@{version:?}"),
        };
        steps.iter().map(show).collect()
    }

    fn plan(view: &View, target: &[&str], items: &[Surveyed]) -> Vec<Vec<Step>> {
        let basis = Basis::now(view, avg(u32::try_from(target.len()).expect("few")));
        let target: Vec<_> = target.iter().map(|owner| InstanceId::parse(owner)).collect();
        let extent = Extent::new(2, jiff::Timestamp::UNIX_EPOCH);
        transactions(view, &basis, &target, items, &extent).0
    }

    #[test]
    fn only_what_changes_should_be_written_by_deletion_and_creation() {
        let view = view(&["/instances/a@-@1", "/instances/a@-@2", "/sharding", "/ledger/items"]);
        let items = [surveyed(0, "a@-@1", false), surveyed(1, "a@-@1", false)];
        let transactions = plan(&view, &["a@-@1", "a@-@2"], &items);
        assert_eq!(transactions.len(), 1);
        let steps = shown(&transactions[0]);
        assert_eq!(
            steps[steps.len() - 3..],
            [
                "?/job/ledger/items/1@Some(5)".to_owned(),
                "-/job/sharding/1/instance".to_owned(),
                "+/job/sharding/1/instance=a@-@2".to_owned(),
            ]
        );
        assert!(!steps.iter().any(|step| step.contains("sharding/0")), "{steps:?}");
        assert!(steps.contains(&"-/job/leader/sharding/necessary".to_owned()));
        assert!(
            steps.contains(&"?/@None".to_owned()) && steps.contains(&"?/job/leader/election/instance@None".to_owned())
        );
    }

    #[test]
    fn a_running_item_should_stay_and_be_noted_while_others_move() {
        let view = view(&["/instances/a@-@1", "/instances/a@-@2", "/sharding", "/ledger/items"]);
        let items = [surveyed(0, "a@-@1", true), surveyed(1, "a@-@1", false)];
        let steps = shown(&plan(&view, &["a@-@2", "a@-@2"], &items)[0]);
        assert!(!steps.iter().any(|step| step.contains("sharding/0")), "{steps:?}");
        assert!(steps.contains(&"+/job/sharding/1/instance=a@-@2".to_owned()));
        assert!(
            steps
                .iter()
                .any(|step| step.starts_with("+/job/ledger/epoch") && step.contains("\"deferred\":[0]"))
        );
    }

    #[test]
    fn a_running_item_should_move_at_once_to_who_took_it_over_unless_that_is_java() {
        let nodes = ["/instances/a@-@1", "/instances/a@-@2", "/sharding", "/ledger/items"];
        let items = [Surveyed {
            runner: Some(id("a@-@2")),
            ..surveyed(0, "a@-@9", true)
        }];
        let moves = |view: &View, target| {
            let steps = shown(&plan(view, &[target], &items)[0]);
            steps.contains(&format!("+/job/sharding/0/instance={target}"))
        };
        let mut view = view(&nodes);
        assert!(!moves(&view, "a@-@2"), "a Java member");
        for ours in ["/ledger/members/a@-@1", "/ledger/members/a@-@2"] {
            view.read(&format!("/job{ours}"), Some((b"{}".to_vec(), Stat::default())));
        }
        assert!(moves(&view, "a@-@2"));
        assert!(!moves(&view, "a@-@1"), "another one");
    }

    #[test]
    fn a_deferred_item_should_be_a_reason_once_its_mark_is_gone() {
        let mut view = view(&["/instances/a@-@1"]);
        view.is_resharding_necessary = false;
        let basis = Basis {
            deferred: NotedItems::from_iter([0]),
            ..Basis::now(&view, avg(1))
        };
        let data = serde_json::to_vec(&basis).expect("json");
        view.read("/job/ledger/epoch", Some((data, Stat::default())));
        view.read("/job/sharding/0/running", Some((b"a@-@1".to_vec(), Stat::default())));
        assert_eq!(reason(&view, avg(1), false), None);
        view.read("/job/sharding/0/running", None);
        assert_eq!(reason(&view, avg(1), false), Some(Reason::Deferred));
    }

    #[test]
    fn an_orphan_that_still_runs_should_not_be_a_reason_over_and_over() {
        let mut view = view(&["/instances/a@-@1", "/instances/a@-@2"]);
        view.is_resharding_necessary = false;
        let basis = Basis {
            deferred: NotedItems::from_iter([0]),
            ..Basis::now(&view, avg(1))
        };
        let found = |data: &[u8]| Some((data.to_vec(), Stat::default()));
        view.read("/job/ledger/epoch", found(&serde_json::to_vec(&basis).expect("json")));
        view.read("/job/sharding/0/instance", found(b"a@-@9"));
        view.read("/job/sharding/0/running", found(b"a@-@2"));
        assert_eq!(reason(&view, avg(1), false), None);
    }

    #[test]
    fn joining_leaving_disabling_and_a_new_total_should_each_be_a_reason() {
        let mut settled = view(&["/instances/a@-@1", "/sharding/0/instance=a@-@1"]);
        settled.is_resharding_necessary = false;
        let basis = Basis::now(&settled, avg(1));
        settled.read(
            "/job/ledger/epoch",
            Some((serde_json::to_vec(&basis).expect("json"), Stat::default())),
        );
        assert_eq!(reason(&settled, avg(1), false), None);

        let check = |change: &dyn Fn(&mut View), total: u32, expected: Option<Reason>| {
            let mut view = settled.clone();
            change(&mut view);
            assert_eq!(reason(&view, avg(total), false), expected);
        };
        let found = |data: &str| Some((data.as_bytes().to_vec(), Stat::default()));
        check(
            &|view| view.read("/job/instances/a@-@2", found("")),
            1,
            Some(Reason::Cluster),
        );
        check(&|_| {}, 2, Some(Reason::Cluster));
        let by_label = Terms { settings: 7, ..avg(1) };
        assert_eq!(reason(&settled, by_label, false), Some(Reason::Cluster));
        check(
            &|view| view.read("/job/sharding/0/instance", found("a@-@9")),
            1,
            Some(Reason::Orphan),
        );
        check(
            &|view| view.read("/job/leader/sharding/necessary", found("")),
            1,
            Some(Reason::Flag),
        );
        check(&|view| view.read("/job/instances/a@-@1", None), 1, None);
    }

    #[test]
    fn items_that_are_given_to_no_instance_should_be_known_as_left_out() {
        let view = view(&["/instances/a@-@1", "/sharding", "/ledger/items"]);
        let items: Vec<_> = (0..6).map(|item| surveyed(item, "", false)).collect();
        let steps = shown(&plan(&view, &["", "", "a@-@1", "a@-@1", "", "a@-@1"], &items)[0]);
        let epoch = steps.iter().find(|step| step.starts_with("+/job/ledger/epoch"));
        let epoch = epoch.expect("an epoch").trim_start_matches("+/job/ledger/epoch=");
        assert!(epoch.contains("\"left_out\":[0,1,4]"), "{epoch}");
        let basis: Basis = serde_json::from_str(epoch).expect("a basis");
        let left_out: Vec<u32> = (0..7).filter(|item| basis.leaves_out(*item)).collect();
        assert_eq!(left_out, [0, 1, 4]);
    }

    #[test]
    fn items_beyond_the_total_should_be_removed_unless_they_run() {
        let view = view(&["/instances/a@-@1", "/sharding", "/ledger/items"]);
        let items = [
            surveyed(0, "a@-@1", false),
            surveyed(1, "a@-@1", false),
            surveyed(2, "a@-@1", true),
        ];
        let steps = shown(&plan(&view, &["a@-@1"], &items)[0]);
        assert!(
            steps.contains(&"-/job/sharding/1/instance".to_owned()) && steps.contains(&"-/job/sharding/1".to_owned())
        );
        assert!(!steps.iter().any(|step| step.contains("sharding/2")), "{steps:?}");
    }

    #[test]
    fn an_assignment_too_large_for_one_transaction_should_clear_the_flag_in_the_last() {
        let view = view(&["/instances/a@-@1", "/sharding", "/ledger/items"]);
        let items: Vec<_> = (0..10_000).map(|item| surveyed(item, "a@-@9", false)).collect();
        let parts = plan(&view, &["a@-@1"; 10_000], &items);
        assert_eq!(parts.len(), 6);
        assert!(
            parts
                .iter()
                .all(|part| size_of(part) <= limits::worker_transaction_size("job"))
        );
        let clears = |part: &Vec<Step>| shown(part).contains(&"-/job/leader/sharding/necessary".to_owned());
        let cleared = parts.iter().map(clears);
        assert_eq!(cleared.collect::<Vec<_>>(), [false, false, false, false, false, true]);
        let epochs: Vec<_> = parts
            .iter()
            .flat_map(|part| shown(part))
            .filter(|step| step.contains("epoch"))
            .collect();
        assert!(
            epochs[0].starts_with('+') && epochs[1].ends_with("Some(0)") && epochs[5].ends_with("Some(4)"),
            "{epochs:?}"
        );
    }

    #[test]
    fn what_it_was_made_for_should_go_alone_where_it_takes_much_room() {
        let instances: Vec<String> = (0..6_000)
            .map(|number| format!("/instances/{number:060}@-@1"))
            .collect();
        let nodes: Vec<&str> = instances.iter().map(String::as_str).collect();
        let mut view = view(&[&nodes[..], &["/sharding", "/ledger/items"]].concat());
        let all: Vec<InstanceId> = view.instances.iter().cloned().collect();
        for id in all {
            view.servers
                .insert(id.server().to_owned(), super::super::view::ServerStatus::Enabled);
        }
        let items: Vec<_> = (0..1_000).map(|item| surveyed(item, "a@-@9", item % 2 == 0)).collect();
        let parts = plan(&view, &["a@-@1"; 1_000], &items);
        assert_eq!(parts.len(), 2, "the items, and the basis");
        assert!(
            parts
                .iter()
                .all(|part| size_of(part) <= limits::worker_transaction_size("job"))
        );
    }
}
