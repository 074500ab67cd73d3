//! Reading a job's whole subtree, level by level.

use crate::registry::{Answer, Error, Read, Stat};

use super::layout::{Guarantee, Moment, Node};
use super::session::Membership;
use super::view::View;

/// Most nodes that are read in one request: their answers stay well below what a connection takes at once.
const BATCH: usize = 400;

/// Reads all of a job's nodes that the view has an interest in.
///
/// What is written meanwhile may be missed: the watch has to be set before, and its events noted afterwards.
pub(crate) async fn read(membership: &Membership, job: &str) -> Result<View, Error> {
    let mut view = View::new(job);
    let mut level = vec![Node::Root.of(job)];
    while !level.is_empty() {
        let mut next = Vec::new();
        for paths in level.chunks(BATCH) {
            let reads = paths
                .iter()
                .flat_map(|path| [Read::Data(path.clone()), Read::Children(path.clone())])
                .collect();
            let mut answers = membership.read(reads).await?.into_iter();
            for path in paths {
                let (data, children) = (answers.next(), answers.next());
                if let Some(Answer::Data(Some(found))) = data {
                    view.read(path, Some(found));
                }
                if let Some(Answer::Children(Some(children))) = children {
                    let below = children.into_iter().map(|name| format!("{path}/{name}"));
                    next.extend(below.filter(|path| is_read(&mut view, job, path)));
                }
            }
        }
        level = next;
    }
    Ok(view)
}

/// Whether the node has to be read; notes it right away where its being there is all that matters.
fn is_read(view: &mut View, job: &str, path: &str) -> bool {
    match Node::parse(job, path) {
        // Read when the item becomes ours.
        Some(Node::LedgerItem(_)) => {
            view.read(path, Some((Vec::new(), Stat::default())));
            false
        }
        // For people, who read them by themselves.
        Some(Node::Notes) => false,
        Some(Node::Standby(_)) => {
            view.read(path, Some((Vec::new(), Stat::default())));
            false
        }
        Some(Node::Guarantee(Guarantee::Root | Guarantee::Gathering(Moment::Started))) => true,
        Some(Node::Guarantee(Guarantee::Item(Moment::Started, _))) => {
            view.read(path, Some((Vec::new(), Stat::default())));
            false
        }
        // Whoever waits at a gathering reads it.
        Some(Node::Called | Node::Guarantee(_)) => false,
        Some(_) => true,
        None => false,
    }
}
