//! The watches of one job, taken for one.
//!
//! A small job has one watch on its whole subtree. A large one has a watch on each of its parts that concern all
//! instances and one on each own item, so that an event in the item of another instance is not sent here at all. Which
//! these are is decided by the scope.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::cluster::scope::Scope;
use crate::cluster::session::Membership;
use crate::registry::{self, Watch, WatchEvent};

use super::awake::{Awake, Awakened};

/// So many watches are being set at a time.
const SETTING: usize = 16;

/// What is watched of a job.
///
/// The paths are exactly those of the scope: a watch that the scope does not need would have the view know of items
/// that no watch keeps true.
#[derive(Debug)]
pub(in crate::cluster::worker) struct Watches {
    scope: Scope,
    /// By path.
    watches: BTreeMap<String, Watched>,
    /// Those that may have an event. An instance may have thousands of items and a watch on each: not all are asked for
    /// each event.
    awake: Arc<Awake>,
}

/// A watch, and what it wakes when it has an event.
#[derive(Debug)]
struct Watched {
    watch: Box<dyn Watch>,
    waker: Waker,
}

/// Watches that have been set, to be added.
pub(in crate::cluster::worker) type Set = Vec<(String, Box<dyn Watch>)>;

impl Watches {
    /// The whole subtree.
    pub(in crate::cluster::worker) async fn whole(membership: &Membership, job: &str) -> Result<Self, registry::Error> {
        let set = set(membership, Scope::Whole.paths(job)).await?;
        let mut watches = Self {
            scope: Scope::Whole,
            watches: BTreeMap::new(),
            awake: Arc::default(),
        };
        watches.add(set);
        Ok(watches)
    }

    /// Returns what is watched.
    pub(in crate::cluster::worker) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The paths that `scope` needs and that are not watched yet.
    pub(in crate::cluster::worker) fn missing(&self, scope: &Scope, job: &str) -> BTreeSet<String> {
        scope
            .paths(job)
            .into_iter()
            .filter(|path| !self.watches.contains_key(path))
            .collect()
    }

    /// Takes newly set watches in, and drops those that `scope` does not need; gives the scope before. All events of
    /// those that are dropped must have been taken.
    pub(in crate::cluster::worker) fn become_of(&mut self, scope: Scope, set: Set, job: &str) -> Scope {
        self.add(set);
        let paths = scope.paths(job);
        self.watches.retain(|path, _| paths.contains(path));
        std::mem::replace(&mut self.scope, scope)
    }

    /// Adds watches, each to be polled once: what it had before has woken no task here.
    fn add(&mut self, set: Set) {
        for (path, watch) in set {
            let waker = Waker::from(Arc::new(Awakened::new(path.clone(), &self.awake)));
            // It may have had events before it was ours.
            self.awake.add(path.as_str().into());
            self.watches.insert(path, Watched { watch, waker });
        }
    }

    /// The next event of any.
    ///
    /// Events of one watch come in order. Those of two watches may come in any order.
    pub(in crate::cluster::worker) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        self.awake.wakes(cx.waker());
        while let Some(path) = self.awake.first() {
            // It may have been dropped since it woke.
            let Some(Watched { watch, waker }) = self.watches.get_mut(&*path) else {
                continue;
            };
            if let Poll::Ready(event) = watch.poll_next(&mut Context::from_waker(waker)) {
                // It may have more, and wakes the task only after it had none.
                self.awake.add(path);
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }
}

/// Sets watches.
///
/// Up to sixteen are asked for at a time, and none is kept if one fails.
pub(in crate::cluster::worker) async fn set(
    membership: &Membership,
    paths: BTreeSet<String>,
) -> Result<Set, registry::Error> {
    let watch = async |path: String| {
        let watch = membership.session().watch(&path).await?;
        Ok((path, watch))
    };
    stream::iter(paths.into_iter().map(watch))
        .buffered(SETTING)
        .try_collect()
        .await
}
