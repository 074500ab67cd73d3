//! What to do next, after each event.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::cluster::firing::{SETTLED_AFTER, Skipped};
use crate::cluster::registration::KnownConfig;
use crate::cluster::session::Membership;
use crate::cluster::trigger::{self, Order};

use super::answer::Answered;
use super::attend::Live;
use super::{Command, TriggerError, Worker};

/// After a scheduled time it is looked so much later whether it has its verdict.
pub(super) const AUDIT_DELAY: Duration = Duration::from_secs(SETTLED_AFTER.as_secs().unsigned_abs() + 1);

/// That may come so much later.
const AUDIT_SLACK: Duration = Duration::from_secs(2);

/// Where a time has none it is looked again so much later.
const AUDIT_AGAIN: Duration = Duration::from_secs(10);

impl Worker {
    /// Does what there is to do now.
    pub(super) fn act(&mut self, live: &mut Live) {
        self.decide(live);
        self.log_skipped();
    }

    /// The steps, in the order of their meaning: what is not known for certain is not decided upon.
    fn decide(&mut self, live: &mut Live) {
        live.wake_at = None;
        self.process.fail_point.pass();
        self.advance();
        self.cancel_when_due();
        self.reconcile(live);
        if live.follower.is_behind() {
            self.refresh(live);
        }
        if live.left.is_some() || !live.follower.is_in_step() {
            return;
        }
        self.cancel_when_removed(live);
        self.read_dirty(live);
        if live.follower.is_reading() {
            return;
        }
        self.rewatch(live);
        if live.follower.is_rewatching() {
            return;
        }
        self.take_over_stored(live);
        self.read_dirty(live);
        if live.follower.is_reading() {
            return;
        }
        self.cancel_where_asked(live);
        if live.governing.is_due() {
            self.wind_down(live);
            self.tell_member(live);
        }
        self.give_way(live);
        self.waiters
            .judge(&live.follower.view, self.settings.config.sharding_total_count().get());
        self.check_removal(live);
        self.leave_when_due(live);
        if !live.leaving.is_idle() || !live.removal_check.is_idle() {
            return;
        }
        self.process.fail_point.pass();
        self.govern(live);
        self.process.fail_point.pass();
        self.fire(live);
        self.process.fail_point.pass();
        self.tell(live);
        self.write_progress(live);
        // What has come to its end just now may have been the last.
        self.leave_when_due(live);
        self.audit(live);
    }

    /// Lets the firings know of the times that have come.
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
            self.account.misfired(come.earlier + 1);
        }
        self.audit_after(AUDIT_DELAY);
        self.firings.came(come.newest);
    }

    /// Has it looked some time from now whether every scheduled time has its verdict, if it is not to be sooner.
    pub(super) fn audit_after(&mut self, delay: Duration) {
        let at = self.process.clock.elapsed() + delay;
        self.audit_at.get_or_insert(at);
    }

    /// Looks whether every scheduled time has its verdict.
    fn audit(&mut self, live: &mut Live) {
        let Some(at) = self.audit_at else { return };
        if self.process.clock.elapsed() < at {
            // Not woken for it at once: a job that fires often comes by anyway.
            live.wake_by(at + AUDIT_SLACK);
            return;
        }
        self.audit_at = None;
        let cx = live.follower.context(&self.settings, self.stopping.is_some());
        let unaccounted = self.firings.unaccounted(&cx);
        self.account.misses(unaccounted);
        if unaccounted > 0 {
            self.audit_after(AUDIT_AGAIN);
            self.audit(live);
        }
    }

    /// Looks from time to time whether marks were left behind and items are where they belong, whatever was noticed.
    fn reconcile(&self, live: &mut Live) {
        let Some(interval) = self.settings.config.reconcile_interval() else {
            return;
        };
        let elapsed = self.process.clock.elapsed();
        let due = live.reconciled_at + interval;
        if elapsed >= due {
            live.reconciled_at = elapsed;
            live.governing.look();
            live.governing.governor.check_marks();
            live.governing.governor.check_assignment();
        }
        live.wake_by(live.reconciled_at + interval);
    }

    /// Logs the times that are not fired.
    fn log_skipped(&mut self) {
        for Skipped { time, reason } in self.firings.take_skipped() {
            info!(job = self.application.name(), scheduled = %time, reason, "firing skipped");
        }
    }

    /// Takes over a configuration that was changed in the registry; an invalid one is refused.
    fn take_over_stored(&mut self, live: &mut Live) {
        let Some(stored) = live.follower.view.take_config() else {
            return;
        };
        let is_known = live.config_known.is(&stored);
        live.config_known = KnownConfig::Read(stored.modified);
        if is_known {
            return;
        }
        live.governing.look();
        info!(job = self.application.name(), "configuration changed in the registry");
        let total = self.settings.config.sharding_total_count().get();
        self.take_over(self.application.stored(&stored.text));
        let now = self.settings.config.sharding_total_count().get();
        live.follower.learn_owners_of_more(total, now);
    }

    pub(super) fn command(&mut self, live: &mut Live, command: Command) {
        match command {
            Command::Stop { cancel_at } => {
                self.stop(cancel_at);
                live.governing.look();
            }
            Command::Await(waiter) => self.waiters.add(waiter),
            Command::Trigger { answer, .. } if self.stopping.is_some() => drop(answer.send(Err(TriggerError::Stopped))),
            Command::Trigger { answer, .. } if live.follower.view.is_paused() => {
                let note = live.follower.view.pause.as_ref().and_then(|pause| pause.note.clone());
                drop(answer.send(Err(TriggerError::Paused(note))));
            }
            Command::Trigger {
                request,
                parameter,
                answer,
            } => {
                let order = Order {
                    requests: vec![request],
                    parameter,
                };
                self.trigger(live, order, answer);
            }
        }
    }

    /// Asks all instances for a run, in a request of its own beside those of the loop.
    fn trigger(&self, live: &mut Live, order: Order, answer: oneshot::Sender<Result<(), TriggerError>>) {
        let membership: Arc<Membership> = Arc::clone(&live.membership);
        let job = self.application.name().to_owned();
        live.requests.push(Box::pin(async move {
            let result = trigger::request(&**membership.session(), &job, None, &order)
                .await
                .map(drop)
                .map_err(TriggerError::Registry);
            // Whoever asked may have gone away.
            let _ = answer.send(result);
            Answered::Nothing
        }));
    }
}
