//! Sessions of visitors that have logged in. Pure: the time is a parameter.
//!
//! The browser has 256 random bits as a cookie; here is their SHA-256 alone, so that what is kept opens no session.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::random::{self, Digest, hex, sha256};

/// How long a session lasts without a request.
pub(crate) const IDLE: SignedDuration = SignedDuration::from_hours(12);

/// How long a session lasts.
pub(crate) const ABSOLUTE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Sessions of one user. With one more the oldest ends.
const MOST_OF_USER: usize = 20;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The user's name.
    pub(crate) user: Arc<str>,
    /// What the user was when it was opened: with another role, other jobs or another password it is over.
    pub(crate) seal: Digest,
    pub(crate) opened: Timestamp,
    pub(crate) used: Timestamp,
    /// From where it was opened.
    pub(crate) peer: Arc<str>,
    /// The browser, as it names itself.
    pub(crate) agent: Arc<str>,
}

impl Session {
    fn is_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.used) >= IDLE || now.duration_since(self.opened) >= ABSOLUTE
    }
}

/// Whether a request is one of the visitor's, or one that an open page sends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Request,
    Stream,
}

/// All open sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions(HashMap<Digest, Session>);

impl Sessions {
    /// Takes in the sessions of before a restart.
    pub(crate) fn restore(&mut self, sessions: Vec<(Digest, Session)>) {
        self.0.extend(sessions);
    }

    /// Opens a session, and returns its id for the browser, and the digest of the session that ended for it.
    pub(crate) fn open(&mut self, session: Session) -> (String, Option<Digest>) {
        self.0.retain(|_, other| !other.is_over(session.opened));
        let of_user = self.0.iter().filter(|(_, other)| other.user == session.user);
        let is_full = of_user.clone().count() >= MOST_OF_USER;
        let oldest = of_user.min_by_key(|(_, other)| other.used).map(|(digest, _)| *digest);
        let ended = oldest.filter(|_| is_full);
        if let Some(ended) = &ended {
            self.0.remove(ended);
        }
        let id = random::text::<32>();
        self.0.insert(sha256(&id), session);
        (id, ended)
    }

    /// Returns the session of an id, if it is not over. A request of the visitor keeps it open.
    pub(crate) fn find(&mut self, id: &str, of: Use, now: Timestamp) -> Option<&Session> {
        let session = self.0.get_mut(&sha256(id)).filter(|session| !session.is_over(now))?;
        if of == Use::Request {
            session.used = session.used.max(now);
        }
        Some(session)
    }

    /// Ends the session of an id.
    pub(crate) fn end(&mut self, id: &str) -> Option<Session> {
        self.0.remove(&sha256(id))
    }

    /// Returns the sessions that are open, the newest first, with the name by which [`end_named`](Self::end_named) ends them.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<(String, Session)> {
        let open = self.0.iter().filter(|(_, session)| !session.is_over(now));
        let mut all: Vec<_> = open.map(|(digest, session)| (named(digest), session.clone())).collect();
        all.sort_by_key(|(_, session)| std::cmp::Reverse(session.opened));
        all
    }

    /// Returns the sessions that were used since then.
    pub(crate) fn used_since(&self, then: Timestamp) -> Vec<(Digest, Session)> {
        let used = self.0.iter().filter(|(_, session)| session.used >= then);
        used.map(|(digest, session)| (*digest, session.clone())).collect()
    }

    /// Ends a session by its name if it is one that `may` says.
    pub(crate) fn end_named(&mut self, name: &str, may: impl Fn(&Session) -> bool) -> Option<(Digest, Session)> {
        let found = self
            .0
            .iter()
            .find(|(digest, session)| named(digest) == name && may(session));
        let digest = *found?.0;
        Some((digest, self.0.remove(&digest)?))
    }
}

/// Returns the name of a session, which opens nothing.
pub(crate) fn name_of(id: &str) -> String {
    named(&sha256(id))
}

fn named(digest: &Digest) -> String {
    hex(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3_600).unwrap()
    }

    fn of(user: &str, now: Timestamp) -> Session {
        Session {
            user: user.into(),
            seal: Digest::default(),
            opened: now,
            used: now,
            peer: "10.0.0.1".into(),
            agent: "".into(),
        }
    }

    #[test]
    fn end_when_they_are_not_used_and_after_a_week() {
        let mut sessions = Sessions::default();
        let (id, _) = sessions.open(of("alice", at(0)));
        assert_eq!(id.len(), 43);
        assert!(sessions.find(&id, Use::Stream, at(11)).is_some());
        assert!(
            sessions.find(&id, Use::Stream, at(12)).is_none(),
            "an open page keeps no session open"
        );
        for hours in (11..168).step_by(11) {
            assert!(sessions.find(&id, Use::Request, at(hours)).is_some(), "{hours}");
        }
        assert!(sessions.find(&id, Use::Request, at(168)).is_none());
    }

    #[test]
    fn are_known_by_their_id_alone() {
        let mut sessions = Sessions::default();
        let (id, _) = sessions.open(of("alice", at(0)));
        let (other, _) = sessions.open(of("bob", at(0)));
        assert_eq!(&*sessions.find(&other, Use::Request, at(0)).unwrap().user, "bob");
        for wrong in ["", &id[1..], &format!("{id}="), &name_of(&id)] {
            assert!(sessions.find(wrong, Use::Request, at(0)).is_none());
        }
        assert!(!format!("{sessions:?}").contains(&id));
        assert_eq!(sessions.all(at(0)).len(), 2);
        assert!(
            sessions
                .end_named(&name_of(&id), |session| &*session.user == "bob")
                .is_none()
        );
        assert!(sessions.end_named(&name_of(&id), |_| true).is_some());
        assert!(sessions.end(&other).is_some());
        assert!(sessions.end(&other).is_none());
    }

    #[test]
    fn are_few_for_each_user() {
        let mut sessions = Sessions::default();
        let (first, _) = sessions.open(of("alice", at(0)));
        let (of_bob, _) = sessions.open(of("bob", at(0)));
        for _ in 0..MOST_OF_USER {
            sessions.open(of("alice", at(1)));
        }
        assert!(sessions.find(&first, Use::Request, at(1)).is_none());
        assert!(sessions.find(&of_bob, Use::Request, at(1)).is_some());
        assert_eq!(sessions.all(at(1)).len(), MOST_OF_USER + 1);
    }
}
