//! How fresh a session's lease is, as far as that is known. Pure.
//!
//! A transaction that finds the lease alive does not renew it: it may end the moment after. Only a keep-alive that was answered
//! proves that the lease goes on, for its whole time from when that keep-alive was sent. So what a session reports as its timeout
//! is [`PART_OF_TTL`] of that time, and a write is answered only if a keep-alive that was sent no earlier than the
//! rest of it before the write has been answered. A fence that counts the timeout from when the write was sent then falls before
//! the lease can end.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The timeout of a session is so many thirds of the time that its lease lives.
const PART_OF_TTL: u32 = 2;

/// The lease of a session, and the keep-alives on their way.
#[derive(Debug)]
pub(super) struct Lease {
    ttl: Duration,
    /// When the newest keep-alive was sent that has been answered.
    proven: Instant,
    /// When those were sent that have not, oldest first.
    sent: VecDeque<Instant>,
}

impl Lease {
    /// A lease that was asked for at this moment and lives so long.
    pub(super) fn granted(asked_at: Instant, ttl: Duration) -> Self {
        Self {
            ttl,
            proven: asked_at,
            sent: VecDeque::new(),
        }
    }

    /// A keep-alive is sent.
    pub(super) fn sends(&mut self, at: Instant) {
        self.sent.push_back(at);
    }

    /// The oldest keep-alive on its way was answered. Returns until when writes that were sent are proven by it.
    pub(super) fn answered(&mut self) -> Instant {
        if let Some(sent) = self.sent.pop_front() {
            self.proven = self.proven.max(sent);
        }
        self.proves_until()
    }

    /// The connection was lost, and with it the answers on their way.
    pub(super) fn disconnected(&mut self) {
        self.sent.clear();
    }

    /// Returns when a write may have been sent at the latest to be answered, as far as is known now.
    pub(super) fn proves_until(&self) -> Instant {
        self.proven + (self.ttl - timeout(self.ttl))
    }

    /// Returns how long the lease lives after a keep-alive.
    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Returns when the lease may end.
    pub(super) fn ends_at(&self) -> Instant {
        self.proven + self.ttl
    }

    /// Returns since when a keep-alive has waited for its answer.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.sent.front().copied()
    }
}

/// Returns the timeout of a session with a lease that lives so long.
pub(super) fn timeout(ttl: Duration) -> Duration {
    ttl * PART_OF_TTL / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(6);

    mod a_lease {
        use super::*;

        #[test]
        fn proves_writes_for_a_third_of_its_time_from_when_a_keep_alive_was_sent() {
            let start = Instant::now();
            let mut lease = Lease::granted(start, TTL);
            assert_eq!(lease.proves_until(), start + Duration::from_secs(2));
            let second = |seconds| start + Duration::from_secs(seconds);
            lease.sends(second(1));
            lease.sends(second(3));
            assert_eq!(lease.proves_until(), second(2), "none was answered");
            assert_eq!(lease.answered(), second(3));
            assert_eq!(lease.answered(), second(5));
            assert_eq!(lease.ends_at(), second(9));
        }

        #[test]
        fn does_not_end_before_the_fence_of_any_write_that_is_answered() {
            let start = Instant::now();
            let lease = Lease::granted(start, TTL);
            let last_write = lease.proves_until();
            assert!(last_write + timeout(TTL) <= lease.ends_at());
        }

        #[test]
        fn forgets_keep_alives_of_another_connection() {
            let start = Instant::now();
            let mut lease = Lease::granted(start, TTL);
            lease.sends(start + TTL);
            assert_eq!(lease.waiting_since(), Some(start + TTL));
            lease.disconnected();
            assert_eq!(lease.answered(), start + TTL / 3);
            assert_eq!(lease.waiting_since(), None);
        }
    }
}
