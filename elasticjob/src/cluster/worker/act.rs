//! What to do next, after each event.

use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{debug, info, info_span, warn};

use crate::cluster::firing::{FiringRequest, SETTLED_AFTER, Skipped, Start};
use crate::cluster::governor::{Decision, Move, Request, Situation, is_unsettled};
use crate::cluster::instance::InstanceId;
use crate::cluster::launch::{Finished, Launch};
use crate::cluster::layout::Node;
use crate::cluster::registration::KnownConfig;
use crate::cluster::resharding;
use crate::cluster::session::Membership;
use crate::cluster::transaction::Transaction;
use crate::cluster::trigger::{self, Order};
use crate::registry::{Answer, Read, Step};
use crate::schedule::Calendar;

use super::answer::{Answered, FiringAnswer, Moved};
use super::attend::Live;
use super::signals::Signals;
use super::{Command, TriggerError, Worker};

/// What does not end when it is cancelled is waited for no longer than this before we leave without it.
const OVERRUN_LIMIT: Duration = Duration::from_secs(5);

/// After a scheduled time it is looked so much later whether it has its verdict.
const AUDIT_DELAY: Duration = Duration::from_secs(SETTLED_AFTER.as_secs().unsigned_abs() + 1);

/// That may come so much later.
const AUDIT_SLACK: Duration = Duration::from_secs(2);

/// Where a time has none it is looked again so much later.
const AUDIT_AGAIN: Duration = Duration::from_secs(10);

/// Between attempts to create ledgers.
const LEDGERS_PAUSE: Duration = Duration::from_millis(50);

/// Between attempts to learn why our instance is gone.
const REMOVAL_PAUSE: Duration = Duration::from_millis(200);

/// A view on which so many moves in a row were refused is read anew.
const REFUSALS_TO_DOUBT: u32 = 3;

impl Worker {
    /// Does what there is to do now.
    pub(super) fn act(&mut self, live: &mut Live) {
        live.wake_at = None;
        self.advance();
        self.cancel_when_due();
        self.reconcile(live);
        if live.must_refresh && live.since_refresh.is_none() {
            self.refresh(live);
        }
        if live.left.is_some() || !live.is_in_step || live.since_refresh.is_some() {
            return;
        }
        self.cancel_when_removed(live);
        self.read_dirty(live);
        if live.is_reading {
            return;
        }
        self.rewatch(live);
        if live.is_rewatching {
            return;
        }
        self.take_over_stored(live);
        self.read_dirty(live);
        if live.is_reading {
            return;
        }
        if live.must_govern {
            self.wind_down(live);
        }
        self.give_way(live);
        self.waiters
            .judge(&live.view, self.settings.config.sharding_total_count().get());
        self.check_removal(live);
        self.leave_when_due(live);
        if live.is_leaving || live.is_checking_removal {
            return;
        }
        self.govern(live);
        self.fire(live);
        self.tell(live);
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
        let skipped = self.firings.came(come.newest);
        self.log_skipped(skipped);
    }

    /// Has it looked some time from now whether every scheduled time has its verdict, if it is not to be sooner.
    fn audit_after(&mut self, delay: Duration) {
        let at = self.process.clock.elapsed() + delay;
        self.audit_at.get_or_insert(at);
    }

    /// Looks whether every scheduled time has its verdict.
    fn audit(&mut self, live: &mut Live) {
        let Some(at) = self.audit_at else { return };
        if self.process.clock.elapsed() < at {
            // Not woken for it at once: a job that fires often comes by anyway.
            live.wake_at = earlier(live.wake_at, Some(at + AUDIT_SLACK));
            return;
        }
        self.audit_at = None;
        let circumstances = live.circumstances(&*self.process.clock, &self.settings);
        let unaccounted = self.firings.unaccounted(&circumstances);
        self.account.misses(unaccounted);
        if unaccounted > 0 {
            self.audit_after(AUDIT_AGAIN);
            self.audit(live);
        }
    }

    /// Looks from time to time whether marks were left behind, whatever was noticed.
    fn reconcile(&self, live: &mut Live) {
        let Some(interval) = self.settings.config.reconcile_interval() else {
            return;
        };
        let elapsed = self.process.clock.elapsed();
        let due = live.reconciled_at + interval;
        if elapsed >= due {
            live.reconciled_at = elapsed;
            live.must_govern = true;
            live.governor.check_marks();
        }
        live.wake_at = earlier(live.wake_at, Some(live.reconciled_at + interval));
    }

    pub(super) fn log_skipped(&self, skipped: Option<Skipped>) {
        if let Some(Skipped { time, reason }) = skipped {
            info!(job = self.application.name(), scheduled = %time, reason, "firing skipped");
        }
    }

    fn cancel_when_due(&mut self) {
        if self.stopping.is_some_and(|at| at <= Instant::now()) {
            self.cancel_running();
        }
    }

    /// Reads what events said has changed.
    fn read_dirty(&mut self, live: &mut Live) {
        if live.is_reading || live.dirty.is_empty() {
            return;
        }
        live.is_reading = true;
        let paths: Vec<String> = std::mem::take(&mut live.dirty).into_iter().collect();
        let reads = paths.iter().cloned().map(Read::Data).collect();
        let membership = Arc::clone(&live.membership);
        live.requests.push(Box::pin(
            async move { Answered::Read(paths, membership.read(reads).await) },
        ));
    }

    /// Takes over a configuration that was changed in the registry; an invalid one is refused.
    fn take_over_stored(&mut self, live: &mut Live) {
        let Some(stored) = live.view.take_config() else {
            return;
        };
        let is_known = live.config_known.is(&stored);
        live.config_known = KnownConfig::Read(stored.modified);
        if is_known {
            return;
        }
        live.must_govern = true;
        match JobConfig::from_registry(&stored.text) {
            Ok(stored) => {
                info!(job = self.application.name(), "configuration changed in the registry");
                let total = self.settings.config.sharding_total_count().get();
                self.take_over(Arc::new(stored.config));
                self.learn_owners_of_more(live, total);
            }
            Err(error) => warn!(
                job = self.application.name(),
                %error,
                "configuration in the registry is not valid, the last valid one stays in force"
            ),
        }
    }

    /// Stops what runs once nothing in the registry says that it does: the job was removed with all that is its own, or our
    /// session ended. Either way others may run the items from now on.
    fn cancel_when_removed(&self, live: &Live) {
        let runs_on = |signals: &Signals| !signals.cancellation.is_cancelled();
        let is_at_work = || self.signals.values().any(runs_on) || self.tellings.is_going_on();
        if !live.view.is_alive(live.membership.id()) && is_at_work() {
            let job = self.application.name();
            warn!(job, "removed from the registry while items run, which are cancelled");
            self.cancel_running();
        }
    }

    /// Looks, where our instance is gone from the registry, whether an operator removed it: the end of our session does,
    /// too, and the word of that comes later. Only an answer that needs the session tells them apart.
    fn check_removal(&self, live: &mut Live) {
        if self.stopping.is_some() || live.is_checking_removal || live.view.instances.contains(live.membership.id()) {
            return;
        }
        live.is_checking_removal = true;
        let membership = Arc::clone(&live.membership);
        let node = Node::Instance(membership.id().as_str()).of(self.application.name());
        live.requests.push(Box::pin(async move {
            let answers = membership.read_in_sync(vec![Read::Data(node)]).await;
            if answers.is_err() {
                // It is asked again as soon as this is known. Whose session has ended may not be told so for a while.
                tokio::time::sleep(REMOVAL_PAUSE).await;
            }
            Answered::RemovalChecked(answers.map(|answers| answers == [Answer::Data(None)]))
        }));
    }

    /// Our instance was looked for, by a session that lives.
    pub(super) fn removal_checked(&mut self, live: &mut Live, is_removed: Result<bool, crate::registry::Error>) {
        live.is_checking_removal = false;
        match is_removed {
            Ok(true) => {
                let job = self.application.name();
                info!(
                    job,
                    "shut down by an operator: the instance was removed from the registry"
                );
                self.stop(Instant::now() + self.process.operator_grace);
                live.must_govern = true;
            }
            Ok(false) => live.must_refresh = true,
            // The session's end, or a reconnect that reads everything anew, is about to be told.
            Err(error) => debug!(job = self.application.name(), %error, "cannot tell whether the instance was removed"),
        }
    }

    /// Leaves the job once all has ended, when it is to stop.
    fn leave_when_due(&mut self, live: &mut Live) {
        let Some(cancel_at) = self.stopping else { return };
        let is_idle = self.firings.is_idle() && self.tellings.is_idle();
        let is_over = is_idle || cancel_at + OVERRUN_LIMIT <= Instant::now();
        if !is_over {
            self.announce(live);
            live.wake_at = earlier(live.wake_at, Some(self.process.clock.elapsed() + OVERRUN_LIMIT));
            return;
        }
        if live.is_leaving || live.is_firing {
            return;
        }
        live.is_leaving = true;
        let overrunning: Vec<u32> = self.firings.running().collect();
        if !overrunning.is_empty() {
            warn!(job = self.application.name(), items = ?overrunning, "leaving while items overrun");
        }
        let id = live.membership.id();
        let mut transaction = Transaction::on(&live.view);
        if live.view.leader.as_ref() == Some(id) {
            transaction.delete(Node::LeaderInstance);
            resharding::leave_to_java(&live.view, &mut transaction);
        }
        if live.view.triggers.contains_key(id) {
            transaction.delete(Node::TriggerFor(id.as_str()));
        }
        if live.view.members.contains_key(id) {
            transaction.delete(Node::Member(id.as_str()));
        }
        if live.view.instances.contains(id) {
            transaction.delete(Node::Instance(id.as_str()));
        }
        let steps = transaction.into_steps();
        self.write(live, steps, Answered::Left);
    }

    /// Tells the others of ours that we are about to leave, so that the leader gives our items away at once.
    fn announce(&self, live: &mut Live) {
        let id = live.membership.id();
        if live.is_announced || !live.view.members.contains_key(id) {
            return;
        }
        live.is_announced = true;
        let mut transaction = Transaction::on(&live.view);
        transaction.set(
            Node::Member(id.as_str()),
            self.application.member(true).to_bytes(),
            None,
        );
        let steps = transaction.into_steps();
        self.write(live, steps, |_| Answered::Announced);
    }

    /// Makes the governor's next move.
    fn govern(&mut self, live: &mut Live) {
        if live.is_governing {
            return;
        }
        let is_time = live.govern_at.is_some_and(|at| at <= self.process.clock.elapsed());
        if !std::mem::take(&mut live.must_govern) && !is_time {
            live.wake_at = earlier(live.wake_at, live.govern_at);
            return;
        }
        live.govern_at = None;
        self.tell_items(live);
        if live.governor.refused_in_a_row() >= REFUSALS_TO_DOUBT {
            debug!(
                job = self.application.name(),
                "moves refused in a row, reading the job anew"
            );
            return self.refresh(live);
        }
        let situation = Situation {
            view: &live.view,
            me: live.membership.id(),
            latch: live.membership.latch(),
            config: &self.settings.config,
            policy: self.settings.policy,
            placement: &self.settings.placement,
            elapsed: self.process.clock.elapsed(),
            is_draining: self.stopping.is_some(),
        };
        match live.governor.decide(&situation) {
            Decision::Rest => {}
            Decision::Wait(until) => {
                live.govern_at = Some(until);
                live.wake_at = earlier(live.wake_at, Some(until));
            }
            Decision::Move(Move { purpose, request }) => {
                live.is_governing = true;
                debug!(job = self.application.name(), ?purpose, "governing");
                match request {
                    Request::Write(steps) => {
                        self.write_as_member(live, steps, |result| Answered::Moved(purpose, Moved::Written(result)))
                    }
                    Request::Read(reads) => {
                        let membership = Arc::clone(&live.membership);
                        live.requests.push(Box::pin(async move {
                            let answers = membership.read_in_sync(reads).await;
                            Answered::Moved(purpose, Moved::Read(answers))
                        }));
                    }
                }
            }
        }
    }

    /// Tells which items are ours. Times of new ones may have passed without a word.
    fn tell_items(&mut self, live: &Live) {
        let total = self.settings.config.sharding_total_count().get();
        let own = live.view.items_of(live.membership.id(), total);
        if self.account.owns(own.map(|(item, _)| item).collect()) {
            self.audit_after(AUDIT_DELAY);
        }
        self.account
            .leaves_out(self.left_out(live), self.settings.placement.strategy());
    }

    /// The items that nobody has, although they have been shared out. Only who leads looks at all items, and knows.
    fn left_out(&self, live: &Live) -> Vec<u32> {
        let (view, total) = (&live.view, self.settings.config.sharding_total_count().get());
        let owned = view.items.range(..total).filter(|(_, item)| item.owner.is_some());
        let is_led_here = view.leader.as_ref() == Some(live.membership.id());
        if !is_led_here
            || owned.count() == total as usize
            || is_unsettled(view, &self.settings.config, &self.settings.placement)
        {
            return Vec::new();
        }
        let is_nobodys = |item: &u32| view.items.get(item).is_none_or(|item| item.owner.is_none());
        (0..total).filter(is_nobodys).collect()
    }

    /// Makes the next request about firings.
    fn fire(&mut self, live: &mut Live) {
        if live.is_firing {
            return;
        }
        let circumstances = live.circumstances(&*self.process.clock, &self.settings);
        if live.membership.fence().is_passed() {
            // Nothing may start; the keeper makes a new fence when the session proves to live.
            live.wake_at = earlier(live.wake_at, Some(circumstances.elapsed + Duration::from_millis(100)));
            return;
        }
        let late = self.firings.drop_late(circumstances.now);
        let request = self.firings.next_request(&circumstances);
        self.log_skipped(late);
        if let Some(at) = self.firings.take_over_at(self.process.clock.elapsed()) {
            live.wake_at = earlier(live.wake_at, Some(at));
        }
        let Some(request) = request else {
            return;
        };
        self.request_firing(live, request);
    }

    pub(super) fn request_firing(&self, live: &mut Live, request: FiringRequest) {
        live.is_firing = true;
        let answer = |answer: FiringAnswer| Answered::Firing(answer);
        match request {
            FiringRequest::CheckClock(steps) => {
                self.write(live, steps, move |result| answer(FiringAnswer::Clock(result)))
            }
            FiringRequest::Claim(steps) => {
                self.write_as_member(live, steps, move |result| answer(FiringAnswer::Claimed(result)))
            }
            FiringRequest::RecordEnds(steps) => {
                self.write_as_member(live, steps, move |result| answer(FiringAnswer::Recorded(result)))
            }
            FiringRequest::SurveyClaim(reads) => {
                self.read(live, reads, move |result| answer(FiringAnswer::SurveyedClaim(result)))
            }
            FiringRequest::SettleClaim(reads) => {
                self.read(live, reads, move |result| answer(FiringAnswer::SettledClaim(result)))
            }
            FiringRequest::Contend(steps) => {
                self.write_as_member(live, steps, move |result| answer(FiringAnswer::Contended(result)))
            }
            FiringRequest::SurveyTakeover(reads) => {
                self.read(live, reads, move |result| {
                    answer(FiringAnswer::SurveyedTakeover(result))
                });
            }
            FiringRequest::SettleEnds(reads) => {
                self.read(live, reads, move |result| answer(FiringAnswer::SettledEnds(result)))
            }
            FiringRequest::LoadLedgers(items, reads) => {
                self.read(live, reads, move |result| answer(FiringAnswer::Loaded(items, result)));
            }
        }
    }

    /// Writes as a member, which is refused to whoever was removed: the job may have begun anew since, with other nodes
    /// of the same names and versions.
    pub(super) fn write_as_member(
        &self,
        live: &mut Live,
        steps: Vec<Step>,
        answer: impl FnOnce(Result<Vec<crate::registry::Written>, crate::registry::WriteError>) -> Answered + Send + 'static,
    ) {
        self.write(live, as_member(live, steps), answer);
    }

    /// Creates ledgers that are missing.
    pub(super) fn create_ledgers(&self, live: &mut Live, steps: Vec<Step>) {
        live.is_firing = true;
        let (membership, steps) = (Arc::clone(&live.membership), as_member(live, steps));
        live.requests.push(Box::pin(async move {
            let result = membership.write(steps).await;
            if result.is_err() {
                // They are looked for again as soon as this is known, and why it was refused may be told much later.
                tokio::time::sleep(LEDGERS_PAUSE).await;
            }
            Answered::Firing(FiringAnswer::Created(result))
        }));
    }

    pub(super) fn write(
        &self,
        live: &mut Live,
        steps: Vec<Step>,
        answer: impl FnOnce(Result<Vec<crate::registry::Written>, crate::registry::WriteError>) -> Answered + Send + 'static,
    ) {
        let membership = Arc::clone(&live.membership);
        live.requests
            .push(Box::pin(async move { answer(membership.write(steps).await) }));
    }

    fn read(
        &self,
        live: &mut Live,
        reads: Vec<Read>,
        answer: impl FnOnce(Result<Vec<crate::registry::Answer>, crate::registry::Error>) -> Answered + Send + 'static,
    ) {
        let membership = Arc::clone(&live.membership);
        live.requests
            .push(Box::pin(async move { answer(membership.read(reads).await) }));
    }

    /// Starts claimed items.
    pub(super) fn launch(&mut self, live: &Live, starts: Vec<Start>) {
        if starts.is_empty() {
            return;
        }
        let id = live.membership.id();
        let task_id = self.task_id(id, starts.iter().map(|start| start.item));
        let run = &starts[0].run;
        let (source, scheduled) = (run.source, run.scheduled_time());
        // The items' spans stand below it, and it ends with the last of them.
        let span = info_span!("firing", job = self.application.name(), ?source, %scheduled);
        let _entered = span.enter();
        debug!(task = &*task_id, "firing");
        let now = self.process.clock.now();
        self.account.fired(&starts, id.as_str(), &task_id, now);
        let next = self.settings.calendar.as_ref().and_then(Calendar::next);
        for start in starts {
            let signals = Signals::new();
            let (cancellation, wind_down) = (signals.cancellation.clone(), signals.wind_down.clone());
            self.wind_down_where_due(live, start.item, &signals);
            let run = (start.item, start.run.id.clone(), start.run.attempt);
            self.signals.insert(run, signals);
            self.runner.launch(Launch {
                start,
                task_id: Arc::clone(&task_id),
                instance: id.clone(),
                next,
                config: Arc::clone(&self.settings.config),
                fence: live.membership.fence(),
                cancellation,
                wind_down,
                launched_at: now,
                metrics: Arc::clone(self.account.metrics()),
                finished: self.finish.clone(),
            });
        }
        self.account.runs(self.signals.len(), now);
    }

    /// The name of what is fired together here.
    pub(super) fn task_id(&self, id: &InstanceId, items: impl Iterator<Item = u32>) -> Arc<str> {
        let items: Vec<String> = items.map(|item| item.to_string()).collect();
        format!("{}@-@{}@-@READY@-@{id}", self.application.name(), items.join(",")).into()
    }

    pub(super) fn item_finished(&mut self, finished: Finished) {
        self.forget(&finished);
        if !self.firings.is_running(finished.item, &finished.run, finished.attempt) {
            return;
        }
        self.account.returned(&finished);
        if finished.is_abort {
            let skipped = self.firings.abort_make_up();
            self.log_skipped(skipped);
        }
        let Finished {
            item, end, is_fenced, ..
        } = finished;
        let elapsed = self.process.clock.elapsed();
        if is_fenced && self.settings.config.failover() && self.stopping.is_none() {
            // As after a death of its instance, only that its owner lives and has its mark still.
            self.firings
                .fenced(item, end, self.settings.policy.failover_attempts, elapsed);
        } else {
            self.firings.finished(item, end, elapsed);
        }
    }

    pub(super) fn command(&mut self, live: &mut Live, command: Command) {
        match command {
            Command::Stop { cancel_at } => {
                self.stop(cancel_at);
                live.must_govern = true;
            }
            Command::Await(waiter) => self.waiters.add(waiter),
            Command::Trigger { answer, .. } if self.stopping.is_some() => drop(answer.send(Err(TriggerError::Stopped))),
            Command::Trigger { request, answer } => self.trigger(live, request, answer),
        }
    }

    /// Asks all instances for a run, in a request of its own beside those of the loop.
    fn trigger(&self, live: &mut Live, request: String, answer: oneshot::Sender<Result<(), TriggerError>>) {
        let membership: Arc<Membership> = Arc::clone(&live.membership);
        let job = self.application.name().to_owned();
        live.requests.push(Box::pin(async move {
            let order = Order {
                requests: vec![request],
                parameter: None,
            };
            let result = trigger::request(&**membership.session(), &job, &order)
                .await
                .map(drop)
                .map_err(TriggerError::Registry);
            // Whoever asked may have gone away.
            let _ = answer.send(result);
            Answered::Nothing
        }));
    }
}

/// The earlier of two moments, where there are any.
fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// The steps behind a check that we are a member of the job.
fn as_member(live: &Live, steps: Vec<Step>) -> Vec<Step> {
    let id = live.membership.id();
    let mut transaction = Transaction::on(&live.view);
    // An operator may have removed either: the instance, to shut it down, or all ledgers.
    let node = match live.view.members.contains_key(id) {
        true => Node::Member(id.as_str()),
        false => Node::Instance(id.as_str()),
    };
    transaction.check(node, None).extend(steps);
    transaction.into_steps()
}
