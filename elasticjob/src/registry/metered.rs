//! Counts what is asked of a registry, for budgets that are promised and figures that are shown.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::decorator::{Decorated, Decorator};
use super::inspection::Finding;
#[cfg(feature = "registry-postgres")]
use super::sql::Inbox;
use super::{Answer, BoxFuture, Error, Read, Registry, Session, Step, Watch, WriteError, Written, size_of};

/// A registry that counts the requests of all its sessions, with any outcome.
///
/// ```
/// use elasticjob::registry::memory::MemoryRegistry;
/// use elasticjob::registry::metered::Metered;
/// use elasticjob::registry::{Read, Registry, Step};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let registry = Metered::new(MemoryRegistry::new());
/// let session = registry.connect().await?;
/// let before = registry.counts();
/// session.write(vec![Step::Check { path: "/".into(), version: None }]).await?;
/// session.read(vec![Read::Data("/a".into()), Read::Data("/b".into())]).await?;
/// let counts = registry.counts() - before;
/// assert_eq!((counts.writes, counts.steps, counts.reads, counts.nodes_read), (1, 1, 1, 2));
/// assert_eq!(counts.requests(), 2);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Metered<R> {
    registry: R,
    counters: Arc<Counters>,
}

/// How often each kind of request was made. The difference of two is what was asked between them.
///
/// A failed request counts as one that was answered: it was made. Only [`Counts::connects`] counts what no open session
/// made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Attempts to open a session.
    pub connects: u64,
    /// Transactions.
    pub writes: u64,
    /// Steps of transactions.
    pub steps: u64,
    /// Bytes of transactions, as [`Size::bytes`](super::Size::bytes) counts them.
    pub bytes_written: u64,
    /// Requests to read.
    pub reads: u64,
    /// Things to read in these.
    pub nodes_read: u64,
    /// Calls of [`Session::sync`].
    pub syncs: u64,
    /// Watches set.
    pub watches: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connects: AtomicU64,
    writes: AtomicU64,
    steps: AtomicU64,
    bytes_written: AtomicU64,
    reads: AtomicU64,
    nodes_read: AtomicU64,
    syncs: AtomicU64,
    watches: AtomicU64,
}

impl<R> Metered<R> {
    /// Counts what is asked of `registry` from here on.
    pub fn new(registry: R) -> Self {
        Self {
            registry,
            counters: Arc::default(),
        }
    }

    /// What was counted so far. Requests that are being made at the moment may be counted in part.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Counters {
            connects,
            writes,
            steps,
            bytes_written,
            reads,
            nodes_read,
            syncs,
            watches,
        } = &*self.counters;
        Counts {
            connects: load(connects),
            writes: load(writes),
            steps: load(steps),
            bytes_written: load(bytes_written),
            reads: load(reads),
            nodes_read: load(nodes_read),
            syncs: load(syncs),
            watches: load(watches),
        }
    }
}

impl Counts {
    /// Requests of open sessions, of any kind.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.writes + self.reads + self.syncs + self.watches
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            connects: self.connects - before.connects,
            writes: self.writes - before.writes,
            steps: self.steps - before.steps,
            bytes_written: self.bytes_written - before.bytes_written,
            reads: self.reads - before.reads,
            nodes_read: self.nodes_read - before.nodes_read,
            syncs: self.syncs - before.syncs,
            watches: self.watches - before.watches,
        }
    }
}

// Relaxed: the counters order nothing.
fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl<R: Registry> Metered<R> {
    /// Counts an attempt to connect, and the requests of the session that it leads to.
    fn counted<'a>(
        &self,
        connecting: BoxFuture<'a, Result<Arc<dyn Session>, Error>>,
    ) -> BoxFuture<'a, Result<Arc<dyn Session>, Error>> {
        add(&self.counters.connects, 1);
        let counters = Arc::clone(&self.counters);
        Box::pin(async move { Ok(Decorated::new(connecting.await?, counters)) })
    }
}

impl<R: Registry> Registry for Metered<R> {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        self.counted(self.registry.connect())
    }

    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        self.counted(self.registry.connect_to_look())
    }

    fn is_shared(&self) -> bool {
        self.registry.is_shared()
    }

    fn inspect(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.registry.inspect()
    }

    #[cfg(feature = "registry-postgres")]
    fn inbox(&self) -> Option<Inbox> {
        self.registry.inbox()
    }

    fn describe(&self) -> String {
        self.registry.describe()
    }
}

impl Decorator for Arc<Counters> {
    fn write(&self, session: &dyn Session, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        add(&self.writes, 1);
        add(&self.steps, steps.len());
        add(&self.bytes_written, size_of(&steps).bytes);
        session.write(steps)
    }

    fn read_at_once(&self, session: &dyn Session, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        add(&self.reads, 1);
        add(&self.nodes_read, reads.len());
        session.read_at_once(reads)
    }

    fn sync(&self, session: &dyn Session) -> BoxFuture<'static, Result<(), Error>> {
        add(&self.syncs, 1);
        session.sync()
    }

    fn watch(&self, session: &dyn Session, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        add(&self.watches, 1);
        session.watch(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::CreateMode;
    use crate::registry::memory::MemoryRegistry;

    #[tokio::test]
    async fn counts_sessions_with_any_outcome_of_requests() {
        let registry = Metered::new(MemoryRegistry::new());
        let (a, b) = (registry.connect().await.unwrap(), registry.connect().await.unwrap());
        let create = Step::Create {
            path: "/a".into(),
            data: vec![],
            mode: CreateMode::Persistent,
        };
        a.write(vec![create.clone()]).await.unwrap();
        b.write(vec![create.clone(), create.clone()]).await.unwrap_err();
        b.sync().await.unwrap();
        let _watch = b.watch("/").await.unwrap();
        b.read(vec![Read::Children("/".into())]).await.unwrap();

        let expected = Counts {
            connects: 2,
            writes: 2,
            steps: 3,
            bytes_written: 3 * size_of(&[create]).bytes as u64,
            reads: 1,
            nodes_read: 1,
            syncs: 1,
            watches: 1,
        };
        assert_eq!(registry.counts(), expected);
        assert_eq!(registry.counts().requests(), 5);
        assert_eq!(registry.counts() - expected, Counts::default());
    }
}
