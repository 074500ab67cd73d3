//! Detects that the wall clock was moved, or that the machine slept.
//!
//! The detector compares how far the wall clock and a monotonic clock went between two observations. The monotonic
//! clock stops while the machine sleeps, so a sleep shows as a jump forward. Small differences are not reported: a wall
//! clock that is slewed by NTP drifts a little, and the two clocks are not read at the same instant.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Differences up to this are the wall clock being slewed, or the two clocks not being read at once.
const TOLERANCE: SignedDuration = SignedDuration::from_millis(500);

/// Compares the wall clock with a monotonic clock that stops while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct JumpDetector {
    wall: Timestamp,
    monotonic: Duration,
}

impl JumpDetector {
    pub(super) fn new(wall: Timestamp, monotonic: Duration) -> Self {
        Self { wall, monotonic }
    }

    /// How far the wall clock moved by itself since the last observation, where it did.
    pub(super) fn observe(&mut self, wall: Timestamp, monotonic: Duration) -> Option<SignedDuration> {
        let last = std::mem::replace(self, Self { wall, monotonic });
        let passed = SignedDuration::try_from(monotonic.saturating_sub(last.monotonic)).unwrap_or(SignedDuration::MAX);
        let jump = wall.duration_since(last.wall).saturating_sub(passed);
        (jump.abs() > TOLERANCE).then_some(jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wall_millis: i64, monotonic_millis: u64, expect_millis: Option<i64>) {
        let start: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        let mut detector = JumpDetector::new(start, Duration::from_secs(7));
        let wall = start + SignedDuration::from_millis(wall_millis);
        let monotonic = Duration::from_secs(7) + Duration::from_millis(monotonic_millis);
        let expect = expect_millis.map(SignedDuration::from_millis);
        assert_eq!(
            detector.observe(wall, monotonic),
            expect,
            "{wall_millis} ms against {monotonic_millis} ms"
        );
        assert_eq!(detector.observe(wall, monotonic), None, "a jump is reported once");
    }

    #[test]
    fn only_a_difference_beyond_the_tolerance_should_count() {
        check(1_000, 1_000, None);
        check(1_500, 1_000, None);
        check(500, 1_000, None);
        check(1_501, 1_000, Some(501));
        check(499, 1_000, Some(-501));
        check(-3_600_000, 1_000, Some(-3_601_000));
    }

    #[test]
    fn counts_sleeps_and_no_stalls() {
        check(60_000, 1_000, Some(59_000));
        check(60_000, 60_000, None);
    }
}
