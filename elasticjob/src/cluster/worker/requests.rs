//! Requests to the registry. Each is made beside the loop, which attends to its answer as to any other event.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::layout::Node;
use crate::cluster::mutation::Mutation;
use crate::cluster::transaction::Transaction;
use crate::registry::{Answer, Error, Read, Step, WriteError, Written};

use super::Worker;
use super::answer::{Answered, FiringAnswer};
use super::attend::Live;
use super::hindrance::unhurried;

/// Between attempts to create ledgers.
const LEDGERS_PAUSE: Duration = Duration::from_millis(50);

/// Between attempts to read what has changed.
const DIRTY_PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    pub(super) fn write(
        &self,
        live: &mut Live,
        steps: Vec<Step>,
        answer: impl FnOnce(Result<Vec<Written>, WriteError>) -> Answered + Send + 'static,
    ) {
        let membership = Arc::clone(&live.membership);
        live.requests.push(Box::pin(
            async move { answer(unhurried(membership.write(steps)).await) },
        ));
    }

    /// Writes as a member, which is refused to whoever was removed: the job may have begun anew since, with other nodes
    /// of the same names and versions.
    pub(super) fn write_as_member(
        &self,
        live: &mut Live,
        steps: Vec<Step>,
        answer: impl FnOnce(Result<Vec<Written>, WriteError>) -> Answered + Send + 'static,
    ) {
        self.write(live, as_member(live, steps), answer);
    }

    /// Creates ledgers that are missing.
    pub(super) fn create_ledgers(&self, live: &mut Live, steps: Vec<Step>) {
        live.firing.start(());
        let (membership, steps) = (Arc::clone(&live.membership), as_member(live, steps));
        live.requests.push(Box::pin(async move {
            let result = unhurried(membership.write(steps)).await;
            if result.is_err() {
                // They are looked for again as soon as this is known, and why it was refused may be told much later.
                tokio::time::sleep(LEDGERS_PAUSE).await;
            }
            Answered::Firing(FiringAnswer::Created(result))
        }));
    }

    pub(super) fn read(
        &self,
        live: &mut Live,
        reads: Vec<Read>,
        answer: impl FnOnce(Result<Vec<Answer>, Error>) -> Answered + Send + 'static,
    ) {
        let membership = Arc::clone(&live.membership);
        live.requests
            .push(Box::pin(async move { answer(unhurried(membership.read(reads)).await) }));
    }

    /// Reads what events said has changed.
    pub(super) fn read_dirty(&mut self, live: &mut Live) {
        let Some(paths) = live.follower.begin_reading() else {
            return;
        };
        let reads = paths.iter().cloned().map(Read::Data).collect();
        let membership = Arc::clone(&live.membership);
        live.requests.push(Box::pin(async move {
            let result = unhurried(membership.read(reads)).await;
            if result.is_err() {
                // They stay to be read, which begins as soon as this is known. The loss of the connection may be told later.
                tokio::time::sleep(DIRTY_PAUSE).await;
            }
            Answered::Read(paths, result)
        }));
    }
}

/// The steps behind a check that we are a member of the job.
fn as_member(live: &Live, steps: Vec<Step>) -> Vec<Step> {
    let id = live.membership.id();
    let mut transaction = Transaction::on(&live.follower.view);
    // An operator may have removed either: the instance, to shut it down, or all ledgers.
    let node = match live.follower.view.members.contains_key(id) {
        true => Node::Member(id.as_str()),
        false => Node::Instance(id.as_str()),
    };
    if !Mutation::IgnoreMembership.is_on() {
        transaction.check(node, None);
    }
    transaction.extend(steps);
    transaction.into_steps()
}
