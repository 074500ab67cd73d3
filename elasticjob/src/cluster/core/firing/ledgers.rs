//! The ledgers of our items: read when an item becomes ours, and kept in step by our own writes.
//!
//! A ledger is not watched. Only the instance that accounts for an item
//! writes it, or the instance that repairs what a dead owner left.
//! So the copy of the owner is right until a write is refused, and then it is read again. That is why a firing in the
//! steady state costs no read.
//!
//! A ledger is read if the item has become ours, if the item has no instance and this instance leads, if a claim was refused, if
//! another instance was running the item at the last look, and if the connection came back. A ledger that does not exist is
//! created, with the moment since which the item has been there: no time before that moment is ever missed.
//!
//! No pass looks at all items if the view knows which have changed, since a job may have a million of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::core::context::Context;
use crate::cluster::core::request::Request;
use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::ledger::{Gap, Reason, Record, Refusal, Run, Source};
use crate::cluster::transaction::Transaction;
use crate::cluster::view::Revision;
use crate::registry::{Answer, CreateMode, Read, Step};

use super::passing::{Accountable, Concern};
use super::{FiringRequest, Firings, Purpose, claim};

/// Times that passed without a run are accounted for up to so long ago.
pub(super) const ACCOUNTED: SignedDuration = SignedDuration::from_hours(24 * 366);

/// What was seen when it was last followed which items this instance accounts for.
#[derive(Clone, Copy, Debug)]
struct Followed {
    revision: Revision,
    /// Whether items of no instance might be among them.
    has_rest: bool,
}

/// An item's ledger.
///
/// The version is that of the last read or write of this instance; every write expects it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) version: i32,
    pub(super) record: Record,
    /// Since when the item is ours, where it was a Java member's before: that one ran it until then, and says so nowhere.
    pub(super) since: Option<Timestamp>,
    /// Whether it ran on another instance until it became ours.
    pub(super) was_busy: bool,
    /// Why it was ours to account for when its ledger was read.
    pub(super) concern: Concern,
}

/// The ledgers of the items that this instance accounts for, as of the last look or write.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    slots: BTreeMap<u32, Box<Slot>>,
    /// The items with ledgers to be read. Some may be known by now, or not be this instance's to account for.
    unread: BTreeSet<u32>,
    /// The items with ledgers that were inserted since [`Firings::follow_items`].
    inserted: Vec<u32>,
    /// `None` if all items are to be looked at.
    followed: Option<Followed>,
    /// Items that another instance was running when they were to be claimed. Without a mark no event says when that ends: they
    /// are looked at again for the next firing, and not before.
    doubtful: BTreeSet<u32>,
}

impl Ledgers {
    /// Returns the ledger of an item, if it is known. It is unknown while it is to be read, and while the item runs
    /// here.
    pub(super) fn get(&self, item: u32) -> Option<&Slot> {
        self.slots.get(&item).map(|slot| &**slot)
    }

    /// Keeps the ledger of an item. It is dropped by the next [`Firings::follow_items`] if this instance does not
    /// account for the item.
    pub(super) fn insert(&mut self, item: u32, slot: Slot) {
        self.slots.insert(item, Box::new(slot));
        self.inserted.push(item);
    }

    /// Forgets the ledger of an item, which is read before the item is claimed next.
    pub(super) fn forget(&mut self, item: u32) {
        self.slots.remove(&item);
        self.unread.insert(item);
    }

    /// Notes that a run of the item does not stand for its ledger any more.
    pub(super) fn has_run(&mut self, item: u32) {
        if !self.slots.contains_key(&item) {
            self.unread.insert(item);
        }
    }

    /// Returns the items with ledgers to be read. Some are known by now.
    pub(super) fn unread(&self) -> impl Iterator<Item = u32> {
        self.unread.iter().copied()
    }

    /// Has all items looked at when it is followed next which of them this instance accounts for.
    pub(super) fn reconfigured(&mut self) {
        self.followed = None;
    }

    /// Follows whether, and why, this instance accounts for an item.
    fn follow(&mut self, item: u32, concern: Option<Concern>) {
        // One that had no instance and is ours now is looked at again: a time may have passed it meanwhile.
        if self.get(item).is_some_and(|slot| Some(slot.concern) != concern) {
            self.slots.remove(&item);
        }
        match concern {
            None => {
                self.doubtful.remove(&item);
                self.unread.remove(&item);
            }
            Some(_) if self.slots.contains_key(&item) => {}
            Some(_) => drop(self.unread.insert(item)),
        }
    }

    /// Follows the same of all items.
    fn follow_all(&mut self, accountable: &Accountable<'_>) {
        self.slots
            .retain(|item, slot| accountable.concern(*item) == Some(slot.concern));
        self.doubtful.retain(|item| accountable.concern(*item).is_some());
        let items = accountable.items().map(|(item, ..)| item);
        self.unread = items.filter(|item| !self.slots.contains_key(item)).collect();
    }

    /// Notes that another instance was running the item.
    pub(super) fn doubt(&mut self, item: u32) {
        self.doubtful.insert(item);
    }

    /// Takes in that the clock was set: it may have been ahead.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        for slot in self.slots.values_mut() {
            slot.since = slot.since.map(|since| since.min(now));
        }
    }
}

impl Firings {
    /// Follows which items this instance accounts for: the ledgers of others are forgotten, and those of new ones are to be read.
    /// Only items that have changed since the last time are looked at, if it is known which these are.
    pub(super) fn follow_items(&mut self, cx: &Context<'_>) {
        let accountable = Accountable::of(cx);
        let (revision, has_rest) = (cx.view.revision(), accountable.has_rest());
        let before = self.ledgers.followed.replace(Followed { revision, has_rest });
        // Which items without an instance are ours does not follow from these items alone.
        let is_followed = |before: &Followed| match (before.has_rest, has_rest) {
            (false, false) => true,
            (true, true) => before.revision == revision,
            _ => false,
        };
        let known = before.filter(is_followed);
        match known.and_then(|before| cx.view.changed_since(before.revision)) {
            Some(changed) => changed.for_each(|item| self.ledgers.follow(item, accountable.concern(item))),
            None => self.ledgers.follow_all(&accountable),
        }
        // They may be of items that had gone to other instances before their ledgers came.
        for item in std::mem::take(&mut self.ledgers.inserted) {
            self.ledgers.follow(item, accountable.concern(item));
        }
    }

    /// Reads the ledgers of items that became ours to account for.
    pub(super) fn load_ledgers(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        if self.is_stopped {
            // Nothing more is started, and what runs has its own.
            return None;
        }
        let accountable = Accountable::of(cx);
        let (mut missing, mut ending) = (Vec::new(), Vec::new());
        while missing.len() < cx.view.limits().batch()
            && let Some(item) = self.ledgers.unread.pop_first()
        {
            if self.is_known(item) || accountable.concern(item).is_none() {
                continue;
            }
            if self.runs.ended.contains_key(&item) {
                ending.push(item);
            } else {
                missing.push(item);
            }
        }
        // They are to be read until they have been.
        self.ledgers.unread.extend(missing.iter().chain(&ending));
        if missing.is_empty() {
            return None;
        }
        let job = cx.view.job();
        let reads = missing
            .iter()
            .map(|item| Read::Data(Node::LedgerItem(*item).of(job)))
            .collect();
        Some(Request::read(Purpose::LoadLedgers(missing), reads))
    }

    /// Takes in ledgers that were asked for. Those that are missing are to be created by these steps.
    pub(crate) fn loaded(&mut self, cx: &Context<'_>, items: &[u32], answers: Vec<Answer>) -> Vec<Step> {
        let Context {
            view, me, now, extent, ..
        } = *cx;
        let was_of_java = |item: &u32| view.items.get(item).is_some_and(|item| item.was_of_java);
        let concern = |item: &u32| {
            if view.is_of(*item, me) {
                Concern::Own
            } else {
                Concern::Rest
            }
        };
        let mut transaction = Transaction::on(view);
        for (item, answer) in items.iter().zip(answers) {
            match answer {
                Answer::Data(Some((data, stat))) => {
                    // One that is looked at again has been ours all the time.
                    if !self.ledgers.doubtful.remove(item) && concern(item) == Concern::Own {
                        self.sources.times.must_look_back();
                    }
                    let slot = Slot {
                        version: stat.version,
                        record: Record::parse(&data),
                        since: was_of_java(item).then_some(now),
                        was_busy: view.was_busy(*item),
                        concern: concern(item),
                    };
                    self.ledgers.insert(*item, slot);
                }
                // Those that do not fit are looked for again.
                _ => drop(transaction.add_if_it_fits(|transaction| {
                    transaction.create(
                        Node::LedgerItem(*item),
                        Record::begun(extent.since(*item)).to_bytes(),
                        CreateMode::Persistent,
                    );
                })),
            }
        }
        transaction.into_steps()
    }

    /// Returns the newest runs of these items, as far as their ledgers are known.
    pub(crate) fn newest_runs<'a>(&'a self, items: &'a [u32]) -> impl Iterator<Item = (u32, &'a Run)> {
        let newest = |item: &u32| Some((*item, self.ledgers.get(*item)?.record.run.as_ref()?));
        items.iter().filter_map(newest)
    }

    /// Has the ledgers read again that another instance was about to write at the last look, if there is something to fire for.
    pub(super) fn doubt(&mut self, cx: &Context<'_>) {
        if self.sources.is_due(cx, &self.open) {
            let Ledgers {
                slots,
                doubtful,
                unread,
                ..
            } = &mut self.ledgers;
            doubtful.iter().for_each(|item| drop(slots.remove(item)));
            unread.extend(doubtful.iter());
        }
    }

    /// The times after the ledger's and before the run's, where it is for a scheduled one: none of ours ran the item then.
    pub(super) fn gap(&self, item: u32, slot: &Slot, run: &Run, cx: &Context<'_>) -> Option<Gap> {
        if matches!(run.source, Source::Trigger | Source::Failover) {
            return None;
        }
        let time = claim::due_of(run);
        let oldest = time.saturating_sub(ACCOUNTED).unwrap_or(Timestamp::MIN);
        let after = slot.accounted_in_ledger(item, cx).max(oldest);
        let grown_at = cx.extent.grown_at(item).filter(|grown_at| *grown_at > after);
        let count = cx.calendar?.count_between(after, time);
        let known = self.skips.newest_between(after, time);
        // The newest reason counts.
        let paused = self.pause.until().filter(|until| *until > after);
        let is_newer = |until: &Timestamp| known.is_none_or(|skipped| skipped.time <= *until);
        let reason = match (slot.since, paused.filter(is_newer), known, grown_at) {
            (Some(_), ..) => Reason::RanElsewhere,
            (None, Some(_), ..) => Reason::Paused,
            (None, None, Some(skipped), _) => skipped.reason,
            (None, None, None, Some(_)) => Reason::FewerItems,
            (None, None, None, None) => Reason::NotServed,
        };
        (count > 0).then(|| Gap::new(after, time, count, reason))
    }
}

impl Slot {
    /// Returns the ledger of an own item as this instance wrote it.
    pub(super) fn written(version: i32, record: Record) -> Self {
        Self {
            version,
            record,
            since: None,
            was_busy: false,
            concern: Concern::Own,
        }
    }

    /// Returns up to when there is nothing to make up.
    pub(super) fn accounted(&self, item: u32, cx: &Context<'_>) -> Timestamp {
        let since = self.since.unwrap_or(Timestamp::MIN);
        self.accounted_in_ledger(item, cx).max(since)
    }

    /// Returns up to when the ledger accounts for the item. Nothing is accounted for before it is there: since then by the
    /// ledger or by our own clock, if that says earlier.
    fn accounted_in_ledger(&self, item: u32, cx: &Context<'_>) -> Timestamp {
        let Context { now, extent, .. } = *cx;
        let until = self.record.until(now);
        until.unwrap_or_else(|| {
            let here = extent.since(item);
            self.record.since().map_or(here, |since| since.min(here))
        })
    }

    /// Returns whether an item that became ours is to be run for a time that passed before.
    pub(super) fn looks_back(&self, item: u32, time: Timestamp, cx: &Context<'_>) -> bool {
        let Context { config, extent, .. } = *cx;
        // A Java member says nowhere what it ran while it had the item.
        let was_elsewhere = self.since.is_some_and(|since| time <= since);
        // It was running then: if `misfire` is off, what came meanwhile is not made up.
        let was_in_the_way = self.was_busy && !config.misfire();
        let was_there = extent.grown_at(item).is_none_or(|grown_at| grown_at <= time);
        was_there && !was_elsewhere && !was_in_the_way
    }

    /// Checks that the ledger admits a run for this time.
    pub(super) fn admits(&self, source: Source, time: Timestamp, cx: &Context<'_>) -> Result<(), Refusal> {
        let Context { view, me, now, .. } = *cx;
        let is_alive = |owner: &str| InstanceId::parse(owner).is_some_and(|owner| view.is_alive(&owner));
        self.record.admits(source, time, now, me.as_str(), is_alive)
    }

    /// Returns the ledger once times up to this one have passed.
    pub(super) fn passed(&self, time: Timestamp, gap: &Gap, cx: &Context<'_>) -> Record {
        let record = self.record.ran_elsewhere(self.since, cx.now);
        record.passed(time, gap, cx.now, cx.kept())
    }

    /// Returns the ledger with a claim in it, and the times that passed before.
    pub(super) fn claimed(&self, run: &Run, gap: Option<Gap>, cx: &Context<'_>) -> Record {
        let record = self.record.ran_elsewhere(self.since, cx.now);
        record
            .claimed(run.clone(), cx.now, cx.kept())
            .with_skipped(gap, cx.kept())
    }
}
