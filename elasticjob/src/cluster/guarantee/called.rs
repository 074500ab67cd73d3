//! The firings for which hooks were called: `ledger/called`, which Java members ignore.
//!
//! Without this record a late instance could not tell whether the barrier that it does not find was removed because the
//! hook was called, or was never there. It is written in the transaction that removes the barrier, so the two never
//! disagree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::layout::Moment;
use crate::cluster::ledger::{Run, Source};

/// So many firings are kept for each hook. Instances are hardly ever more than one firing apart.
const REMEMBERED: usize = 8;

/// The identity of a firing, the same on all instances that take part in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FiringKey {
    /// The scheduled time, in milliseconds since 1970.
    Time(i64),
    /// A trigger of ours, with the ids of its callers.
    Requests(Vec<String>),
    /// A trigger of a Java console, which has no id.
    Unknown,
}

impl FiringKey {
    /// Returns the firing that a run belongs to.
    pub(crate) fn of(run: &Run) -> Self {
        match run.source {
            _ if !run.requests.is_empty() => Self::Requests(run.requests.clone()),
            Source::Trigger => Self::Unknown,
            _ => Self::Time(run.due),
        }
    }

    /// Returns whether both are known to be the same firing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time(one), Self::Time(other)) => one == other,
            (Self::Requests(one), Self::Requests(other)) => one.iter().any(|request| other.contains(request)),
            _ => false,
        }
    }
}

/// The firings that had their hooks called, by listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Called(BTreeMap<String, Hooks>);

/// The newest firings for which each hook was called, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hooks {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    started: Vec<FiringKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    completed: Vec<FiringKey>,
}

impl Called {
    /// Reads the node. Data that no member of ours wrote counts as empty.
    pub(super) fn parse(data: &[u8]) -> Self {
        serde_json::from_slice(data).unwrap_or_default()
    }

    /// Returns the stored form, JSON.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has only strings and numbers, which JSON can hold")
    }

    /// Returns whether the hook of the listener is recorded as called for the firing. For a firing without an identity
    /// it never is.
    pub(super) fn has(&self, listener: &str, moment: Moment, firing: &FiringKey) -> bool {
        self.0
            .get(listener)
            .is_some_and(|hooks| hooks.of(moment).iter().any(|known| known.is_same(firing)))
    }

    /// Returns the record with one more call of a hook. The oldest are forgotten.
    pub(super) fn with(mut self, listener: &str, moment: Moment, firing: &FiringKey) -> Self {
        if *firing == FiringKey::Unknown {
            return self;
        }
        let hooks = self.0.entry(listener.to_owned()).or_default();
        let firings = match moment {
            Moment::Started => &mut hooks.started,
            Moment::Completed => &mut hooks.completed,
        };
        firings.push(firing.clone());
        let surplus = firings.len().saturating_sub(REMEMBERED);
        firings.drain(..surplus);
        self
    }
}

impl Hooks {
    fn of(&self, moment: Moment) -> &[FiringKey] {
        match moment {
            Moment::Started => &self.started,
            Moment::Completed => &self.completed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_hooks_by_listener_moment_and_firing() {
        let mut called = Called::default();
        for time in 0..20 {
            called = called.with("A", Moment::Started, &FiringKey::Time(time));
        }
        called = called.with("A", Moment::Completed, &FiringKey::Unknown);
        let called = Called::parse(&called.to_bytes());
        assert!(called.has("A", Moment::Started, &FiringKey::Time(19)));
        assert!(called.has("A", Moment::Started, &FiringKey::Time(12)));
        assert!(
            !called.has("A", Moment::Started, &FiringKey::Time(11)),
            "it is forgotten"
        );
        assert!(!called.has("A", Moment::Completed, &FiringKey::Time(19)));
        assert!(!called.has("A", Moment::Completed, &FiringKey::Unknown));
        assert!(!called.has("B", Moment::Started, &FiringKey::Time(19)));
        assert_eq!(Called::parse(b"not ours"), Called::default());
    }

    #[test]
    fn joins_triggers_that_share_a_firing() {
        let of = |requests: &[&str]| FiringKey::Requests(requests.iter().map(|&request| request.to_owned()).collect());
        assert!(of(&["a", "b"]).is_same(&of(&["b", "c"])));
        assert!(!of(&["a"]).is_same(&of(&["b"])));
        assert!(!of(&["a"]).is_same(&FiringKey::Time(1)));
    }
}
