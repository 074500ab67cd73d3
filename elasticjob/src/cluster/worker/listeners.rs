//! Calls a job's listeners for its firings.
//!
//! They are called in a task of their own. The loop gets the result as it gets any answer, and claimed items wait here meanwhile.
//! The open firing has one call at a time, and beside it each take-over has one.
//!
//! Listeners may wait for other instances, as those of a distributed guarantee do. The loop must not wait with them:
//! meanwhile it goes on to follow the registry, without which what they wait for would never be seen. The items that
//! were claimed for the call are held here; they are marked in the registry as running, so that no other instance takes
//! them.
//!
//! A listener that fails is reported to the error handler, which may give the firing up. Then the held items end as not
//! started, and their ends are recorded like all others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cluster::core::firing::{Start, not_started};
use crate::cluster::guarantee::FiringKey;
use crate::cluster::launch::{CallResult, ListenerCall};
use crate::cluster::layout::Moment;
use crate::cluster::ledger::{Reason, Source};
use crate::tasks::TaskError;

use super::Worker;
use super::answer::Answered;
use super::join::Joined;

/// The calls of listeners that are due or under way, and the items that wait for them.
#[derive(Debug, Default)]
pub(super) struct ListenerCalls {
    /// Claimed items of the firing under way, until its listeners have been called.
    held: Vec<Start>,
    /// The firing under way, once its listeners are called.
    current: Option<Firing>,
    takeovers: BTreeMap<u64, Takeover>,
    /// The number of the newest take-over.
    newest: u64,
}

/// A firing for which listeners are called.
///
/// Both calls of a firing, at its start and at its end, are made with the same one, so that they are counted under the
/// same key.
#[derive(Clone, Debug)]
struct Firing {
    items: BTreeSet<u32>,
    scheduled_time: Timestamp,
    source: Source,
    parameter: Option<String>,
    key: FiringKey,
    cancellation: CancellationToken,
    leaving: CancellationToken,
}

/// Items that were taken over together.
///
/// They have calls of their own, because their firing began on an instance that is gone.
#[derive(Debug)]
struct Takeover {
    firing: Firing,
    held: Vec<Start>,
    /// The items that have no recorded end.
    open: BTreeSet<u32>,
    is_ending: bool,
}

/// Which firing listeners are called for, and at which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallId {
    Current(Moment),
    Takeover(u64, Moment),
}

impl ListenerCalls {
    /// Returns whether no item waits and no take-over has a call to come. The firing under way is known to the firings.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.takeovers.is_empty()
    }

    /// The end of an item is recorded.
    pub(super) fn ended(&mut self, item: u32) {
        for takeover in self.takeovers.values_mut() {
            takeover.open.remove(&item);
        }
    }

    /// Forgets what was claimed: it is no longer ours. Answers to calls under way are ignored.
    pub(super) fn lose_session(&mut self) {
        self.cancel();
        *self = Self {
            newest: self.newest,
            ..Self::default()
        };
    }

    /// Returns whether a call is under way, or will be.
    pub(super) fn is_going_on(&self) -> bool {
        self.firings_called().any(|firing| !firing.cancellation.is_cancelled())
    }

    /// Ends all calls under way: what they are about is no longer ours.
    pub(super) fn cancel(&self) {
        self.firings_called().for_each(|firing| firing.cancellation.cancel());
    }

    /// Ends the waiting for other instances: this one is about to leave.
    pub(super) fn leave(&self) {
        self.firings_called().for_each(|firing| firing.leaving.cancel());
    }

    /// Returns all firings that a call is under way for, or will be.
    fn firings_called(&self) -> impl Iterator<Item = &Firing> {
        let takeovers = self.takeovers.values().map(|takeover| &takeover.firing);
        self.current.iter().chain(takeovers)
    }
}

impl Firing {
    /// Returns the firing that these items were claimed for. Without items there is no key to count under.
    fn of(starts: &[Start], source: Source, scheduled_time: Timestamp) -> Self {
        let run = starts.first().map(|start| &start.run);
        Self {
            items: starts.iter().map(|start| start.item).collect(),
            scheduled_time,
            source,
            parameter: run.and_then(|run| run.parameter.clone()),
            key: run.map_or(FiringKey::Unknown, FiringKey::of),
            cancellation: CancellationToken::new(),
            leaving: CancellationToken::new(),
        }
    }
}

impl Worker {
    /// Starts claimed items, at once or when the listeners have been called.
    pub(super) fn start(&mut self, joined: &mut Joined, starts: Vec<Start>) {
        let (takeover, own) = starts
            .into_iter()
            .partition(|start| start.run.source == Source::Failover);
        if self.firings.is_beginning() {
            self.listener_calls.held.extend::<Vec<Start>>(own);
        } else {
            self.launch(joined, own);
        }
        if self.runner.is_listened_to() {
            self.hold_takeover(joined, takeover);
        } else {
            self.launch(joined, takeover);
        }
    }

    /// Holds items that were taken over, and calls the listeners for them.
    fn hold_takeover(&mut self, joined: &mut Joined, held: Vec<Start>) {
        let Some(first) = held.first() else { return };
        let firing = Firing::of(&held, Source::Failover, first.run.scheduled_time());
        self.listener_calls.newest += 1;
        let id = self.listener_calls.newest;
        self.send(joined, CallId::Takeover(id, Moment::Started), firing.clone());
        let takeover = Takeover {
            open: firing.items.clone(),
            firing,
            held,
            is_ending: false,
        };
        self.listener_calls.takeovers.insert(id, takeover);
    }

    /// Calls listeners if a call is due.
    ///
    /// None is made once the fence has passed: a listener works on the job's behalf as a run does, and the session may
    /// be over.
    pub(super) fn call_listeners(&mut self, joined: &mut Joined) {
        if joined.membership.fence().is_passed() {
            return;
        }
        let is_held = !self.listener_calls.held.is_empty();
        if let Some((moment, occasion)) = self.firings.next_call(is_held) {
            let held = &self.listener_calls.held;
            let begun = self.listener_calls.current.take_if(|_| moment == Moment::Completed);
            let firing = begun.unwrap_or_else(|| Firing::of(held, occasion.source, occasion.time));
            self.listener_calls.current = Some(firing.clone());
            self.send(joined, CallId::Current(moment), firing);
        }
        let ending: Vec<(u64, Firing)> = self
            .listener_calls
            .takeovers
            .iter_mut()
            .filter(|(_, takeover)| takeover.open.is_empty() && !takeover.is_ending)
            .map(|(id, takeover)| {
                takeover.is_ending = true;
                (*id, takeover.firing.clone())
            })
            .collect();
        for (id, firing) in ending {
            self.send(joined, CallId::Takeover(id, Moment::Completed), firing);
        }
    }

    /// Makes a call, beside the loop.
    fn send(&self, joined: &mut Joined, id: CallId, firing: Firing) {
        if self.stopping.is_some() {
            firing.leaving.cancel();
        }
        let (CallId::Current(moment) | CallId::Takeover(_, moment)) = id;
        let called = self.runner.call_listeners(ListenerCall {
            moment,
            task_id: self.task_id(joined.membership.id(), firing.items.iter().copied()),
            items: firing.items,
            scheduled_time: firing.scheduled_time,
            source: firing.source,
            parameter: firing.parameter,
            firing: firing.key,
            absent: self.absent(joined, moment),
            config: Arc::clone(&self.settings.config),
            membership: Arc::clone(&joined.membership),
            clock: Arc::clone(&self.process.clock),
            cancellation: firing.cancellation,
            leaving: firing.leaving,
        });
        joined
            .requests
            .push(Box::pin(async move { Answered::ListenersCalled(id, called.await) }));
    }

    /// Returns the items that no instance runs or is going to run, as far as the view shows.
    ///
    /// Where not all items are watched, or where the job keeps no marks while it runs, nothing can be said, and the set
    /// is empty: then a listener that waits for all items waits until its time is up.
    fn absent(&self, joined: &Joined, moment: Moment) -> BTreeSet<u32> {
        let view = &joined.follower.view;
        let is_seen =
            joined.follower.sees_all() && (moment == Moment::Started || self.settings.config.monitor_execution());
        if !is_seen {
            return BTreeSet::new();
        }
        let is_absent = |item: &u32| {
            let state = view.items.get(item);
            let is_running = state.is_some_and(|state| state.mark.is_some()) || view.failover_queue.contains(item);
            let is_off = state.is_none_or(|state| {
                state.is_disabled || !state.owner.as_ref().is_some_and(|owner| view.is_available(owner))
            });
            is_off && !is_running
        };
        let total = self.settings.config.sharding_total_count().get();
        (0..total).filter(is_absent).collect()
    }

    /// Takes in the answer of the listeners: they have been called, or that was stopped.
    pub(super) fn listeners_called(&mut self, joined: &mut Joined, id: CallId, result: Result<CallResult, TaskError>) {
        // A panic is in the log already.
        let faults = result.unwrap_or_default().faults;
        let mut is_given_up = false;
        for fault in &faults {
            is_given_up |= self.runner.report(&**fault);
        }
        let held = match id {
            CallId::Current(moment) => {
                self.firings.listeners_called(moment, is_given_up);
                if moment == Moment::Completed || is_given_up {
                    // It has no more calls. Otherwise our own leaving would be taken for a removal during one.
                    self.listener_calls.current = None;
                }
                std::mem::take(&mut self.listener_calls.held)
            }
            CallId::Takeover(id, Moment::Started) => {
                let takeover = self.listener_calls.takeovers.get_mut(&id);
                let held = takeover.map(|takeover| std::mem::take(&mut takeover.held));
                if is_given_up {
                    self.listener_calls.takeovers.remove(&id);
                }
                held.unwrap_or_default()
            }
            CallId::Takeover(id, Moment::Completed) => {
                self.listener_calls.takeovers.remove(&id);
                return;
            }
        };
        if !is_given_up {
            self.launch(joined, held);
            return;
        }
        self.firings.abort_make_up();
        let elapsed = self.process.clock.elapsed();
        for start in held {
            let end = not_started(Reason::ListenerFailed);
            self.firings.finished(start.item, end, elapsed);
        }
    }
}
