//! Listeners: what happens before and after each firing of a job.
//!
//! There are two kinds. A [`JobListener`] is told on every instance, also on one that has none of the job's items. A
//! [`DistributeOnceJobListener`] is told once in the cluster: before the first item of a firing runs, and after the last
//! has ended. Both may take part in one job, and Java members take part in the second kind.
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
//! # What is promised
//! - **With items.** If an instance runs no item at a time, its listeners hear nothing of it. Java members call theirs then, too.
//! - **Around.** `before` ends before any item of the firing begins here, `after` begins when the ends of all are recorded. A
//!   make-up run is of the firing that it follows, as in Java: its listeners are told once. The next firing of the instance begins
//!   after that.
//! - **In order.** The listeners of a job are told one after the other, by [`order`](JobListener::order) and then as they are named.
//! - **A fault stops nothing.** It goes to the job's error handler, the other listeners are told, and the items run. Only where
//!   the handler gives the firing up (`THROW`), its items do not run, and nobody is told of an end.
//! - **Nothing waits for ever.** Each hook has its [limit](ListenerKind::started_timeout), and so has the wait for other instances.
//! - **`after` may be missing**, as it must, where the instance dies or loses its session. Of a hook that is told once in the
//!   cluster the instance that dies in it is followed by another one: it may be told twice then, and never by two at once.
//! - **Items that are taken over** from an instance that died are a firing of their own to a [`JobListener`], beside what else
//!   is running. For a [`DistributeOnceJobListener`] they belong to the firing that they were of.

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

/// Is told on each instance when a firing of a job begins there, and when it has ended.
///
/// See the [module](self) for what is promised.
#[diagnostic::on_unimplemented(
    message = "`{Self}` listens to no job",
    label = "no `JobListener`",
    note = "`#[job_listener]` stands on `impl JobListener for ..` or `impl DistributeOnceJobListener for ..`"
)]
pub trait JobListener: Send + Sync + 'static {
    /// The items of the firing are claimed for this instance, and about to run.
    ///
    /// # Errors
    /// Whatever went wrong; the job's error handler is told.
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

    /// Those with a lower number are told first.
    fn order(&self) -> i32 {
        i32::MAX
    }
}

/// Is told once in the cluster when all items of a firing are about to run, and once when all have ended.
///
/// The instances wait for each other: no item runs before [`before`](Self::before) was called, wherever that is, and no
/// instance begins its next firing before [`after`](Self::after) was. An instance without items takes no part. Items that nobody
/// runs, because they are disabled, have no instance, or lost theirs, are not waited for.
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
    /// # Errors
    /// Whatever went wrong; the error handler of the job is told, on this instance. The items run.
    ///
    /// # Cancel safety
    /// As of [`JobListener::before`]; where the session was lost, another instance is told instead.
    fn before(&self, firing: &Firing) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = firing;
        async { Ok(()) }
    }

    /// All items of the firing have ended.
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

    /// Those with a lower number are told first.
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
