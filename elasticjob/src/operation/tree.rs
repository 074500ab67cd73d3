//! All nodes below a path, whatever they are.

use std::collections::BTreeMap;

use crate::registry::{self, Answer, Read, Session};

/// Most nodes whose data is read in one request: it may be large.
const BATCH: usize = 50;

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
    let mut level = vec![root.to_owned()];
    while !level.is_empty() {
        let mut next = Vec::new();
        for paths in level.chunks(BATCH) {
            let reads = paths
                .iter()
                .flat_map(|path| [Read::Data(path.clone()), Read::Children(path.clone())]);
            let mut answers = session.read(reads.collect()).await?.into_iter();
            for path in paths {
                let (data, children) = (answers.next(), answers.next());
                let Some(Answer::Data(Some((data, _)))) = data else {
                    continue;
                };
                let names = match children {
                    Some(Answer::Children(Some(names))) => names,
                    _ => Vec::new(),
                };
                bytes += path.len() + data.len();
                let below: Vec<String> = names.into_iter().map(|name| format!("{path}/{name}")).collect();
                next.extend_from_slice(&below);
                found.insert(path.clone(), (data, below));
            }
            if bytes > limits.bytes || found.len() + next.len() > limits.nodes {
                return Err(TreeError::TooLarge(limits));
            }
        }
        level = next;
    }
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
