//! From a name in the configuration to a listener.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::layout::Moment;
use crate::erased::BoxFuture;
use crate::guard::Held;
use crate::job::BoxError;

use super::{DistributeOnceJobListener, Firing, JobListener};

/// How long a hook may take, and how long the beginning of a firing is waited for, unless it is said.
const DEFAULT: Duration = Duration::from_secs(60);

/// How long the end of a firing is waited for: it is that of the slowest item.
const DEFAULT_COMPLETED: Duration = Duration::from_secs(24 * 3600);

/// What a listener's name stands for: the listener, which kind it is of, and how long it may take.
///
/// ```
/// use std::time::Duration;
/// use elasticjob::ElasticJob;
/// use elasticjob::job::job;
/// use elasticjob::listener::{DistributeOnceJobListener, ListenerKind};
///
/// struct CleanUp;
///
/// impl DistributeOnceJobListener for CleanUp {}
///
/// let kind = ListenerKind::distribute_once(CleanUp)
///     .started_timeout(Duration::from_secs(10))
///     .completed_timeout(Duration::from_secs(3600));
/// let settle = job("settle", || async {}).sharding(1).set("job-listener-types", "clean-up");
/// let builder = ElasticJob::builder().without_discovery().without_files().environment([]);
/// assert!(builder.job_listener_kind("clean-up", kind).job(settle).build().is_ok());
/// ```
#[derive(Clone)]
pub struct ListenerKind {
    pub(super) listener: Held<Arc<dyn AnyListener>>,
    /// Returns whether it is called once in the cluster, and not on each instance.
    pub(super) is_once: bool,
    started_timeout: Duration,
    completed_timeout: Duration,
}

impl ListenerKind {
    /// A listener that each instance tells.
    #[must_use]
    pub fn regular(listener: impl JobListener) -> Self {
        Self {
            listener: Held::new(Arc::new(Regular(listener))),
            is_once: false,
            started_timeout: DEFAULT,
            completed_timeout: DEFAULT,
        }
    }

    /// A listener that one instance in the cluster tells.
    #[must_use]
    pub fn distribute_once(listener: impl DistributeOnceJobListener) -> Self {
        Self {
            listener: Held::new(Arc::new(Once(listener))),
            is_once: true,
            started_timeout: DEFAULT,
            completed_timeout: DEFAULT_COMPLETED,
        }
    }

    /// How long `before` may take, a minute by default; and how long an instance waits for the others, and for the one
    /// that calls it, where it is called once in the cluster.
    ///
    /// After the limit the hook is dropped, its fault goes to the job's error handler, and the items run.
    #[must_use]
    pub fn started_timeout(mut self, limit: Duration) -> Self {
        self.started_timeout = limit;
        self
    }

    /// The same of `after`: a minute by default; a day where it is called once in the cluster, which an instance waits for
    /// until the last item has ended.
    ///
    /// After the limit the hook is dropped, its fault goes to the job's error handler, and the next firing may begin.
    #[must_use]
    pub fn completed_timeout(mut self, limit: Duration) -> Self {
        self.completed_timeout = limit;
        self
    }

    pub(super) fn limit(&self, moment: Moment) -> Duration {
        match moment {
            Moment::Started => self.started_timeout,
            Moment::Completed => self.completed_timeout,
        }
    }
}

impl fmt::Debug for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerKind")
            .field("is_once", &self.is_once)
            .field("started_timeout", &self.started_timeout)
            .field("completed_timeout", &self.completed_timeout)
            .finish_non_exhaustive()
    }
}

/// A listener of either kind.
pub(super) trait AnyListener: Send + Sync + 'static {
    fn call<'a>(&'a self, moment: Moment, firing: &'a Firing) -> BoxFuture<'a, Result<(), BoxError>>;

    fn order(&self) -> i32;
}

struct Regular<L>(L);

impl<L: JobListener> AnyListener for Regular<L> {
    fn call<'a>(&'a self, moment: Moment, firing: &'a Firing) -> BoxFuture<'a, Result<(), BoxError>> {
        match moment {
            Moment::Started => Box::pin(self.0.before(firing)),
            Moment::Completed => Box::pin(self.0.after(firing)),
        }
    }

    fn order(&self) -> i32 {
        self.0.order()
    }
}

struct Once<L>(L);

impl<L: DistributeOnceJobListener> AnyListener for Once<L> {
    fn call<'a>(&'a self, moment: Moment, firing: &'a Firing) -> BoxFuture<'a, Result<(), BoxError>> {
        match moment {
            Moment::Started => Box::pin(self.0.before(firing)),
            Moment::Completed => Box::pin(self.0.after(firing)),
        }
    }

    fn order(&self) -> i32 {
        self.0.order()
    }
}

/// What `#[job_listener]` stands on: one of two traits, which `Way` tells apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` listens to no job",
    label = "no `JobListener`, nor `DistributeOnceJobListener`",
    note = "`#[job_listener]` stands on the `impl` of one of these"
)]
pub trait IntoListenerKind<Way> {
    #[doc(hidden)]
    fn into_listener_kind(self) -> ListenerKind;
}

/// Way of a [`JobListener`].
#[derive(Debug)]
pub struct AsRegular;

/// Way of a [`DistributeOnceJobListener`].
#[derive(Debug)]
pub struct AsOnce;

impl<L: JobListener> IntoListenerKind<AsRegular> for L {
    fn into_listener_kind(self) -> ListenerKind {
        ListenerKind::regular(self)
    }
}

impl<L: DistributeOnceJobListener> IntoListenerKind<AsOnce> for L {
    fn into_listener_kind(self) -> ListenerKind {
        ListenerKind::distribute_once(self)
    }
}

/// A listener with `#[job_listener]`, which jobs can name by type.
///
/// ```standalone_crate
/// use elasticjob::listener::DeclaredListener;
/// use elasticjob::prelude::*;
///
/// #[derive(Default)]
/// struct Audit;
///
/// #[job_listener]
/// impl JobListener for Audit {}
///
/// assert_eq!(Audit::NAME, "Audit");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no declared job listener",
    label = "not declared with `#[job_listener]`",
    note = "put `#[job_listener]` on the `impl` block of its trait"
)]
pub trait DeclaredListener {
    /// The name that configuration uses.
    const NAME: &'static str;
}

/// What generated code makes of an implementor.
pub fn listener_kind<Way, L: IntoListenerKind<Way>>(listener: L) -> ListenerKind {
    listener.into_listener_kind()
}
