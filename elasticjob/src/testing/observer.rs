//! Looks at the registry itself, beside all nodes, one transaction after the other.
//!
//! It reads from a server of its own that follows only on demand, by one transaction at a time. So between any two
//! transactions, of whichever node, the state that they left is looked at, and a state that must not be is found even
//! if the next transaction mends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use elasticjob_config::job::JobConfig;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::cluster::cancel::Cancel;
use crate::cluster::core::governor::resharding::Basis;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::{Record, Run, Source, Verdict};
use crate::cluster::trigger::{self, Trigger};
use crate::registry::memory::{Link, MemoryRegistry};
use crate::registry::{Answer, CreateMode, Read, Registry, Session, Step, Watch, WatchEvent};

use super::account::{Account, Change};
use super::bars::{Bar, Bars};
use super::clock::MachineClock;
use super::history::History;

/// A client of the registry that nothing happens to.
pub(super) struct Observer {
    /// Its server is behind on purpose: so it shows the registry as it was after each transaction.
    link: Link,
    reader: Arc<dyn Session>,
    /// By how many versions a node that is set twice in one transaction is ahead.
    versions_of_two: i32,
    /// Acts as operators do.
    writer: Arc<dyn Session>,
    watches: BTreeMap<String, Box<dyn Watch>>,
    /// Who is registered, or a member and so not gone yet although its registration was removed.
    alive: BTreeMap<String, BTreeSet<String>>,
    account: Account,
    /// Jobs that are paused as a whole.
    paused: BTreeSet<String>,
    /// Since when each run is to end that an operator has cancelled.
    cancelled: BTreeMap<String, Instant>,
    /// The runs of single items that operators asked for, by request: of which item, and which run it was.
    asked: BTreeMap<String, (String, u32, Option<String>)>,
    bars: Bars,
    /// The item that was last queued to be taken over, with its job.
    queued: Option<(String, u32)>,
    /// Jobs that an operator is removing.
    removing: BTreeSet<String>,
    clock: Box<dyn Fn() -> Timestamp>,
    history: History,
}

impl Observer {
    pub(super) async fn new(
        registry: &MemoryRegistry,
        versions_of_two: i32,
        jobs: &[String],
        clock: impl Fn() -> Timestamp + 'static,
        history: History,
    ) -> Self {
        let link = registry.link("observer");
        link.lag();
        let reader = link.connect().await.expect("nothing happens to it");
        let writer = registry.connect().await.expect("nothing happens to it");
        let mut watches = BTreeMap::new();
        for job in jobs {
            let watch = reader.watch(&Node::Root.of(job)).await.expect("no other watches exist");
            watches.insert(job.clone(), watch);
        }
        Self {
            link,
            reader,
            versions_of_two,
            writer,
            watches,
            alive: BTreeMap::new(),
            account: Account::default(),
            paused: BTreeSet::new(),
            cancelled: BTreeMap::new(),
            asked: BTreeMap::new(),
            bars: Bars::default(),
            queued: None,
            removing: BTreeSet::new(),
            clock: Box::new(clock),
            history,
        }
    }

    /// Makes the next machine know the state of the registry.
    pub(super) fn follow(&mut self, link: Link, clock: Arc<MachineClock>) {
        self.bars.follow(link, clock);
    }

    /// The item that was queued to be taken over since this was asked last, with its job.
    pub(super) fn take_queued(&mut self) -> Option<(String, u32)> {
        self.queued.take()
    }

    /// Returns whether an item was queued to be taken over since that was asked last.
    pub(super) fn has_queued(&self) -> bool {
        self.queued.is_some()
    }

    /// Records what happened since it last looked.
    pub(super) fn look(&mut self) {
        while self.link.advance(1) > 0 {
            let mut context = Context::from_waker(Waker::noop());
            let mut events = Vec::new();
            for (job, watch) in &mut self.watches {
                while let Poll::Ready(event) = watch.poll_next(&mut context) {
                    events.push((job.clone(), event));
                }
            }
            for (job, event) in events {
                self.note(&job, &event);
            }
        }
    }

    /// Takes in one event, and checks what it has to obey.
    fn note(&mut self, job: &str, event: &WatchEvent) {
        let (WatchEvent::Created(path) | WatchEvent::Changed(path) | WatchEvent::Deleted(path)) = event else {
            return;
        };
        let is_created = matches!(event, WatchEvent::Created(_));
        let is_deleted = matches!(event, WatchEvent::Deleted(_));
        match Node::parse(job, path) {
            Some(Node::Config) if !is_deleted => self.configured(job, path),
            Some(Node::Cancel(_)) if !is_deleted => {
                let cancel = self.data(path).and_then(|data| Cancel::parse(data.as_bytes()));
                if let Some(cancel) = cancel {
                    self.cancelled.entry(cancel.run).or_insert_with(Instant::now);
                }
            }
            Some(Node::Pause) if is_created => drop(self.paused.insert(job.to_owned())),
            Some(Node::Pause) if is_deleted => drop(self.paused.remove(job)),
            Some(Node::Instance(id) | Node::Member(id)) => self.seen(job, id),
            Some(Node::LedgerItem(item)) if !is_deleted => self.accounted(job, item, path),
            Some(Node::LedgerItem(item)) if self.removing.contains(job) => self.account.forgotten(job, item),
            Some(Node::ItemState {
                item,
                kind: ItemKind::Running,
            }) if is_created => self.claimed(job, item),
            Some(Node::ItemState {
                item,
                kind: ItemKind::Running,
            }) if is_deleted && !self.removing.contains(job) => self.unmarked(job, item),
            Some(Node::ItemState {
                item,
                kind: ItemKind::Owner,
            }) if is_created => {
                self.bars.moved(job, item);
                self.owned(job, item);
                let owner = self.state(job, item, ItemKind::Owner).unwrap_or_default();
                self.history.note(format!("registry: {job}/{item} belongs to {owner}"));
            }
            Some(Node::ItemState {
                item,
                kind: ItemKind::Disabled,
            }) => self.bars.switch_item(job, item, !is_deleted),
            Some(Node::Server(ip)) => {
                let is_disabled = self.data(path).is_some_and(|status| status == "DISABLED");
                self.bars.switch_server(job, ip, is_disabled);
            }
            Some(Node::Epoch) => {
                let basis: Option<Basis> = self.data(path).and_then(|data| serde_json::from_str(&data).ok());
                let moving: BTreeSet<u32> = basis.iter().flat_map(|basis| basis.deferred().iter()).collect();
                self.bars.moving(job, &moving);
            }
            Some(Node::FailoverItem(item)) => {
                if is_created {
                    self.queued = Some((job.to_owned(), item));
                }
                let what = if is_created { "waits to be" } else { "is" };
                self.history.note(format!("registry: {job}/{item} {what} taken over"));
            }
            Some(Node::LeaderInstance) if is_deleted => self.bars.led(job, false),
            Some(Node::LeaderInstance) => {
                self.bars.led(job, true);
                let leader = self.data(path).unwrap_or_default();
                self.history.note(format!("registry: {leader} leads {job}"));
            }
            _ => {}
        }
    }

    /// Something of an instance came or went.
    fn seen(&mut self, job: &str, id: &str) {
        let is_alive = self.is_alive(job, id);
        let alive = self.alive.entry(job.to_owned()).or_default();
        if is_alive && alive.insert(id.to_owned()) {
            self.history.instance_joined(job, id);
        } else if !is_alive && alive.remove(id) {
            self.history.instance_gone(job, id);
        }
    }

    /// A job has another configuration, which has to be valid.
    fn configured(&mut self, job: &str, path: &str) {
        let stored = self.data(path).unwrap_or_default();
        match JobConfig::from_registry(&stored) {
            Ok(stored) => self.account.configured(job, stored.config, (self.clock)()),
            Err(error) => self
                .history
                .violation(format!("the configuration of {job} is not valid: {error}")),
        }
    }

    /// The ledger of an item changed: all laws of a change are checked.
    fn accounted(&mut self, job: &str, item: u32, path: &str) {
        let Some((data, version)) = self.node(path) else { return };
        let record = Record::parse(data.as_bytes());
        if let Some(run) = &record.run
            && run.end.is_some()
        {
            self.history.ended(run.id.clone());
        }
        let before = self.account.record(job, item).and_then(|record| record.run.as_ref());
        let owner = before.map(|run| run.owner.clone()).unwrap_or_default();
        let barred = self.barred_claim(job, item, before, record.run.as_ref());
        let uncancelled = self.fault_of_cancel(before, &record);
        let misled = self.fault_of_request(job, item, record.run.as_ref());
        let uncancelled = uncancelled.map(|fault| format!("{job}/{item}: {fault}"));
        let alive = self.alive.entry(job.to_owned()).or_default();
        let now = (self.clock)();
        let at = |at: Instant| now - SignedDuration::try_from(at.elapsed()).unwrap_or(SignedDuration::MAX);
        let change = Change {
            job,
            item,
            version,
            versions_of_two: self.versions_of_two,
            now,
            is_paused: self.paused.contains(job),
            is_there: &|id| alive.contains(id),
            disabled_at: self.bars.disabled_at(job, item).map(at),
            barred_at: self.bars.barred_at(job, item, &owner).map(at),
            has_right_clock: self.bars.has_right_clock(&owner),
        };
        let mut faults = self.account.changed(&change, record);
        faults.extend(barred);
        faults.extend(uncancelled);
        faults.extend(misled);
        // Half of a job has no account that could be right.
        for fault in faults.into_iter().filter(|_| !self.removing.contains(job)) {
            self.history.violation(fault);
        }
    }

    /// An item was claimed by an instance that had to know what barred it.
    fn barred_claim(&self, job: &str, item: u32, before: Option<&Run>, after: Option<&Run>) -> Option<String> {
        let run = after?;
        let is_going_on = |before: &Run| before.id == run.id && before.owner == run.owner;
        if before.is_some_and(is_going_on) {
            return None;
        }
        let bars: &[Bar] = match run.source {
            // It runs nowhere: there is no end that the move waits for.
            Source::Failover => &[Bar::ItemDisabled, Bar::ServerDisabled],
            _ => &[Bar::ItemDisabled, Bar::ServerDisabled, Bar::ItemMoves],
        };
        let bar = self.bars.known(job, item, &run.owner, bars)?;
        Some(format!(
            "{job}/{item} {bar}, and is claimed by {} as run {}",
            run.owner, run.id
        ))
    }

    /// An operator asked for a run of this item.
    pub(super) fn asked(&mut self, request: String, job: &str, item: u32) {
        self.asked.entry(request).or_insert((job.to_owned(), item, None));
    }

    /// A run of a single item that an operator asked for is one run, of that item.
    fn fault_of_request(&mut self, job: &str, item: u32, run: Option<&Run>) -> Option<String> {
        let run = run?;
        let mut fault = None;
        for request in &run.requests {
            let Some((of, wanted, known)) = self.asked.get_mut(request) else {
                continue;
            };
            if (&**of, *wanted) != (job, item) {
                fault = Some(format!(
                    "{job}/{item}: run {} is for a request of {of}/{wanted}",
                    run.id
                ));
            }
            if known.get_or_insert_with(|| run.id.clone()) != &run.id {
                fault = Some(format!(
                    "{job}/{item}: run {} is for a request that has had its run",
                    run.id
                ));
            }
        }
        fault
    }

    /// A run that an operator cancels ends as that, unless it has ended before its owner had to know; and no other run does.
    fn fault_of_cancel(&self, before: Option<&Run>, after: &Record) -> Option<String> {
        let open = before.filter(|run| run.end.is_none())?;
        let known = after.run.iter().chain(&after.cancelled).chain(&after.lost);
        let run = known.into_iter().find(|run| run.id == open.id)?;
        let end = run.end.as_ref()?;
        let since = self.cancelled.get(&run.id);
        match (since, end.is_by_operator) {
            (None, true) => Some(format!("run {} was cancelled, and no operator did that", run.id)),
            (Some(since), false) => {
                let went_on = matches!(end.verdict, Verdict::Succeeded | Verdict::Failed);
                let returned_at = self.history.returned_at(&run.id).filter(|_| went_on)?;
                let is_known = self.bars.had_to_know(&run.owner, *since, returned_at);
                is_known.then(|| format!("run {} went on to its end, {end:?}, and was cancelled", run.id))
            }
            _ => None,
        }
    }

    /// Only the owner of an item may claim it, or the instance that takes it over.
    fn claimed(&self, job: &str, item: u32) {
        let holder = self.state(job, item, ItemKind::Running);
        let taker = self.state(job, item, ItemKind::Failover);
        let owner = taker.or_else(|| self.state(job, item, ItemKind::Owner));
        if let Some(holder) = holder
            && owner.as_ref() != Some(&holder)
        {
            let owner = owner.unwrap_or_else(|| "no instance".to_owned());
            self.history
                .violation(format!("{job}/{item} of {owner} is claimed by {holder}"));
        }
    }

    /// An item moves while no instance runs it, or to the instance that runs it.
    fn owned(&self, job: &str, item: u32) {
        let owner = self.state(job, item, ItemKind::Owner);
        let runner = self
            .state(job, item, ItemKind::Running)
            .filter(|runner| self.is_alive(job, runner));
        if let Some(runner) = runner
            && owner.as_ref() != Some(&runner)
        {
            self.history
                .violation(format!("{job}/{item} moves to {owner:?} while {runner} runs it"));
        }
    }

    /// The mark of a run goes with its end, or with its instance.
    fn unmarked(&self, job: &str, item: u32) {
        let record = self
            .data(&Node::LedgerItem(item).of(job))
            .map(|data| Record::parse(data.as_bytes()));
        let known = self.account.record(job, item).and_then(|record| record.run.as_ref());
        // A run that follows in the same transaction may have no mark.
        let is_same = |run: &Run| run.end.is_none() && known.is_some_and(|known| known.is_same_attempt(run));
        let open = record.and_then(|record| record.run).filter(is_same);
        let is_marked = self.state(job, item, ItemKind::Running).is_some();
        // An instance that is given up takes its marks away before itself.
        let is_kept = |run: &Run| self.is_alive(job, &run.owner) && !self.history.is_given_up(run);
        if let Some(run) = open.filter(|run| !is_marked && is_kept(run)) {
            self.history.violation(format!(
                "{job}/{item} has no mark while {} executes run {}",
                run.owner, run.id
            ));
        }
    }

    /// Returns whether the instance is registered, or still a member.
    fn is_alive(&self, job: &str, id: &str) -> bool {
        let nodes = [Node::Instance(id), Node::Member(id)];
        nodes.iter().any(|node| self.data(&node.of(job)).is_some())
    }

    /// Returns the data of a node of an item.
    fn state(&self, job: &str, item: u32, kind: ItemKind) -> Option<String> {
        self.data(&Node::ItemState { item, kind }.of(job))
    }

    /// Returns what the ledgers said so far.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Who takes part in a job.
    pub(super) fn alive(&self, job: &str) -> BTreeSet<String> {
        self.alive.get(job).cloned().unwrap_or_default()
    }

    /// Removes a job with all that is below it, the children of the root in the order that `shuffle` gives them, but no
    /// more nodes than that; how many there were.
    pub(super) fn remove(&mut self, job: &str, most: usize, shuffle: impl FnOnce(&mut [String])) -> usize {
        let root = Node::Root.of(job);
        let mut below: Vec<String> = self.children(&root);
        shuffle(&mut below);
        let mut paths = Vec::new();
        for name in below {
            self.list(format!("{root}/{name}"), &mut paths);
        }
        paths.push(root);
        self.removing.insert(job.to_owned());
        for path in paths.iter().take(most) {
            self.delete(path);
        }
        self.look();
        if paths.len() <= most {
            self.removing.remove(job);
        }
        paths.len()
    }

    /// A node after all that is below it.
    fn list(&self, path: String, found: &mut Vec<String>) {
        for name in self.children(&path) {
            self.list(format!("{path}/{name}"), found);
        }
        found.push(path);
    }

    /// Returns a node's data.
    pub(super) fn data(&self, path: &str) -> Option<String> {
        self.node(path).map(|(data, _)| data)
    }

    /// Returns a node's data and version.
    fn node(&self, path: &str) -> Option<(String, i32)> {
        match self.read(Read::Data(path.to_owned())) {
            Answer::Data(found) => {
                found.map(|(data, stat)| (String::from_utf8_lossy(&data).into_owned(), stat.version))
            }
            Answer::Children(_) => None,
        }
    }

    /// Returns the names of a node's children; none where it is missing.
    pub(super) fn children(&self, path: &str) -> Vec<String> {
        match self.read(Read::Children(path.to_owned())) {
            Answer::Children(found) => found.unwrap_or_default(),
            Answer::Data(_) => Vec::new(),
        }
    }

    /// Reads from the observer's own server.
    fn read(&self, read: Read) -> Answer {
        let answers = self
            .reader
            .read(vec![read])
            .now_or_never()
            .expect("answered on the spot");
        answers.expect("nothing happens to it").remove(0)
    }

    /// Sets a node's data, as an operator does; whether it was there.
    pub(super) fn set(&self, path: &str, data: &str) -> bool {
        self.write(vec![Step::Set {
            path: path.to_owned(),
            data: data.into(),
            version: None,
        }])
    }

    /// Creates a node, as an operator does; whether it was missing and its parent is there.
    pub(super) fn create(&self, path: &str, data: &str) -> bool {
        self.write(vec![Step::Create {
            path: path.to_owned(),
            data: data.into(),
            mode: CreateMode::Persistent,
        }])
    }

    /// Deletes a node, as an operator does; whether that was possible.
    pub(super) fn delete(&self, path: &str) -> bool {
        self.write(vec![Step::Delete {
            path: path.to_owned(),
            version: None,
        }])
    }

    /// Orders a run of a job, as an operator does.
    pub(super) fn trigger(&self, job: &str, trigger: &Trigger) {
        // A removed job has no instance to trigger.
        let _ = trigger::request(&*self.writer, job, None, trigger)
            .now_or_never()
            .expect("answered on the spot");
    }

    /// Writes at once, over no link; whether all steps were possible.
    fn write(&self, steps: Vec<Step>) -> bool {
        let written = self.writer.write(steps).now_or_never().expect("answered on the spot");
        written.is_ok()
    }
}
