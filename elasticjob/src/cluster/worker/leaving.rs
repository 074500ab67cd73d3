//! Leaving the job: after a command to stop, or after an operator removed the instance.
//!
//! Leaving is a sequence of states that the loop comes by:
//!
//! 1. The job drains: nothing starts, runs are asked to end, and the member node says so, so that the leader gives the
//!    items away at once.
//! 2. At the end of the grace period what still runs is cancelled.
//! 3. When all has ended and its end is recorded, one transaction removes all nodes of ours. It waits for requests that
//!    are under way, because these may create a node that no instance would remove.
//! 4. What does not end when it is cancelled is waited for a little longer and then left behind, with its mark. The
//!    mark goes with the session, so that no other instance runs the item before the process has ended its session.
//!
//! An instance that is gone from the registry although its session lives was removed by an operator, who thereby asks
//! it to stop. It looks the same when the session has ended and the word of that is late, so that the registry is asked
//! before anything is concluded.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::cluster::core::governor::resharding;
use crate::cluster::latch;
use crate::cluster::layout::Node;
use crate::cluster::member::Member;
use crate::cluster::transaction::Transaction;
use crate::registry::{Answer, Error, Read};

use super::Worker;
use super::answer::Answered;
use super::flight::Flight;
use super::join::Joined;
use super::report::hindrance::unhurried;
use super::signals::{LetGo, Signals};

/// What does not end when it is cancelled is waited for no longer than this before we leave without it.
pub(super) const OVERRUN_LIMIT: Duration = Duration::from_secs(5);

/// Between attempts to say what has changed about us.
const TELL_PAUSE: Duration = Duration::from_millis(200);

/// Between attempts to learn why our instance is gone.
const REMOVAL_PAUSE: Duration = Duration::from_millis(200);

/// What the other instances know of this one.
#[derive(Debug)]
pub(super) struct Announced {
    /// `None` if that is not known.
    member: Option<Member>,
    flight: Flight,
}

impl Announced {
    /// What was said in the registration.
    pub(super) fn new(member: Member) -> Self {
        Self {
            member: Some(member),
            flight: Flight::Idle,
        }
    }

    /// Takes in what was written; `None` if it may not have come about.
    pub(super) fn answered(&mut self, member: Option<Member>) {
        self.flight.land();
        self.member = member;
    }
}

impl Worker {
    /// Cancels what runs once the grace period is over.
    pub(super) fn cancel_when_due(&mut self) {
        if self.stopping.is_some_and(|at| at <= Instant::now()) {
            self.let_go(LetGo::Leaving);
        }
    }

    /// Stops what runs once nothing in the registry says that it does: the job was removed with all that is its own, or our
    /// session ended. Either way others may run the items from now on.
    pub(super) fn cancel_when_removed(&mut self, joined: &Joined) {
        let runs_on = |signals: &Signals| !signals.cancellation.is_cancelled();
        let is_at_work = || self.signals.values().any(runs_on) || self.listener_calls.is_going_on();
        if !joined.follower.view.is_alive(joined.membership.id()) && is_at_work() {
            let job = self.application.name();
            warn!(job, "removed from the registry while items run, which are cancelled");
            self.let_go(LetGo::Removed);
        }
    }

    /// Looks, where our instance is gone from the registry, whether an operator removed it: the end of our session does,
    /// too, and the word of that comes later. Only an answer that needs the session tells them apart.
    pub(super) fn check_removal(&self, joined: &mut Joined) {
        if self.stopping.is_some()
            || !joined.removal_check.is_idle()
            || joined.follower.view.instances.contains(joined.membership.id())
        {
            return;
        }
        joined.removal_check.start(());
        let membership = Arc::clone(&joined.membership);
        let node = Node::Instance(membership.id().as_str()).of(self.application.name());
        joined.requests.push(Box::pin(async move {
            let answers = unhurried(membership.read_in_sync(vec![Read::Data(node)])).await;
            if answers.is_err() {
                // It is asked again as soon as this is known. The end of the session may become known later.
                tokio::time::sleep(REMOVAL_PAUSE).await;
            }
            Answered::RemovalChecked(answers.map(|answers| answers == [Answer::Data(None)]))
        }));
    }

    /// Our instance was looked for, by a session that lives.
    ///
    /// If it is there after all, an event was missed, and the job is read again.
    pub(super) fn removal_checked(&mut self, joined: &mut Joined, is_removed: Result<bool, Error>) {
        joined.removal_check.land();
        match is_removed {
            Ok(true) => {
                let job = self.application.name();
                info!(
                    job,
                    "shut down by an operator: the instance was removed from the registry"
                );
                self.stop(Instant::now() + self.process.operator_grace);
                joined.governing.look();
            }
            Ok(false) => joined.follower.fall_behind(),
            // The end of the session is about to become known, or a reconnect, which reads everything again.
            Err(error) => debug!(job = self.application.name(), %error, "cannot tell whether the instance was removed"),
        }
    }

    /// Leaves the job once all has ended, when it is to stop.
    pub(super) fn leave_when_due(&mut self, joined: &mut Joined) {
        let Some(cancel_at) = self.stopping else { return };
        let is_idle = self.firings.is_idle() && self.listener_calls.is_idle();
        let is_over = is_idle || cancel_at + OVERRUN_LIMIT <= Instant::now();
        if !is_over {
            joined.wake_by(self.process.clock.elapsed() + OVERRUN_LIMIT);
            return;
        }
        // What is under way may create a node that has to be taken along.
        if !joined.leaving.is_idle() || !joined.firing.is_idle() || !joined.governing.is_idle() {
            return;
        }
        joined.leaving.start(());
        let overrunning: Vec<u32> = self.firings.running().collect();
        if !overrunning.is_empty() {
            warn!(job = self.application.name(), items = ?overrunning, "leaving while items overrun");
        }
        let id = joined.membership.id();
        let mut transaction = Transaction::on(&joined.follower.view);
        if joined.follower.view.leader.as_ref() == Some(id) {
            transaction.delete(Node::LeaderInstance);
            resharding::leave_to_java(&joined.follower.view, &mut transaction);
        }
        // They would hold back those behind them for as long as our session lives.
        for name in latch::standing(&joined.follower.view.candidates, joined.membership.latch()).own {
            transaction.delete(Node::ElectionCandidate(name));
        }
        for name in latch::standing(&joined.follower.view.failover_candidates, joined.membership.latch()).own {
            transaction.delete(Node::FailoverCandidate(name));
        }
        if joined.follower.view.triggers.contains_key(id) {
            transaction.delete(Node::TriggerFor(id.as_str()));
        }
        if joined.follower.view.members.contains_key(id) {
            transaction.delete(Node::Member(id.as_str()));
        }
        if joined.follower.view.instances.contains(id) {
            transaction.delete(Node::Instance(id.as_str()));
        }
        let steps = transaction.into_steps();
        self.write(joined, steps, Answered::Left);
    }

    /// What there is to be known of us by the others of ours.
    ///
    /// It is written on joining and whenever it changes.
    pub(super) fn member(&self) -> Member {
        Member {
            draining: self.stopping.is_some(),
            labels: self.application.labels.to_vec(),
            obeys_pause: true,
            obeys_cancels: true,
            obeys_requests: true,
            outdated: self.reporter.status().outdated(),
            differences: self.reporter.status().differences(),
            hindrances: self.reporter.status().hindrances(),
        }
    }

    /// Tells the others of ours what has changed about us: that we are about to leave, so that the leader gives our items
    /// away at once, or that we run by an older configuration.
    pub(super) fn tell_member(&self, joined: &mut Joined) {
        let id = joined.membership.id();
        if !joined.announced.flight.is_idle() || !joined.follower.view.members.contains_key(id) {
            return;
        }
        let member = self.member();
        if joined.announced.member.as_ref() == Some(&member) {
            return;
        }
        joined.announced.flight.start(());
        let mut transaction = Transaction::on(&joined.follower.view);
        transaction.set(Node::Member(id.as_str()), member.to_bytes(), None);
        let (steps, membership) = (transaction.into_steps(), Arc::clone(&joined.membership));
        joined.requests.push(Box::pin(async move {
            let result = unhurried(membership.write(steps)).await;
            if result.is_err() {
                // It is tried again as soon as this is known.
                tokio::time::sleep(TELL_PAUSE).await;
            }
            Answered::MemberWritten(result.ok().map(|_| member))
        }));
    }
}
