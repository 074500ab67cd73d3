//! Election: the instance that `leader/election/instance` names leads.
//!
//! The leader only computes: each of its writes is checked by the registry against its leadership and the epoch,
//! so two that both believe they lead do no harm. The first contender of a Curator latch writes the node,
//! because Java members overwrite it inside their latch.
//!
//! Not every instance stands for election at once: with a thousand of them, a thousand contenders would be created and
//! deleted again for one leader. The first three by the order of their ids stand at once. If there is no leader after a
//! second, all do. Safety does not rest on this, only the number of requests.
//!
//! The steps of one election: create a contender (ephemeral, sequential); if it is first in the latch, create the
//! leader node and delete the contender in one transaction. If two instances take themselves for the first, the node
//! exists for the second, and the registry refuses it.

use std::time::Duration;

use crate::cluster::core::governor::resharding;
use crate::cluster::instance::InstanceId;
use crate::cluster::latch;
use crate::cluster::layout::Node;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::{CreateMode, Step};

/// How many of the instances, by order of their ids, stand for election at once.
const FIRST: usize = 3;

/// How long the others leave it to them.
const PATIENCE: Duration = Duration::from_secs(1);

/// What there is to do about the leadership.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Election {
    Settled,
    /// Look again after this long, if nothing happened before.
    Wait(Duration),
    Write(Vec<Step>),
}

/// Returns the next step of `me`, which has seen no leader for `leaderless`. `uuid` is in the names of its contenders.
pub(crate) fn next(view: &View, me: &InstanceId, uuid: &str, leaderless: Duration) -> Election {
    let latch::Standing { own, is_first } = latch::standing(&view.candidates, uuid);
    let mut transaction = Transaction::on(view);

    if let Some(leader) = &view.leader {
        if leader == me && view.servers.contains_key(me.server()) && !view.is_enabled(me) {
            // An operator switched us off: abdicate.
            transaction.delete(Node::LeaderInstance);
            resharding::leave_to_java(view, &mut transaction);
        }
        remove(&mut transaction, &own);
        return written(transaction);
    }
    if !view.is_available(me) {
        remove(&mut transaction, &own);
        return written(transaction);
    }
    let Some((contender, surplus)) = own.split_first() else {
        let place = view
            .instances
            .iter()
            .filter(|id| view.is_enabled(id))
            .take_while(|id| *id != me)
            .count();
        if place >= FIRST && leaderless < PATIENCE {
            return Election::Wait(PATIENCE - leaderless);
        }
        let name = latch::contender(uuid);
        transaction.create(Node::ElectionCandidate(&name), "", CreateMode::EphemeralSequential);
        return written(transaction);
    };
    // An unknown outcome can have left more than one of ours: the first is kept.
    remove(&mut transaction, surplus);
    if is_first {
        transaction.create(Node::LeaderInstance, me.as_str(), CreateMode::Ephemeral);
        transaction.delete(Node::ElectionCandidate(contender));
    }
    written(transaction)
}

/// Takes the contenders of an instance that is about to leave out of the election: it will never lead, and would hold
/// back those behind it until it has left.
pub(crate) fn withdraw(view: &View, uuid: &str) -> Election {
    let mut transaction = Transaction::on(view);
    remove(&mut transaction, &latch::standing(&view.candidates, uuid).own);
    written(transaction)
}

fn remove(transaction: &mut Transaction<'_>, candidates: &[&str]) {
    for name in candidates {
        transaction.delete(Node::ElectionCandidate(name));
    }
}

fn written(transaction: Transaction<'_>) -> Election {
    if transaction.is_empty() {
        Election::Settled
    } else {
        Election::Write(transaction.into_steps())
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::cluster::fixtures::{self, id};

    const LATCH: &str = "6f56c8bc-0000-4000-8000-000000000001";

    fn view(nodes: &[&str]) -> View {
        let always = [
            "/leader",
            "/leader/election",
            "/leader/election/latch",
            "/servers/a=ENABLED",
        ];
        fixtures::view(always.iter().chain(nodes).copied())
    }

    fn paths(election: Election) -> Vec<String> {
        match election {
            Election::Write(steps) => steps
                .into_iter()
                .map(|step| match step {
                    Step::Create { path, .. } => format!("+{path}"),
                    Step::Delete { path, .. } => format!("-{path}"),
                    other => panic!("unexpected {other:?}"),
                })
                .collect(),
            other => panic!("unexpected {other:?}"),
        }
    }

    #[test]
    fn contends_without_a_leader() {
        let view = view(&["/instances/a@-@1"]);
        let steps = paths(next(&view, &id("a@-@1"), LATCH, Duration::ZERO));
        assert_eq!(steps, [format!("+/job/leader/election/latch/_c_{LATCH}-latch-")]);
    }

    #[test]
    fn orders_contenders_by_number() {
        let mine = format!("/leader/election/latch/_c_{LATCH}-latch-0000000001");
        let view = view(&[
            "/instances/a@-@1",
            &mine,
            "/leader/election/latch/_c_00-latch-0000000002",
        ]);
        let steps = paths(next(&view, &id("a@-@1"), LATCH, Duration::ZERO));
        assert_eq!(
            steps,
            ["+/job/leader/election/instance".to_owned(), format!("-/job{mine}")]
        );
    }

    #[test]
    fn a_later_contender_should_wait() {
        let mine = format!("/leader/election/latch/_c_{LATCH}-latch-0000000003");
        let view = view(&[
            "/instances/a@-@1",
            &mine,
            "/leader/election/latch/_c_zz-latch-0000000002",
        ]);
        assert_eq!(next(&view, &id("a@-@1"), LATCH, Duration::ZERO), Election::Settled);
    }

    #[test]
    fn contenders_left_by_an_unknown_outcome_should_be_removed() {
        let first = format!("/leader/election/latch/_c_{LATCH}-latch-0000000003");
        let second = format!("/leader/election/latch/_c_{LATCH}-latch-0000000004");
        let led = view(&["/instances/a@-@1", &first, &second, "/leader/election/instance=a@-@2"]);
        let steps = paths(next(&led, &id("a@-@1"), LATCH, Duration::ZERO));
        assert_eq!(steps, [format!("-/job{first}"), format!("-/job{second}")]);

        // Of its own a contender keeps the first alone, so that none is left when it leads.
        let between = "/leader/election/latch/_c_00000000-0000-0000-0000-000000000000-latch-0000000001";
        let waiting = view(&["/instances/a@-@1", between, &first, &second]);
        let steps = paths(next(&waiting, &id("a@-@1"), LATCH, Duration::ZERO));
        assert_eq!(steps, [format!("-/job{second}")]);
    }

    #[test]
    fn leaves_the_election_to_the_first_for_a_while() {
        let view = view(&[
            "/instances/a@-@1",
            "/instances/a@-@2",
            "/instances/a@-@3",
            "/instances/a@-@4",
        ]);
        let me = id("a@-@4");
        assert_eq!(
            next(&view, &me, LATCH, Duration::from_millis(400)),
            Election::Wait(Duration::from_millis(600))
        );
        assert!(matches!(next(&view, &me, LATCH, PATIENCE), Election::Write(_)));
    }

    #[test]
    fn abdicates_when_switched_off() {
        let off = view(&[
            "/instances/a@-@1",
            "/ledger/members/a@-@1",
            "/leader/election/instance=a@-@1",
            "/servers/a=DISABLED",
        ]);
        assert_eq!(
            paths(next(&off, &id("a@-@1"), LATCH, Duration::ZERO)),
            ["-/job/leader/election/instance"]
        );
        let after = view(&["/instances/a@-@1", "/servers/a=DISABLED"]);
        assert_eq!(next(&after, &id("a@-@1"), LATCH, PATIENCE), Election::Settled);
    }
}
