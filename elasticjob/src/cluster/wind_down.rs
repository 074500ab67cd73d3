//! When a run that might go on for long should come to its end, although nothing is wrong with it.
//!
//! A stream of a dataflow job, or a job that watches its token, could hold an item for hours. It is asked, and not
//! cancelled: the run ends at its next good place, with a success. A run that does not look goes on, and what waits for
//! its item goes on waiting.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::instance::InstanceId;
use super::pause::PAUSED;
use super::view::{ServerStatus, View, look};

/// Asks one run to end at its next good place, and keeps the reason. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct WindDown {
    token: CancellationToken,
    reason: Arc<OnceLock<&'static str>>,
}

impl WindDown {
    /// Returns one for a run that this token cancels: a run that is cancelled is asked to end, too.
    pub(crate) fn below(cancellation: &CancellationToken) -> Self {
        Self {
            token: cancellation.child_token(),
            reason: Arc::default(),
        }
    }

    /// Asks the run to end, for this reason. Returns whether it is asked for the first time.
    pub(crate) fn ask(&self, reason: &'static str) -> bool {
        let is_first = !self.token.is_cancelled();
        if is_first {
            // Before the token: a run that sees it finds the reason.
            self.reason.get_or_init(|| reason);
            self.token.cancel();
        }
        is_first
    }

    /// Returns why the run was asked to end; `None` if it was not, or was cancelled outright.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied().filter(|_| self.token.is_cancelled())
    }

    /// Returns the token that the run watches.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

/// Why a run of this item here should end at its next good place; `None` where it may go on.
///
/// Items are shared out around those that run, so under a leader of ours only what is to move has to end. A Java leader
/// waits until nothing runs at all.
pub(crate) fn reason(view: &View, me: &InstanceId, item: u32, total: u32) -> Option<&'static str> {
    look();
    let is_switched_off = |status: &ServerStatus| *status != ServerStatus::Enabled;
    if view.servers.get(me.server()).is_some_and(is_switched_off) {
        return Some("the server is switched off");
    }
    if view.is_paused() {
        return Some(PAUSED);
    }
    if item >= total {
        return Some("the job has fewer items now");
    }
    if view.is_moving(item) {
        return Some("the item is to move");
    }
    if view.is_resharding_necessary && view.is_led_by_java() {
        return Some("the leader waits for all items to share them out");
    }
    let state = view.items.get(&item)?;
    if state.is_disabled {
        return Some("the item is switched off");
    }
    let belongs_elsewhere = |owner: &InstanceId| owner != me && view.instances.contains(owner);
    state
        .owner
        .as_ref()
        .is_some_and(belongs_elsewhere)
        .then_some("the item belongs to another instance")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fixtures::id;
    use crate::cluster::member::Member;

    const TOTAL: u32 = 2;

    fn me() -> InstanceId {
        id("10.0.0.1@-@1-aaaaaa")
    }

    fn other() -> InstanceId {
        id("10.0.0.2@-@1-bbbbbb")
    }

    /// Two instances of ours, led by the other, with an item each.
    fn view() -> View {
        let mut view = View::new("job");
        for (item, id) in [(0, me()), (1, other())] {
            view.servers.insert(id.server().to_owned(), ServerStatus::Enabled);
            view.instances.insert(id.clone());
            view.members.insert(id.clone(), Member::default());
            view.give(item, Some(id));
        }
        view.leader = Some(other());
        view
    }

    fn check(change: impl FnOnce(&mut View), expected: Option<&str>) {
        let mut view = view();
        change(&mut view);
        assert_eq!(reason(&view, &me(), 0, TOTAL), expected);
    }

    #[test]
    fn a_run_should_go_on_while_its_item_stays() {
        check(|_| {}, None);
        check(|view| view.servers.clear(), None);
        check(|view| view.items.clear(), None);
        check(|view| view.leader = None, None);
        check(|view| view.items.get_mut(&1).expect("an item").is_disabled = true, None);
    }

    #[test]
    fn ends_a_run_that_an_operator_switched_off() {
        let switch_off = |view: &mut View| {
            view.servers.insert("10.0.0.1".to_owned(), ServerStatus::Disabled);
        };
        check(switch_off, Some("the server is switched off"));
        check(
            |view| view.items.get_mut(&0).expect("an item").is_disabled = true,
            Some("the item is switched off"),
        );
        assert_eq!(reason(&view(), &me(), 2, TOTAL), Some("the job has fewer items now"));
    }

    #[test]
    fn ends_a_run_once_the_job_is_paused() {
        let found = || Some((Vec::new(), crate::registry::Stat::default()));
        check(|view| view.read("/job/ledger/pause", found()), Some(PAUSED));
    }

    #[test]
    fn ends_what_moves_or_all_under_a_java_leader() {
        check(|view| view.is_resharding_necessary = true, None);
        let java = |view: &mut View| {
            view.is_resharding_necessary = true;
            view.members.remove(&other());
        };
        check(java, Some("the leader waits for all items to share them out"));
    }

    #[test]
    fn keeps_a_takeover_until_its_item_moves() {
        check(|view| view.give(0, Some(id("10.0.0.3@-@1-cccccc"))), None);
        check(
            |view| view.give(0, Some(other())),
            Some("the item belongs to another instance"),
        );
    }
}
