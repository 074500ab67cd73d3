//! The watches of a session, and which of them a change concerns.
//!
//! A watch is on a node and all below it. Changes of other members and those of this session come in the same way, in
//! the order of their numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::registry::queue::Queue;
use crate::registry::{Error, Watch, WatchEvent, path};

/// The watches of a session, by path. Clones are the same watches.
#[derive(Clone, Debug, Default)]
pub(in crate::registry) struct Watches {
    // std mutex: never held across an await, nor while foreign code runs.
    queues: Arc<Mutex<BTreeMap<String, Arc<Queue>>>>,
}

/// One of them. Dropping it ends the watch.
#[derive(Debug)]
pub(in crate::registry) struct PathWatch {
    path: String,
    queue: Arc<Queue>,
    watches: Watches,
}

impl Watches {
    /// Begins a watch, which receives what is handed out from here on.
    pub(in crate::registry) fn begin(&self, path: String) -> Result<PathWatch, Error> {
        let mut queues = self.lock();
        if queues.contains_key(&path) {
            return Err(Error::InvalidArgument(format!(
                "path `{path}` is watched by this session already"
            )));
        }
        let queue = Arc::<Queue>::default();
        queues.insert(path.clone(), Arc::clone(&queue));
        Ok(PathWatch {
            path,
            queue,
            watches: self.clone(),
        })
    }

    /// Returns the jobs that are watched, and whether all are.
    #[cfg(feature = "registry-postgres")]
    pub(in crate::registry) fn jobs(&self) -> (std::collections::BTreeSet<String>, bool) {
        let queues = self.lock();
        let job = |path: &String| path.split('/').nth(1).unwrap_or_default().to_owned();
        (queues.keys().map(job).collect(), queues.contains_key("/"))
    }

    /// Returns whether nothing is watched, so that no change need be read.
    #[cfg(feature = "registry-sqlite")]
    pub(in crate::registry) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Hands a change to the watches of its path and of all above it.
    pub(in crate::registry) fn hand_out(&self, event: &WatchEvent) {
        let (WatchEvent::Created(path) | WatchEvent::Changed(path) | WatchEvent::Deleted(path)) = event else {
            return;
        };
        let mut wakers = Vec::new();
        let queues = self.lock();
        for path in path::self_and_ancestors(path) {
            wakers.extend(queues.get(path).and_then(|queue| queue.push(event.clone())));
        }
        drop(queues);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says to all watches that changes may have been missed.
    pub(in crate::registry) fn resync(&self) {
        self.tell_all(&WatchEvent::Resync);
    }

    /// Says to all watches that the session is over.
    pub(in crate::registry) fn close(&self) {
        self.tell_all(&WatchEvent::Closed);
    }

    /// Hands an event to all watches, and wakes their tasks after the lock was released.
    fn tell_all(&self, event: &WatchEvent) {
        let queues = self.lock();
        let wakers: Vec<Waker> = queues.values().filter_map(|queue| queue.push(event.clone())).collect();
        drop(queues);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for PathWatch {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        self.queue.poll_pop(cx)
    }
}

impl Drop for PathWatch {
    fn drop(&mut self) {
        self.watches.lock().remove(&self.path);
    }
}
