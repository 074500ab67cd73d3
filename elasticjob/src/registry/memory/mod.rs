//! The embedded registry: one process, no server. The default, and the ground of tests and simulation.
//!
//! It promises what [`registry`](super) promises and models what ZooKeeper really does: answers that are
//! lost though the write happened, servers that are behind, sessions that end on the server long before the
//! client knows. Such faults are ordered through a [`Link`]; on the registry itself nothing ever fails, and
//! every call is answered on the spot.
//!
//! Everything is in memory. Nodes of a process that ended are gone, yet [`Stat::modified`](super::Stat) goes
//! on growing over a restart, because the counter starts at the wall clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::core::Core;
use self::session::MemorySession;
use self::tree::Effects;
use super::inspection::Finding;
use super::{BoxFuture, Error, Registry, Session};

mod children;
mod core;
mod driver;
mod faults;
mod link;
mod member;
mod net;
mod session;
mod state;
mod tree;
mod watch;

pub use link::{Direction, Fate, Link};

/// How long a session lasts by default: for good, because the registry and its clients end together.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A registry in this process. Clones are the same registry.
///
/// ```
/// use elasticjob::registry::memory::MemoryRegistry;
/// use elasticjob::registry::{Answer, CreateMode, Read, Registry, Step};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let registry = MemoryRegistry::new();
/// let session = registry.connect().await?;
/// let mode = CreateMode::Persistent;
/// session.write(vec![Step::Create { path: "/my_job".into(), data: b"SCRIPT".to_vec(), mode }]).await?;
/// let answers = session.read(vec![Read::Children("/".into())]).await?;
/// assert_eq!(answers, [Answer::Children(Some(vec!["my_job".into()]))]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryRegistry {
    core: Arc<Core>,
}

impl MemoryRegistry {
    /// An empty registry on the wall clock.
    /// Its sessions last for a year, so in effect as long as the process.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(|| jiff::Timestamp::now().as_millisecond())
    }

    /// Creates an empty registry with the time, in milliseconds since 1970, of `clock`: the counter of
    /// transactions starts at its first answer × 2^20, and [`Stat::modified_at`](super::Stat) follows it.
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            core: Core::new(Box::new(clock), SESSION_TIMEOUT),
        }
    }

    /// Sets the timeout of the sessions that are opened from here on.
    #[must_use]
    pub fn with_session_timeout(self, timeout: Duration) -> Self {
        self.core.with(|state| state.set_session_timeout(timeout));
        self
    }

    /// Has a request take so many steps at most. Bytes are counted as usual.
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        self.core.with(|state| state.steps = steps);
        self
    }

    /// Has a transaction carry out what its steps come to for each node, as [`registry`](super) allows: a node that is deleted
    /// and created again stays the same.
    #[must_use]
    pub fn with_net_effects(self) -> Self {
        self.core.with(|state| state.effects = Effects::NetOfEachNode);
        self
    }

    /// The link of that name, made if there is none.
    /// Two calls with one name return the same link. Sessions that were opened on the registry itself are not affected
    /// by any link.
    #[must_use]
    pub fn link(&self, name: &str) -> Link {
        let index = self.core.with(|state| state.link(name));
        Link {
            core: Arc::clone(&self.core),
            index,
            name: name.into(),
        }
    }

    /// Deletes each container that had children and has none, as a ZooKeeper server does once a minute, and
    /// says how many there were. Their parents may be next.
    pub fn collect_containers(&self) -> usize {
        self.core.with(|state| state.collect_containers())
    }
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry for MemoryRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        let session = MemorySession::open(&self.core, 0).map(|session| Arc::new(session) as Arc<dyn Session>);
        Box::pin(std::future::ready(session))
    }

    fn inspect(&self) -> BoxFuture<'_, Vec<Finding>> {
        let finding = Finding::notice(
            "kind",
            "the registry is embedded: it is in one process and forgotten with it, and there is nothing to check",
            "name a registry centre if several instances are to share jobs, or if a restart is to know which times have run",
        );
        Box::pin(std::future::ready(vec![finding]))
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        "embedded registry, this process only".to_owned()
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
