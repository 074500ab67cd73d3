//! Reads all nodes below a path.

use std::collections::BTreeMap;

use crate::cluster::walk::walk;
use crate::registry::{self, Session};

/// How large a subtree may be that is read at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) nodes: usize,
    pub(crate) bytes: usize,
}

/// Why a subtree was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error("it has more than {} nodes or {} bytes", .0.nodes, .0.bytes)]
    TooLarge(Limits),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// The nodes below `root`, without it: parents before their children, children in descending order.
pub(crate) async fn subtree(
    session: &dyn Session,
    root: &str,
    limits: Limits,
) -> Result<Vec<(String, Vec<u8>)>, TreeError> {
    let mut found: BTreeMap<String, (Vec<u8>, Vec<String>)> = BTreeMap::new();
    let mut bytes = 0;
    let mut known = 1;
    walk(session, root.to_owned(), |node| {
        bytes += node.path.len() + node.data.len();
        known += node.children.len();
        if bytes > limits.bytes || known > limits.nodes {
            return Err(TreeError::TooLarge(limits));
        }
        found.insert(node.path, (node.data, node.children.clone()));
        Ok(node.children)
    })
    .await?;
    Ok(in_order(found, root))
}

fn in_order(mut found: BTreeMap<String, (Vec<u8>, Vec<String>)>, root: &str) -> Vec<(String, Vec<u8>)> {
    let mut nodes = Vec::with_capacity(found.len());
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let Some((data, mut below)) = found.remove(&path) else {
            continue;
        };
        // The last is taken first, which makes the order descending.
        below.sort();
        waiting.extend(below);
        if path != root {
            nodes.push((path, data));
        }
    }
    nodes
}
