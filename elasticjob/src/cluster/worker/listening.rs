//! Telling a job's listeners of its firings.
//!
//! They are told in a task of their own, and the loop hears that they were as it hears any answer; what is claimed waits here
//! meanwhile. The firing under way is told of one moment at a time, and beside it each take-over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cluster::firing::{Start, not_started};
use crate::cluster::guarantee::FiringKey;
use crate::cluster::launch::{Heard, Told};
use crate::cluster::layout::Moment;
use crate::cluster::ledger::Source;
use crate::tasks::TaskError;

use super::Worker;
use super::answer::Answered;
use super::join::Joined;

/// What is told to listeners, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Tellings {
    /// What of the firing under way is claimed, until its listeners were told.
    held: Vec<Start>,
    /// The firing under way, once they are told of it.
    current: Option<Tale>,
    takeovers: BTreeMap<u64, Takeover>,
    /// The number of the newest take-over.
    newest: u64,
}

/// A firing that listeners are told of.
#[derive(Clone, Debug)]
struct Tale {
    items: BTreeSet<u32>,
    scheduled_time: Timestamp,
    source: Source,
    parameter: Option<String>,
    firing: FiringKey,
    cancellation: CancellationToken,
    leaving: CancellationToken,
}

/// Items that were taken over together.
#[derive(Debug)]
struct Takeover {
    tale: Tale,
    held: Vec<Start>,
    /// Those whose ends are not recorded yet.
    open: BTreeSet<u32>,
    is_ending: bool,
}

/// Which firing is told of which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    Current(Moment),
    Takeover(u64, Moment),
}

impl Tellings {
    /// Whether nothing waits, and no end of a take-over is to be told. The firing under way is the firings' business.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.takeovers.is_empty()
    }

    /// The end of an item is recorded.
    pub(super) fn ended(&mut self, item: u32) {
        for takeover in self.takeovers.values_mut() {
            takeover.open.remove(&item);
        }
    }

    /// What was claimed is no longer ours, and what is being told is not heard any more.
    pub(super) fn lose_session(&mut self) {
        self.cancel();
        *self = Self {
            newest: self.newest,
            ..Self::default()
        };
    }

    /// Whether something is told, or will be.
    pub(super) fn is_going_on(&self) -> bool {
        self.tales().any(|tale| !tale.cancellation.is_cancelled())
    }

    pub(super) fn cancel(&self) {
        self.tales().for_each(|tale| tale.cancellation.cancel());
    }

    /// The job is to leave here: others are not waited for any more.
    pub(super) fn leave(&self) {
        self.tales().for_each(|tale| tale.leaving.cancel());
    }

    fn tales(&self) -> impl Iterator<Item = &Tale> {
        let takeovers = self.takeovers.values().map(|takeover| &takeover.tale);
        self.current.iter().chain(takeovers)
    }
}

impl Tale {
    fn of(starts: &[Start], source: Source, scheduled_time: Timestamp) -> Self {
        let run = starts.first().map(|start| &start.run);
        Self {
            items: starts.iter().map(|start| start.item).collect(),
            scheduled_time,
            source,
            parameter: run.and_then(|run| run.parameter.clone()),
            firing: run.map_or(FiringKey::Unknown, FiringKey::of),
            cancellation: CancellationToken::new(),
            leaving: CancellationToken::new(),
        }
    }
}

impl Worker {
    /// Starts claimed items, at once or when the listeners have been told.
    pub(super) fn start(&mut self, joined: &mut Joined, starts: Vec<Start>) {
        let (takeover, own) = starts
            .into_iter()
            .partition(|start| start.run.source == Source::Failover);
        match self.firings.is_beginning() {
            true => self.tellings.held.extend::<Vec<Start>>(own),
            false => self.launch(joined, own),
        }
        match self.runner.is_listened_to() {
            true => self.hold_takeover(joined, takeover),
            false => self.launch(joined, takeover),
        }
    }

    fn hold_takeover(&mut self, joined: &mut Joined, held: Vec<Start>) {
        let Some(first) = held.first() else { return };
        let tale = Tale::of(&held, Source::Failover, first.run.scheduled_time());
        self.tellings.newest += 1;
        let id = self.tellings.newest;
        self.send(joined, Telling::Takeover(id, Moment::Started), tale.clone());
        let takeover = Takeover {
            open: tale.items.clone(),
            tale,
            held,
            is_ending: false,
        };
        self.tellings.takeovers.insert(id, takeover);
    }

    /// Tells listeners what there is to tell.
    pub(super) fn tell(&mut self, joined: &mut Joined) {
        if joined.membership.fence().is_passed() {
            return;
        }
        let is_held = !self.tellings.held.is_empty();
        if let Some((moment, occasion)) = self.firings.next_to_tell(is_held) {
            let held = &self.tellings.held;
            let begun = self.tellings.current.take_if(|_| moment == Moment::Completed);
            let tale = begun.unwrap_or_else(|| Tale::of(held, occasion.source, occasion.time));
            self.tellings.current = Some(tale.clone());
            self.send(joined, Telling::Current(moment), tale);
        }
        let ending: Vec<(u64, Tale)> = self
            .tellings
            .takeovers
            .iter_mut()
            .filter(|(_, takeover)| takeover.open.is_empty() && !takeover.is_ending)
            .map(|(id, takeover)| {
                takeover.is_ending = true;
                (*id, takeover.tale.clone())
            })
            .collect();
        for (id, tale) in ending {
            self.send(joined, Telling::Takeover(id, Moment::Completed), tale);
        }
    }

    fn send(&self, joined: &mut Joined, telling: Telling, tale: Tale) {
        if self.stopping.is_some() {
            tale.leaving.cancel();
        }
        let (Telling::Current(moment) | Telling::Takeover(_, moment)) = telling;
        let told = self.runner.tell(Told {
            moment,
            task_id: self.task_id(joined.membership.id(), tale.items.iter().copied()),
            items: tale.items,
            scheduled_time: tale.scheduled_time,
            source: tale.source,
            parameter: tale.parameter,
            firing: tale.firing,
            absent: self.absent(joined, moment),
            config: Arc::clone(&self.settings.config),
            membership: Arc::clone(&joined.membership),
            clock: Arc::clone(&self.process.clock),
            cancellation: tale.cancellation,
            leaving: tale.leaving,
        });
        joined
            .requests
            .push(Box::pin(async move { Answered::Heard(telling, told.await) }));
    }

    /// Items that nobody is going to run, or is running, as far as it can be seen from here.
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

    /// The listeners were told, or that was stopped.
    pub(super) fn heard(&mut self, joined: &mut Joined, telling: Telling, result: Result<Heard, TaskError>) {
        // A panic is in the log already.
        let faults = result.unwrap_or_default().faults;
        let mut is_given_up = false;
        for fault in &faults {
            is_given_up |= self.runner.report(&**fault);
        }
        let held = match telling {
            Telling::Current(moment) => {
                self.firings.told(moment, is_given_up);
                if moment == Moment::Completed || is_given_up {
                    // Nothing of it is told any more. Else our own leaving would be taken for a removal amid of it.
                    self.tellings.current = None;
                }
                std::mem::take(&mut self.tellings.held)
            }
            Telling::Takeover(id, Moment::Started) => {
                let takeover = self.tellings.takeovers.get_mut(&id);
                let held = takeover.map(|takeover| std::mem::take(&mut takeover.held));
                if is_given_up {
                    self.tellings.takeovers.remove(&id);
                }
                held.unwrap_or_default()
            }
            Telling::Takeover(id, Moment::Completed) => {
                self.tellings.takeovers.remove(&id);
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
            let end = not_started("the error handler gave the firing up: a job listener failed");
            self.firings.finished(start.item, end, elapsed);
        }
    }
}
