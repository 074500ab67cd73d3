//! The runs of items on this instance, from their claims to their recorded ends.
//!
//! A run goes through two maps: `running` from the grant of its claim, and `ended` from its end until that end is in
//! the ledger. While an item is in either, it stands for its own ledger: its version is that of the claim, and no other
//! instance writes it as long as this instance is alive.

use std::collections::BTreeMap;

use crate::cluster::core::context::Context;
use crate::cluster::ledger::{End, Record, Run};
use crate::cluster::mutation::Mutation;
use crate::cluster::view::ItemView;
use crate::registry::CreateMode;

use super::{Occasion, Wanted};

/// What runs here, and what has ended and is not recorded.
///
/// Invariant: an item is in one of the two maps at most.
#[derive(Debug, Default)]
pub(super) struct Runs {
    // Boxed: a map takes the room of eleven entries, and most instances have one item of a job.
    pub(super) running: BTreeMap<u32, Box<Running>>,
    pub(super) ended: BTreeMap<u32, Box<Ended>>,
}

/// An item that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) run: Run,
    /// The version of the ledger since the claim.
    pub(super) version: i32,
    pub(super) record: Record,
    pub(super) is_marked: bool,
    /// Whether the item was taken over: its `failover` node goes with the end.
    pub(super) is_failover: bool,
    /// Whether its `failovering` node goes with the end.
    pub(super) is_failovering: bool,
}

/// A run that has ended, until that is recorded.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) running: Box<Running>,
    pub(super) end: End,
    /// Whether the run goes on as its next attempt, and does not end with this one.
    pub(super) goes_on: bool,
    /// How often the end was written without being recorded.
    pub(super) attempts: u32,
}

impl Runs {
    /// Returns whether the item runs, or its end is not recorded.
    pub(super) fn has(&self, item: u32) -> bool {
        self.running.contains_key(&item) || self.ended.contains_key(&item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.ended.is_empty()
    }

    /// Returns the items of this instance that may run for the occasion, by all that is known beside their ledgers. Those that
    /// are `ending`, in ascending order, count as ended.
    pub(super) fn runnable(
        &self,
        cx: &Context<'_>,
        occasion: &Occasion,
        mark: Option<CreateMode>,
        ending: &[u32],
    ) -> Vec<u32> {
        match &occasion.items {
            Wanted::All | Wanted::Marked => self.runnable_of(cx.own_items(), cx, occasion, mark, ending).collect(),
            Wanted::These(items) => {
                let own = items.iter().filter_map(|item| cx.own_item(*item));
                self.runnable_of(own, cx, occasion, mark, ending).collect()
            }
        }
    }

    /// The same, of some of the items of this instance.
    pub(super) fn runnable_of<'a>(
        &'a self,
        own: impl Iterator<Item = (u32, &'a ItemView)>,
        cx: &'a Context<'a>,
        occasion: &'a Occasion,
        mark: Option<CreateMode>,
        ending: &'a [u32],
    ) -> impl Iterator<Item = u32> {
        let Context { view, me, .. } = *cx;
        let is_available = view.is_available(me) || Mutation::ClaimOnDisabledServer.is_on();
        let is_ending = |item: u32| ending.binary_search(&item).is_ok();
        let is_free = move |item: u32, state: &ItemView| {
            mark.is_none() || (state.mark.is_none() && state.failover.is_none()) || is_ending(item)
        };
        // One that waits to be taken over is run for the time that it missed first.
        let is_runnable = move |&(item, state): &(u32, &ItemView)| {
            let is_moving = view.is_moving(item) && !Mutation::ClaimMoving.is_on();
            let is_queued = view.failover_queue.contains(&item) && !Mutation::ClaimQueued.is_on();
            let is_disabled = state.is_disabled && !Mutation::ClaimDisabledItem.is_on();
            // A job that is not monitored any more has items without marks, and some that were taken over before.
            let is_running = self.running.contains_key(&item) && !is_ending(item);
            let is_barred = !is_available || is_disabled || is_running || is_moving || is_queued;
            !is_barred && is_free(item, state) && occasion.items.is(item, state)
        };
        own.filter(is_runnable).map(|(item, _)| item)
    }
}
