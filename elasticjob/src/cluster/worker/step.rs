//! What to do next, after each event: the one place that knows the order.
//!
//! A step asks each part whether there is something to do, and a part that has nothing to do says so cheaply. Nothing
//! waits in a step: parts push requests, and their answers are the events of later steps. So a step sees one state of
//! the view from its begin to its end.

use std::time::Duration;

use tracing::{info, warn};

use crate::cluster::core::firing::{SETTLED_AFTER, Skipped};

use super::Worker;
use super::join::Joined;

/// After a scheduled time it is looked so much later whether it has its verdict.
pub(super) const AUDIT_DELAY: Duration = Duration::from_secs(SETTLED_AFTER.as_secs().unsigned_abs() + 1);

/// That may come so much later.
const AUDIT_SLACK: Duration = Duration::from_secs(2);

/// Where a time has none it is looked again so much later.
const AUDIT_AGAIN: Duration = Duration::from_secs(10);

impl Worker {
    /// Does what there is to do now, and logs the times that are not fired.
    pub(super) fn step(&mut self, joined: &mut Joined) {
        self.decide(joined);
        self.log_skipped();
    }

    /// Does what there is to do now, in this order. Each part relies on the ones before it.
    ///
    /// 1. What time alone brings: scheduled times, the end of a grace period, the interval of reconciliation.
    /// 2. What is known. Nothing below decides on a view that is behind the registry, has paths to read or watches to set:
    ///    a decision on half of a change would be refused, or worse, be right by chance.
    /// 3. The configuration in the registry. It may have more items: their owners are read first.
    /// 4. What runs: cancelled, or asked to end, before anything is decided that waits for its end.
    /// 5. Leaving. An instance that is removed, or leaves, decides nothing more for the job.
    /// 6. The job as a whole, before its firings: a firing waits for items that are about to move.
    /// 7. Firings, then the listeners of what has been claimed or has ended, then progress.
    /// 8. Leaving once more, because the last end may be recorded by now.
    fn decide(&mut self, joined: &mut Joined) {
        joined.wake_at = None;
        self.process.fail_point.pass();
        // 1. Time.
        self.advance();
        self.cancel_when_due();
        self.reconcile(joined);
        // 2. What is known.
        if joined.follower.is_behind() {
            self.refresh(joined);
        }
        if joined.left.is_some() || !joined.follower.is_in_step() {
            return;
        }
        self.cancel_when_removed(joined);
        self.read_dirty(joined);
        if joined.follower.is_reading() {
            return;
        }
        self.rewatch(joined);
        if joined.follower.is_rewatching() {
            return;
        }
        // 3. The configuration.
        self.take_over_stored(joined);
        self.read_dirty(joined);
        if joined.follower.is_reading() {
            return;
        }
        // 4. What runs.
        self.cancel_where_asked(joined);
        if joined.governing.is_due() {
            self.wind_down(joined);
            self.tell_member(joined);
        }
        self.give_way(joined);
        self.waiters
            .judge(&joined.follower.view, self.settings.config.sharding_total_count().get());
        // 5. Leaving.
        self.check_removal(joined);
        self.leave_when_due(joined);
        if !joined.leaving.is_idle() || !joined.removal_check.is_idle() {
            return;
        }
        // 6. The job as a whole.
        self.process.fail_point.pass();
        self.govern(joined);
        // 7. Firings.
        self.process.fail_point.pass();
        self.fire(joined);
        self.process.fail_point.pass();
        self.call_listeners(joined);
        self.write_progress(joined);
        // 8. What has ended just now may have been the last.
        self.leave_when_due(joined);
        self.audit(joined);
    }

    /// Hands the times that have come to the firings.
    ///
    /// Of several that came at once, as after a sleep of the machine, only the newest is handed over: the times before
    /// it are made up for, or skipped, by the rules for misfires. A job that is stopping passes them by.
    fn advance(&mut self) {
        let now = self.process.clock.now();
        let Some(come) = self
            .settings
            .calendar
            .as_mut()
            .and_then(|calendar| calendar.advance(now))
        else {
            return;
        };
        if self.stopping.is_some() {
            return;
        }
        if come.earlier > 0 {
            warn!(job = self.application.name(), count = come.earlier, before = %come.newest, "scheduled times missed");
        }
        if self.firings.is_firing() {
            self.reporter.misfired(come.earlier + 1);
        }
        self.audit_after(AUDIT_DELAY);
        self.firings.came(come.newest);
    }

    /// Checks from time to time that no marks were left behind and that items are where they belong, also without an event.
    fn reconcile(&self, joined: &mut Joined) {
        let Some(interval) = self.settings.config.reconcile_interval() else {
            return;
        };
        let elapsed = self.process.clock.elapsed();
        let due = joined.reconciled_at + interval;
        if elapsed >= due {
            joined.reconciled_at = elapsed;
            joined.governing.look();
            joined.governing.governor.check_marks();
            joined.governing.governor.check_assignment();
        }
        joined.wake_by(joined.reconciled_at + interval);
    }

    /// Has it looked some time from now whether every scheduled time has its verdict, if it is not to be sooner.
    pub(super) fn audit_after(&mut self, delay: Duration) {
        let at = self.process.clock.elapsed() + delay;
        self.audit_at.get_or_insert(at);
    }

    /// Looks whether every scheduled time has its verdict.
    ///
    /// It is a check of the worker on itself: a time without a run, a gap or a reason is a fault, here or in another
    /// instance, which `health` and the metrics then show.
    fn audit(&mut self, joined: &mut Joined) {
        let Some(at) = self.audit_at else { return };
        if self.process.clock.elapsed() < at {
            // Not woken for it at once: a job that fires often comes by anyway.
            joined.wake_by(at + AUDIT_SLACK);
            return;
        }
        self.audit_at = None;
        let cx = joined.follower.context(&self.settings, self.stopping.is_some());
        let unaccounted = self.firings.unaccounted(&cx);
        self.reporter.misses(unaccounted);
        if unaccounted > 0 {
            self.audit_after(AUDIT_AGAIN);
            self.audit(joined);
        }
    }

    /// Logs the times that are not fired.
    fn log_skipped(&mut self) {
        for Skipped { time, reason } in self.firings.take_skipped() {
            info!(job = self.application.name(), scheduled = %time, %reason, "firing skipped");
        }
    }
}
