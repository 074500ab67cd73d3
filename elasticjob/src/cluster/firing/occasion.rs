//! What there is to fire for, and what became of the times that were not fired.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::context::Context;
use crate::cluster::ledger::Source;
use crate::cluster::mutation::Mutation;
use crate::cluster::trigger::Order;
use crate::cluster::view::ItemView;

use super::Firings;
use super::claiming::{looks_back, mark_of};

/// A time that could not be fired for so long is missed, not late.
pub(crate) const LATE_LIMIT: SignedDuration = SignedDuration::from_secs(5);

/// Why a time is not fired that waited for so long.
const TOO_LATE: &str = "too late";

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
    pub(crate) items: Wanted,
    /// It passed before items became ours, which are run alone.
    pub(crate) is_looked_back: bool,
}

/// Which of our items an occasion is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// Those that a Java member marked as missed.
    Marked,
    /// Those that are asked for.
    These(BTreeSet<u32>),
}

impl Wanted {
    /// Whether it is for this item.
    pub(super) fn is(&self, item: u32, state: &ItemView) -> bool {
        match self {
            Self::All => true,
            Self::Marked => state.is_misfire_marked,
            Self::These(items) => items.contains(&item),
        }
    }
}

/// What happened to a firing that will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) time: Timestamp,
    pub(crate) reason: &'static str,
}

/// Since when times that passed while our items had no owner are of interest.
struct Interest {
    /// A time since then is late, and fired.
    late: Option<Timestamp>,
    /// A time since then is missed, and made up.
    missed: Option<Timestamp>,
    /// A time since then gets a word: this instance was there, and the job was not paused.
    here: Timestamp,
}

impl Interest {
    fn of(cx: &Context<'_>, paused_until: Option<Timestamp>) -> Self {
        let Context {
            config,
            now,
            policy,
            extent,
            ..
        } = *cx;
        let ago = |time: SignedDuration| now.saturating_sub(time).unwrap_or(Timestamp::MIN);
        let registered_at = extent.registered_at();
        // What passed during a pause was meant to pass, and is no misfire.
        let here = paused_until.map_or(registered_at, |until| until.max(registered_at));
        let catch_up = policy
            .catch_up
            .map(|limit| now.saturating_sub(limit).unwrap_or(Timestamp::MIN));
        Self {
            late: (!Mutation::LoseFirstTime.is_on()).then(|| ago(LATE_LIMIT).max(here)),
            missed: config.misfire().then_some(here).into_iter().chain(catch_up).min(),
            here,
        }
    }

    /// Returns the oldest time of interest.
    fn since(&self) -> Timestamp {
        self.missed.map_or(self.here, |missed| missed.min(self.here))
    }

    /// Returns what a time is fired as; `None` if it is not fired any more.
    fn source(&self, time: Timestamp) -> Option<Source> {
        let is_since = |since: Option<Timestamp>| since.is_some_and(|since| time >= since);
        match (is_since(self.late), is_since(self.missed)) {
            (true, _) => Some(Source::Schedule),
            (false, true) => Some(Source::Misfire),
            (false, false) => None,
        }
    }
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

    /// The single items that are asked for and may run, with what the first of them is to run for; others that are to run for
    /// the same come along.
    pub(super) fn requested(&self, cx: &Context<'_>) -> Option<Occasion> {
        let requests = &cx.view.requests;
        if requests.is_empty() || self.requests_at(cx.elapsed).is_some() {
            return None;
        }
        let asked = Occasion {
            items: Wanted::These(requests.keys().copied().collect()),
            ..Occasion::new(Source::Trigger, cx.now)
        };
        let mark = mark_of(cx.config);
        let runnable = self.runnable(cx, &asked, mark, &[]);
        let first_order = |item: &u32| requests.get(item).and_then(|stored| stored.orders.first());
        let order = runnable.iter().find_map(first_order)?.clone();
        let items = runnable.into_iter().filter(|item| first_order(item) == Some(&order));
        Some(Occasion {
            items: Wanted::These(items.collect()),
            order,
            ..asked
        })
    }

    /// Looks back at the newest time that passed while our items had no owner. One since this instance is here is fired late,
    /// or made up if it is missed; one of before, or of a pause, only if the job is to catch up.
    pub(super) fn look_back(&mut self, cx: &Context<'_>) {
        let Some(calendar) = cx.calendar else { return };
        if !std::mem::take(&mut self.must_look_back) || self.due.is_some() {
            return;
        }
        let interest = Interest::of(cx, self.pause.until());
        let Some(time) = calendar.newest(cx.now, interest.since()) else {
            return;
        };
        let is_missing = |(item, state): (u32, &ItemView)| {
            let slot = self.slots.get(&item).filter(|_| !state.is_disabled);
            slot.is_some_and(|slot| slot.accounted(item, cx) < time && looks_back(item, slot, time, cx))
        };
        if !self.own_items(cx).any(is_missing) {
            return;
        }
        match interest.source(time) {
            Some(source) => {
                self.due = Some(Occasion {
                    is_looked_back: true,
                    ..Occasion::new(source, time)
                });
            }
            None => self.skip(time, TOO_LATE),
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
            self.give_up(TOO_LATE);
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
            items: Wanted::All,
            is_looked_back: false,
        }
    }
}
