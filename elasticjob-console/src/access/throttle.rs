//! How often a password may be tried. Pure: the time is a parameter.
//!
//! After five failures in a row an account, and a peer, wait one second for the next try, then two, and so on up to a minute. Nothing is
//! ever locked, so an attacker cannot lock out a user for longer than that.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};

/// Failures without a pause.
const FREE: u32 = 5;

/// The longest pause.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);

/// How long a failure counts.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// Accounts and peers that are remembered. Of more, those are forgotten whose last failure is longest ago.
const MOST: usize = 10_000;

/// Whose failures are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// An account by its name, whether there is one of that name or not.
    Account(String),
    /// The peer of a connection; of IPv6, all addresses of its network.
    Peer(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// Failures that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Throttle(HashMap<Subject, Failures>);

impl Subject {
    pub(crate) fn peer(address: IpAddr) -> Self {
        Self::Peer(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                Ipv6Addr::from_bits(network).into()
            }
            address => address,
        })
    }
}

impl Failures {
    /// Returns when the next try may be.
    fn free_at(self) -> Timestamp {
        let pause = match self.count.checked_sub(FREE) {
            None => SignedDuration::ZERO,
            Some(more) => LONGEST.min(SignedDuration::from_secs(1 << more.min(6))),
        };
        self.last.checked_add(pause).unwrap_or(Timestamp::MAX)
    }
}

impl Throttle {
    /// Counts a try as failed before its outcome is known, so that tries at the same time count, too. Returns how long to wait instead
    /// if the try comes too soon: then it does not count.
    pub(crate) fn begin(&mut self, subjects: &[Subject], now: Timestamp) -> Result<(), SignedDuration> {
        self.0
            .retain(|_, failures| now.duration_since(failures.last) < REMEMBERED);
        let free_at = subjects
            .iter()
            .filter_map(|subject| self.0.get(subject))
            .map(|failures| failures.free_at());
        if let Some(free_at) = free_at.max().filter(|free_at| *free_at > now) {
            return Err(free_at.duration_since(now));
        }
        for subject in subjects {
            if self.0.len() >= MOST {
                self.forget_oldest();
            }
            let failures = self
                .0
                .entry(subject.clone())
                .or_insert(Failures { count: 0, last: now });
            *failures = Failures {
                count: failures.count.saturating_add(1),
                last: now,
            };
        }
        Ok(())
    }

    /// Takes a try for none: it succeeded.
    pub(crate) fn succeeded(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            self.0.remove(subject);
        }
    }

    /// Takes a try for none that was not carried out.
    pub(crate) fn withdrawn(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            if let Some(failures) = self.0.get_mut(subject) {
                failures.count = failures.count.saturating_sub(1);
            }
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, failures)| failures.last);
        if let Some(oldest) = oldest.map(|(subject, _)| subject.clone()) {
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn subjects(account: &str, peer: &str) -> [Subject; 2] {
        [
            Subject::Account(account.to_owned()),
            Subject::peer(peer.parse().unwrap()),
        ]
    }

    #[test]
    fn grows_from_the_sixth_try_to_a_minute() {
        let mut throttle = Throttle::default();
        let alice = subjects("alice", "10.0.0.1");
        let mut now = at(0);
        for _ in 0..5 {
            assert_eq!(throttle.begin(&alice, now), Ok(()));
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let pause = SignedDuration::from_secs(expected);
            assert_eq!(throttle.begin(&alice, now), Err(pause));
            // To try too soon makes it no longer.
            now += pause;
            assert_eq!(throttle.begin(&alice, now), Ok(()), "{expected}");
        }
        throttle.succeeded(&alice);
        assert_eq!(throttle.begin(&alice, now), Ok(()));
    }

    #[test]
    fn counts_accounts_and_peers_apart() {
        let mut throttle = Throttle::default();
        for number in 0..5 {
            let tries = subjects(&format!("user{number}"), "2001:db8::1");
            assert_eq!(throttle.begin(&tries, at(0)), Ok(()));
        }
        // Another address of the same network, and another account.
        assert!(throttle.begin(&subjects("bob", "2001:db8::ffff"), at(0)).is_err());
        assert_eq!(throttle.begin(&subjects("bob", "2001:db8:0:1::1"), at(0)), Ok(()));
        for peer in 1..5 {
            assert_eq!(
                throttle.begin(&subjects("bob", &format!("10.0.0.{peer}")), at(0)),
                Ok(())
            );
        }
        assert!(throttle.begin(&subjects("bob", "10.0.0.9"), at(0)).is_err());
        assert_eq!(subjects("", "::ffff:10.0.0.1")[1], subjects("", "10.0.0.1")[1]);
    }

    #[test]
    fn forgets_after_an_hour_and_stays_small() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.begin(&subjects("alice", "10.0.0.1"), at(0)), Ok(()));
        }
        assert!(throttle.begin(&subjects("alice", "10.0.0.2"), at(0)).is_err());
        assert_eq!(throttle.begin(&subjects("alice", "10.0.0.2"), at(3_600)), Ok(()));
        for number in 0..12_000 {
            let name = Subject::Account(number.to_string());
            assert_eq!(throttle.begin(&[name], at(3_601)), Ok(()));
        }
        assert_eq!(throttle.0.len(), MOST);
    }

    #[test]
    fn does_not_count_what_was_not_tried() {
        let mut throttle = Throttle::default();
        let alice = subjects("alice", "10.0.0.1");
        for _ in 0..20 {
            assert_eq!(throttle.begin(&alice, at(0)), Ok(()));
            throttle.withdrawn(&alice);
        }
    }
}
