//! Sharing the items out again: when it is due, and what for.
//!
//! The leader compares what the assignment was made for, kept in `ledger/epoch`, with what there is now, so no
//! reason can be lost with a flag or a leader. It reads the items ([`surveyed`](super::surveyed)) and changes only what
//! changes, in one transaction if that takes it ([`assignment`](super::assignment)). It leaves an item that is running where it
//! is: that one is noted as deferred, and moves once its mark is gone. No other item waits for it. Only to the instance
//! that runs it, having taken it over, does it move at once.

mod shared_out;

use serde::{Deserialize, Serialize};

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::noted_items::NotedItems;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::{View, look};
use crate::registry::{CreateMode, Step};

pub(crate) use shared_out::SharedOut;

/// What an assignment is made for, beside the instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) total: u32,
    pub(crate) strategy: &'a str,
    /// Stands for what the strategy takes of the configuration; 0 for nothing.
    pub(crate) settings: u32,
}

/// What an assignment is made for, as kept in `ledger/epoch`.
///
/// This is the intent of the assignment, stored beside its result. A leader compares it with what there is now; if they
/// differ, it shares the items out. So a leader that dies before it has acted on a change loses nothing, and a new
/// leader needs no flag. An empty basis says that an assignment is unfinished.
///
/// The fields are part of the stored format, which older members of ours read: a field that is added has a default, and
/// is left out while it has that value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    pub(super) instances: Vec<String>,
    total: u32,
    strategy: String,
    #[serde(default, skip_serializing_if = "is_nothing")]
    settings: u32,
    /// Items that were running and are still to be moved, or removed.
    #[serde(default, skip_serializing_if = "NotedItems::is_empty")]
    pub(super) deferred: NotedItems,
    /// The items that were given to no instance on purpose.
    #[serde(default, skip_serializing_if = "NotedItems::is_empty")]
    pub(super) left_out: NotedItems,
    /// The items that got another owner by this assignment, each with the place of that owner among the instances. Left out if
    /// they are too many to be stored with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moved: Option<Vec<(u32, Option<usize>)>>,
    /// In how many transactions it was brought about, each of which is an epoch; 0 for one.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub(super) parts: u32,
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

    /// Returns the stored form, JSON.
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

    /// Returns whether the item was given to no instance on purpose.
    pub(crate) fn leaves_out(&self, item: u32) -> bool {
        self.left_out.contains(item)
    }

    /// Returns whether the assignment is being brought about, in several parts of which this is not the last.
    pub(crate) fn is_unfinished(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether the assignment was made for this instance, too.
    pub(crate) fn counts(&self, id: &InstanceId) -> bool {
        self.instances.iter().any(|counted| counted == id.as_str())
    }

    /// How many epochs the assignment took.
    pub(crate) fn parts(&self) -> u32 {
        self.parts.max(1)
    }

    /// Returns the items that got another owner by this assignment, each with that owner. `None` if they are not stored.
    pub(crate) fn moved(&self) -> Option<Vec<(u32, Option<InstanceId>)>> {
        let owner = |(item, place): &(u32, Option<usize>)| {
            let owner = place.map(|place| InstanceId::parse(self.instances.get(place)?));
            Some((*item, owner.map_or(Some(None), |owner| owner.map(Some))?))
        };
        self.moved.as_ref()?.iter().map(owner).collect()
    }

    /// Returns whether an assignment made now would be made for the same. Asked often, so it makes nothing.
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

/// Why the leader has to reshard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The resharding flag is raised.
    Flag,
    /// Instances, total count, strategy or what that takes are not those that the assignment was made for.
    Cluster,
    /// An item that had to wait for its run can move now.
    Deferred,
    /// The owner of an item is gone.
    Orphan,
}

/// Returns whether the leader has to share the items out, and why.
///
/// `None` if no instance may take items: the assignment stays as it is until one may. With static sharding only the
/// flag, the first assignment, an item that can move now, and a change of the total count are reasons; instances that
/// come and go are not.
pub(crate) fn reason(view: &View, terms: Terms<'_>, is_static: bool) -> Option<Reason> {
    view.candidates_for_items().next()?;
    if view.is_resharding() {
        return Some(Reason::Flag);
    }
    let Some(stored) = view.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref()) else {
        return Some(Reason::Cluster);
    };
    if view.is_any_free_to_move() {
        return Some(Reason::Deferred);
    }
    if is_static && stored.total == terms.total {
        return None;
    }
    if !stored.is_of(view, terms) {
        return Some(Reason::Cluster);
    }
    let orphans = view.owners().filter(|(owner, _)| !view.instances.contains(owner));
    let mut items = orphans.flat_map(|(_, items)| items.range(..terms.total));
    // One that still runs was looked at, and waits for its end.
    items
        .any(|item| {
            look();
            !stored.deferred.contains(*item)
        })
        .then_some(Reason::Orphan)
}

/// Announces to all members, including Java members, that the leader is about to reshard.
pub(crate) fn announce(view: &View) -> Vec<Step> {
    let mut transaction = Transaction::on(view);
    transaction.check(Node::LeaderInstance, None);
    transaction.create(Node::Necessary, "", CreateMode::Persistent);
    transaction.into_steps()
}

/// Raises the resharding flag for a Java member that may lead next. A Java leader flags only what happens while it leads, and
/// the instance that gives up the leadership is about to have no items.
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

#[cfg(test)]
mod tests {
    use crate::cluster::core::governor::assignment::Parts;
    use crate::cluster::extent::Extent;
    use crate::cluster::surveyed::{ItemNode, Mark, Surveyed};
    use crate::registry::{Limits, Stat, size_of};

    use super::*;
    use crate::cluster::fixtures::{self, id};

    fn avg(total: u32) -> Terms<'static> {
        Terms {
            total,
            strategy: "AVG_ALLOCATION",
            settings: 0,
        }
    }

    fn view(nodes: &[&str]) -> View {
        let always = [
            "/leader",
            "/leader/sharding",
            "/leader/sharding/necessary",
            "/servers/a=ENABLED",
            "/ledger",
        ];
        fixtures::view(always.iter().chain(nodes).copied())
    }

    fn mark(holder: Option<InstanceId>) -> Mark {
        Mark {
            holder,
            is_ephemeral: true,
        }
    }

    fn surveyed(item: u32, owner: &str, is_running: bool) -> Surveyed {
        Surveyed {
            item,
            owner: InstanceId::parse(owner),
            mark: is_running.then(|| mark(None)),
            ledger: Some(5),
            node: ItemNode::There(["instance".to_owned()].into()),
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
        let target = target.iter().map(|owner| InstanceId::parse(owner)).collect();
        let extent = Extent::new(2, jiff::Timestamp::UNIX_EPOCH);
        Parts::new(view, basis, target, items.to_vec(), &extent).0.collect()
    }

    #[test]
    fn writes_only_what_changes() {
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
    fn defers_a_running_item_while_others_move() {
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
    fn moves_running_item_to_its_taker_unless_java() {
        let nodes = ["/instances/a@-@1", "/instances/a@-@2", "/sharding", "/ledger/items"];
        let items = [Surveyed {
            mark: Some(mark(Some(id("a@-@2")))),
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
    fn reshards_when_a_deferred_item_has_no_mark() {
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
    fn reshards_once_for_a_running_orphan() {
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
    fn reshards_when_members_or_total_change() {
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
    fn knows_items_left_unassigned() {
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
    fn removes_idle_items_beyond_the_total() {
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
    fn clears_the_flag_in_the_last_part() {
        let view = view(&["/instances/a@-@1", "/sharding", "/ledger/items"]);
        let items: Vec<_> = (0..10_000).map(|item| surveyed(item, "a@-@9", false)).collect();
        let parts = plan(&view, &["a@-@1"; 10_000], &items);
        assert_eq!(parts.len(), 6);
        assert!(
            parts
                .iter()
                .all(|part| Limits::default().of_worker("job").take(size_of(part)))
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

    mod transactions {
        use super::*;

        #[test]
        fn are_made_as_they_are_taken() {
            let view = view(&["/instances/a@-@1", "/sharding", "/ledger/items"]);
            let items: Vec<_> = (0..10_000).map(|item| surveyed(item, "a@-@9", false)).collect();
            let basis = Basis::now(&view, avg(10_000));
            let extent = Extent::new(10_000, jiff::Timestamp::UNIX_EPOCH);
            let (mut parts, _) = Parts::new(&view, basis, vec![Some(id("a@-@1")); 10_000], items, &extent);
            let mut taken = 0;
            while let Some(steps) = parts.next() {
                taken += shown(&steps)
                    .iter()
                    .filter(|step| step.starts_with("+/job/sharding/"))
                    .count();
                assert_eq!(parts.unmade(), 10_000 - taken);
                assert_eq!(parts.is_done(), taken == 10_000);
            }
            assert_eq!(taken, 10_000);
        }
    }

    #[test]
    fn writes_large_terms_in_a_part_of_their_own() {
        let instances: Vec<String> = (0..6_000)
            .map(|number| format!("/instances/{number:060}@-@1"))
            .collect();
        let nodes: Vec<&str> = instances.iter().map(String::as_str).collect();
        let mut view = view(&[&nodes[..], &["/sharding", "/ledger/items"]].concat());
        let all: Vec<InstanceId> = view.instances.iter().cloned().collect();
        for id in all {
            view.servers
                .insert(id.server().to_owned(), crate::cluster::view::ServerStatus::Enabled);
        }
        let items: Vec<_> = (0..1_000).map(|item| surveyed(item, "a@-@9", item % 2 == 0)).collect();
        let parts = plan(&view, &["a@-@1"; 1_000], &items);
        assert_eq!(parts.len(), 2, "the items, and the basis");
        assert!(
            parts
                .iter()
                .all(|part| Limits::default().of_worker("job").take(size_of(part)))
        );
    }
}
