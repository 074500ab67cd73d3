//! What an instance that is given up has in the registry: all nodes of the job that live by its session.
//!
//! Whatever they are: what is found by its session alone cannot be forgotten.

use crate::limits;
use crate::registry::{Error, Step, size_of};

use super::layout::Node;
use super::session::Membership;
use super::transaction::packed;
use super::walk::walk;

/// How much is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    All,
    /// What says that items run stays, and that we are alive: they are nobody else's yet.
    AllButRuns,
}

/// Removes what the session has in the job's subtree.
///
/// # Errors
/// When something of it may be left: it is to be called again.
pub(crate) async fn remove(membership: &Membership, job: &str, extent: Extent) -> Result<(), Error> {
    let session = membership.session().id();
    // What was sent before a connection was lost has happened by now, or never will.
    membership.sync().await?;
    let mut found = Vec::new();
    walk::<Error>(&**membership.session(), Node::Root.of(job), |node| {
        if node.stat.ephemeral_owner == session {
            found.push(node.path);
        }
        Ok(node
            .children
            .into_iter()
            .filter(|path| may_hold_some(job, path))
            .collect())
    })
    .await?;
    let is_removed = |path: &String| extent == Extent::All || !is_of_runs(job, path);
    let steps = found
        .into_iter()
        .filter(is_removed)
        .map(|path| vec![Step::Delete { path, version: None }]);
    for part in packed(steps, limits::transaction_size(), size_of) {
        if !part.is_empty() {
            membership.write(part).await.map_err(|refused| refused.error)?;
        }
    }
    Ok(())
}

/// Whether anything at or below the path can live by a session. Items of the ledger are many, and never do.
fn may_hold_some(job: &str, path: &str) -> bool {
    !matches!(
        Node::parse(job, path),
        Some(
            Node::LedgerItems
                | Node::Notes
                | Node::Config
                | Node::Servers
                | Node::Epoch
                | Node::Called
                | Node::Cancels
                | Node::Requests
        )
    )
}

fn is_of_runs(job: &str, path: &str) -> bool {
    matches!(Node::parse(job, path), Some(Node::Member(_) | Node::ItemState { .. }))
}
