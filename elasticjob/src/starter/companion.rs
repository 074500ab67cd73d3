//! What runs in an application beside its jobs, such as a console.

use std::fmt;
use std::sync::Arc;

use elasticjob_config::sources::Settings;
#[cfg(feature = "_history")]
use elasticjob_config::sources::TracedJobs;
use tokio_util::sync::CancellationToken;

use crate::erased::BoxFuture;
use crate::operation::Operations;
#[cfg(feature = "_history")]
use crate::trace::history::History;

/// Runs in an application beside its jobs, by a section of its configuration. [`Builder::with`](super::Builder::with) adds it.
///
/// It starts before the instance joins the cluster, so that it can report a registry that is away, and stops before the jobs do.
/// Nothing that happens to it stops a job: it logs what it cannot do, and a panic ends it alone.
///
/// ```
/// use elasticjob::ElasticJob;
/// use elasticjob::job::job;
/// use elasticjob::registry::BoxFuture;
/// use elasticjob::starter::{Companion, CompanionContext};
///
/// /// Logs how many jobs there are once the application stops.
/// struct Farewell;
///
/// impl Companion for Farewell {
///     fn section(&self) -> Option<&'static str> {
///         None
///     }
///
///     fn run(self: Box<Self>, context: CompanionContext) -> BoxFuture<'static, ()> {
///         Box::pin(async move {
///             context.stopped().await;
///             println!("{} jobs stop", context.settings().jobs.len());
///         })
///     }
/// }
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let builder = ElasticJob::builder().without_discovery().without_files().environment([]);
/// let running = builder.job(job("greet", || async {}).sharding(1)).with(Farewell).build()?.start().await?;
/// running.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<_, elasticjob::Error>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub trait Companion: Send + 'static {
    /// Returns the section of the configuration that it serves, `console` for `elasticjob.console`; `None` if it has none. A
    /// section that no companion serves is a fault of [`Builder::build`](super::Builder::build), and so are two companions of one
    /// section.
    fn section(&self) -> Option<&'static str>;

    /// Runs until [`stopped`](CompanionContext::stopped) returns, and ends soon after: the application waits for it at its end.
    fn run(self: Box<Self>, context: CompanionContext) -> BoxFuture<'static, ()>;
}

/// What a companion has of its application.
#[derive(Clone)]
pub struct CompanionContext {
    settings: Arc<Settings>,
    operations: Operations,
    #[cfg(feature = "_history")]
    histories: Arc<[(TracedJobs, History)]>,
    stop: CancellationToken,
}

impl CompanionContext {
    pub(super) fn new(settings: Arc<Settings>, operations: Operations, stop: CancellationToken) -> Self {
        Self {
            settings,
            operations,
            #[cfg(feature = "_history")]
            histories: Arc::default(),
            stop,
        }
    }

    #[cfg(feature = "_history")]
    pub(super) fn with_histories(self, histories: Arc<[(TracedJobs, History)]>) -> Self {
        Self { histories, ..self }
    }

    /// Returns the histories that are recorded, each with the jobs that it has: that of the configuration first. There are none if nothing
    /// is recorded.
    #[cfg(feature = "_history")]
    #[must_use]
    pub fn histories(&self) -> &[(TracedJobs, History)] {
        &self.histories
    }

    /// Returns the checked configuration of the application, without its secrets being masked.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns what operators do with the jobs of the registry centre, as
    /// [`ElasticJob::operations`](super::ElasticJob::operations) does.
    #[must_use]
    pub fn operations(&self) -> Operations {
        self.operations.clone()
    }

    /// Waits until the application stops.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}

impl fmt::Debug for CompanionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No settings: they may hold secrets.
        f.debug_struct("CompanionContext")
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}
