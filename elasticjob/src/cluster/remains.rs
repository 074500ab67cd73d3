//! What an instance that is given up has in the registry: all nodes of the job that live by its session.
//!
//! They are found by their session alone, so a new kind of node cannot be forgotten.
//!
//! A session is shared by all jobs of a process. If one job leaves, or begins again after a panic, the session lives
//! on, and the registry does not remove that job's nodes by itself.

use crate::registry::{Error, Step};

use super::layout::Node;
use super::session::Membership;
use super::transaction::packed;
use super::walk::walk;

/// How much is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    All,
    /// The marks and the member node stay: no other instance may run these items yet.
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
    let steps = in_order(job, found.into_iter().filter(is_removed).collect());
    for part in packed(steps, membership.limits()) {
        if !part.is_empty() {
            membership.write(part).await.map_err(|refused| refused.error)?;
        }
    }
    Ok(())
}

/// Returns the steps that remove these nodes, in an order that is safe if one transaction does not take them all: what says
/// that the instance lives goes last. While it stands no other claims the items, so that no mark which goes here can be that of
/// another instance.
fn in_order(job: &str, mut paths: Vec<String>) -> Vec<Vec<Step>> {
    let says_that_we_live = |path: &str| matches!(Node::parse(job, path), Some(Node::Member(_) | Node::Instance(_)));
    paths.sort_by_key(|path| says_that_we_live(path));
    let delete = |path| vec![Step::Delete { path, version: None }];
    paths.into_iter().map(delete).collect()
}

/// Returns whether anything at or below the path can live by a session. Items of the ledger are many, and never do.
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

#[cfg(test)]
mod tests {
    use super::*;

    mod an_instance_that_is_given_up {
        use super::*;

        #[test]
        fn goes_after_its_marks() {
            let paths = [
                "instances/a@-@1",
                "ledger/members/a@-@1",
                "sharding/0/running",
                "sharding/1/running",
            ];
            let steps = in_order("job", paths.iter().map(|path| format!("/job/{path}")).collect());
            let order: Vec<&str> = steps.iter().map(|steps| steps[0].path()).collect();
            let expected = [paths[2], paths[3], paths[0], paths[1]].map(|path| format!("/job/{path}"));
            assert_eq!(order, expected);
        }
    }
}
