//! Taking over the items of instances that died while these ran: `leader/failover/items/{i}`.
//!
//! The instance that removed the mark of the dead one queued the item in the same transaction. Which survivor takes it is decided by
//! rendezvous hash, so that the survivors neither fight for an item nor all go for the same; the others follow after a
//! while. Beside Java members the right to take is won in their latch, since they overwrite each other's claims.
//!
//! Rendezvous hashing (highest random weight, Thaler and Ravishankar): each instance computes a weight for the item and
//! each survivor, and the survivor with the greatest weight is the taker. All instances compute the same without a
//! message, the items of a dead instance are spread evenly over the survivors, and if the taker dies as well only its
//! items get another taker.
//!
//! The steps: read each item (queued, unmarked, not switched off, not ended), then claim in one transaction that
//! creates the marks, deletes the item from the queue and sets the ledger. If two instances try, the registry refuses
//! the second. If the taker does nothing for [`PATIENCE`], because it is slow or about to die, every other
//! instance may take the item.
//!
//! A run that the ledger shows as ended is not repeated: its instance died after it had recorded the end, and was
//! queued late.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::core::context::Context;
use crate::cluster::core::request::Request;
use crate::cluster::instance::InstanceId;
use crate::cluster::latch;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::Record;
use crate::cluster::mutation::Mutation;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::{Revision, View, look};
use crate::registry::{CreateMode, Read};
use crate::sharding::rendezvous;

use super::claim::{self, Found};
use super::{Claim, Claiming, FiringRequest, Firings, Purpose};

/// How long all others leave an item to the one that is to take it.
const PATIENCE: Duration = Duration::from_secs(1);

/// An item that was found disabled, or marked, is looked at again after this long: a follower of a large job hears nothing of
/// items that are not its own. The leader does, and need not wait for that.
const HELD_PAUSE: Duration = Duration::from_secs(5);

/// What is known of the items that wait to be taken over.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    /// Since when each has been seen to wait.
    waiting: BTreeMap<u32, Duration>,
    /// When the items that were found held are looked at again.
    held: BTreeMap<u32, Duration>,
    /// When it was last looked for items to take, and there were none.
    rest: Option<Rest>,
    /// The items that are being read.
    surveying: Vec<u32>,
    /// A claim was refused, for a reason that was not seen before: nothing is tried again until then.
    not_before: Duration,
}

/// A state of the job in which there is nothing to take over.
#[derive(Clone, Copy, Debug)]
struct Rest {
    revision: Revision,
    /// Time alone brings something to take over; `None` if it never does.
    until: Option<Duration>,
}

impl Takeover {
    /// Whether nothing is to be taken over, as far as it is known. Thousands of items may wait for other instances.
    fn is_at_rest(&self, view: &View, elapsed: Duration) -> bool {
        let is_so = |rest: Rest| rest.revision == view.revision() && rest.until.is_none_or(|until| elapsed < until);
        self.rest.is_some_and(is_so)
    }

    /// When the patience with the instance that is to take an item first is over, or an item that was held is looked at again.
    fn next(&self, elapsed: Duration) -> Option<Duration> {
        let patience = self.waiting.values();
        let patience = patience.map(|since| (*since + PATIENCE).max(self.not_before));
        patience
            .chain(self.held.values().copied())
            .filter(|at| *at > elapsed)
            .min()
    }

    /// Forgets the items that wait no more, and those that are looked at again.
    fn forget_what_is_over(&mut self, cx: &Context<'_>) {
        let queue = &cx.view.failover_queue;
        self.rest = None;
        self.waiting.retain(|item, _| queue.contains(item));
        self.held
            .retain(|item, until| queue.contains(item) && *until > cx.elapsed);
    }

    /// Returns the items that this instance is to take next, as many as one transaction takes.
    fn next_items(&mut self, cx: &Context<'_>) -> Vec<u32> {
        let Context {
            view,
            me,
            config,
            elapsed,
            ..
        } = *cx;
        let is_available = view.is_available(me) || Mutation::TakeOverOnDisabledServer.is_on();
        if !config.failover() || !config.monitor_execution() || !is_available || view.is_paused() {
            return Vec::new();
        }
        let admission = cx.placement.admission(view, config);
        let is_next = |item: &u32| {
            look();
            let since = *self.waiting.entry(*item).or_insert(elapsed);
            let state = view.items.get(item);
            let is_held = self.held.contains_key(item)
                || state.is_some_and(|item| item.mark.is_some() || is_off(item.is_disabled));
            let may_run = |id: &InstanceId| {
                let owner = state.and_then(|item| item.owner.as_ref());
                owner == Some(id) || admission.admits(*item, id)
            };
            let is_our_turn = is_first(view, me, *item, may_run) || elapsed >= since + PATIENCE;
            !is_held && may_run(me) && is_our_turn
        };
        let waiting = view.failover_queue.range(..config.sharding_total_count().get());
        let mut items: Vec<u32> = waiting.copied().filter(is_next).collect();
        items.truncate(view.limits().batch());
        items
    }

    /// Notes that there is nothing to take over now.
    fn rest(&mut self, cx: &Context<'_>) {
        self.rest = Some(Rest {
            revision: cx.view.revision(),
            until: self.next(cx.elapsed),
        });
    }

    /// What an instance may take over is another matter from here on.
    pub(super) fn reconfigured(&mut self) {
        self.rest = None;
    }

    /// A claim was refused.
    pub(super) fn refused(&mut self, elapsed: Duration) {
        self.not_before = elapsed + PATIENCE;
    }

    pub(super) fn reset(&mut self) {
        self.waiting.clear();
        self.held.clear();
        self.rest = None;
        self.surveying.clear();
    }
}

impl Firings {
    /// Returns the next request to take over the items that this instance is to take.
    pub(super) fn take_over(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        let view = cx.view;
        let is_at_rest = self.takeover.is_at_rest(view, cx.elapsed);
        if !is_at_rest {
            self.takeover.forget_what_is_over(cx);
        }
        let is_idle = matches!(self.claiming, Claiming::Idle) && self.takeover.surveying.is_empty();
        if self.is_stopped || !is_idle || cx.elapsed < self.takeover.not_before {
            return None;
        }
        let items = if is_at_rest {
            Vec::new()
        } else {
            self.takeover.next_items(cx)
        };
        let standing = latch::standing(&view.failover_candidates, cx.latch);
        if items.is_empty() {
            if !is_at_rest {
                self.takeover.rest(cx);
            }
            let mut transaction = Transaction::on(view);
            for name in standing.own {
                transaction.delete(Node::FailoverCandidate(name));
            }
            let steps = transaction.into_steps();
            return (!steps.is_empty()).then(|| Request::write_as_member(Purpose::Contend, steps));
        }
        if view.has_java_members() && standing.own.is_empty() {
            let mut transaction = Transaction::on(view);
            let name = latch::contender(cx.latch);
            transaction.create(Node::FailoverCandidate(&name), "", CreateMode::EphemeralSequential);
            return Some(Request::write_as_member(Purpose::Contend, transaction.into_steps()));
        }
        if view.has_java_members() && !standing.is_first {
            return None;
        }
        let reads = survey(view.job(), &items);
        self.takeover.surveying = items;
        Some(Request::read(Purpose::SurveyTakeover, reads))
    }

    /// When time alone brings something to take over: the patience with the instance that is to take an item first is over, or an
    /// item that was held is looked at again.
    pub(crate) fn take_over_at(&self, elapsed: Duration) -> Option<Duration> {
        match self.takeover.rest {
            Some(Rest { until, .. }) if until.is_none_or(|until| until > elapsed) => until,
            _ => self.takeover.next(elapsed),
        }
    }

    /// What was read of the items to be taken: the claim of those that still wait.
    pub(crate) fn surveyed_takeover(
        &mut self,
        cx: &Context<'_>,
        answers: Result<Vec<crate::registry::Answer>, crate::registry::Error>,
    ) -> Option<FiringRequest> {
        let items = std::mem::take(&mut self.takeover.surveying);
        let mut answers = Found::new(answers.ok()?);
        let Context {
            view, me, now, elapsed, ..
        } = *cx;
        let epoch = answers.next().map(|(_, stat)| stat.version);
        if answers.next_is_pause(view) {
            return None;
        }
        let mut claim = Claim::takeover(latch::standing(&view.failover_candidates, cx.latch).own, epoch);
        let mut settled = Transaction::on(view);
        for item in items {
            let (queued, mark, failovering) = (answers.next(), answers.next(), answers.next());
            let (disabled, ledger) = (answers.next(), answers.next());
            if queued.is_none() || self.runs.has(item) {
                continue;
            }
            if mark.is_some() || is_off(disabled.is_some()) {
                self.takeover.held.insert(item, elapsed + HELD_PAUSE);
                continue;
            }
            let ledger = ledger.map(|(data, stat)| (Record::parse(&data), stat.version));
            let is_ended = ledger.as_ref().is_some_and(|(record, _)| record.is_ended());
            if is_ended && !view.has_java_members() && !Mutation::FailOverFinished.is_on() {
                // No other instance could have run it since without writing so: it was queued late.
                settled.delete(Node::FailoverItem(item));
                continue;
            }
            let (record, version) =
                ledger.map_or((Record::default(), None), |(record, version)| (record, Some(version)));
            let run = record.next_attempt(|| self.ids.run(), me.as_str(), now);
            claim.add_takeover(
                item,
                version,
                record.claimed(run.clone(), now, cx.kept()),
                run,
                failovering.is_some(),
            );
        }
        if !settled.is_empty() {
            return Some(Request::write_as_member(Purpose::Contend, settled.into_steps()));
        }
        if claim.is_empty() {
            return None;
        }
        // What does not fit waits still, and is looked at next.
        claim.split_off(view);
        let steps = claim.steps(view);
        self.claiming = Claiming::InFlight(claim);
        Some(Request::write_as_member(Purpose::Claim, steps))
    }
}

/// Returns what to read of items before they are taken.
fn survey(job: &str, items: &[u32]) -> Vec<Read> {
    let of_item = |item: &u32| {
        let item = *item;
        let state = |kind| Node::ItemState { item, kind };
        let nodes = [
            Node::FailoverItem(item),
            state(ItemKind::Running),
            state(ItemKind::Failovering),
            state(ItemKind::Disabled),
            Node::LedgerItem(item),
        ];
        nodes.map(|node| Read::Data(node.of(job)))
    };
    let rights = claim::rights(job).into_iter();
    rights.chain(items.iter().flat_map(of_item)).collect()
}

/// Whether an item that is disabled, or not, is left alone.
fn is_off(is_disabled: bool) -> bool {
    is_disabled && !Mutation::TakeOverDisabledItem.is_on()
}

/// Whether `me` is the one of the available instances of ours that is to take the item, of those that may run it.
fn is_first(view: &View, me: &InstanceId, item: u32, may_run: impl Fn(&InstanceId) -> bool) -> bool {
    let takers = view
        .members
        .iter()
        .filter(|(id, member)| !member.draining && view.is_available(id) && may_run(id));
    takers.map(|(id, _)| id).max_by_key(|id| weight(view.job(), item, id)) == Some(me)
}

/// The taker of an item is the instance of the greatest weight, so that the items of a dead one are spread over the
/// others, and each of them finds the same taker.
fn weight(job: &str, item: u32, id: &InstanceId) -> u64 {
    let item = job.bytes().chain([0]).chain(item.to_be_bytes());
    rendezvous::weight(item, id.as_str())
}
