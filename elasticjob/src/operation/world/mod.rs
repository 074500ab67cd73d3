//! A copy of all jobs of a namespace that follows the registry while somebody looks at it, for consoles.
//!
//! [`Operations`] reads afresh with each call. A console that shows a page to many people reads here instead: [`World::picture`]
//! returns what is known at once, and reads nothing. While nobody looks, nothing is open: the first [`look`](World::look) opens a
//! session of its own, watches the namespace and reads it, and [`IDLE`] after the last look the session is closed.
//!
//! An event only marks its job. Marked jobs that are [shown](World::look) are read again after [`SHOWN_PACE`], all others after
//! [`PACE`] at most, in common requests. So a job that fires each second costs the reads of the pace, and not one for each event.

mod firings;
mod keeper;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Explanation, JobReport, Operations, Unlisted};

pub use firings::{Cell, Firing, Firings, Outcome};

/// How long after the last look the session is closed.
pub const IDLE: Duration = Duration::from_secs(300);

/// How often the jobs are read that are shown, if they change.
pub const SHOWN_PACE: Duration = Duration::from_millis(250);

/// How often all other jobs are read at least, if they change. If few change, they are read as often as those that are shown.
pub const PACE: Duration = Duration::from_secs(5);

/// A copy of all jobs of a namespace. Clones are the same copy.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use elasticjob::operation::Operations;
/// use elasticjob::operation::world::{Standing, World};
/// use elasticjob::registry::memory::MemoryRegistry;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let world = World::new(Operations::new(Arc::new(MemoryRegistry::new())));
/// let following = world.run(std::future::pending());
/// let looking = async {
///     world.look([]);
///     world.read(Duration::from_secs(5)).await
/// };
/// let picture = tokio::select! {
///     picture = looking => picture,
///     () = following => unreachable!(),
/// };
/// assert_eq!(picture.standing, Standing::Live);
/// assert!(picture.jobs.is_empty());
/// # });
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

struct Shared {
    operations: Operations,
    picture: watch::Sender<Picture>,
    /// A std mutex: never held across an await.
    looks: Mutex<Looks>,
    looked: tokio::sync::Notify,
    /// How many of the wishes were followed.
    followed: watch::Sender<u64>,
}

/// What callers look at, and what they want to be read again.
#[derive(Default)]
struct Looks {
    newest: Option<Instant>,
    shown: BTreeMap<Arc<str>, Instant>,
    /// Jobs that are to be read at once.
    wanted: BTreeSet<Arc<str>>,
    /// How often callers wanted some.
    wishes: u64,
}

/// All jobs as they are known at one moment. Clones share what they hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Picture {
    /// Grows with each change of the picture.
    pub revision: u64,
    /// How far the picture can be relied on.
    pub standing: Standing,
    /// When the registry last answered; `None` if it has not yet.
    pub as_of: Option<Timestamp>,
    /// The jobs, by name.
    pub jobs: Arc<BTreeMap<Arc<str>, Arc<JobNow>>>,
    /// What is no job that can be shown, by name.
    pub others: Arc<BTreeMap<Arc<str>, Unlisted>>,
}

/// How far a picture can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Nothing is followed, since nobody has looked for a while.
    Asleep,
    /// The jobs are being read for the first time, or after they may have changed unseen: so many of so many are.
    Reading {
        /// How many are read.
        done: usize,
        /// How many there are.
        all: usize,
    },
    /// The picture follows the registry.
    Live,
    /// The registry does not answer since then. The picture is of before, and nothing may be concluded from what is not in it.
    Away {
        /// Since when.
        since: Timestamp,
        /// What the registry, or the connection to it, said.
        problem: String,
    },
}

/// A job as it is known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobNow {
    /// The revision of the picture with which it changed last.
    pub revision: u64,
    /// The job in full.
    pub report: JobReport,
    /// Why it and its items run or not.
    pub explanation: Explanation,
    /// Its newest firings, as far as they were seen.
    pub firings: Firings,
}

impl World {
    /// Returns a copy of what these operations reach. Nothing is read before [`run`](Self::run) runs and a caller
    /// [looks](Self::look).
    #[must_use]
    pub fn new(operations: Operations) -> Self {
        let picture = Picture {
            revision: 0,
            standing: Standing::Asleep,
            as_of: None,
            jobs: Arc::default(),
            others: Arc::default(),
        };
        Self {
            shared: Arc::new(Shared {
                operations,
                picture: watch::Sender::new(picture),
                looks: Mutex::default(),
                looked: tokio::sync::Notify::new(),
                followed: watch::Sender::new(0),
            }),
        }
    }

    /// Returns the operations that it reads by.
    #[must_use]
    pub fn operations(&self) -> &Operations {
        &self.shared.operations
    }

    /// Says that somebody looks, and at these jobs: they are read more often than others for some seconds. A page that stays open
    /// calls this every few seconds.
    pub fn look<'a>(&self, jobs: impl IntoIterator<Item = &'a str>) {
        let now = Instant::now();
        {
            let mut looks = self.shared.looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.newest = Some(now);
            for job in jobs {
                match looks.shown.get_mut(job) {
                    Some(at) => *at = now,
                    None => drop(looks.shown.insert(job.into(), now)),
                }
            }
        }
        self.shared.looked.notify_one();
    }

    /// Returns what is known now.
    #[must_use]
    pub fn picture(&self) -> Picture {
        self.shared.picture.borrow().clone()
    }

    /// Waits until the jobs have been read, or the registry is known to be away, but no longer than `limit`; returns what is known
    /// then.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn read(&self, limit: Duration) -> Picture {
        let mut pictures = self.shared.picture.subscribe();
        let is_read = |picture: &Picture| matches!(picture.standing, Standing::Live | Standing::Away { .. });
        let read = tokio::time::timeout(limit, pictures.wait_for(is_read));
        drop(read.await);
        self.picture()
    }

    /// Reads these jobs again at once, such as after an operation on them, and waits for that, but no longer than `limit`. What it
    /// reads is of after this call. If the registry is away, it waits in vain.
    ///
    /// # Cancel safety
    /// Safe: the jobs are read all the same.
    pub async fn read_again<'a>(&self, jobs: impl IntoIterator<Item = &'a str>, limit: Duration) {
        let wish = {
            let mut looks = self.shared.looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.newest = Some(Instant::now());
            looks.wanted.extend(jobs.into_iter().map(Arc::from));
            looks.wishes += 1;
            looks.wishes
        };
        self.shared.looked.notify_one();
        let mut followed = self.shared.followed.subscribe();
        drop(tokio::time::timeout(limit, followed.wait_for(|followed| *followed >= wish)).await);
    }

    /// Waits until there is a picture of a later revision than this one; returns it.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn later_than(&self, revision: u64) -> Picture {
        let mut pictures = self.shared.picture.subscribe();
        // The sender is ours, so the channel is open.
        drop(pictures.wait_for(|picture| picture.revision > revision).await);
        self.picture()
    }

    /// Follows the registry while somebody looks, until `stop` returns. Only one call should run at a time.
    ///
    /// # Cancel safety
    /// Dropping the future leaves its session open until that expires.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        keeper::run(&self.shared, stop).await;
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("operations", &self.shared.operations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
