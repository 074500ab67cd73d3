//! From wall-clock time to instants: what happens where clocks are put forward or back.
//!
//! The rule is that of Quartz. A wall-clock time inside a forward gap does not exist and is skipped.
//! One that comes twice means its second coming. All fire times of an expression in a zone are
//! therefore in the same order as their wall-clock times.
//!
//! That order is what makes the search simple: the first match on the wall clock that exists is the answer, and nothing
//! behind it can come earlier. A match within a gap is passed over together with the rest of the gap, so that an
//! expression of every second does not try each of its 3,600 seconds. For the same reason times are counted on the wall
//! clock, less those that lie in gaps.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::schedule::Schedule;

/// How far ahead a match is looked for. Long enough for all that recurs: the rarest, a 29 February
/// on a given weekday, comes within 40 years.
const HORIZON_YEARS: i16 = 100;

impl Schedule {
    /// Returns the first fire time after this moment, within a hundred years.
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let from = Timestamp::from_second(floor_second(after).checked_add(1)?).ok()?;
        let mut wall = zone.to_datetime(from);
        let last_year = wall.year().saturating_add(HORIZON_YEARS);
        loop {
            let candidate = self.first_from(wall, last_year)?;
            match zone.to_ambiguous_timestamp(candidate).offset() {
                AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { after: offset, .. } => {
                    return offset.to_timestamp(candidate).ok();
                }
                AmbiguousOffset::Gap { before, after } => {
                    let end = Gap::around(candidate, before, after, zone).end;
                    wall = end.max(candidate.checked_add(1.second()).ok()?);
                }
            }
        }
    }

    pub(super) fn latest_at_or_before(
        &self,
        at: Timestamp,
        not_before: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let at = Timestamp::from_second(floor_second(at)).ok()?;
        let first_year = zone.to_datetime(not_before).year().saturating_sub(1);
        let mut wall = last_reached(at, zone)?;
        loop {
            let candidate = self.last_until(wall, first_year)?;
            match zone.to_ambiguous_timestamp(candidate).offset() {
                AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { after: offset, .. } => {
                    return offset.to_timestamp(candidate).ok().filter(|&found| found >= not_before);
                }
                AmbiguousOffset::Gap { before, after } => {
                    let start = Gap::around(candidate, before, after, zone).start;
                    wall = start.min(candidate).checked_sub(1.second()).ok()?;
                }
            }
        }
    }

    /// Returns how many fire times there are after the one moment, up to and including the other.
    pub(super) fn count_between(&self, after: Timestamp, until: Timestamp, zone: &TimeZone) -> u64 {
        let Some(first) = self.next_after(after, zone) else {
            return 0;
        };
        let Some(last) = self.latest_at_or_before(until, first, zone) else {
            return 0;
        };
        let matches = self.count(zone.to_datetime(first), second_after(zone.to_datetime(last)));
        let in_gaps: u64 = Gap::between(first, last, zone)
            .map(|gap| self.count(gap.start, gap.end))
            .sum();
        matches - in_gaps
    }
}

/// Wall-clock times that are skipped when clocks are put forward: from `start` up to, but not including, `end`.
struct Gap {
    start: DateTime,
    end: DateTime,
}

impl Gap {
    /// The gap that swallows `wall`, where the offset changes from `before` to `after`.
    fn around(wall: DateTime, before: Offset, after: Offset, zone: &TimeZone) -> Self {
        let change = before
            .to_timestamp(second_after(wall))
            .ok()
            .and_then(|later| zone.preceding(later).find(|transition| transition.offset() == after));
        match change {
            Some(transition) => Self::of(transition.timestamp(), before, after),
            None => Self {
                start: wall,
                end: second_after(wall),
            },
        }
    }

    /// Returns all gaps between two moments.
    fn between(first: Timestamp, last: Timestamp, zone: &TimeZone) -> impl Iterator<Item = Self> {
        let mut before = zone.to_offset(first);
        zone.following(first)
            .take_while(move |transition| transition.timestamp() <= last)
            .filter_map(move |transition| {
                let earlier = std::mem::replace(&mut before, transition.offset());
                (earlier < before).then(|| Self::of(transition.timestamp(), earlier, before))
            })
    }

    /// Returns the gap of a change from one offset to a larger one.
    fn of(change: Timestamp, before: Offset, after: Offset) -> Self {
        Self {
            start: before.to_datetime(change),
            end: after.to_datetime(change),
        }
    }
}

/// The last wall-clock time whose fire time would not be after `at`.
///
/// That is what the clock shows, except on the first pass through an hour that comes twice: there
/// it is the last second before that hour, which fires on the second pass only.
fn last_reached(at: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    let wall = zone.to_datetime(at);
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Fold { before, after } if zone.to_offset(at) == before => {
            let change = zone.following(at).find(|transition| transition.offset() == after)?;
            after.to_datetime(change.timestamp()).checked_sub(1.second()).ok()
        }
        _ => Some(wall),
    }
}

fn second_after(wall: DateTime) -> DateTime {
    wall.saturating_add(1.second())
}

/// Returns the full second that a moment lies in, also before 1970.
fn floor_second(at: Timestamp) -> i64 {
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}
