//! The scheduled times of a job, on one instance.
//!
//! A calendar hands out each time once. It knows the next time and the newest that it has handed out. After a stop of
//! the process, a sleep of the machine or a jump of the clock several times may have come at once: then it hands out
//! the newest, and counts the others.
//!
//! The wall clock may go back. By less than an hour it counts as a correction, and no time is handed out twice. By more
//! it counts as having been wrong before, and the calendar begins again from the new time.

use elasticjob_config::cron::Expression;
use elasticjob_config::job::JobConfig;
use elasticjob_config::zone::Zone;
use jiff::{SignedDuration, Timestamp};

/// A clock that goes back by more than this is believed: it was wrong before. By less, nothing fires twice.
const BELIEVED_BACKWARDS: SignedDuration = SignedDuration::from_hours(1);

/// The scheduled times of a job, from now on.
#[derive(Debug)]
pub(crate) struct Calendar {
    expression: Expression,
    zone: Zone,
    next: Option<Timestamp>,
    /// The newest time that was given out.
    last: Option<Timestamp>,
    /// What was in force before, if this was seen to begin.
    before: Option<Replaced>,
}

/// A calendar that is not in force any more.
#[derive(Debug)]
struct Replaced {
    calendar: Box<Calendar>,
    until: Timestamp,
}

/// Scheduled times that have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Come {
    pub(crate) newest: Timestamp,
    /// How many others came since the last look.
    pub(crate) earlier: u64,
}

impl Calendar {
    /// The times after `now`; `None` for a one-off job.
    pub(crate) fn new(config: &JobConfig, now: Timestamp) -> Option<Self> {
        let expression = config.cron()?.clone();
        let zone = zone_of(config);
        let next = expression.next_after(now, zone.time_zone());
        Some(Self {
            expression,
            zone,
            next,
            last: None,
            before: None,
        })
    }

    /// The calendar of a configuration that comes into force at `now`: times up to then are those of this one.
    ///
    /// Only one predecessor is kept, so times before two changes are counted by the last one but one.
    pub(crate) fn replaced(self, config: &JobConfig, now: Timestamp) -> Option<Self> {
        let mut calendar = Self::new(config, now)?;
        calendar.before = Some(Replaced {
            calendar: Box::new(Self { before: None, ..self }),
            until: now,
        });
        Some(calendar)
    }

    /// Returns whether the configuration says the same as before.
    pub(crate) fn is_of(&self, config: &JobConfig) -> bool {
        config.cron() == Some(&self.expression) && zone_of(config).name() == self.zone.name()
    }

    /// The next time, if there is any.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// Returns the expression in force.
    pub(crate) fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Returns the zone in which the expression is read.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns the times up to `now`. Each time is returned once.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Option<Come> {
        let zone = self.zone.time_zone();
        if self
            .last
            .is_some_and(|last| now < last.saturating_sub(BELIEVED_BACKWARDS).unwrap_or(Timestamp::MIN))
        {
            self.last = None;
            self.next = self.expression.next_after(now, zone);
        }
        let first = self.next.filter(|next| *next <= now)?;
        let newest = self.expression.latest_at_or_before(now, first, zone).unwrap_or(first);
        // Counted from just before the first, so that the first is one of them.
        let earlier = if newest == first {
            0
        } else {
            self.expression.count_between(first, newest, zone)
        };
        self.last = Some(newest);
        self.next = self.expression.next_after(newest, zone);
        Some(Come { newest, earlier })
    }

    /// How many times lie after the first and before the second.
    ///
    /// Both ends are open. Times before the present configuration came into force are counted by the one before it, if
    /// this instance saw the change.
    pub(crate) fn count_between(&self, after: Timestamp, before: Timestamp) -> u64 {
        let last = before
            .saturating_sub(SignedDuration::from_secs(1))
            .unwrap_or(Timestamp::MIN);
        match self.before.as_ref().filter(|replaced| after < replaced.until) {
            Some(Replaced { calendar, until }) => {
                calendar.count_up_to(after, last.min(*until)) + self.count_up_to(*until, last)
            }
            None => self.count_up_to(after, last),
        }
    }

    /// How many times of the expression lie after the first and up to the second.
    fn count_up_to(&self, after: Timestamp, last: Timestamp) -> u64 {
        if after < last {
            self.expression.count_between(after, last, self.zone.time_zone())
        } else {
            0
        }
    }

    /// The newest time up to `now`, not before `since`.
    pub(crate) fn newest(&self, now: Timestamp, since: Timestamp) -> Option<Timestamp> {
        self.expression.latest_at_or_before(now, since, self.zone.time_zone())
    }

    /// Computes the next time again: the clock was set.
    pub(crate) fn look_again(&mut self, now: Timestamp) {
        if let Some(replaced) = &mut self.before {
            // What was replaced by a clock that was ahead is not in force until that time comes.
            replaced.until = replaced.until.min(now);
        }
        let from = self
            .last
            .filter(|last| now >= last.saturating_sub(BELIEVED_BACKWARDS).unwrap_or(Timestamp::MIN));
        if self.next.is_some_and(|next| next > now) {
            self.next = self
                .expression
                .next_after(from.map_or(now, |last| last.max(now)), self.zone.time_zone());
        }
    }
}

/// Returns the zone of a job: its own, or else that of the process.
fn zone_of(config: &JobConfig) -> Zone {
    config.time_zone().cloned().unwrap_or_else(Zone::system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(cron: &str, now: Timestamp) -> Calendar {
        let config = JobConfig::builder("job")
            .cron(cron)
            .time_zone("GMT")
            .sharding_total_count(1)
            .build();
        Calendar::new(&config.expect("a valid configuration"), now).expect("it has a cron expression")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn each_time_should_be_given_out_once() {
        let mut calendar = calendar("0/5 * * * * ?", at("2026-01-01T00:00:01Z"));
        assert_eq!(calendar.advance(at("2026-01-01T00:00:04.999Z")), None);
        let newest = at("2026-01-01T00:00:05Z");
        assert_eq!(
            calendar.advance(at("2026-01-01T00:00:05Z")),
            Some(Come { newest, earlier: 0 })
        );
        assert_eq!(calendar.advance(at("2026-01-01T00:00:05.5Z")), None);
        assert_eq!(calendar.next(), Some(at("2026-01-01T00:00:10Z")));
    }

    #[test]
    fn times_that_were_slept_through_should_be_counted() {
        let mut calendar = calendar("0/5 * * * * ?", at("2026-01-01T00:00:01Z"));
        let come = calendar.advance(at("2026-01-01T00:00:21Z"));
        assert_eq!(
            come,
            Some(Come {
                newest: at("2026-01-01T00:00:20Z"),
                earlier: 3
            })
        );
    }

    fn replaced(calendar: Calendar, cron: &str, now: Timestamp) -> Calendar {
        let config = JobConfig::builder("job")
            .cron(cron)
            .time_zone("GMT")
            .sharding_total_count(1);
        let config = config.build().expect("a valid configuration");
        calendar.replaced(&config, now).expect("it has a cron expression")
    }

    #[test]
    fn counts_times_by_the_calendar_of_then() {
        let (after, before) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:40Z"));
        let old = calendar("0/10 * * * * ?", after);
        assert_eq!(old.count_between(after, before), 3, "10, 20, 30");
        let new = replaced(old, "0/5 * * * * ?", at("2026-01-01T00:00:27Z"));
        assert_eq!(new.count_between(after, before), 2 + 2, "10, 20, and 30, 35");
        assert_eq!(new.count_between(at("2026-01-01T00:00:29Z"), before), 2);
        let early = at("2026-01-01T00:00:20Z");
        assert_eq!(new.count_between(after, early), 1, "10, before the change");
    }

    #[test]
    fn counts_no_time_twice_around_a_change() {
        let (after, before) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:40Z"));
        for (changed, count) in [("20.4", 2 + 3), ("20", 2 + 3), ("19.6", 1 + 4)] {
            let old = calendar("0/10 * * * * ?", after);
            let changed = at(&format!("2026-01-01T00:00:{changed}Z"));
            let new = replaced(old, "0/5 * * * * ?", changed);
            assert_eq!(new.count_between(after, before), count, "changed at {changed}");
        }
    }

    #[test]
    fn ignores_changes_dated_by_a_fast_clock() {
        let old = calendar("0/10 * * * * ?", at("2026-01-01T00:00:00Z"));
        let mut new = replaced(old, "0/5 * * * * ?", at("2026-01-02T00:00:00Z"));
        new.look_again(at("2026-01-01T00:00:20Z"));
        let (after, before) = (at("2026-01-01T00:00:20Z"), at("2026-01-01T00:00:40Z"));
        assert_eq!(new.count_between(after, before), 3, "25, 30, 35");
    }

    #[test]
    fn fires_nothing_twice_after_a_small_step_back() {
        let mut calendar = calendar("0 0/10 * * * ?", at("2026-01-01T00:59:00Z"));
        assert!(calendar.advance(at("2026-01-01T01:00:00Z")).is_some());
        calendar.look_again(at("2026-01-01T00:30:00Z"));
        assert_eq!(calendar.advance(at("2026-01-01T00:40:00Z")), None);
        assert_eq!(calendar.next(), Some(at("2026-01-01T01:10:00Z")));
    }

    #[test]
    fn a_clock_that_goes_back_far_should_be_believed() {
        let mut calendar = calendar("0 0 * * * ?", at("2026-01-02T00:30:00Z"));
        assert!(calendar.advance(at("2026-01-02T01:00:00Z")).is_some());
        calendar.look_again(at("2026-01-01T00:30:00Z"));
        assert_eq!(calendar.advance(at("2026-01-01T00:30:01Z")), None);
        assert_eq!(calendar.next(), Some(at("2026-01-01T01:00:00Z")));
    }
}
