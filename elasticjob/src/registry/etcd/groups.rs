//! The watches of a session, job by job: etcd has one watch for all that is watched of a job.
//!
//! Each group knows up to which revision its events have been handed out. A call that is to be answered behind the events of
//! all that it may show waits until that is the revision of its answer. So that this comes about although nothing else changes,
//! calls set a key of their own among those of the job: a tick.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::registry::watches::Watches;
use crate::registry::{WatchEvent, path};

use super::keys::{Keys, Place};

/// The groups of a session, by job. The one of the job without a name is for watches on all jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups(
    // std mutex: never held across an await, nor while foreign code runs.
    Arc<Mutex<Inner>>,
);

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<String, Group>,
    /// The jobs by the numbers of their groups.
    numbers: BTreeMap<i64, String>,
}

#[derive(Debug)]
struct Group {
    watches: Watches,
    /// The number of etcd's watch on the present connection.
    number: i64,
    /// All events up to this revision have been handed out.
    seen: watch::Sender<i64>,
    /// Whether etcd has said that it watches.
    is_watched: bool,
}

/// A change of a key, as an event of etcd says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyEvent<'a> {
    pub(super) key: &'a [u8],
    pub(super) is_deletion: bool,
    /// How often it has been put.
    pub(super) version: i64,
    pub(super) revision: i64,
}

/// Returns what events of etcd say of nodes, and the revision of the last of them.
pub(super) fn fold<'a>(keys: &Keys, events: impl IntoIterator<Item = KeyEvent<'a>>) -> (Vec<WatchEvent>, Option<i64>) {
    let (mut folded, mut last) = (Vec::new(), None);
    for event in events {
        last = last.max(Some(event.revision));
        let Some(path) = keys.path(event.key) else { continue };
        folded.push(match (event.is_deletion, event.version) {
            (true, _) => WatchEvent::Deleted(path),
            // The namespace was there before.
            (false, 1) if !Place::of(&path).is_root() => WatchEvent::Created(path),
            (false, _) => WatchEvent::Changed(path),
        });
    }
    (folded, last)
}

/// Up to which revision a group's events have been handed out.
pub(super) type Seen = watch::Receiver<i64>;

impl Groups {
    /// Returns those of these jobs that are watched, each with what has been handed out; and the one of all jobs, if there is one.
    pub(super) fn of(&self, jobs: &BTreeSet<String>) -> Vec<(String, Seen)> {
        let inner = self.lock();
        let groups = &inner.groups;
        let named = jobs
            .iter()
            .map(String::as_str)
            .filter(|job| !job.is_empty())
            .chain([""]);
        let watched = named.filter_map(|job| Some((job, groups.get(job)?)));
        let watched = watched.filter(|(_, group)| group.is_watched);
        watched
            .map(|(job, group)| (job.to_owned(), group.seen.subscribe()))
            .collect()
    }

    /// Returns all that are watched.
    pub(super) fn all(&self) -> Vec<(String, Seen)> {
        let inner = self.lock();
        let watched = inner.groups.iter().filter(|(_, group)| group.is_watched);
        watched
            .map(|(job, group)| (job.clone(), group.seen.subscribe()))
            .collect()
    }

    /// Returns the watches of a job, and whether etcd watches it, if there is a group for it.
    pub(super) fn watches(&self, job: &str) -> Option<(Watches, bool)> {
        let inner = self.lock();
        let group = inner.groups.get(job)?;
        Some((group.watches.clone(), group.is_watched))
    }

    /// Adds the group of a job, which etcd is about to watch under this number from behind a revision.
    pub(super) fn add(&self, job: &str, number: i64, revision: i64) -> Watches {
        let watches = Watches::default();
        let group = Group {
            watches: watches.clone(),
            number,
            seen: watch::Sender::new(revision),
            is_watched: false,
        };
        let mut inner = self.lock();
        inner.numbers.insert(number, job.to_owned());
        inner.groups.insert(job.to_owned(), group);
        watches
    }

    /// Takes a group out that etcd does not watch.
    pub(super) fn remove(&self, job: &str) {
        let mut inner = self.lock();
        if let Some(group) = inner.groups.remove(job) {
            inner.numbers.remove(&group.number);
        }
    }

    /// Returns the job whose group has this number.
    pub(super) fn job_of(&self, number: i64) -> Option<String> {
        self.lock().numbers.get(&number).cloned()
    }

    /// etcd watches a job.
    pub(super) fn is_watched(&self, job: &str) {
        if let Some(group) = self.lock().groups.get_mut(job) {
            group.is_watched = true;
        }
    }

    /// Hands events out that came up to a revision.
    pub(super) fn hand_out(&self, job: &str, events: &[WatchEvent], revision: Option<i64>) {
        let Some((watches, _)) = self.watches(job) else { return };
        events.iter().for_each(|event| watches.hand_out(event));
        if let (Some(revision), Some(group)) = (revision, self.lock().groups.get(job)) {
            // Behind the events, for a caller that waits for it looks for them then.
            group.seen.send_if_modified(|seen| {
                let is_news = *seen < revision;
                *seen = revision.max(*seen);
                is_news
            });
        }
    }

    /// Events of a job before this revision are gone.
    pub(super) fn lost(&self, job: &str, number: i64) {
        let Some((watches, _)) = self.watches(job) else { return };
        watches.resync();
        let mut inner = self.lock();
        if let Some(group) = inner.groups.get_mut(job) {
            let before = std::mem::replace(&mut group.number, number);
            inner.numbers.remove(&before);
            inner.numbers.insert(number, job.to_owned());
        }
    }

    /// Gives all groups numbers of a new connection, from this one on, which begins at this revision: a resync stands for all changes
    /// before it. Returns the numbers, each with its job.
    pub(super) fn renumber(&self, mut number: i64, revision: i64) -> Vec<(i64, String)> {
        let mut inner = self.lock();
        let renumbered = inner.groups.iter_mut().map(|(job, group)| {
            group.number = number;
            number += 1;
            group.seen.send_replace(revision);
            (group.number, job.clone())
        });
        let renumbered: Vec<(i64, String)> = renumbered.collect();
        inner.numbers = renumbered.iter().cloned().collect();
        renumbered
    }

    /// Removes the groups of which nothing is watched any more, and returns their numbers.
    pub(super) fn sweep(&self) -> Vec<i64> {
        let mut inner = self.lock();
        let mut idle = Vec::new();
        inner.groups.retain(|_, group| {
            let is_idle = group.is_watched && group.watches.is_empty();
            if is_idle {
                idle.push(group.number);
            }
            !is_idle
        });
        for number in &idle {
            inner.numbers.remove(number);
        }
        idle
    }

    /// Says to all watches that the connection is another one.
    pub(super) fn resync(&self) {
        let watches: Vec<Watches> = self.lock().groups.values().map(|group| group.watches.clone()).collect();
        watches.iter().for_each(Watches::resync);
    }

    /// Says to all watches that the session is over.
    pub(super) fn close(&self) {
        let watches: Vec<Watches> = self.lock().groups.values().map(|group| group.watches.clone()).collect();
        watches.iter().for_each(Watches::close);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the job that a path is of.
pub(super) fn job_of(path: &str) -> String {
    debug_assert!(path::validate(path).is_ok(), "paths are checked before they get here");
    Place::of(path).job.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    mod events {
        use super::*;

        #[test]
        fn are_those_of_nodes_and_reach_as_far_as_the_last_of_all() {
            let keys = Keys::of_namespace("/shop");
            let [node, root, tick, counter] =
                [keys.node("/a/b"), keys.node("/"), keys.tick("a", 7), keys.counter("/a")];
            let event = |key, is_deletion, version, revision| KeyEvent {
                key,
                is_deletion,
                version,
                revision,
            };
            let (events, revision) = fold(
                &keys,
                [
                    event(&*node, false, 1, 5),
                    event(&*node, false, 2, 6),
                    event(&*node, true, 0, 7),
                    event(&*root, false, 1, 8),
                    event(&*counter, false, 1, 9),
                    event(&*tick, false, 1, 10),
                ],
            );
            let path = || "/a/b".to_owned();
            let expected = [
                WatchEvent::Created(path()),
                WatchEvent::Changed(path()),
                WatchEvent::Deleted(path()),
                WatchEvent::Changed("/".to_owned()),
            ];
            assert_eq!((&*events, revision), (&expected[..], Some(10)));
            assert_eq!(fold(&keys, []), (Vec::new(), None));
        }
    }

    mod a_group {
        use super::*;

        #[test]
        fn is_waited_for_once_etcd_watches_it() {
            let groups = Groups::default();
            let jobs = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
            let _watch = groups.add("a", 3, 10).begin("/a".to_owned()).unwrap();
            assert!(groups.of(&jobs).is_empty());
            groups.is_watched("a");
            let [(job, seen)] = &groups.of(&jobs)[..] else {
                panic!("it is watched");
            };
            assert_eq!((job.as_str(), *seen.borrow()), ("a", 10));
            groups.hand_out("a", &[], Some(12));
            groups.hand_out("a", &[], Some(11));
            assert_eq!(*seen.borrow(), 12, "it never goes back");
            assert_eq!(groups.renumber(20, 15), [(20, "a".to_owned())]);
            assert_eq!(*seen.borrow(), 15, "where the connection begins");
            assert_eq!((groups.job_of(20).as_deref(), groups.job_of(3)), (Some("a"), None));
        }

        #[test]
        fn goes_with_its_last_watch() {
            let groups = Groups::default();
            let watch = groups.add("a", 3, 10).begin("/a".to_owned()).unwrap();
            groups.is_watched("a");
            assert!(groups.sweep().is_empty());
            drop(watch);
            assert_eq!(groups.sweep(), [3]);
            assert!(groups.watches("a").is_none());
        }
    }
}
