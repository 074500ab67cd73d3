//! Scheduled times that passed a while ago, and for which the ledgers have neither a run nor a reason: no instance was there, or
//! none did its work. Without this, a job that was not served at 02:00 would look well until the next 02:00.

use std::collections::BTreeSet;

use elasticjob_config::job::JobConfig;
use jiff::{SignedDuration, Timestamp};

use crate::cluster::instance::InstanceId;
use crate::cluster::ledger::Record;
use crate::cluster::view::View;
use crate::operation::next;
use crate::operation::survey::{Stored, Survey};

use super::Finding;

/// How long after a scheduled time an item without a run is overdue: an instance that is slow, or that takes the item over from one
/// that died, has run it by then.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What is overdue of a job at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::operation) struct Overdue {
    /// The earliest scheduled time without a run, and the number of items that have such times.
    found: Option<(Timestamp, u32)>,
    /// When an item becomes overdue next, if nothing happens.
    pub(in crate::operation) next: Option<Timestamp>,
}

impl Overdue {
    /// Looks at the ledgers of a job. Items that an instance is at work on are not looked at: their times are made up, or accounted for,
    /// when it is done. Nor are those of a job that is paused, or that has Java members, which keep no ledgers.
    pub(in crate::operation) fn of(survey: &Survey, config: &JobConfig, now: Timestamp) -> Self {
        let view = &survey.view;
        let Some(cron) = config.cron().filter(|_| !view.is_paused() && !view.has_java_members()) else {
            return Self::default();
        };
        let zone = next::zone(config);
        // Most items of a job have the same.
        let mut newest: Option<(Timestamp, Option<Timestamp>)> = None;
        let mut due_after = |until: Timestamp| match newest {
            Some((known, due)) if known == until => due,
            _ => {
                let due = cron.next_after(until, zone.time_zone());
                newest = Some((until, due));
                due
            }
        };
        let at_work = AtWork::new(survey);
        let mut overdue = Self::default();
        let total = config.sharding_total_count().get();
        for (item, ledger) in survey.ledgers.range(..total) {
            let until = known_until(&ledger.value, now).filter(|_| !at_work.has(*item));
            let Some(due) = until.and_then(&mut due_after) else {
                continue;
            };
            match due.checked_add(PATIENCE) {
                Ok(at) if at <= now => {
                    let (since, items) = overdue.found.unwrap_or((due, 0));
                    overdue.found = Some((since.min(due), items + 1));
                }
                Ok(at) => overdue.next = Some(overdue.next.map_or(at, |next| next.min(at))),
                Err(_) => {}
            }
        }
        overdue
    }

    pub(super) fn finding(self) -> Option<Finding> {
        self.found.map(|(since, items)| Finding::Overdue { since, items })
    }
}

/// Returns the time up to which the ledger accounts for the item.
fn known_until(record: &Record, now: Timestamp) -> Option<Timestamp> {
    record.until(now).into_iter().chain(record.since()).max()
}

/// The instances that are at work on an item.
struct AtWork<'a> {
    view: &'a View,
    instances: BTreeSet<&'a str>,
}

impl<'a> AtWork<'a> {
    fn new(survey: &'a Survey) -> Self {
        let view = &survey.view;
        let open = |ledger: &'a Stored<Record>| ledger.value.run.as_ref().filter(|run| run.end.is_none());
        let is_alive = |owner: &&str| InstanceId::parse(owner).is_some_and(|owner| view.is_alive(&owner));
        let owners = survey.ledgers.values().filter_map(open).map(|run| run.owner.as_str());
        Self {
            view,
            instances: owners.filter(is_alive).collect(),
        }
    }

    /// Returns whether the item, or another one of its owner, is at work, or whether a switch keeps it from running.
    fn has(&self, item: u32) -> bool {
        let Some(state) = self.view.items.get(&item) else {
            return false;
        };
        let of_owner = |owner: &InstanceId| !self.view.is_enabled(owner) || self.instances.contains(owner.as_str());
        state.is_disabled || state.mark.is_some() || state.owner.as_ref().is_some_and(of_owner)
    }
}
