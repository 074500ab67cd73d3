//! The watches of a session, and which of them a change concerns.
//!
//! A watch is on a node and all below it. Changes of other members and those of this session come in the same way, in
//! the order of their numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::registry::queue::Queue;
use crate::registry::{Error, Watch, WatchEvent, path};

/// The watches of a session, by path. Clones are the same watches.
#[derive(Clone, Debug, Default)]
pub(in crate::registry) struct Watches {
    // std mutex: never held across an await, nor while foreign code runs.
    queues: Arc<Mutex<BTreeMap<String, Arc<Queue>>>>,
    /// How many have ended.
    ended: Arc<AtomicU64>,
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

    /// Returns how many watches have ended. While that stays the same, all jobs that were watched still are.
    #[cfg(feature = "registry-postgres")]
    pub(in crate::registry) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Returns the jobs that are watched, and whether all are.
    #[cfg(feature = "registry-postgres")]
    pub(in crate::registry) fn jobs(&self) -> (std::collections::BTreeSet<String>, bool) {
        let queues = self.lock();
        let jobs = queues.keys().map(|path| job_of(path).to_owned()).collect();
        (jobs, queues.contains_key("/"))
    }

    /// Says to the watches of a job, and to that of all jobs, that changes may have been missed.
    #[cfg(feature = "registry-postgres")]
    pub(in crate::registry) fn resync_of(&self, job: &str) {
        self.tell(&WatchEvent::Resync, |path| path == "/" || job_of(path) == job);
    }

    /// Returns whether nothing is watched, so that no change need be read.
    #[cfg(any(feature = "registry-etcd", feature = "registry-sqlite"))]
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
        self.tell(&WatchEvent::Resync, |_| true);
    }

    /// Says to all watches that the session is over.
    pub(in crate::registry) fn close(&self) {
        self.tell(&WatchEvent::Closed, |_| true);
    }

    /// Hands an event to the watches of some paths, and wakes their tasks after the lock was released.
    fn tell(&self, event: &WatchEvent, is_meant: impl Fn(&str) -> bool) {
        let queues = self.lock();
        let meant = queues.iter().filter(|(path, _)| is_meant(path));
        let wakers: Vec<Waker> = meant.filter_map(|(_, queue)| queue.push(event.clone())).collect();
        drop(queues);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job that a path belongs to; empty for the root.
#[cfg(feature = "registry-postgres")]
fn job_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

impl Watch for PathWatch {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        self.queue.poll_pop(cx)
    }
}

impl Drop for PathWatch {
    fn drop(&mut self) {
        // In this order, and both under the lock: a reader that knows of the end does not find the watch any more.
        let mut queues = self.watches.lock();
        queues.remove(&self.path);
        self.watches.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, feature = "registry-postgres"))]
mod tests {
    use super::*;

    mod a_gap_of_one_job {
        use super::*;

        #[test]
        fn concerns_its_watches_and_that_of_all_jobs() {
            let watches = Watches::default();
            let begin = |path: &str| watches.begin(path.into()).expect("the first watch of this path");
            let mut concerned = ["/", "/job", "/job/a"].map(begin);
            let mut others = ["/job-2", "/other/job"].map(begin);
            watches.resync_of("job");
            let next = |watch: &mut PathWatch| watch.poll_next(&mut Context::from_waker(Waker::noop()));
            for watch in &mut concerned {
                assert_eq!(next(watch), Poll::Ready(WatchEvent::Resync), "{watch:?}");
            }
            for watch in &mut others {
                assert_eq!(next(watch), Poll::Pending, "{watch:?}");
            }
            watches.resync_of("");
            assert_eq!(next(&mut concerned[0]), Poll::Ready(WatchEvent::Resync));
            assert_eq!(next(&mut concerned[1]), Poll::Pending);
        }
    }
}
