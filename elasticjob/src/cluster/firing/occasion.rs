//! What there is to fire for, and what became of the times that were not fired.

use jiff::{SignedDuration, Timestamp};

use crate::cluster::ledger::Source;
use crate::cluster::trigger::Order;

use super::{Circumstances, Firings};

/// A time that could not be fired for so long is missed, not late.
pub(crate) const LATE_LIMIT: SignedDuration = SignedDuration::from_secs(5);

/// Why a time is not fired that a later one follows before it could be.
pub(super) const COALESCED: &str = "coalesced with a later one";

/// How many of the reasons why times were not fired are kept.
const REASONS: usize = 32;

/// Something to fire for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occasion {
    pub(crate) source: Source,
    /// The scheduled time, or when the order came.
    pub(crate) time: Timestamp,
    /// Who asked for it, if anybody did.
    pub(crate) order: Order,
    /// Only items that a Java member marked are run.
    pub(crate) is_for_marked: bool,
}

/// What happened to a firing that will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) time: Timestamp,
    pub(crate) reason: &'static str,
}

impl Firings {
    /// A scheduled time has come.
    pub(crate) fn came(&mut self, time: Timestamp) {
        let older = match self.is_firing() {
            true => self.missed.replace(time),
            false => {
                let older = self.due.replace(Occasion::new(Source::Schedule, time));
                older.map(|older| older.time)
            }
        };
        if let Some(older) = older {
            self.skip(older, COALESCED);
        }
    }

    /// Somebody asks for runs. While one is under way they wait; orders that wait and want the same become one run.
    pub(crate) fn order(&mut self, orders: Vec<Order>) {
        orders.into_iter().for_each(|order| order.join(&mut self.ordered));
    }

    /// Makes up the newest time that passed while our items had no owner: since we are here, as a misfire; before that, or
    /// during a pause, only if the job is to catch up.
    pub(super) fn look_back(&mut self, circumstances: &Circumstances<'_>) {
        let Circumstances {
            config,
            now,
            calendar: Some(calendar),
            policy,
            registered_at,
            ..
        } = *circumstances
        else {
            return;
        };
        if !std::mem::take(&mut self.must_look_back) || self.due.is_some() {
            return;
        }
        // What passed during a pause was meant to pass, and is no misfire.
        let since = self
            .pause
            .until()
            .map_or(registered_at, |until| until.max(registered_at));
        let misfire = config.misfire().then_some(since);
        let catch_up = policy
            .catch_up
            .map(|limit| now.saturating_sub(limit).unwrap_or(Timestamp::MIN));
        let Some(since) = [misfire, catch_up].into_iter().flatten().min() else {
            return;
        };
        let Some(time) = calendar.newest(now, since) else {
            return;
        };
        let mut known = self.slots.values().filter_map(|slot| slot.until(now));
        if known.any(|until| until < time) {
            self.due = Some(Occasion::new(Source::Misfire, time));
        }
    }

    /// Gives up a time that waited too long.
    pub(super) fn give_up(&mut self, reason: &'static str) {
        if let Some(due) = self.due.take() {
            self.skip(due.time, reason);
        }
    }

    /// Gives up a scheduled time that could not be fired for too long.
    pub(crate) fn drop_late(&mut self, now: Timestamp) {
        let is_late = |due: &Occasion| due.source == Source::Schedule && now.duration_since(due.time) > LATE_LIMIT;
        if self.due.as_ref().is_some_and(is_late) {
            self.give_up("too late");
        }
    }

    /// The firing under way is not to be followed by a make-up run.
    pub(crate) fn abort_make_up(&mut self) {
        if let Some(time) = self.missed.take() {
            self.skip(time, "the error handler gave the firing up");
        }
    }

    /// Notes that a time is not fired: the log says so, and the next claim of each item why.
    pub(super) fn skip(&mut self, time: Timestamp, reason: &'static str) {
        if self.skipped.len() >= REASONS {
            self.skipped.pop_front();
        }
        let skipped = Skipped { time, reason };
        self.skipped.push_back(skipped.clone());
        self.unsaid.push(skipped);
    }

    /// Takes the times that were skipped since this was called last.
    pub(crate) fn take_skipped(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.unsaid)
    }
}

impl Occasion {
    pub(super) fn new(source: Source, time: Timestamp) -> Self {
        Self {
            source,
            time,
            order: Order::default(),
            is_for_marked: false,
        }
    }
}
