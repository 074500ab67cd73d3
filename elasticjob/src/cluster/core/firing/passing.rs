//! Items that a scheduled time passes: switched off, or without an instance.
//!
//! Such a time has its verdict as it comes, in the transaction that claims the items which run. The owner of an item accounts
//! for it. The leader accounts for an item that no instance has, since the leader alone knows that this is meant to be so. Each
//! write expects the epoch and the version of the ledger: it is refused if the item has an instance after all.

use std::cell::LazyCell;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::core::context::Context;
use crate::cluster::core::governor::is_unsettled;
use crate::cluster::core::governor::marks;
use crate::cluster::instance::InstanceId;
use crate::cluster::ledger::{Gap, Reason, Record, Run, Source};
use crate::cluster::mutation::Mutation;
use crate::cluster::noted_items::NotedItems;
use crate::cluster::view::{ItemView, View, look};

use super::ledgers::ACCOUNTED;
use super::occasion::Wanted;
use super::{Firings, Occasion, Slot};

/// One item that a time passes, as a part of a claim.
#[derive(Clone, Debug)]
pub(super) struct PassedItem {
    pub(super) item: u32,
    pub(super) time: Timestamp,
    pub(super) reason: Reason,
    pub(super) concern: Concern,
    /// The ledger expected.
    pub(super) version: i32,
    /// The ledger with the time in it.
    pub(super) record: Record,
    /// The times since the ledger's, this one among them.
    pub(super) gap: Gap,
    /// The open run of a dead instance.
    pub(super) lost: Option<Run>,
}

/// Why an item is this instance's to account for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    Own,
    /// No instance has it, and this one leads.
    Rest,
}

/// The items that this instance accounts for.
pub(super) struct Accountable<'a> {
    view: &'a View,
    me: &'a InstanceId,
    total: u32,
    rest: Rest<'a>,
}

impl<'a> Accountable<'a> {
    /// Finds out which items without an instance this one accounts for. Its own items it always accounts for.
    pub(super) fn of(cx: &Context<'a>) -> Self {
        let Context { view, me, config, .. } = *cx;
        Self {
            view,
            me,
            total: config.sharding_total_count().get(),
            rest: Rest::of(cx),
        }
    }

    /// Whether items of no instance may be among them.
    pub(super) fn has_rest(&self) -> bool {
        !matches!(self.rest, Rest::None)
    }

    /// Returns the items with the reason why each is this instance's. If no item without an instance is among them,
    /// only own items are looked at.
    pub(super) fn items(&self) -> impl Iterator<Item = (u32, &'a ItemView, Concern)> {
        let own = self.view.items_of(self.me, self.total).filter(|_| !self.has_rest());
        let all = self.view.items.range(..self.total).filter(|_| self.has_rest());
        let all = all.map(|(item, state)| (*item, &**state));
        own.chain(all)
            .filter_map(|(item, state)| Some((item, state, self.concern_of(item, state)?)))
    }

    /// Returns why this instance accounts for the item; `None` if it does not, or the item is beyond the sharding total
    /// count.
    pub(super) fn concern(&self, item: u32) -> Option<Concern> {
        let state = self.view.items.get(&item).filter(|_| item < self.total)?;
        self.concern_of(item, state)
    }

    fn concern_of(&self, item: u32, state: &ItemView) -> Option<Concern> {
        look();
        if state.owner.as_ref() == Some(self.me) {
            return Some(Concern::Own);
        }
        self.rest.has(self.view, item, state).then_some(Concern::Rest)
    }
}

impl Firings {
    /// Returns what has its verdict with the occasion of the items that do not run for it.
    pub(super) fn passing(&self, cx: &Context<'_>, occasion: &Occasion) -> Vec<PassedItem> {
        let is_for_all = occasion.items == Wanted::All && !occasion.is_looked_back;
        let is_scheduled = matches!(occasion.source, Source::Schedule | Source::Misfire);
        if !is_for_all || !is_scheduled || Mutation::PassInSilence.is_on() {
            return Vec::new();
        }
        let Context { view, me, .. } = *cx;
        let is_server_off = LazyCell::new(|| !view.is_enabled(me) && is_to_stay(cx));
        let passed = |(item, state, concern): (u32, &ItemView, Concern)| {
            if self.is_engaged(cx, item, state) {
                return None;
            }
            let reason = match concern {
                _ if state.is_disabled => Reason::SwitchedOff,
                Concern::Own if *is_server_off => Reason::SwitchedOff,
                Concern::Own => return None,
                Concern::Rest => Reason::NoInstance,
            };
            self.passed_item(cx, item, self.ledgers.get(item)?, occasion.time, reason)
        };
        Accountable::of(cx).items().filter_map(passed).collect()
    }

    /// Whether the end, the move or the take-over of the item comes first.
    fn is_engaged(&self, cx: &Context<'_>, item: u32, state: &ItemView) -> bool {
        let view = cx.view;
        let is_marked = state.mark.is_some() || state.failover.is_some();
        self.runs.has(item) || is_marked || view.is_moving(item) || view.failover_queue.contains(&item)
    }

    /// Returns the part of a claim that lets `time` pass the item, if its ledger admits that.
    pub(super) fn passed_item(
        &self,
        cx: &Context<'_>,
        item: u32,
        slot: &Slot,
        time: Timestamp,
        reason: Reason,
    ) -> Option<PassedItem> {
        slot.admits(Source::Schedule, time, cx).ok()?;
        let lost = slot.record.replaced(None);
        let config = cx.config;
        if lost.is_some() && config.failover() && config.monitor_execution() {
            // A run that its dead instance left open is taken over first. Its mark may be one that this instance does not follow.
            return None;
        }
        let oldest = time.saturating_sub(ACCOUNTED).unwrap_or(Timestamp::MIN);
        let after = slot.accounted(item, cx).max(oldest);
        // A time is a full second.
        let before = time.saturating_add(SignedDuration::from_secs(1)).ok()?;
        let count = cx.calendar?.count_between(after, before);
        let gap = Gap::new(after, before, count, reason);
        (count > 0).then(|| PassedItem {
            item,
            time,
            reason,
            concern: slot.concern,
            version: slot.version,
            record: slot.passed(time, &gap, cx),
            gap,
            lost,
        })
    }
}

/// The items without an instance that this instance accounts for.
#[derive(Clone, Copy)]
enum Rest<'a> {
    /// None: another instance leads, the items are about to be shared out, or a Java member leads, which may give them away
    /// without a word.
    None,
    /// Those that the assignment gives to no instance.
    LeftOut(&'a NotedItems),
    /// The items of instances that are gone: no instance may have them, since all servers are switched off.
    Abandoned,
}

impl<'a> Rest<'a> {
    fn of(cx: &Context<'a>) -> Self {
        let Context { view, me, .. } = *cx;
        let is_led_here = match &view.leader {
            Some(leader) => leader == me,
            // Without a server that is switched on no instance leads.
            None => !view.has_java_members() && marks::is_repairer(view, me),
        };
        let Some(basis) = view.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref()) else {
            return Self::None;
        };
        if !is_led_here {
            return Self::None;
        }
        if view.candidates_for_items().next().is_none() {
            return Self::Abandoned;
        }
        if !basis.left_out().is_empty() && is_to_stay(cx) {
            Self::LeftOut(basis.left_out())
        } else {
            Self::None
        }
    }

    fn has(self, view: &View, item: u32, state: &ItemView) -> bool {
        match self {
            Self::None => false,
            Self::LeftOut(items) => state.owner.is_none() && items.contains(item),
            Self::Abandoned => state.owner.as_ref().is_none_or(|owner| !view.is_alive(owner)),
        }
    }
}

/// Whether the items stay where they are until something happens.
fn is_to_stay(cx: &Context<'_>) -> bool {
    let Context {
        view,
        config,
        placement,
        ..
    } = *cx;
    view.candidates_for_items().next().is_none() || !is_unsettled(view, config, placement)
}
