use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time on this machine's clock on the wall, to the second.
pub(super) fn local(time: Timestamp) -> String {
    in_zone(time, &TimeZone::system())
}

/// A time in a zone, to the second.
pub(super) fn in_zone(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%F %T %:z").to_string()
}
