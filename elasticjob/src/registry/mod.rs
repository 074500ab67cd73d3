//! The registry centre: where the instances of one application find each other.
//!
//! A [`Registry`] is an address; [`Registry::connect`] opens a [`Session`] on it. A session is a tree of
//! nodes seen through one connection that comes and goes, with three promises the rest of the framework
//! is built on:
//!
//! - **A [transaction](Session::write) is all or nothing**, and its error says what is known about it:
//!   refused (with the step that was refused), or [unknown](Error::is_outcome_unknown).
//! - **A [watch](Session::watch) loses nothing.** It gives every change below its path in order, or, where
//!   changes may have been missed because the connection was gone, [`WatchEvent::Resync`].
//! - **Answers and events are in order.** All events that the registry sent before an answer can be taken
//!   by [`Watch::poll_next`] once that answer is given. A claim relies on it to see whether its item was
//!   given away meanwhile.
//!
//! # Jobs
//!
//! A job is a first path segment. What has to be in order is in order within a job; a registry is free to keep jobs apart:
//!
//! - The answer to a write or a read comes after the events of all changes that it may show of the jobs which it names. The
//!   answer to a sync comes after the events of all changes, of any job, that were acknowledged before the call.
//! - The events of one job come in the order of its changes. Events of different jobs come in any order.
//! - [`Stat::modified`] grows within a job for ever, also if the job is deleted and created again, and if the registry is
//!   started again. Between jobs it grows as the registry's clock does.
//! - A transaction that names several jobs is all or nothing like any other.
//!
//! # Nodes that a transaction names twice
//!
//! The steps of a transaction see what those before them did. A registry may nevertheless carry out no more than what a
//! transaction comes to for each node, as etcd does, which takes one change of a key in a transaction:
//!
//! - A node that is set several times has one event, and its version grows by one. A node that is created and set has one
//!   event, [`WatchEvent::Created`], and version 0. A node that is created and deleted has none.
//! - A node that is deleted and created again may be the same node: it keeps [`Stat::created`], its version grows by one, and
//!   it has one event, [`WatchEvent::Changed`].
//! - The events of a transaction may come in any order.
//!
//! So a caller takes versions from the answer of the registry, or from a read, and counts no further than that.
//!
//! Paths are absolute within the namespace (`/my_job/config`); the namespace itself is `/`.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;

#[cfg(any(feature = "_registry-sql", feature = "registry-etcd", feature = "zookeeper"))]
mod calls;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod decorator;
mod error;
#[cfg(feature = "registry-etcd")]
pub mod etcd;
pub mod inspection;
pub mod memory;
pub mod metered;
mod path;
mod queue;
mod size;
#[cfg(feature = "_registry-sql")]
pub mod sql;
#[cfg(any(feature = "_registry-sql", feature = "registry-etcd"))]
mod watches;
#[cfg(feature = "zookeeper")]
pub mod zookeeper;

pub use crate::erased::BoxFuture;
pub use crate::limits::MAX_TRANSACTION_SIZE;
pub use error::{Error, WriteError};
pub(crate) use size::packed;
pub use size::{Limits, Size, size_of};

/// A registry centre that sessions can be opened on.
///
/// [`memory::MemoryRegistry`] is one for a single process, and the feature `zookeeper` has one for clusters. A registry of your own has to
/// pass the suite `registry::conformance` (feature `testing`). A decorator passes on what it does not change:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use elasticjob::registry::memory::MemoryRegistry;
/// use elasticjob::registry::{BoxFuture, Error, Registry, Session};
///
/// /// A registry that a test can switch off.
/// #[derive(Debug)]
/// struct Switchable {
///     registry: MemoryRegistry,
///     is_off: AtomicBool,
/// }
///
/// impl Registry for Switchable {
///     fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
///         Box::pin(async {
///             if self.is_off.load(Ordering::Relaxed) {
///                 return Err(Error::Unreachable("it is switched off".to_owned()));
///             }
///             self.registry.connect().await
///         })
///     }
///
///     fn describe(&self) -> String {
///         self.registry.describe()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let registry = Switchable { registry: MemoryRegistry::new(), is_off: AtomicBool::new(true) };
/// assert!(matches!(registry.connect().await, Err(Error::Unreachable(_))));
/// registry.is_off.store(false, Ordering::Relaxed);
/// assert!(registry.connect().await.is_ok());
/// # }
/// ```
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// Opens a new session: one attempt, which ends within the connection timeout.
    ///
    /// The namespace node exists once this returned.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when no server answered, [`Error::Refused`] when one did and will not have
    /// us (authentication, access rights): trying again will not help.
    ///
    /// # Cancel safety
    /// Dropping the future leaves at most a session that the registry ends by its timeout.
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>>;

    /// Opens a session as [`connect`](Self::connect) does, for a caller that may only look: the namespace is not created before
    /// a node is written into it. Until then there is nothing to read.
    ///
    /// By default, this connects: right for a registry that always has its namespace.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        self.connect()
    }

    /// Says what this kind of registry alone knows of itself: versions, how many servers there are, settings that make it
    /// unsafe. [`inspection::inspect`] asks it, and adds what it measures.
    ///
    /// By default there is nothing to say.
    fn inspect(&self) -> BoxFuture<'_, Vec<inspection::Finding>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Returns whether other processes can reach it, such as the command line.
    ///
    /// By default they can.
    fn is_shared(&self) -> bool {
        true
    }

    /// Returns the way into this registry by a transaction of the application, for triggers that come with its commit. A decorator
    /// passes it on.
    ///
    /// By default there is none: only a registry in a database has one, and the transaction has to be one of that database.
    #[cfg(feature = "registry-postgres")]
    fn inbox(&self) -> Option<sql::Inbox> {
        None
    }

    /// Names the registry in logs and errors, without secrets: `zookeeper at 10.0.0.1:2181, namespace shop`.
    fn describe(&self) -> String;
}

/// One session on a registry. Ephemeral nodes live as long as it does.
///
/// Every call ends by itself: with its answer, with [`Error::ConnectionLoss`] within the session's timeout
/// of the connection's loss, or with [`Error::SessionExpired`].
///
/// ```
/// use elasticjob::registry::memory::MemoryRegistry;
/// use elasticjob::registry::{Answer, CreateMode, Error, Read, Registry, Step};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = MemoryRegistry::new().connect().await?;
/// let create = |path: &str| Step::Create { path: path.into(), data: b"1".to_vec(), mode: CreateMode::Ephemeral };
/// session.write(vec![create("/orders")]).await?;
///
/// // The second step is refused, so the first is not carried out either.
/// let refused = session.write(vec![create("/bills"), create("/orders")]).await.unwrap_err();
/// assert_eq!((refused.step, refused.error), (Some(1), Error::NodeExists));
/// let answers = session.read(vec![Read::Children("/".into())]).await?;
/// assert_eq!(answers, [Answer::Children(Some(vec!["orders".to_owned()]))]);
/// # Ok(())
/// # }
/// ```
pub trait Session: fmt::Debug + Send + Sync + 'static {
    /// The registry's own id of the session. Ephemeral nodes carry it as [`Stat::ephemeral_owner`].
    /// It is never 0, and no two sessions that live at the same time have the same.
    fn id(&self) -> i64;

    /// The session timeout as negotiated. The registry may remove our ephemeral nodes this long after it
    /// last heard from us.
    fn timeout(&self) -> Duration;

    /// Returns how much one request may be. The framework splits by it what it writes and reads, and a session refuses
    /// larger requests before it sends anything.
    ///
    /// They are the same for all sessions of a registry. [`Limits::default`] is right for a registry that counts bytes alone.
    fn limits(&self) -> Limits;

    /// The state as known here. The registry may know more: expiry is noticed late.
    fn state(&self) -> watch::Receiver<SessionState>;

    /// Executes the steps in order as one transaction, and answers each step.
    ///
    /// # Errors
    /// [`WriteError::step`] is the refused step, where the registry named one; then nothing was changed.
    /// After [`Error::ConnectionLoss`] all or nothing was changed: which is unknown until the session is
    /// [`Connected`](SessionState::Connected) again; then a [`sync`](Self::sync) and a read tell, and what did
    /// not happen will not happen later.
    /// [`Error::TooLarge`], [`Error::TooManySteps`] and [`Error::InvalidArgument`] are found before anything is sent.
    ///
    /// # Cancel safety
    /// The transaction is sent no later than at the first poll; dropping the future leaves its outcome unknown.
    fn write(&self, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>>;

    /// Reads several things in one request, each answered by itself. The answers may be stale: they are
    /// what one server had. The parts need not be one snapshot.
    ///
    /// A registry implements it. Callers call [`read`](#method.read), which takes any number of reads.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManySteps`] and [`Error::InvalidArgument`] are found before anything is sent.
    fn read_at_once(&self, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>>;

    /// Waits until the server that serves us has seen everything that was acknowledged before. Answered by
    /// the quorum, so an answer also proves that the session was alive after the call was sent.
    ///
    /// # Errors
    /// [`Error::ConnectionLoss`] and [`Error::SessionExpired`]: nothing is proven then.
    ///
    /// # Cancel safety
    /// It changes nothing; dropping the future leaves nothing behind.
    fn sync(&self) -> BoxFuture<'static, Result<(), Error>>;

    /// Watches `path` and everything below it, from the answer on. The path need not exist.
    ///
    /// At most one watch per path and session; watches may nest.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the session has a watch on this path.
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch that it would have returned.
    fn watch(&self, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>>;

    /// Ends the session now: ephemeral nodes go at once. Waits, within the connection timeout, for the
    /// registry's word that it is so.
    ///
    /// It may be called more than once. Every later call of the session ends with [`Error::SessionExpired`].
    ///
    /// # Cancel safety
    /// Dropping the future does not keep the session open.
    fn close(&self) -> BoxFuture<'static, ()>;
}

impl dyn Session + '_ {
    /// Reads any number of nodes, in as few requests as possible, and returns the answers in the order of `reads`.
    /// Otherwise as [`read_at_once`](Session::read_at_once). Callers need not consider the size of a request.
    ///
    /// # Errors
    /// That of the first request which has one. [`Error::InvalidArgument`] of a later request is found when earlier
    /// ones were sent.
    ///
    /// # Cancel safety
    /// Reads change nothing; dropping the future leaves nothing behind.
    pub async fn read(&self, reads: Vec<Read>) -> Result<Vec<Answer>, Error> {
        let mut parts = size::parts(reads, self.limits());
        if parts.len() == 1 {
            return self.read_at_once(parts.remove(0)).await;
        }
        let requests = parts.into_iter().map(|part| self.read_at_once(part));
        stream::iter(requests).buffered(READS_IN_FLIGHT).try_concat().await
    }
}

/// So many requests of one [`read`](#method.read) are under way at a time.
const READS_IN_FLIGHT: usize = 8;

/// What is known of a session's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// Served.
    Connected,
    /// Not served for now. The session may live on or be over; its ephemeral nodes may be gone already.
    Suspended,
    /// Over, for good: expired, refused, or closed. A new session is needed.
    Lost,
}

/// A stream of the changes below one path. Dropping it ends the watch.
///
/// ```
/// use std::future::poll_fn;
/// use elasticjob::registry::memory::MemoryRegistry;
/// use elasticjob::registry::{CreateMode, Registry, Step, WatchEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = MemoryRegistry::new().connect().await?;
/// let mut watch = session.watch("/orders").await?;
/// let node = Step::Create { path: "/orders".into(), data: vec![], mode: CreateMode::Persistent };
/// session.write(vec![node]).await?;
/// assert_eq!(poll_fn(|cx| watch.poll_next(cx)).await, WatchEvent::Created("/orders".to_owned()));
///
/// session.close().await;
/// assert_eq!(poll_fn(|cx| watch.poll_next(cx)).await, WatchEvent::Closed);
/// # Ok(())
/// # }
/// ```
pub trait Watch: fmt::Debug + Send {
    /// The next event. After [`WatchEvent::Closed`] it gives that for ever.
    /// If there is no event yet, the task of `cx` is woken by the next one. Only the task that polled last is.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent>;
}

/// A change below a watched path, or a word about the watch itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The node was created.
    Created(String),
    /// The node's data was set.
    Changed(String),
    /// The node was deleted.
    Deleted(String),
    /// Changes may have been missed, and will not be from here on: read everything again.
    Resync,
    /// The session is over.
    Closed,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Creates a node below an existing parent. Refused with [`Error::NodeExists`], [`Error::NoNode`] (parent).
    Create {
        /// Where; for a sequential mode the registry appends ten digits.
        path: String,
        /// The data of the new node.
        data: Vec<u8>,
        /// How long it lives.
        mode: CreateMode,
    },
    /// Sets a node's data. Refused with [`Error::NoNode`], [`Error::BadVersion`].
    Set {
        /// Which node.
        path: String,
        /// Its new data.
        data: Vec<u8>,
        /// The data version expected; `None` for any.
        version: Option<i32>,
    },
    /// Deletes a childless node. Refused with [`Error::NoNode`], [`Error::NotEmpty`], [`Error::BadVersion`].
    Delete {
        /// Which node.
        path: String,
        /// The data version expected; `None` for any.
        version: Option<i32>,
    },
    /// Changes nothing, but refuses the transaction with [`Error::NoNode`] or [`Error::BadVersion`].
    Check {
        /// Which node.
        path: String,
        /// The data version expected; `None` for any.
        version: Option<i32>,
    },
}

impl Step {
    /// The path it names.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::Set { path, .. }
            | Self::Delete { path, .. }
            | Self::Check { path, .. } => path,
        }
    }
}

/// How long a created node lives, and whether the registry numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Until it is deleted.
    Persistent,
    /// As long as the session. It can have no children.
    Ephemeral,
    /// As [`Ephemeral`](Self::Ephemeral), with a number that grows for each child of the parent.
    EphemeralSequential,
    /// Until it has had children and has none: then the registry may delete it at any time.
    Container,
}

/// The answer to a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The full path, with the number where the mode asked for one.
    Created(String),
    /// The node after the change.
    Set(Stat),
    /// Deleted.
    Deleted,
    /// As expected.
    Checked,
}

/// One thing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A node's data and stat.
    Data(String),
    /// The names (not paths) of a node's children.
    Children(String),
}

/// The answer to a [`Read`]; `None` where there is no such node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Read::Data`].
    Data(Option<(Vec<u8>, Stat)>),
    /// To [`Read::Children`], sorted ascending.
    Children(Option<Vec<String>>),
}

/// What the registry knows of a node beside its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stat {
    /// Counts the changes of the data since the node's creation. It starts again when a node is deleted and
    /// created again, so it proves nothing about nodes that come and go.
    pub version: i32,
    /// The transaction that created the node.
    pub created: i64,
    /// The transaction that last set its data. Grows within a first path segment, for ever: a fencing token.
    pub modified: i64,
    /// When its data was last set, by the registry's clock, in milliseconds since 1970.
    pub modified_at: i64,
    /// The session an ephemeral node lives in; 0 for others.
    pub ephemeral_owner: i64,
}
