//! Fire times by trying day after day and time after time.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::model::Model;

/// How many days are tried before giving up.
const DAYS: usize = 9 * 366;

/// What the slow search found.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    At(Timestamp),
    /// Nothing before this time.
    NotBefore(Timestamp),
}

/// The first fire time after `after`: the first wall-clock time, from that of the next second on,
/// that matches and exists; its second coming if there are two.
pub(crate) fn next_after(model: &Model, after: Timestamp, zone: &TimeZone) -> Found {
    let from = zone.to_datetime(Timestamp::from_second(after.as_second() + 1).expect("within range"));
    let (times, is_meant) = (model.times(), model.days());
    for date in from.date().series(1.day()).take(DAYS).filter(|date| is_meant(*date)) {
        let walls = times
            .iter()
            .map(|time| date.to_datetime(*time))
            .filter(|wall| *wall >= from);
        if let Some(found) = walls.filter_map(|wall| last_instant(wall, zone)).next() {
            return Found::At(found);
        }
    }
    let end = from.date() + (DAYS as i64).days();
    Found::NotBefore(
        TimeZone::UTC
            .to_timestamp(end.to_datetime(jiff::civil::Time::MIN) - 2.days())
            .expect("within range"),
    )
}

/// The last instant at which a clock of the zone shows `wall`, if there is any.
fn last_instant(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let near = TimeZone::UTC.to_timestamp(wall).expect("within range");
    let offsets = (-30..=30i64).map(|hours| zone.to_offset(near + hours.hours()));
    let instants = offsets.map(|offset| offset.to_timestamp(wall).expect("within range"));
    instants.filter(|instant| zone.to_datetime(*instant) == wall).max()
}
