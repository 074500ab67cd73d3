//! Trace listeners: code of the application that receives events.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::TracedJobs;

use crate::catalogue::{Catalogue, Declared};
use crate::erased::BoxFuture;
use crate::guard::Held;
use crate::job::BoxError;

use super::JobEvent;

/// Events that wait for a listener at most, unless it is said.
const CAPACITY: usize = 10_000;

/// How long a listener may take over an event, unless it is said.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Receives the events of the jobs of its process, one after another.
///
/// Declare one with [`#[trace_listener]`](crate::trace_listener), or add it to the
/// [`Builder`](crate::starter::Builder::trace_listener).
///
/// # Guarantees
/// - **No job waits for it.** Events go into a queue of its own, of at most 10,000 events and 16 MiB, from which a task of its own
///   calls it.
/// - **In order, one after another.** It receives the next event when it has finished the previous one.
/// - **If the queue is full, new events are dropped,** counted and logged.
/// - **A fault stops nothing.** An error, a panic, or an event that takes longer than a minute is counted and logged,
///   and the next event follows.
/// - **On shutdown** it receives waiting events for 8 s more; the rest counts as dropped.
///
/// ```standalone_crate
/// use elasticjob::prelude::*;
/// use elasticjob::starter::ItemOutcome;
///
/// /// Counts what failed.
/// #[derive(Default)]
/// struct Failures(std::sync::atomic::AtomicU64);
///
/// #[trace_listener(include_job_names = ["sync_orders"])]
/// impl TraceListener for Failures {
///     async fn on_event(&self, event: &JobEvent) -> Result<(), BoxError> {
///         if let JobEvent::Ended { run, outcome: ItemOutcome::Failed { cause }, .. } = event {
///             self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///             println!("item {} of {}: {cause}", run.item, run.job);
///         }
///         Ok(())
///     }
/// }
///
/// # #[elastic_job(cron = "0 0 3 * * ?", sharding = 2)]
/// # async fn sync_orders() {}
/// # assert!(ElasticJob::builder().build().is_ok());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` listens to no events",
    label = "no `TraceListener`",
    note = "`#[trace_listener]` stands on `impl TraceListener for ..`"
)]
pub trait TraceListener: Send + Sync + 'static {
    /// Receives one event of a run, a firing or a scheduled time on this instance.
    ///
    /// The next event waits until this future has ended. It runs on the runtime and must not block its thread.
    ///
    /// # Errors
    /// Any error is counted and logged. The event is not repeated.
    ///
    /// # Cancel safety
    /// The future is dropped when it takes too long, and when the time after the application's end is up.
    fn on_event(&self, event: &JobEvent) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// A trace listener, the jobs that it receives events of, and its limits. Clones share the listener.
///
/// ```
/// use std::time::Duration;
/// use elasticjob::ElasticJob;
/// use elasticjob::job::BoxError;
/// use elasticjob::trace::{JobEvent, TraceListener, TraceListenerKind};
///
/// struct Print;
///
/// impl TraceListener for Print {
///     async fn on_event(&self, event: &JobEvent) -> Result<(), BoxError> {
///         println!("{event:?}");
///         Ok(())
///     }
/// }
///
/// let kind = TraceListenerKind::new(Print).timeout(Duration::from_secs(5)).capacity(1_000);
/// let builder = ElasticJob::builder().trace_listener_kind("print", kind);
/// # let _ = builder;
/// ```
#[derive(Clone)]
pub struct TraceListenerKind {
    pub(super) listener: Held<Arc<dyn AnyTraceListener>>,
    pub(super) jobs: TracedJobs,
    pub(super) timeout: Duration,
    pub(super) capacity: usize,
}

impl TraceListenerKind {
    /// Creates a listener for all jobs.
    #[must_use]
    pub fn new(listener: impl TraceListener) -> Self {
        Self {
            listener: Held::new(Arc::new(listener)),
            jobs: TracedJobs::All,
            timeout: TIMEOUT,
            capacity: CAPACITY,
        }
    }

    /// Sets the jobs that it receives events of.
    /// By default it receives those of all jobs. A name that no job has is logged at start, and is no fault.
    #[must_use]
    pub fn jobs(mut self, jobs: TracedJobs) -> Self {
        self.jobs = jobs;
        self
    }

    /// How long it may take over an event: a minute by default.
    /// After that the future is dropped, and the event counts as failed.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many events wait for it at most: 10,000 by default, and one at least.
    /// Their bytes are bounded too, by 16 MiB in all.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }
}

impl fmt::Debug for TraceListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceListenerKind")
            .field("jobs", &self.jobs)
            .field("timeout", &self.timeout)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// A listener behind a pointer.
pub(super) trait AnyTraceListener: Send + Sync + 'static {
    fn on_event<'a>(&'a self, event: &'a JobEvent) -> BoxFuture<'a, Result<(), BoxError>>;
}

impl<L: TraceListener> AnyTraceListener for L {
    fn on_event<'a>(&'a self, event: &'a JobEvent) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(TraceListener::on_event(self, event))
    }
}

/// All trace listeners, by name.
pub type TraceListeners = Catalogue<TraceListenerKind>;

inventory::collect!(&'static Declared<TraceListenerKind>);

impl TraceListeners {
    /// The framework brings none.
    #[must_use]
    pub fn none() -> Self {
        Self::new("trace listener")
    }

    /// The types that `tracing.type` can name: the program's alone.
    pub(crate) fn types() -> Self {
        Self::new("tracing type")
    }

    /// The declared ones that are linked into the program.
    pub(crate) fn discovered() -> impl Iterator<Item = &'static Declared<TraceListenerKind>> {
        inventory::iter::<&'static Declared<TraceListenerKind>>
            .into_iter()
            .copied()
    }
}
