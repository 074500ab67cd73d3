//! Whether a leader of ours cannot see this instance.
//!
//! The leader may not read the nodes of an instance that uses another digest. Such an instance is registered and sees everything;
//! the leader does not see it and goes on without it. The registry refuses nothing on either side. The assignment alone shows the
//! fault: it stays as it was before the instance came.

use std::time::Duration;

use crate::cluster::instance::InstanceId;
use crate::cluster::view::View;

/// A leader of ours that sees an instance come has shared the items out again by then.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

/// The leader with an assignment that leaves this instance out, and since when it does.
#[derive(Debug, Default)]
pub(super) struct Unseen(Option<(InstanceId, Duration)>);

impl Unseen {
    /// Checks the assignment. Returns when to check again, if it leaves this instance out and that is not yet long ago.
    pub(super) fn next(
        &mut self,
        view: &View,
        me: &InstanceId,
        is_static: bool,
        elapsed: Duration,
    ) -> Option<Duration> {
        let leader = leader_without(view, me).filter(|_| !is_static);
        // Another leader has as much time.
        self.0.take_if(|(known, _)| Some(&*known) != leader);
        if self.0.is_none() {
            self.0 = leader.map(|leader| (leader.clone(), elapsed));
        }
        self.0
            .as_ref()
            .map(|(_, since)| *since + SEEN_WITHIN)
            .filter(|at| *at > elapsed)
    }

    /// Returns the leader, if it cannot see this instance.
    pub(super) fn by(&self, elapsed: Duration) -> Option<&InstanceId> {
        let (leader, since) = self.0.as_ref()?;
        (*since + SEEN_WITHIN <= elapsed).then_some(leader)
    }
}

/// The leader, if it is one of ours and has made the assignment without this instance, which could take items.
fn leader_without<'a>(view: &'a View, me: &InstanceId) -> Option<&'a InstanceId> {
    let basis = view.epoch.as_ref()?.basis.as_ref()?;
    let leader = view
        .leader
        .as_ref()
        .filter(|leader| view.members.contains_key(*leader))?;
    let is_without_me = !basis.is_unfinished() && !basis.counts(me);
    (is_without_me && view.candidates_for_items().any(|id| id == me)).then_some(leader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::core::governor::resharding::{Basis, Terms};
    use crate::cluster::fixtures::id;
    use crate::registry::Stat;

    fn found(text: &str) -> Option<(Vec<u8>, Stat)> {
        Some((text.as_bytes().to_vec(), Stat::default()))
    }

    /// Two instances, the first of which leads, and an assignment that was made when there were these.
    fn view(assigned: &[&str]) -> View {
        let mut view = View::new("job");
        view.read("/job/servers/a", found("ENABLED"));
        for id in assigned {
            view.read(&format!("/job/instances/{id}"), found(""));
        }
        let terms = Terms {
            total: 4,
            strategy: "AVG_ALLOCATION",
            settings: 0,
        };
        let basis = String::from_utf8(Basis::now(&view, terms).to_bytes()).expect("JSON is text");
        view.read("/job/ledger/epoch", found(&basis));
        for id in ["a@-@1", "a@-@2"] {
            view.read(&format!("/job/instances/{id}"), found(""));
            view.read(&format!("/job/ledger/members/{id}"), found("{}"));
        }
        view.read("/job/leader/election/instance", found("a@-@1"));
        view
    }

    #[test]
    fn is_known_once_the_leader_had_the_time_to_share_out() {
        let (view, me, leader) = (view(&["a@-@1"]), id("a@-@2"), id("a@-@1"));
        let mut unseen = Unseen::default();
        let second = Duration::from_secs;
        assert_eq!(unseen.next(&view, &me, false, second(5)), Some(second(25)));
        assert_eq!(unseen.next(&view, &me, false, second(24)), Some(second(25)));
        assert_eq!(unseen.by(second(24)), None);
        assert_eq!(unseen.next(&view, &me, false, second(25)), None, "it is known");
        assert_eq!(unseen.by(second(25)), Some(&leader));
        let mut next_leader = view.clone();
        next_leader.read("/job/instances/a@-@3", found(""));
        next_leader.read("/job/ledger/members/a@-@3", found("{}"));
        next_leader.read("/job/leader/election/instance", found("a@-@3"));
        assert_eq!(unseen.next(&next_leader, &me, false, second(40)), Some(second(60)));
        assert_eq!(unseen.by(second(40)), None, "another leader");
    }

    #[test]
    fn is_not_said_of_an_instance_that_takes_none_or_has_been_counted() {
        let me = id("a@-@2");
        let is_looked_at =
            |view: &View, is_static| Unseen::default().next(view, &me, is_static, Duration::ZERO).is_some();
        assert!(is_looked_at(&view(&["a@-@1"]), false));
        assert!(!is_looked_at(&view(&["a@-@1"]), true), "its items stay where they are");
        assert!(!is_looked_at(&view(&["a@-@1", "a@-@2"]), false), "counted");
        let change = |path: &str, text: Option<&str>| {
            let mut view = view(&["a@-@1"]);
            view.read(path, text.and_then(found));
            view
        };
        for (path, text) in [
            ("/job/servers/a", Some("DISABLED")),
            ("/job/ledger/members/a@-@2", Some(r#"{"draining":true}"#)),
            ("/job/leader/election/instance", None),
            ("/job/ledger/members/a@-@1", None),
            ("/job/ledger/epoch", None),
        ] {
            assert!(!is_looked_at(&change(path, text), false), "{path}: {text:?}");
        }
        let mut unseen = Unseen::default();
        unseen.next(&view(&["a@-@1"]), &me, false, Duration::ZERO);
        let counted = view(&["a@-@1", "a@-@2"]);
        unseen.next(&counted, &me, false, Duration::from_secs(30));
        assert_eq!(unseen.by(Duration::from_secs(60)), None, "it is over");
    }
}
