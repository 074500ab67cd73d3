//! The watches of one job, taken for one.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};

use crate::cluster::scope::Scope;
use crate::cluster::session::Membership;
use crate::registry::{self, Watch, WatchEvent};

/// What is watched of a job.
#[derive(Debug)]
pub(super) struct Watches {
    scope: Scope,
    /// By path.
    watches: BTreeMap<String, Box<dyn Watch>>,
}

/// Watches that have been set, to be added.
pub(super) type Set = Vec<(String, Box<dyn Watch>)>;

impl Watches {
    /// The whole subtree.
    pub(super) async fn whole(membership: &Membership, job: &str) -> Result<Self, registry::Error> {
        let paths = Scope::Whole.paths(job);
        let watches = set(membership, paths).await?.into_iter().collect();
        Ok(Self {
            scope: Scope::Whole,
            watches,
        })
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The paths that `scope` needs and that are not watched yet.
    pub(super) fn missing(&self, scope: &Scope, job: &str) -> BTreeSet<String> {
        scope
            .paths(job)
            .into_iter()
            .filter(|path| !self.watches.contains_key(path))
            .collect()
    }

    /// Takes newly set watches in, and drops those that `scope` does not need; gives the scope before. All events of
    /// those that are dropped must have been taken.
    pub(super) fn become_of(&mut self, scope: Scope, set: Set, job: &str) -> Scope {
        self.watches.extend(set);
        let paths = scope.paths(job);
        self.watches.retain(|path, _| paths.contains(path));
        std::mem::replace(&mut self.scope, scope)
    }

    /// The next event of any.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        for watch in self.watches.values_mut() {
            if let Poll::Ready(event) = watch.poll_next(cx) {
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }
}

/// Sets watches one after the other.
pub(super) async fn set(membership: &Membership, paths: BTreeSet<String>) -> Result<Set, registry::Error> {
    let mut set = Vec::with_capacity(paths.len());
    for path in paths {
        let watch = membership.session().watch(&path).await?;
        set.push((path, watch));
    }
    Ok(set)
}
