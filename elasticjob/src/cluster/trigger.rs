//! Asking all instances of a job to run it now: `trigger/{id}`.
//!
//! The node is all that a Java member looks at; ours read the requests in it, so that whoever asked can find the
//! outcome in the ledger. Requests that were not taken yet are joined: they are answered by one run.

use crate::registry::{Answer, CreateMode, Error, Read, Stat};

use super::layout::Node;
use super::session::Membership;
use super::transaction::Transaction;
use super::view::View;

/// How often a request is tried that others, who trigger or take at the same time, get in the way of.
const ATTEMPTS: u32 = 20;

/// Records a request with all instances there are. Returns when it is recorded.
pub(crate) async fn request(membership: &Membership, job: &str, request: &str) -> Result<(), Error> {
    let mut refused = Error::ConnectionLoss;
    for _ in 0..ATTEMPTS {
        let names = [Node::Instances, Node::Members, Node::Trigger].map(|node| Read::Children(node.of(job)));
        let mut answers = membership.read(names.to_vec()).await?.into_iter();
        let mut children = || match answers.next() {
            Some(Answer::Children(children)) => children,
            _ => None,
        };
        let (instances, members, pending) = (
            children().unwrap_or_default(),
            children().unwrap_or_default(),
            children(),
        );

        let mut view = View::new(job);
        if pending.is_some() {
            view.read(&Node::Trigger.of(job), Some((Vec::new(), Stat::default())));
        }
        let pending = pending.unwrap_or_default();
        let data = membership
            .read(
                pending
                    .iter()
                    .map(|id| Read::Data(Node::TriggerFor(id).of(job)))
                    .collect(),
            )
            .await?;

        let mut transaction = Transaction::on(&view);
        for (id, answer) in pending.iter().zip(data) {
            match answer {
                Answer::Data(Some((data, stat))) if instances.contains(id) => {
                    let before = String::from_utf8_lossy(&data).into_owned();
                    let joined = if before.is_empty() {
                        request.to_owned()
                    } else {
                        format!("{before},{request}")
                    };
                    // Somebody may take it meanwhile: then the version is gone with it.
                    transaction.set(Node::TriggerFor(id), joined, Some(stat.version));
                }
                // Left over from an instance that is gone.
                Answer::Data(Some(_)) => {
                    transaction.delete(Node::TriggerFor(id));
                }
                _ => {}
            }
        }
        for id in instances.iter().filter(|id| !pending.contains(id)) {
            // Java writes nothing into it, and no Java member reads it.
            let data = if members.contains(id) { request } else { "" };
            transaction.create(Node::TriggerFor(id), data, CreateMode::Persistent);
        }
        match membership.write(transaction.into_steps()).await {
            Ok(_) => return Ok(()),
            Err(error) => match error.error {
                raced @ (Error::NodeExists | Error::NoNode | Error::BadVersion) => refused = raced,
                other => return Err(other),
            },
        }
    }
    Err(refused)
}
