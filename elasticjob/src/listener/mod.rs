//! Listeners: what happens before and after each firing of a job.
//!
//! There are two kinds. A [`JobListener`] is called on every instance that runs items of the firing. A
//! [`DistributeOnceJobListener`] is called once in the cluster: before the first item of a firing runs, and after the last
//! has ended. One job may have both kinds, and Java members take part in the second kind.
//!
//! Declare them with [`#[job_listener]`](crate::job_listener) or add them to the [`Builder`](crate::starter::Builder);
//! jobs name them in `job-listener-types`, or by type, `#[elastic_job(listeners = [Audit])]`.
//!
//! ```standalone_crate
//! use elasticjob::prelude::*;
//!
//! /// Measures nothing, but could.
//! #[derive(Default)]
//! struct Audit;
//!
//! #[job_listener]
//! impl JobListener for Audit {
//!     async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
//!         println!("{} begins with {} items here", firing.job_name(), firing.items().len());
//!         Ok(())
//!     }
//! }
//!
//! #[elastic_job(cron = "0 0 3 * * ?", sharding = 2, listeners = [Audit])]
//! async fn settle() {}
//!
//! # let builder = ElasticJob::builder();
//! assert!(builder.build().is_ok());
//! ```
//!
//! # Flow
//! 1. An instance claims the items of a firing.
//! 2. The `before` hooks are called. For a [`DistributeOnceJobListener`] the instances wait for each other first, and the last one to
//!    arrive calls the hook.
//! 3. The items run.
//! 4. When the ends of all items are recorded, the `after` hooks are called, in the same way.
//!
//! # Guarantees
//! - **With items.** If an instance runs no item at a time, its listeners are not called. Java members call theirs in that case, too.
//! - **Around.** `before` ends before any item of the firing begins here, and `after` begins when the ends of all are recorded. A
//!   make-up run belongs to the firing that it follows, as in Java: the listeners are called once for both. The next firing of the
//!   instance begins after that.
//! - **In order.** The listeners of a job are called one after another, by [`order`](JobListener::order) and then as they are named.
//! - **A fault stops nothing.** It goes to the job's error handler, the other listeners are called, and the items run. If the handler
//!   gives the firing up (`THROW`), its items do not run, and `after` is not called.
//! - **Nothing waits for ever.** Each hook has its [limit](ListenerKind::started_timeout), and so has the wait for other instances.
//! - **`after` may be missing** if the instance dies or loses its session. If an instance dies while it calls a hook of a
//!   [`DistributeOnceJobListener`], another instance calls the hook again: it may be called twice then, but never by two instances at
//!   once.
//! - **Items that are taken over** from a dead instance are a firing of their own to a [`JobListener`], beside other firings
//!   of the instance. For a [`DistributeOnceJobListener`] they belong to their original firing.
//!
//! # Assumptions
//! - **All instances of a job name the same distribute-once listeners.** An instance without one does not come to the barrier, and the
//!   others wait for it until their limit.
//! - **A hook can be repeated,** if it is of a distribute-once listener: its instance may die between the call and the record of it.
//! - **Hooks are async and yield.** A hook that blocks its thread holds up the firing, and its limit cannot end it.

use std::future::Future;

use crate::catalogue::{Catalogue, Declared};
use crate::job::BoxError;

mod chain;
mod fault;
mod firing;
mod kind;

pub(crate) use chain::{Listeners, NoListener};
pub use firing::Firing;
pub use kind::{DeclaredListener, ListenerKind};
#[doc(hidden)]
pub use kind::{IntoListenerKind, listener_kind};

/// Is called on each instance when a firing of a job begins there, and when it has ended.
///
/// See the [module](self) for what is promised.
///
/// ```standalone_crate
/// use elasticjob::prelude::*;
///
/// /// Writes into the log how many items an instance runs.
/// #[derive(Default)]
/// struct Audit;
///
/// #[job_listener]
/// impl JobListener for Audit {
///     async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
///         println!("{}: {} items begin", firing.job_name(), firing.items().len());
///         Ok(())
///     }
///
///     async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
///         println!("{}: {} items have ended", firing.job_name(), firing.items().len());
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` listens to no job",
    label = "no `JobListener`",
    note = "`#[job_listener]` stands on `impl JobListener for ..` or `impl DistributeOnceJobListener for ..`"
)]
pub trait JobListener: Send + Sync + 'static {
    /// The items of the firing are claimed for this instance, and about to run.
    ///
    /// They wait for this future, so it should be short. It runs on the runtime and must not block its thread.
    ///
    /// # Errors
    /// Any error goes to the job's error handler.
    ///
    /// # Cancel safety
    /// The future is dropped when it takes too long, when the instance is to stop, and when its session cannot be relied upon.
    fn before(&self, firing: &Firing) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = firing;
        async { Ok(()) }
    }

    /// They have ended, and that is recorded.
    ///
    /// # Errors
    /// As of [`before`](Self::before).
    ///
    /// # Cancel safety
    /// As of [`before`](Self::before).
    fn after(&self, firing: &Firing) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = firing;
        async { Ok(()) }
    }

    /// Listeners with a lower number are called first.
    fn order(&self) -> i32 {
        i32::MAX
    }
}

/// Is called once in the cluster when all items of a firing are about to run, and once when all have ended.
///
/// The instances wait for each other: no item runs before one instance has called [`before`](Self::before), and no
/// instance begins its next firing before [`after`](Self::after) was called. An instance without items takes no part. The instances do not
/// wait for items that do not run because they are disabled, have no instance, or lost theirs.
///
/// ```
/// use std::time::Duration;
/// use elasticjob::listener::{DistributeOnceJobListener, Firing, ListenerKind};
/// use elasticjob::prelude::*;
///
/// struct CleanUp;
///
/// impl DistributeOnceJobListener for CleanUp {
///     async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
///         println!("all items of {} have ended", firing.job_name());
///         Ok(())
///     }
/// }
///
/// let clean_up = ListenerKind::distribute_once(CleanUp).completed_timeout(Duration::from_secs(3600));
/// let ready = ElasticJob::builder()
///     .without_discovery()
///     .job_listener_kind("CLEAN_UP", clean_up)
///     .job(job("settle", async || {}).sharding(4).cron("0 0 3 * * ?"))
///     .set("jobs.settle.job-listener-types", "CLEAN_UP")
///     .build();
/// assert!(ready.is_ok());
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` listens to no job", label = "no `DistributeOnceJobListener`")]
pub trait DistributeOnceJobListener: Send + Sync + 'static {
    /// All items of the firing are about to run, somewhere.
    ///
    /// `firing` has the items of the instance that calls the hook, and not those of the others.
    ///
    /// # Errors
    /// Any error goes to the job's error handler on this instance. The items run.
    ///
    /// # Cancel safety
    /// As of [`JobListener::before`]; if the session was lost, another instance calls the hook instead.
    fn before(&self, firing: &Firing) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = firing;
        async { Ok(()) }
    }

    /// All items of the firing have ended.
    ///
    /// How they ended is not handed in: a [trace listener](crate::trace::TraceListener) or the history has that.
    /// `firing` has the items of the instance that calls the hook.
    ///
    /// # Errors
    /// As of [`before`](Self::before).
    ///
    /// # Cancel safety
    /// As of [`before`](Self::before).
    fn after(&self, firing: &Firing) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = firing;
        async { Ok(()) }
    }

    /// Listeners with a lower number are called first.
    fn order(&self) -> i32 {
        i32::MAX
    }
}

/// The job listeners there are, by name.
pub type JobListeners = Catalogue<ListenerKind>;

inventory::collect!(&'static Declared<ListenerKind>);

impl JobListeners {
    /// The framework brings none.
    #[must_use]
    pub fn none() -> Self {
        Self::new("job listener")
    }

    /// The declared ones that are linked into the program.
    pub(crate) fn discovered() -> impl Iterator<Item = &'static Declared<ListenerKind>> {
        inventory::iter::<&'static Declared<ListenerKind>>.into_iter().copied()
    }
}
