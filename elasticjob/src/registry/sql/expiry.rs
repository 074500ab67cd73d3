//! Which sessions of others are over. Pure.
//!
//! A wall clock can be set, and a database that comes back after a minute has heard of no member: so neither decides. A member
//! looks at the beats of all sessions again and again. If it saw the same beat for a whole timeout of that session, by its own
//! clock that counts sleep, the owner did not renew the session for as long: each renewal raises the beat.
//!
//! A member that did not look for a while, since it stood still or had no connection, knows nothing of that time. Nor did
//! owners have a chance to renew if the database was away. So after a gap it starts to count again.
//!
//! Why the owner has stopped by then: its fence passes two thirds of the timeout after the last write or sync was sent that
//! was answered. Not each of these raises the beat, but each does that finds it older than a twelfth of the timeout. So the
//! fence passes before the beat is as old as the timeout, and a quarter of it is left for clocks that differ in rate. The one
//! who ends the session counts a whole timeout from the answer of a look that already showed the beat, thus from a moment
//! after the renewal.
//!
//! Several members may find the same session over. The one whose transaction comes first ends it; the others find
//! another beat, or no row.

use std::collections::HashMap;
use std::time::Duration;

/// The row of a session, as far as its end depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) session: i64,
    pub(super) beat: i64,
    pub(super) timeout: Duration,
}

/// A look at all sessions, between two moments of the member's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// When it was sent: the rows are not older.
    pub(super) sent_at: Duration,
    /// When it was answered: the rows are not younger.
    pub(super) answered_at: Duration,
}

/// What one member saw of the sessions.
///
/// Nothing of it is shared: each member counts for itself, so that a member with a wrong clock rate harms by no more
/// than that rate.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    seen: HashMap<i64, Seen>,
    last_look: Duration,
}

/// A beat, and since when it has been the same.
#[derive(Clone, Copy, Debug)]
struct Seen {
    beat: i64,
    since: Duration,
}

/// No session is looked at more often than that, though its timeout be next to nothing.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

impl Expiry {
    /// Takes a look into account. Returns the sessions that are over, if they still have this beat when they are ended.
    pub(super) fn after(&mut self, look: Look, beats: &[Beat]) -> Vec<Beat> {
        let gap = look.answered_at.saturating_sub(self.last_look);
        self.last_look = look.sent_at;
        let mut over = Vec::new();
        let mut seen = HashMap::with_capacity(beats.len());
        for beat in beats {
            let known = self.seen.get(&beat.session).copied();
            let known = known.filter(|known| known.beat == beat.beat && gap <= longest_gap(beat.timeout));
            let known = known.unwrap_or(Seen {
                beat: beat.beat,
                since: look.answered_at,
            });
            // Both ends on the safe side: the beat was there before `since`, and is still there after `sent_at`.
            if look.sent_at.saturating_sub(known.since) >= beat.timeout {
                over.push(*beat);
            }
            seen.insert(beat.session, known);
        }
        self.seen = seen;
        over
    }

    /// Returns how long after a look the next one has to come, with these sessions.
    pub(super) fn pause(own: Duration, beats: &[Beat]) -> Duration {
        let shortest = beats.iter().map(|beat| beat.timeout).fold(own, Duration::min);
        (shortest / 8).max(SHORTEST_PAUSE)
    }
}

/// Two looks further apart than that say nothing about the time between them.
fn longest_gap(timeout: Duration) -> Duration {
    // Looks are planned for an eighth.
    (timeout / 6).max(SHORTEST_PAUSE * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(6);

    /// Looks at the one session there is, with this beat, so many milliseconds after the start.
    fn look(expiry: &mut Expiry, beat: i64, at: u64) -> bool {
        let at = Duration::from_secs(1_000) + Duration::from_millis(at);
        let look = Look {
            sent_at: at,
            answered_at: at + Duration::from_millis(10),
        };
        let beats = [Beat {
            session: 1,
            beat,
            timeout: TIMEOUT,
        }];
        let over = expiry.after(look, &beats);
        assert!(over.is_empty() || over == beats);
        !over.is_empty()
    }

    /// When the session is over, if these beats are seen, one each 500 ms.
    fn over_after(beats: impl IntoIterator<Item = i64>) -> Option<usize> {
        let mut expiry = Expiry::default();
        beats
            .into_iter()
            .enumerate()
            .position(|(number, beat)| look(&mut expiry, beat, 500 * number as u64))
    }

    mod a_session {
        use super::*;

        #[test]
        fn is_over_after_its_timeout_without_a_beat() {
            // 6 s and the length of a look, from the first look or from the last new beat.
            assert_eq!(over_after([7; 20]), Some(13));
            assert_eq!(over_after([7, 7, 7, 8].into_iter().chain([8; 20])), Some(16));
            assert_eq!(over_after((0..100).map(|number| number / 11)), None);
        }

        #[test]
        fn is_judged_again_after_a_gap() {
            let mut expiry = Expiry::default();
            for at in (0..6_000).step_by(500) {
                assert!(!look(&mut expiry, 7, at));
            }
            // The database was away, or this process stood still: a timeout has passed, and the owner could not renew.
            for at in (10_000..16_010).step_by(500) {
                assert!(!look(&mut expiry, 7, at), "{at}");
            }
            assert!(look(&mut expiry, 7, 16_500));
        }

        #[test]
        fn that_comes_back_under_the_same_beat_is_new() {
            let mut expiry = Expiry::default();
            assert!(!look(&mut expiry, 7, 0));
            let at = Duration::from_millis(1_000_500);
            let none = Look {
                sent_at: at,
                answered_at: at,
            };
            assert_eq!(expiry.after(none, &[]), []);
            for at in (1_000..7_000).step_by(500) {
                assert!(!look(&mut expiry, 7, at), "{at}");
            }
        }
    }

    #[test]
    fn looks_are_often_enough_for_the_shortest_timeout() {
        let of = |timeout| Beat {
            session: 1,
            beat: 0,
            timeout,
        };
        for timeout in [Duration::ZERO, Duration::from_millis(400), TIMEOUT, Duration::MAX] {
            let pause = Expiry::pause(Duration::from_secs(10), &[of(timeout)]);
            assert!(
                pause <= longest_gap(timeout) && pause <= Duration::from_secs(2),
                "{timeout:?}"
            );
        }
    }
}
