//! Requests to the registry. Each is made beside the loop, which attends to its answer as to any other event.
//!
//! The loop never waits for the registry. Requests of one kind follow one another, and requests of different kinds go
//! side by side. A request that changes the job on behalf of this instance has a check in front that the instance is
//! still registered: if an operator has removed it, nothing of the transaction happens.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::core::firing;
use crate::cluster::core::request::{Io, Reply, Request};
use crate::cluster::layout::Node;
use crate::cluster::mutation::Mutation;
use crate::cluster::surveyed;
use crate::cluster::transaction::Transaction;
use crate::registry::{Step, WriteError, Written};

use super::Worker;
use super::answer::{Answered, Purpose};
use super::join::Joined;
use super::report::hindrance::unhurried;

/// Between attempts to create ledgers.
const LEDGERS_PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    /// Sends a transaction. `answer` makes of its result what the loop attends to.
    pub(super) fn write(
        &self,
        joined: &mut Joined,
        steps: Vec<Step>,
        answer: impl FnOnce(Result<Vec<Written>, WriteError>) -> Answered + Send + 'static,
    ) {
        let membership = Arc::clone(&joined.membership);
        joined.requests.push(Box::pin(
            async move { answer(unhurried(membership.write(steps)).await) },
        ));
    }

    /// Makes a request of decisions.
    ///
    /// It is noted as under way before it is sent, so that the same step asks no second time.
    pub(super) fn ask(&self, joined: &mut Joined, request: Request<Purpose>) {
        match &request.purpose {
            Purpose::Governor(_) => joined.governing.asked(),
            Purpose::Firing(_) => joined.firing.start(()),
            Purpose::Progress(_) => {}
        }
        let Request { purpose, io } = request;
        let membership = Arc::clone(&joined.membership);
        let job = self.application.name().to_owned();
        let io = match io {
            Io::WriteAsMember(steps) => Io::Write(as_member(joined, steps)),
            io => io,
        };
        joined.requests.push(Box::pin(async move {
            let reply = match io {
                Io::Write(steps) | Io::WriteAsMember(steps) => Reply::Written(unhurried(membership.write(steps)).await),
                Io::Read(reads) => Reply::Read(unhurried(membership.read(reads)).await),
                Io::ReadInSync(reads) => Reply::Read(unhurried(membership.read_in_sync(reads)).await),
                Io::Survey { items, total } => {
                    Reply::Surveyed(unhurried(surveyed::survey(&membership, &job, &items, total)).await)
                }
            };
            if let (Purpose::Firing(firing::Purpose::CreateLedgers), Err(_)) = (&purpose, reply.outcome()) {
                // They are looked for again as soon as this is known, and the reason may become known much later.
                tokio::time::sleep(LEDGERS_PAUSE).await;
            }
            Answered::Decided(purpose, reply)
        }));
    }
}

/// The steps behind a check that we are a member of the job.
fn as_member(joined: &Joined, steps: Vec<Step>) -> Vec<Step> {
    let id = joined.membership.id();
    let mut transaction = Transaction::on(&joined.follower.view);
    // An operator may have removed either: the instance, to shut it down, or all ledgers.
    let node = if joined.follower.view.members.contains_key(id) {
        Node::Member(id.as_str())
    } else {
        Node::Instance(id.as_str())
    };
    if !Mutation::IgnoreMembership.is_on() {
        transaction.check(node, None);
    }
    transaction.extend(steps);
    transaction.into_steps()
}
