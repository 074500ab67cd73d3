//! The part of the worker that fires: what its firings ask for is requested, and what they start is started.
//!
//! A run passes through here twice. `launch` hands it to the executor once its claim is in the registry, with a fence
//! that ends the run before another instance may take the item. `item_finished` takes its end, works out why it ended,
//! and leaves it to the firings to have it recorded. Between the two the run is the executor's, and the worker holds
//! nothing but the signals that stop it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info_span};

use crate::cluster::core::firing::{Start, WaitedFor};
use crate::cluster::instance::InstanceId;
use crate::cluster::launch::{Finished, Launch};
use crate::cluster::ledger::{End, Verdict};
use crate::run::RunKey;
use crate::schedule::Calendar;

use super::Worker;
use super::answer::Purpose;
use super::join::Joined;
use super::signals::{Signals, StopReason};

impl Worker {
    /// Makes the next request about firings.
    ///
    /// One is under way at a time: each claim is decided on the marks that the one before has left. With the fence
    /// passed nothing may start, as the session may be over at the servers, so that the loop only comes by again soon.
    pub(super) fn fire(&mut self, joined: &mut Joined) {
        if !joined.firing.is_idle() {
            return;
        }
        let cx = joined.follower.context(&self.settings, self.stopping.is_some());
        if joined.membership.fence().is_passed() {
            // Nothing may start; the keeper makes a new fence once the session proves to live.
            joined.wake_by(cx.elapsed + Duration::from_millis(100));
            return;
        }
        self.firings.drop_late(cx.now);
        let request = self.firings.next_request(&cx);
        if let Some(at) = self.firings.take_over_at(self.process.clock.elapsed()) {
            joined.wake_by(at);
        }
        if let Some(at) = self.firings.sources_at(self.process.clock.elapsed()) {
            joined.wake_by(at);
        }
        let Some(request) = request else {
            return;
        };
        self.ask(joined, request.map(Purpose::Firing));
    }

    /// Starts claimed items.
    ///
    /// They were claimed together and have one task id, one span and one event. A run that an operator cancelled
    /// meanwhile is launched all the same, as a cancelled one, so that its end is recorded by the same path as any
    /// other.
    pub(super) fn launch(&mut self, joined: &Joined, starts: Vec<Start>) {
        if starts.is_empty() {
            return;
        }
        let id = joined.membership.id();
        let task_id = self.task_id(id, starts.iter().map(|start| start.item));
        let run = &starts[0].run;
        let (source, scheduled) = (run.source, run.scheduled_time());
        // The items' spans stand below it, and it ends with the last of them.
        let span = info_span!("firing", job = self.application.name(), ?source, %scheduled);
        let _entered = span.enter();
        debug!(task = &*task_id, "firing");
        let now = self.process.clock.now();
        self.reporter.fired(&starts, id.as_str(), &task_id, now);
        self.gave_way = WaitedFor::Nothing;
        let next = self.settings.calendar.as_ref().and_then(Calendar::next);
        for start in starts {
            let mut signals = Signals::below(&self.incarnation);
            let (cancellation, wind_down) = (signals.cancellation.clone(), signals.wind_down.clone());
            self.wind_down_where_due(joined, start.item, &signals);
            if joined.follower.view.cancel_of(start.item, &start.run.id).is_some() {
                // Its instance before died in it, or it waited for listeners: the executor does not begin it.
                signals.stop(StopReason::Cancel);
            }
            let key = RunKey {
                item: start.item,
                run: start.run.id.clone(),
                attempt: start.run.attempt,
            };
            let progress = self.progress_of(&key);
            self.signals.insert(key.clone(), signals);
            self.process.fail_point.pass();
            self.runner.launch(Launch {
                start,
                task_id: Arc::clone(&task_id),
                instance: id.clone(),
                next,
                config: Arc::clone(&self.settings.config),
                fence: joined.membership.fence(),
                cancellation,
                wind_down,
                progress,
                launched_at: now,
                metrics: Arc::clone(self.reporter.metrics()),
                finished: self.finish.clone(),
            });
            if let Some(signals) = self.signals.get_mut(&key) {
                signals.is_launched = true;
            }
        }
        self.reporter.runs(self.signals.len(), now);
    }

    /// The name of what is fired together here.
    ///
    /// It is Java's: job, items, `READY`, instance. A later firing of the same items on this instance has the same
    /// name.
    pub(super) fn task_id(&self, id: &InstanceId, items: impl Iterator<Item = u32>) -> Arc<str> {
        let items: Vec<String> = items.map(|item| item.to_string()).collect();
        format!("{}@-@{}@-@READY@-@{id}", self.application.name(), items.join(",")).into()
    }

    /// Takes in the end of a run.
    ///
    /// An end that no firing waits for is dropped: it is of a session that is over, and another instance has recorded
    /// it as lost. A run that was cancelled gets the cause that the one who cancelled it gave: an operator's cancel
    /// counts before a stop of this instance. A run that its fence stopped goes to failover, where the job has that,
    /// unless this instance is about to leave.
    pub(super) fn item_finished(&mut self, joined: &Joined, mut finished: Finished) {
        let stopped = self.forget(&finished);
        self.forget_progress(&finished);
        self.process.fail_point.pass();
        let RunKey { item, run, attempt } = &finished.key;
        if !self.firings.is_running(*item, run, *attempt) {
            return;
        }
        if finished.end.verdict == Verdict::Cancelled {
            let cancel = joined.follower.view.cancel_of(*item, run);
            if let Some(cancel) = cancel {
                finished.end = cancel.end();
                finished.is_fenced = false;
            } else if let Some(StopReason::LetGo(reason)) = stopped
                && !finished.is_fenced
            {
                finished.end = End::coded(Verdict::Cancelled, reason.reason());
            }
        }
        finished.end = finished.end.timed(finished.began_at, finished.ended_at);
        self.reporter.returned(&finished);
        if finished.is_abort {
            self.firings.abort_make_up();
        }
        let Finished {
            key: RunKey { item, .. },
            end,
            is_fenced,
            ..
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
}
