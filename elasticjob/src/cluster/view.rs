//! What this instance knows of a job's subtree.
//!
//! Fed by the events of a recursive watch and by the reads that they ask for. Events on `running` marks and on the
//! ledger's items are taken as they are and never ask for a read, since they come with every firing.
//!
//! A view is always somewhat behind, and that is allowed: decisions are made on it, and writes check what they rely on.
//! What must not happen is that it is wrong for good. So a watch that may have missed events leads to a new reading of
//! the subtree, and a write that is refused again and again does, too.
//!
//! Beside the nodes themselves the view keeps what decisions would otherwise have to search for among a million items:
//! the items by owner, how many of those that wait to move are free, and which items have changed since a revision.

mod changes;
mod item;
mod looks;
mod owned;
mod parents;
mod questions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::registry::{Limits, Stat, WatchEvent};

use super::cancel::Cancel;
use super::core::governor::resharding::Basis;
use super::instance::InstanceId;
use super::layout::{Guarantee, ItemKind, Moment, Node};
use super::member::Member;
use super::noted_items::NotedItems;
use super::pause::StoredPause;
use super::trigger::Trigger;
use changes::Changes;
pub(crate) use changes::Revision;
pub(crate) use item::{ItemView, Mark, MarkHolder};
pub(crate) use looks::look;
#[cfg(test)]
pub(crate) use looks::take_looks;
use owned::Owned;
use parents::Parents;

/// A job's subtree, as far as it is of interest.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says that a node exists")]
pub(crate) struct View {
    job: Arc<str>,
    /// How much a request about the job may be.
    limits: Limits,
    /// The name of the job's implementation; blank if none is stored.
    pub(crate) root: Option<String>,
    has_config: bool,
    /// As it was last read, until it is taken: it is needed once.
    config: Option<StoredConfig>,
    pub(crate) servers: BTreeMap<String, ServerStatus>,
    pub(crate) instances: BTreeSet<InstanceId>,
    /// Those of the instances that are ours, and whether they are about to leave.
    pub(crate) members: BTreeMap<InstanceId, Member>,
    /// Processes that have the job and take no part in it.
    pub(crate) standbys: BTreeSet<InstanceId>,
    pub(crate) leader: Option<InstanceId>,
    /// The contenders for the leadership, by node name.
    pub(crate) candidates: BTreeSet<String>,
    /// The items that wait for an instance to take them over.
    pub(crate) failover_queue: BTreeSet<u32>,
    /// The contenders for the right to take items over, by node name.
    pub(crate) failover_candidates: BTreeSet<String>,
    pub(crate) is_resharding_necessary: bool,
    pub(crate) is_resharding_processing: bool,
    /// The items that wait at the barrier before a distribute-once listener's first hook; if the whole job is followed.
    pub(crate) gathered: BTreeSet<u32>,
    /// The instances that are to run the job now, each with its triggers.
    pub(crate) triggers: BTreeMap<InstanceId, Vec<Trigger>>,
    /// Boxed: a map makes room for eleven at once, and most of ten thousand jobs have one.
    pub(crate) items: BTreeMap<u32, Box<ItemView>>,
    /// The same items, by owner.
    owned: Owned,
    pub(crate) epoch: Option<StoredEpoch>,
    /// How many of the items that wait to move, by this epoch, have no mark.
    free_to_move: usize,
    /// The items that wait for their runs to end before they move, by the newest assignment that is finished,
    waiting: NotedItems,
    /// and those that waited by the one before it and do not any more.
    released: NotedItems,
    /// The orders to run single items, by item.
    pub(crate) item_triggers: BTreeMap<u32, StoredTriggers>,
    /// Which runs operators have cancelled, by item; `None` for a word that says nothing.
    pub(crate) cancels: BTreeMap<u32, Option<Cancel>>,
    /// Ask [`is_paused`](Self::is_paused) to decide by it.
    pub(crate) pause: Option<StoredPause>,
    /// Whether there is a node to compare clocks by.
    has_current_time: bool,
    parents: Parents,
    changes: Changes,
}

/// The job's configuration as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredConfig {
    pub(crate) text: String,
    /// Starts from 0 if the node is removed and created again.
    pub(crate) version: i32,
    /// The transaction that stored it.
    pub(crate) modified: i64,
}

/// `ledger/requests/{item}`: the triggers, of which each is for a run of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredTriggers {
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) version: i32,
}

/// `ledger/epoch`: its version is the epoch, its data says what the assignment was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredEpoch {
    /// What the assignment was made for; `None` where it cannot be read.
    pub(crate) basis: Option<Basis>,
    pub(crate) version: i32,
}

/// The switch of all instances on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerStatus {
    Enabled,
    /// An operator's word, or the configuration's.
    Disabled,
    /// Neither of the two. It counts as off, although no operator switched it off.
    Unclear,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Nothing more: the view has it, or does not care.
    None,
    /// The view changed.
    Changed,
    /// The node's data has to be read.
    Read,
}

impl View {
    /// Creates a view of a job of which nothing is known, in a registry that takes requests within these limits.
    pub(crate) fn within(limits: Limits, job: &str) -> Self {
        Self {
            job: job.into(),
            limits,
            ..Self::default()
        }
    }

    /// As [`within`](Self::within), with the limits that most registries have.
    #[cfg(test)]
    pub(crate) fn new(job: &str) -> Self {
        Self::within(Limits::default(), job)
    }

    /// Returns how much a request about the job may be.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the name of the job.
    pub(crate) fn job(&self) -> &str {
        &self.job
    }

    /// Takes the place of a view of the same job that may have missed changes.
    pub(crate) fn replace(self, before: &mut Self) {
        let changes = Changes::after(&before.changes);
        *before = Self { changes, ..self };
    }

    /// Returns what state of the job this is.
    pub(crate) fn revision(&self) -> Revision {
        self.changes.revision()
    }

    /// Returns the items that have changed since, each as often as it did; `None` if that is not known: all are to be looked at.
    pub(crate) fn changed_since(&self, revision: Revision) -> Option<impl Iterator<Item = u32> + use<'_>> {
        self.changes.since(revision)
    }

    /// The configuration, if it was read since this was asked last.
    pub(crate) fn take_config(&mut self) -> Option<StoredConfig> {
        self.config.take()
    }

    /// Takes an event in.
    pub(crate) fn note(&mut self, event: &WatchEvent) -> Interest {
        match event {
            WatchEvent::Created(path) | WatchEvent::Changed(path) => self.note_written(path),
            WatchEvent::Deleted(path) => match Node::parse(&Arc::clone(&self.job), path) {
                Some(node) => self.remove(node),
                None => Interest::None,
            },
            WatchEvent::Resync | WatchEvent::Closed => Interest::None,
        }
    }

    fn note_written(&mut self, path: &str) -> Interest {
        let job = Arc::clone(&self.job);
        let Some(node) = Node::parse(&job, path) else {
            return Interest::None;
        };
        match node {
            Node::ItemState {
                item,
                kind: ItemKind::Running,
            } => {
                let holder = MarkHolder::Unknown;
                self.mark(item, Some(Mark { holder }));
                Interest::Changed
            }
            Node::LedgerItem(item) => {
                self.item(item).has_ledger = true;
                Interest::None
            }
            Node::CurrentTime => {
                self.has_current_time = true;
                Interest::None
            }
            Node::Guarantee(Guarantee::Item(Moment::Started, _)) => {
                self.put(node, &[], Stat::default());
                if self.is_awaited_by_java_leader() {
                    Interest::Changed
                } else {
                    Interest::None
                }
            }
            Node::Pause => {
                self.note_change(node);
                // It counts from now on, before its content is read.
                self.pause.get_or_insert_with(StoredPause::unread);
                Interest::Read
            }
            Node::ServerNote(_)
            | Node::ItemNote(_)
            | Node::Called
            | Node::Progresses
            | Node::Progress(_)
            | Node::Guarantee(_) => Interest::None,
            _ if Parents::knows(node) || is_data_ignored(node) => {
                self.put(node, &[], Stat::default());
                Interest::Changed
            }
            _ => Interest::Read,
        }
    }

    /// Records what was read at `path`.
    pub(crate) fn read(&mut self, path: &str, found: Option<(Vec<u8>, Stat)>) {
        let job = Arc::clone(&self.job);
        let Some(node) = Node::parse(&job, path) else { return };
        match found {
            Some((data, stat)) => self.put(node, &data, stat),
            None => {
                self.remove(node);
            }
        }
    }

    /// Records the owner that an item has now, or that it has none.
    pub(crate) fn give(&mut self, item: u32, owner: Option<InstanceId>) {
        let state = self.items.entry(item).or_default();
        self.owned.change(item, state.owner.as_ref(), owner.as_ref());
        state.give(owner);
        self.changed(item);
    }

    /// Records that an item has a mark, or none.
    fn mark(&mut self, item: u32, mark: Option<Mark>) {
        let is_marked = mark.is_some();
        let was_marked = std::mem::replace(&mut self.item(item).mark, mark).is_some();
        let is_to_move = self.deferred().is_some_and(|deferred| deferred.contains(item));
        match (is_to_move, was_marked, is_marked) {
            (true, true, false) => self.free_to_move += 1,
            (true, false, true) => self.free_to_move -= 1,
            _ => {}
        }
        // Of no other item anything waits for the mark.
        if is_to_move || self.failover_queue.contains(&item) {
            self.changed(item);
        }
    }

    /// Notes that an item has changed.
    fn changed(&mut self, item: u32) {
        self.changes.item(item, self.items.len());
    }

    /// Notes what a node that was written, or is gone, changes.
    fn note_change(&mut self, node: Node<'_>) {
        match node {
            // Marks and owners are noted where they are kept, and the epoch where it is compared.
            Node::ItemState {
                kind: ItemKind::Running | ItemKind::Owner,
                ..
            }
            | Node::Epoch => {}
            Node::Item(item) | Node::ItemState { item, .. } | Node::FailoverItem(item) => self.changed(item),
            // No decision keeps anything that it found by these.
            Node::LedgerItem(_)
            | Node::CurrentTime
            | Node::Called
            | Node::Progresses
            | Node::Progress(_)
            | Node::Cancels
            | Node::Cancel(_)
            | Node::Requests
            | Node::Request(_)
            | Node::Guarantee(_) => {}
            _ => self.changes.job(),
        }
    }

    /// Returns the items that wait for their runs to end before they move, by the epoch as it is.
    fn deferred(&self) -> Option<&NotedItems> {
        Some(self.epoch.as_ref()?.basis.as_ref()?.deferred())
    }

    /// Records another epoch, or that there is none. Those of the parts of one assignment say the same.
    fn become_of(&mut self, epoch: Option<StoredEpoch>) {
        let before = std::mem::replace(&mut self.epoch, epoch);
        if before.as_ref().map(|epoch| &epoch.basis) == self.epoch.as_ref().map(|epoch| &epoch.basis) {
            return;
        }
        self.changes.job();
        let is_free = |item: &u32| self.items.get(item).is_none_or(|item| item.mark.is_none());
        self.free_to_move = self
            .deferred()
            .map_or(0, |deferred| deferred.iter().filter(is_free).count());
    }

    /// Records that a node is there, with its data. Data that matters to no decision may be left out.
    fn put(&mut self, node: Node<'_>, data: &[u8], stat: Stat) {
        let text = || String::from_utf8_lossy(data).into_owned();
        self.parents.set(node, true);
        self.note_change(node);
        match node {
            Node::Root => self.root = Some(text()),
            Node::Config => {
                self.has_config = true;
                self.config = Some(StoredConfig {
                    text: text(),
                    version: stat.version,
                    modified: stat.modified,
                });
            }
            Node::Server(ip) => {
                self.servers.insert(ip.to_owned(), ServerStatus::parse(data));
            }
            Node::Instance(id) => self.instances.extend(InstanceId::parse(id)),
            Node::Member(id) => {
                if let Some(id) = InstanceId::parse(id) {
                    self.members.insert(id, Member::parse(data));
                }
            }
            Node::Standby(id) => self.standbys.extend(InstanceId::parse(id)),
            Node::LeaderInstance => self.leader = InstanceId::parse(&text()),
            Node::ElectionCandidate(name) => {
                self.candidates.insert(name.to_owned());
            }
            Node::FailoverItem(item) => {
                self.failover_queue.insert(item);
            }
            Node::FailoverCandidate(name) => {
                self.failover_candidates.insert(name.to_owned());
            }
            Node::Necessary => self.is_resharding_necessary = true,
            Node::Processing => self.is_resharding_processing = true,
            Node::Guarantee(Guarantee::Item(Moment::Started, item)) => {
                self.gathered.insert(item);
            }
            Node::TriggerFor(id) => {
                if let Some(id) = InstanceId::parse(id) {
                    self.triggers.insert(id, Trigger::parse(data));
                }
            }
            Node::Item(item) => self.item(item).exists = true,
            Node::ItemState { item, kind } => match kind {
                ItemKind::Owner => self.give(item, InstanceId::parse(&text())),
                ItemKind::Running => self.mark(item, Some(Mark::parse(&text(), stat))),
                kind => self.item(item).put(kind, &text()),
            },
            Node::LedgerItem(item) => self.item(item).has_ledger = true,
            Node::CurrentTime => self.has_current_time = true,
            Node::Pause => self.pause = Some(StoredPause::parse(data, stat)),
            Node::Cancel(item) => drop(self.cancels.insert(item, Cancel::parse(data))),
            Node::Request(item) => {
                let (triggers, version) = (Trigger::parse(data), stat.version);
                self.item_triggers.insert(item, StoredTriggers { triggers, version });
            }
            Node::Epoch => {
                let basis: Option<Basis> = serde_json::from_slice(data).ok();
                let is_another = self.epoch.as_ref().is_none_or(|known| known.version != stat.version);
                if let Some(basis) = basis.as_ref().filter(|basis| is_another && !basis.is_unfinished()) {
                    let waited = std::mem::replace(&mut self.waiting, basis.deferred().clone());
                    self.released = waited.iter().filter(|item| !self.waiting.contains(*item)).collect();
                }
                let version = stat.version;
                self.become_of(Some(StoredEpoch { basis, version }));
            }
            _ => {}
        }
    }

    /// Records that a node is gone.
    fn remove(&mut self, node: Node<'_>) -> Interest {
        self.parents.set(node, false);
        self.note_change(node);
        match node {
            Node::Root => self.root = None,
            Node::Config => {
                self.has_config = false;
                self.config = None;
            }
            Node::Server(ip) => {
                self.servers.remove(ip);
            }
            Node::Instance(id) => {
                InstanceId::parse(id).map(|id| self.instances.remove(&id));
            }
            Node::Member(id) => {
                InstanceId::parse(id).map(|id| self.members.remove(&id));
            }
            Node::Standby(id) => {
                InstanceId::parse(id).map(|id| self.standbys.remove(&id));
            }
            Node::LeaderInstance => self.leader = None,
            Node::ElectionCandidate(name) => {
                self.candidates.remove(name);
            }
            Node::FailoverItem(item) => {
                self.failover_queue.remove(&item);
            }
            Node::FailoverCandidate(name) => {
                self.failover_candidates.remove(name);
            }
            Node::Necessary => self.is_resharding_necessary = false,
            Node::Processing => self.is_resharding_processing = false,
            Node::Guarantee(Guarantee::Item(Moment::Started, item)) => {
                self.gathered.remove(&item);
            }
            Node::TriggerFor(id) => {
                InstanceId::parse(id).map(|id| self.triggers.remove(&id));
            }
            Node::Item(item) => self.item(item).exists = false,
            Node::ItemState { item, kind } => match kind {
                ItemKind::Owner => self.give(item, None),
                ItemKind::Running => self.mark(item, None),
                kind => self.item(item).clear(kind),
            },
            Node::LedgerItem(item) => {
                self.item(item).has_ledger = false;
                return Interest::None;
            }
            Node::Progresses | Node::Progress(_) => return Interest::None,
            Node::CurrentTime => self.has_current_time = false,
            Node::Epoch => self.become_of(None),
            Node::Pause => self.pause = None,
            Node::Cancel(item) => drop(self.cancels.remove(&item)),
            Node::Request(item) => drop(self.item_triggers.remove(&item)),
            _ => {}
        }
        Interest::Changed
    }

    /// Returns what is known of an item, and begins to know it if it is new.
    fn item(&mut self, item: u32) -> &mut ItemView {
        self.items.entry(item).or_default()
    }
}

impl StoredEpoch {
    /// Returns whether it is one of several of an assignment, and not the last of them.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.basis.as_ref().is_some_and(Basis::is_unfinished)
    }
}

impl ServerStatus {
    /// Java switches on by this very text, and takes any spelling of the other.
    pub(crate) fn parse(data: &[u8]) -> Self {
        match data {
            b"ENABLED" => Self::Enabled,
            _ if data.eq_ignore_ascii_case(b"DISABLED") => Self::Disabled,
            _ => Self::Unclear,
        }
    }
}

/// Returns whether a node matters by its presence alone, so that its data need not be read.
fn is_data_ignored(node: Node<'_>) -> bool {
    matches!(
        node,
        Node::Instance(_)
            | Node::Standby(_)
            | Node::ElectionCandidate(_)
            | Node::FailoverItem(_)
            | Node::FailoverCandidate(_)
            | Node::Necessary
            | Node::Processing
            | Node::Item(_)
            | Node::ItemState {
                kind: ItemKind::Misfire | ItemKind::Disabled | ItemKind::Failovering,
                ..
            }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fixtures::id;

    fn view(nodes: &[(&str, &str)]) -> View {
        let mut view = View::new("job");
        for (path, data) in nodes {
            view.read(
                &format!("/job{path}"),
                Some((data.as_bytes().to_vec(), Stat::default())),
            );
        }
        view
    }

    #[test]
    fn reads_no_marks_or_ledger_items() {
        let mut view = View::new("job");
        for path in [
            "/job/sharding/0/running",
            "/job/ledger/items/0",
            "/job/systemTime/current",
            "/other/config",
        ] {
            for event in [WatchEvent::Created(path.into()), WatchEvent::Changed(path.into())] {
                assert_ne!(view.note(&event), Interest::Read, "{event:?}");
            }
        }
        assert_eq!(view.note(&WatchEvent::Changed("/job/config".into())), Interest::Read);
        assert!(view.items[&0].mark.is_some());
        view.note(&WatchEvent::Deleted("/job/sharding/0/running".into()));
        assert!(view.items[&0].mark.is_none());
    }

    #[test]
    fn remembers_a_run_that_an_item_moved_after() {
        let mut view = View::new("job");
        let mut share_out = |basis: &str, version: i32| {
            let stat = Stat {
                version,
                ..Stat::default()
            };
            view.read("/job/ledger/epoch", Some((basis.as_bytes().to_vec(), stat)));
            [1, 2, 3].map(|item| view.was_busy(item))
        };
        let basis = |deferred: &str| {
            format!(r#"{{"instances":["a@-@1"],"total":4,"strategy":"ODEVITY","deferred":{deferred}}}"#)
        };
        let unfinished = r#"{"instances":[],"total":0,"strategy":""}"#;
        assert_eq!(share_out(&basis("[1,2]"), 1), [false, false, false]);
        assert_eq!(share_out(unfinished, 2), [true, true, false], "it may be on its way");
        assert_eq!(share_out(&basis("[2]"), 3), [true, false, false]);
        assert_eq!(share_out(&basis("[2]"), 3), [true, false, false], "read again");
        assert_eq!(share_out(&basis("[]"), 4), [false, true, false]);
        assert_eq!(share_out(&basis("[]"), 5), [false, false, false]);
    }

    #[test]
    fn matches_a_server_by_its_whole_address() {
        let view = view(&[("/servers/10.0.0.1", "ENABLED"), ("/instances/10.0.0.12@-@7", "")]);
        assert!(!view.is_available(&id("10.0.0.12@-@7")));
        assert!(!view.is_available(&id("10.0.0.1@-@7")));
    }

    #[test]
    fn lists_enabled_instances_in_descending_order() {
        let view = view(&[
            ("/servers/a", "ENABLED"),
            ("/servers/b", "DISABLED"),
            ("/servers/c", ""),
            ("/instances/a@-@1", ""),
            ("/instances/a@-@2", ""),
            ("/instances/a@-@3", ""),
            ("/instances/b@-@1", ""),
            ("/instances/c@-@1", ""),
            ("/ledger/members/a@-@2", r#"{"draining":true}"#),
        ]);
        let candidates: Vec<_> = view.candidates_for_items().map(InstanceId::as_str).collect();
        assert_eq!(candidates, ["a@-@3", "a@-@1"]);
    }

    #[test]
    fn has_no_named_holder_for_a_mark_with_session() {
        let mut view = View::new("job");
        let stat = Stat {
            ephemeral_owner: 1,
            ..Stat::default()
        };
        view.read("/job/sharding/0/running", Some((b"a@-@1".to_vec(), stat)));
        view.read("/job/sharding/1/running", Some((b"a@-@1".to_vec(), Stat::default())));
        assert_eq!(
            view.items[&0].mark,
            Some(Mark {
                holder: MarkHolder::Session
            })
        );
        assert_eq!(
            view.items[&1].mark,
            Some(Mark {
                holder: MarkHolder::Instance(id("a@-@1"))
            })
        );
    }
}
