//! Reading what is to be known of a job's subtree.
//!
//! It is read when an instance joins, and when events may have been missed. What only people read, and what is read
//! when it is needed (the ledgers of other instances' items), is left out: for a job of many items that is most of it.

use crate::registry::{Error, Stat};

use super::layout::{Guarantee, Moment, Node};
use super::session::Membership;
use super::view::View;
use super::walk::walk;

/// Reads all of a job's nodes that the view has an interest in.
///
/// What is written meanwhile may be missed: the watch has to be set before, and its events noted afterwards.
pub(crate) async fn read(membership: &Membership, job: &str) -> Result<View, Error> {
    let mut view = View::within(membership.limits(), job);
    walk::<Error>(&**membership.session(), Node::Root.of(job), |node| {
        view.read(&node.path, Some((node.data, node.stat)));
        let children = node.children.into_iter();
        Ok(children.filter(|path| is_read(&mut view, job, path)).collect())
    })
    .await?;
    Ok(view)
}

/// Returns whether the node has to be read; notes it right away where its being there is all that matters.
fn is_read(view: &mut View, job: &str, path: &str) -> bool {
    match Node::parse(job, path) {
        // Read when the item becomes ours.
        Some(Node::LedgerItem(_)) => {
            view.read(path, Some((Vec::new(), Stat::default())));
            false
        }
        // For people, who read them by themselves.
        Some(Node::Notes | Node::Progresses) => false,
        Some(Node::Standby(_)) => {
            view.read(path, Some((Vec::new(), Stat::default())));
            false
        }
        Some(Node::Guarantee(Guarantee::Root | Guarantee::Barrier(Moment::Started))) => true,
        Some(Node::Guarantee(Guarantee::Item(Moment::Started, _))) => {
            view.read(path, Some((Vec::new(), Stat::default())));
            false
        }
        // An instance that waits at a barrier reads it itself.
        Some(Node::Called | Node::Guarantee(_)) => false,
        Some(_) => true,
        None => false,
    }
}
