//! What one run of one sharding item can see.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::blocking::{self, BlockingError, BlockingExecutor, Inline};
use super::components::Components;
use super::progress::Progress;
use crate::progress::ProgressCell;
use crate::run::Lines;

/// Which part of which firing this run is for. Cloning is cheap.
///
/// ```
/// use elasticjob::job::ShardingContext;
///
/// fn table(shard: &ShardingContext) -> String {
///     format!("orders_{}", shard.sharding_item())
/// }
///
/// let shard = ShardingContext::for_test(1, 3).with_sharding_parameter("Shanghai");
/// assert_eq!(table(&shard), "orders_1");
/// assert_eq!(shard.sharding_parameter(), Some("Shanghai"));
/// ```
#[derive(Clone)]
pub struct ShardingContext {
    parts: Arc<ShardingParts>,
}

/// All that a [`ShardingContext`] is made of. The texts are shared by the items of a firing.
#[derive(Clone, Debug)]
pub(crate) struct ShardingParts {
    pub(crate) job_name: Arc<str>,
    pub(crate) task_id: Arc<str>,
    pub(crate) instance_id: Arc<str>,
    pub(crate) sharding_total_count: u32,
    pub(crate) job_parameter: Arc<str>,
    pub(crate) sharding_item: u32,
    pub(crate) sharding_parameter: Option<Arc<str>>,
    pub(crate) scheduled_time: Timestamp,
    pub(crate) next_scheduled_time: Option<Timestamp>,
    pub(crate) run_id: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) retry: u32,
    pub(crate) fencing_token: i64,
    pub(crate) progress: ProgressCell,
}

impl ShardingContext {
    /// A context for tests of jobs: item `sharding_item` of `sharding_total_count`, no parameters, scheduled
    /// at the Unix epoch and never again, first attempt. The `with_` methods change the rest.
    ///
    /// # Panics
    /// If the item is not below the total.
    pub fn for_test(sharding_item: u32, sharding_total_count: u32) -> Self {
        assert!(
            sharding_item < sharding_total_count,
            "sharding item {sharding_item} is not below the sharding total count {sharding_total_count}"
        );
        Self::new(ShardingParts {
            job_name: "test".into(),
            task_id: format!("test@-@{sharding_item}@-@READY@-@127.0.0.1@-@0").into(),
            instance_id: "127.0.0.1@-@0".into(),
            sharding_total_count,
            job_parameter: "".into(),
            sharding_item,
            sharding_parameter: None,
            scheduled_time: Timestamp::UNIX_EPOCH,
            next_scheduled_time: None,
            run_id: "test".into(),
            attempt: 1,
            retry: 0,
            fencing_token: 1,
            progress: ProgressCell::default(),
        })
    }

    pub(crate) fn new(parts: ShardingParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// The name of the job.
    /// It is the name in the configuration and in the registry, which may differ from the name of the function.
    pub fn job_name(&self) -> &str {
        &self.parts.job_name
    }

    /// The task id in the form that all members of the cluster use: `{job}@-@{items}@-@READY@-@{instance}`.
    /// It is the same for all firings of the same items: see [`run_id`](Self::run_id) for one that is not.
    pub fn task_id(&self) -> &str {
        &self.parts.task_id
    }

    /// The instance that runs the item: `{ip}@-@{process id}-{suffix}`. A process has another one after it lost its
    /// session with the registry centre.
    pub fn instance_id(&self) -> &str {
        &self.parts.instance_id
    }

    /// Into how many items the job is divided.
    /// The number is that of the configuration when the firing began, and at least 1.
    pub fn sharding_total_count(&self) -> u32 {
        self.parts.sharding_total_count
    }

    /// The job's parameter; empty when there is none.
    /// A triggered run may have been given another one: then it is that.
    pub fn job_parameter(&self) -> &str {
        &self.parts.job_parameter
    }

    /// The item of this run, from 0.
    /// It is less than [`sharding_total_count`](Self::sharding_total_count).
    pub fn sharding_item(&self) -> u32 {
        self.parts.sharding_item
    }

    /// The item's own parameter, if the configuration gives it one.
    pub fn sharding_parameter(&self) -> Option<&str> {
        self.parts.sharding_parameter.as_deref()
    }

    /// The time this run was scheduled for, which is not later than the time it started at: a run that makes
    /// up for a missed firing has the time that was missed.
    /// For a triggered run it is the time at which an instance took the trigger.
    pub fn scheduled_time(&self) -> Timestamp {
        self.parts.scheduled_time
    }

    /// When the job is scheduled next, as the schedule stood when this run was started; `None` for a one-off job and
    /// after the last time of a schedule that ends.
    pub fn next_scheduled_time(&self) -> Option<Timestamp> {
        self.parts.next_scheduled_time
    }

    /// Names the run of this item, over all its attempts. No other run has the same name, of another item neither.
    pub fn run_id(&self) -> &str {
        &self.parts.run_id
    }

    /// Which attempt at this firing of the item it is, from 1: another one follows where the instance of one died.
    pub fn attempt(&self) -> u32 {
        self.parts.attempt
    }

    /// How often this attempt was tried before, and failed; 0 where the job is not to be tried again.
    pub fn retry(&self) -> u32 {
        self.parts.retry
    }

    /// A number that only grows from one run of the item to the next. Retries are the same run.
    ///
    /// Hand it to resources that outlive the run: one that refuses a number smaller than the largest it has
    /// seen is safe from a run that was taken for dead and continues.
    pub fn fencing_token(&self) -> i64 {
        self.parts.fencing_token
    }

    /// Reports how far the run has come, as a fraction of 1, with a text for operators. `elasticjob items` and `elasticjob
    /// explain` show the newest report, with its age, while the run goes on.
    ///
    /// It may be called as often as you like, from blocking work, too: it neither waits nor makes a request. The instance writes
    /// the newest reports of a job's runs once in 5 s, of 100 runs at a time. The first comes 1 s after the run began, so a
    /// shorter run is not written. The report goes with the end of the run. If the run is taken over, the next attempt begins
    /// without one.
    ///
    /// `None` leaves the fraction open. A fraction is shown in whole per cent, rounded down. One below 0 counts as 0, one above 1
    /// as 1, and NaN as none. A text of more than 200 characters is cut, and control characters become blanks. Scripts and HTTP
    /// jobs cannot report.
    ///
    /// ```
    /// use elasticjob::job::ShardingContext;
    ///
    /// async fn export(shard: ShardingContext) {
    ///     for page in 0..100 {
    ///         // .. export the page ..
    ///         shard.progress(f64::from(page) / 100.0, &format!("page {page} of 100"));
    ///     }
    ///     shard.progress(None, "sending the file");
    /// }
    /// # futures_util::FutureExt::now_or_never(export(ShardingContext::for_test(0, 1))).unwrap();
    /// ```
    pub fn progress(&self, fraction: impl Into<Option<f64>>, text: &str) {
        self.parts.progress.report(fraction.into(), text);
    }

    /// The same context with another job name.
    #[must_use]
    pub fn with_job_name(self, job_name: &str) -> Self {
        self.with(|parts| parts.job_name = job_name.into())
    }

    /// The same context on another instance.
    #[must_use]
    pub fn with_instance_id(self, instance_id: &str) -> Self {
        self.with(|parts| parts.instance_id = instance_id.into())
    }

    /// The same context with another job parameter.
    #[must_use]
    pub fn with_job_parameter(self, job_parameter: &str) -> Self {
        self.with(|parts| parts.job_parameter = job_parameter.into())
    }

    /// The same context with another parameter of the item.
    #[must_use]
    pub fn with_sharding_parameter(self, sharding_parameter: &str) -> Self {
        self.with(|parts| parts.sharding_parameter = Some(sharding_parameter.into()))
    }

    /// The same context, scheduled at another time.
    #[must_use]
    pub fn with_scheduled_time(self, scheduled_time: Timestamp) -> Self {
        self.with(|parts| parts.scheduled_time = scheduled_time)
    }

    /// The same context, of a job that is scheduled again.
    #[must_use]
    pub fn with_next_scheduled_time(self, next_scheduled_time: Timestamp) -> Self {
        self.with(|parts| parts.next_scheduled_time = Some(next_scheduled_time))
    }

    /// The same context, of another attempt.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Self {
        self.with(|parts| parts.attempt = attempt)
    }

    /// The same context, after so many tries that failed.
    #[must_use]
    pub fn with_retry(self, retry: u32) -> Self {
        self.with(|parts| parts.retry = retry)
    }

    /// The same context with another fencing token.
    #[must_use]
    pub fn with_fencing_token(self, fencing_token: i64) -> Self {
        self.with(|parts| parts.fencing_token = fencing_token)
    }

    fn with(mut self, change: impl FnOnce(&mut ShardingParts)) -> Self {
        change(Arc::make_mut(&mut self.parts));
        self
    }
}

impl fmt::Debug for ShardingContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.parts, f)
    }
}

/// Everything one run of one item can see: what [extractors](super::FromRun) read. Cloning is cheap.
///
/// ```
/// use elasticjob::job::{BoxError, FromRun, RunContext, ShardingContext};
///
/// /// The share of this item, for jobs that page by hash.
/// struct Share(f64);
///
/// impl FromRun for Share {
///     fn from_run(run: &RunContext) -> Result<Self, BoxError> {
///         Ok(Share(1.0 / f64::from(run.sharding().sharding_total_count())))
///     }
/// }
///
/// let run = RunContext::for_test(ShardingContext::for_test(0, 4));
/// assert_eq!(Share::from_run(&run)?.0, 0.25);
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone)]
pub struct RunContext {
    sharding: ShardingContext,
    parts: RunParts,
}

/// What a [`RunContext`] holds beside the sharding context.
#[derive(Clone)]
pub(crate) struct RunParts {
    pub(crate) cancellation: CancellationToken,
    pub(crate) wind_down: CancellationToken,
    /// Not ours to cancel.
    pub(crate) fenced: CancellationToken,
    pub(crate) components: Arc<Components>,
    pub(crate) props: Arc<BTreeMap<String, String>>,
    pub(crate) blocking: Arc<dyn BlockingExecutor>,
    pub(crate) progress: Progress,
    /// Where the output of a program goes that does the work.
    #[cfg_attr(not(feature = "script"), expect(dead_code, reason = "scripts alone write to it"))]
    pub(crate) log: Option<Arc<Lines>>,
}

impl RunContext {
    /// A context for tests of extractors and jobs: no components, no props, and blocking work runs in place.
    pub fn for_test(sharding: ShardingContext) -> Self {
        let parts = RunParts {
            cancellation: CancellationToken::new(),
            wind_down: CancellationToken::new(),
            fenced: CancellationToken::new(),
            components: Arc::default(),
            props: Arc::default(),
            blocking: Arc::new(Inline),
            progress: Progress::default(),
            log: None,
        };
        Self::new(sharding, parts)
    }

    pub(crate) fn new(sharding: ShardingContext, parts: RunParts) -> Self {
        Self { sharding, parts }
    }

    /// The same context with these components.
    /// They replace those that the context had.
    #[must_use]
    pub fn with_components(mut self, components: Components) -> Self {
        self.parts.components = Arc::new(components);
        self
    }

    /// The same context with these props.
    /// They replace those that the context had.
    #[must_use]
    pub fn with_props(mut self, props: BTreeMap<String, String>) -> Self {
        self.parts.props = Arc::new(props);
        self
    }

    /// The same context with another executor of blocking work.
    #[must_use]
    pub fn with_blocking(mut self, blocking: Arc<dyn BlockingExecutor>) -> Self {
        self.parts.blocking = blocking;
        self
    }

    /// Returns the log of the run, if the history keeps it.
    #[cfg(feature = "script")]
    pub(crate) fn log(&self) -> Option<&Arc<Lines>> {
        self.parts.log.as_ref()
    }

    /// Which part of which firing this is.
    pub fn sharding(&self) -> &ShardingContext {
        &self.sharding
    }

    /// Cancelled when the run should end early: on shutdown, on an operator's word, when the session is lost.
    /// An async job is dropped soon after; blocking work has to look here itself.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.parts.cancellation
    }

    /// Returns a token that is cancelled when the run should end at its next good place, with nothing left half done. This happens if
    /// the application stops, an operator switches the job off here or changes its props or parameters, the item is about to move
    /// to another instance, or other items wait for the next firing. The framework does not end the run, except at the end of the
    /// grace period when the application stops. Work that goes on as long as there is data should check the token between two
    /// pieces, as dataflow jobs do between batches.
    ///
    /// ```
    /// use elasticjob::job::{RunContext, ShardingContext};
    ///
    /// /// Copies page after page; how many.
    /// async fn copy(run: RunContext) -> u32 {
    ///     for page in 0..100 {
    ///         if run.wind_down().is_cancelled() {
    ///             return page;
    ///         }
    ///     }
    ///     100
    /// }
    ///
    /// let run = RunContext::for_test(ShardingContext::for_test(0, 1));
    /// run.wind_down().cancel();
    /// # let copied = futures_util::FutureExt::now_or_never(copy(run)).unwrap();
    /// # assert_eq!(copied, 0);
    /// ```
    pub fn wind_down(&self) -> &CancellationToken {
        &self.parts.wind_down
    }

    /// Cancelled when the session with the registry centre can no longer be relied upon: others may run the item soon,
    /// so what it has started is stopped at once, without grace. [`cancellation`](Self::cancellation) is cancelled, too,
    /// and a little later.
    pub fn fenced(&self) -> CancellationToken {
        // A child, so that cancelling it does no harm; made here, since few ask for it.
        self.parts.fenced.child_token()
    }

    /// Reports how far the run has come: see [`ShardingContext::progress`].
    pub fn progress(&self, fraction: impl Into<Option<f64>>, text: &str) {
        self.sharding.progress(fraction, text);
    }

    /// Notified when a long run has finished a piece of its work.
    pub(super) fn pieces(&self) -> &Progress {
        &self.parts.progress
    }

    /// The components that the application provided.
    /// They are the same values for all jobs and all runs of the process.
    pub fn components(&self) -> &Components {
        &self.parts.components
    }

    /// The job's props, as configured when the run started.
    /// Values may be secrets: do not log them as a whole. A change of the configuration does not change a run that goes
    /// on.
    pub fn props(&self) -> &BTreeMap<String, String> {
        &self.parts.props
    }

    /// Runs `work` where it may block.
    ///
    /// # Errors
    /// [`BlockingError::Panicked`] when `work` panicked, [`BlockingError::Refused`] when it was not run.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop work that has begun: it should look at
    /// [`cancellation`](Self::cancellation).
    pub fn run_blocking<R, F>(&self, work: F) -> impl Future<Output = Result<R, BlockingError>> + Send + 'static
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        blocking::run(Arc::clone(&self.parts.blocking), work)
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No props: they may hold secrets.
        f.debug_struct("RunContext")
            .field("sharding", &self.sharding)
            .finish_non_exhaustive()
    }
}
