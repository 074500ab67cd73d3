//! Following the registry: what this instance knows of a job's subtree, and how that is kept true.
//!
//! Events change the [`View`] at once where they say what there is, and otherwise say what has to be read. A large job is
//! followed in part: its own items, and what concerns all. The follower decides nothing about the job and sends nothing.
//!
//! The view is true by three rules:
//!
//! - *Watch before read.* A node is watched before it is read, so that no change falls between the two. Where watches
//!   are added later, what they cover is read once more.
//! - *An answer may be older than an event.* Reads and events travel beside each other. A node that was deleted while a
//!   read of it was under way is not taken from the answer, and events that come while the whole subtree is read are
//!   noted again on top of it.
//! - *A gap is never guessed at.* After a reconnect, and whenever a watch says that it may have missed something, the
//!   whole subtree is read again, and until that is done the worker decides nothing.
//!
//! `begin_…` says what is to be asked and notes that it is under way; the function of the same name in the past tense
//! takes in the answer. The requests themselves are made by the worker.

mod awake;
mod dirty;
mod owners;
mod sync;
pub(super) mod watches;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{self, Poll};

use crate::cluster::core::context::Context;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::scope::Scope;
use crate::cluster::session::Membership;
use crate::cluster::view::{Interest, Revision, View};
use crate::registry::{Answer, WatchEvent};

use super::flight::Flight;
use super::settings::Settings;
use dirty::Dirty;
use owners::{Moves, Owners};
pub(super) use sync::Sync;
use watches::{Set, Watches};

/// What this instance knows of a job's subtree.
///
/// It lives as long as one session. The next session begins with a new one, from a subtree that was read again.
#[derive(Debug)]
pub(super) struct Follower {
    membership: Arc<Membership>,
    pub(super) view: View,
    watches: Watches,
    /// Which owners of items are known, if not all items are watched.
    owners: Owners,
    dirty: Dirty,
    /// Reads of data, with what was deleted since they were sent: an answer may be of before.
    reading: Flight<BTreeSet<String>>,
    rewatching: Flight,
    /// What was seen when the watches were last found to be those that are wanted.
    watched: Option<Watched>,
    sync: Sync,
}

/// All that the wanted watches follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watched {
    revision: Revision,
    total: u32,
    reads_ledgers: bool,
}

/// What an event means beyond the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// Something that decisions on the job as a whole look at has changed.
    pub(super) concerns_job: bool,
    /// An instance is gone.
    pub(super) is_departure: bool,
}

impl Follower {
    /// Follows a subtree that was read after the watches were set.
    pub(super) fn new(membership: Arc<Membership>, watches: Watches, view: View) -> Self {
        Self {
            membership,
            view,
            watches,
            owners: Owners::default(),
            dirty: Dirty::default(),
            reading: Flight::Idle,
            rewatching: Flight::Idle,
            watched: None,
            sync: Sync::InStep,
        }
    }

    /// Returns what decisions look at, by these settings.
    pub(super) fn context<'a>(&'a self, settings: &'a Settings, is_draining: bool) -> Context<'a> {
        Context {
            view: &self.view,
            me: self.membership.id(),
            latch: self.membership.latch(),
            config: &settings.config,
            calendar: settings.calendar.as_ref(),
            policy: settings.policy,
            placement: &settings.placement,
            extent: &settings.extent,
            now: settings.clock.now(),
            elapsed: settings.clock.elapsed(),
            is_draining,
        }
    }

    /// Returns the next event of any watch. It is not taken in until it is noted.
    pub(super) fn poll_next(&mut self, cx: &mut task::Context<'_>) -> Poll<WatchEvent> {
        self.watches.poll_next(cx)
    }

    /// Returns whether the view is in step with the registry, but for data that is to be read.
    pub(super) fn is_in_step(&self) -> bool {
        matches!(self.sync, Sync::InStep)
    }

    /// Returns whether the whole subtree is to be read now.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self.sync, Sync::Behind)
    }

    /// Returns whether a read of changed data is under way.
    pub(super) fn is_reading(&self) -> bool {
        !self.reading.is_idle()
    }

    /// Returns whether watches are being set.
    pub(super) fn is_rewatching(&self) -> bool {
        !self.rewatching.is_idle()
    }

    /// Returns whether all of the job is watched.
    pub(super) fn sees_all(&self) -> bool {
        *self.watches.scope() == Scope::Whole
    }

    /// Notes that changes may have been missed.
    pub(super) fn fall_behind(&mut self) {
        self.sync.fall_behind();
    }

    /// Notes that the connection is away.
    pub(super) fn suspend(&mut self) {
        self.sync.suspend();
    }

    /// Takes in an event on a node. `reads_ledgers` says that ledgers are of interest.
    ///
    /// The view changes at once. What is returned says whom the event concerns beside the view, so that a mark that
    /// comes and goes with each firing does not have the whole job looked at.
    pub(super) fn note(&mut self, event: WatchEvent, reads_ledgers: bool) -> Noted {
        let (WatchEvent::Created(path) | WatchEvent::Changed(path) | WatchEvent::Deleted(path)) = &event else {
            return Noted::default();
        };
        let is_deletion = matches!(event, WatchEvent::Deleted(_));
        if self.view.note(&event) == Interest::Read {
            self.dirty.insert(path.clone());
        }
        if let (Flight::InFlight(outdated), true) = (&mut self.reading, is_deletion) {
            outdated.insert(path.clone());
        }
        let node = Node::parse(self.view.job(), path);
        // Marks come and go with every firing. They matter to the job as a whole if an item waits for one.
        let concerns_job = match node {
            Some(Node::ItemState {
                kind: ItemKind::Running,
                ..
            }) => self.view.has_moving_items(),
            Some(
                Node::LedgerItem(_)
                | Node::CurrentTime
                | Node::Standbys
                | Node::Standby(_)
                | Node::Called
                | Node::Progresses
                | Node::Progress(_)
                | Node::Cancels
                | Node::Cancel(_)
                | Node::Requests
                | Node::Request(_)
                | Node::Guarantee(_),
            )
            | None => false,
            Some(_) => true,
        };
        let is_departure = is_deletion && matches!(node, Some(Node::Instance(_) | Node::Member(_)));
        let is_shared_out = is_deletion && matches!(node, Some(Node::Necessary));
        let is_ledger = matches!(node, Some(Node::LedgerItem(_)));
        if is_ledger && reads_ledgers {
            self.dirty.insert(path.clone());
        }
        if is_shared_out {
            self.learn_owners();
        }
        self.sync.keep(event);
        Noted {
            concerns_job,
            is_departure,
        }
    }

    /// The items were shared out: if only own items are watched, it has to be read which these are now.
    fn learn_owners(&mut self) {
        if !self.sees_all() {
            self.owners.shared_out();
            self.dirty.insert(Node::Epoch.of(self.view.job()));
        }
    }

    /// There may be more items than `before`. The owners of the others are not known: they may have been shared out already.
    pub(super) fn learn_owners_of_more(&mut self, before: u32, total: u32) {
        if !self.sees_all() {
            self.dirty.insert_owners(before..total);
        }
    }

    /// The epoch was read, which may say that owners have to be read.
    ///
    /// `total` is the number of items of the job. Java members beside ours write no epochs, so that an epoch says all
    /// only without them.
    fn epoch_was_read(&mut self, total: u32) {
        if self.sees_all() {
            return;
        }
        let is_alone = self.view.instances.iter().all(|id| self.view.members.contains_key(id));
        match self.owners.epoch_read(self.view.epoch.as_ref(), is_alone) {
            Moves::Nothing => {}
            Moves::Moved(items) => items.into_iter().for_each(|(item, owner)| self.view.give(item, owner)),
            Moves::TooLittle => self.dirty.insert_owners(0..total),
        }
    }

    /// Has these paths read next.
    pub(super) fn read_next(&mut self, paths: impl IntoIterator<Item = String>) {
        self.dirty.extend(paths);
    }

    /// Returns what is to be read now, which is under way from here on; `None` if nothing is, or a read is under way.
    pub(super) fn begin_reading(&mut self) -> Option<Vec<String>> {
        if self.is_reading() || self.dirty.is_empty() {
            return None;
        }
        self.reading.start(BTreeSet::new());
        Some(self.dirty.take(self.view.job(), self.view.limits()))
    }

    /// Takes in data that was read, of a job of `total` items; `None` if it could not be: it stays to be read.
    ///
    /// A node that was deleted since the read was sent is passed over: the event is the later word.
    pub(super) fn was_read(&mut self, paths: Vec<String>, found: Option<Vec<Answer>>, total: u32) {
        let outdated = self.reading.land().unwrap_or_default();
        let Some(answers) = found else {
            self.dirty.extend(paths);
            return;
        };
        let epoch = Node::Epoch.of(self.view.job());
        let is_epoch_among = paths.contains(&epoch);
        for (path, answer) in paths.iter().zip(answers) {
            if let (Answer::Data(found), false) = (answer, outdated.contains(path)) {
                self.view.read(path, found);
            }
        }
        if is_epoch_among {
            self.epoch_was_read(total);
        }
    }

    /// Returns the scope that is to be watched from now on and the paths that it needs beyond those that are watched, if that
    /// is another one than before. The watches are under way from here on.
    pub(super) fn begin_rewatching(&mut self, total: u32, reads_ledgers: bool) -> Option<(Scope, BTreeSet<String>)> {
        let now = Watched {
            revision: self.view.revision(),
            total,
            reads_ledgers,
        };
        if self.is_rewatching() {
            return None;
        }
        if self.watched.is_some_and(|before| self.is_watched_since(before, now)) {
            self.watched = Some(now);
            return None;
        }
        let scope = self.watches.scope();
        let wanted = scope.wanted(&self.view, self.membership.id(), total, reads_ledgers);
        if wanted == *scope {
            self.watched = Some(now);
            return None;
        }
        self.rewatching.start(());
        let missing = self.watches.missing(&wanted, self.view.job());
        Some((wanted, missing))
    }

    /// Returns whether the watches, which were those that were wanted, still are: nothing but items has changed, and of these none
    /// became our own or ceased to be so.
    fn is_watched_since(&self, before: Watched, now: Watched) -> bool {
        let is_same = Watched {
            revision: now.revision,
            ..before
        } == now;
        if !is_same || !before.revision.is_same_job(now.revision) {
            return false;
        }
        let Scope::Own { items, .. } = self.watches.scope() else {
            return true;
        };
        let is_own = |item| item < now.total && self.view.is_of(item, self.membership.id());
        let changed = self.view.changed_since(before.revision);
        changed.is_some_and(|mut changed| changed.all(|item| is_own(item) == items.contains(&item)))
    }

    /// Takes in watches that were set for a scope; `None` if they could not be.
    pub(super) fn rewatched(&mut self, scope: Scope, set: Option<Set>) {
        self.rewatching.land();
        self.watched = None;
        let Some(set) = set else { return };
        let job = self.view.job();
        let before = self.watches.become_of(scope, set, job);
        if before == Scope::Whole {
            self.owners.forget();
        }
        match self.watches.scope().unseen(&before, job) {
            Some(paths) => self.dirty.extend(paths),
            None => self.fall_behind(),
        }
    }

    /// The whole subtree is being read from here on.
    pub(super) fn begin_refreshing(&mut self) {
        self.sync = Sync::Refreshing {
            since: Vec::new(),
            is_behind: false,
        };
    }

    /// Takes in the subtree as it was read; `None` if it could not be. Returns what came since the read was sent, to be noted
    /// again.
    pub(super) fn refreshed(&mut self, view: Option<View>, is_connected: bool) -> Vec<WatchEvent> {
        let Sync::Refreshing { since, is_behind } = std::mem::replace(&mut self.sync, Sync::Behind) else {
            return Vec::new();
        };
        let Some(view) = view else { return Vec::new() };
        if !is_behind {
            self.sync = Sync::of_connection(is_connected);
        }
        view.replace(&mut self.view);
        self.dirty.clear();
        self.owners.forget();
        since
    }

    /// Has all ledgers read that there are.
    pub(super) fn read_ledgers(&mut self) {
        let ledgers = self.view.items.iter().filter(|(_, item)| item.has_ledger);
        let job = self.view.job();
        let paths: Vec<String> = ledgers.map(|(item, _)| Node::LedgerItem(*item).of(job)).collect();
        self.dirty.extend(paths);
    }
}
