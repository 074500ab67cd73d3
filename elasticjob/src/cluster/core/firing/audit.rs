//! Counts the scheduled times that have neither a verdict nor a reason, for health and metrics.
//!
//! This is the check of the invariant that each scheduled time is accounted for exactly once. It changes nothing and
//! repairs nothing: a count above zero is a fault of ours, or the trace of a member that does not write the ledger. The
//! count looks only at times that must have been settled by now ([`SETTLED_AFTER`]), and errs towards zero: an item
//! that is about to run, to move or to be taken over is not counted, because its next write accounts for it.

use jiff::{SignedDuration, Timestamp};

use crate::cluster::core::context::Context;
use crate::cluster::view::ItemView;

use super::ledgers::ACCOUNTED;
use super::{Firings, LATE_LIMIT};

/// A time is looked at once it has been given up, if it was not run: by then something was said of it.
pub(crate) const SETTLED_AFTER: SignedDuration = LATE_LIMIT.saturating_add(SignedDuration::from_secs(1));

impl Firings {
    /// How many scheduled times of our items, [some seconds](SETTLED_AFTER) past, have neither a verdict in the ledger nor
    /// a reason stated here that the next claim writes there.
    ///
    /// Not looked at are items that run, wherever: the end of the run says what became of the times meanwhile. Nor those
    /// that an operator switched off, and those that wait to move or to be taken over.
    pub(crate) fn unaccounted(&self, cx: &Context<'_>) -> u64 {
        let Ok(before) = cx.now.checked_sub(SETTLED_AFTER) else {
            return 0;
        };
        // What passes during a pause has its reason.
        if cx.view.is_paused() {
            return 0;
        }
        // A firing goes on until all of its items have ended; what came meanwhile waits for that.
        if !self.open.is_empty() && !self.runs.running.is_empty() {
            return 0;
        }
        cx.own_items()
            .filter(|(item, state)| self.is_to_be_run(*item, state, cx))
            .map(|(item, _)| self.unaccounted_of(item, before, cx))
            .sum()
    }

    /// Returns whether nothing is in the way of a run of the item, so that a time without a verdict has no excuse.
    fn is_to_be_run(&self, item: u32, state: &ItemView, cx: &Context<'_>) -> bool {
        let Context { view, me, .. } = *cx;
        let is_running = self.runs.has(item) || state.mark.is_some() || state.failover.is_some();
        !is_running
            && !state.is_disabled
            && view.is_enabled(me)
            && !view.is_moving(item)
            && !view.failover_queue.contains(&item)
    }

    /// Counts the times of the calendar after the last that is known to be accounted for, and before `before`.
    fn unaccounted_of(&self, item: u32, before: Timestamp, cx: &Context<'_>) -> u64 {
        let Context {
            now,
            extent,
            me,
            calendar: Some(calendar),
            ..
        } = *cx
        else {
            return 0;
        };
        let record = self.ledgers.get(item).map(|slot| &slot.record);
        // If the ledger is not known, or says nothing, this instance answers for the times since it is here.
        let known = record
            .and_then(|record| record.until(now))
            .unwrap_or_else(|| extent.since(item));
        let was_ours = record
            .and_then(|record| record.run.as_ref())
            .is_some_and(|run| run.owner == me.as_str());
        // What came after a run of ours and was given up was so for a reason that we said.
        let decided = self.skips.newest().map(|skipped| skipped.time).filter(|_| was_ours);
        let oldest = now.saturating_sub(ACCOUNTED).unwrap_or(Timestamp::MIN);
        let known = known.max(self.pause.until().unwrap_or(oldest));
        let after = decided.map_or(known, |decided| known.max(decided)).max(oldest);
        calendar.count_between(after, before)
    }
}
