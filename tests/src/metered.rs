//! Applications on a registry that counts what each of them asks for.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::executor::Pool;
use elasticjob::job::{Registration, ShardingContext, job};
use elasticjob::registry::Registry;
use elasticjob::registry::memory::{Link, MemoryRegistry};
use elasticjob::registry::metered::{Counts, Metered};
use elasticjob::schedule::{Clock, ManualClock, sleep_until};
use jiff::{Timestamp, ToSpan as _};
use tokio::sync::Barrier;

/// The name of every job here.
pub const JOB: &str = "job";

/// The pool with room for all items that any figure runs at once.
const POOL: &str = "WIDE";

/// The longest that leaving may take. Nothing runs then.
const GRACE: Duration = Duration::from_secs(5);

/// A registry and a clock that applications share.
#[derive(Debug)]
pub struct Site<R> {
    /// Clones are the same registry.
    pub registry: R,
    clock: Arc<dyn Clock>,
}

/// An application of one job.
#[derive(Debug)]
pub struct Member<R> {
    running: ElasticJob,
    registry: Arc<Metered<R>>,
}

impl Site<MemoryRegistry> {
    /// Returns a cluster on the embedded registry. If the time of the runtime is paused, seconds take no time and counts are exact.
    #[must_use]
    pub fn embedded() -> Self {
        Self::with_sessions(None)
    }

    /// As [`embedded`](Self::embedded), with sessions that end after so long a silence; else they never do.
    #[must_use]
    pub fn with_sessions(timeout: impl Into<Option<Duration>>) -> Self {
        let clock = Arc::new(ManualClock::starting_at(
            Timestamp::from_second(1_767_225_600).expect("a time"),
        ));
        let of_registry = Arc::clone(&clock);
        let registry = MemoryRegistry::with_clock(move || of_registry.now().as_millisecond());
        let registry = match timeout.into() {
            Some(timeout) => registry.with_session_timeout(timeout),
            None => registry,
        };
        Self::new(registry, clock)
    }

    /// As [`join`](Self::join), over a link by which the application can be hurt.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn join_over(&self, link: Link, job: Registration) -> anyhow::Result<Member<Link>> {
        Member::start(link, Arc::clone(&self.clock), job).await
    }
}

impl<R: Registry + Clone> Site<R> {
    /// Returns a site on this registry and by this clock.
    pub fn new(registry: R, clock: Arc<dyn Clock>) -> Self {
        Self { registry, clock }
    }

    /// Starts an application of this job, and waits until it is registered.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn join(&self, job: Registration) -> anyhow::Result<Member<R>> {
        Member::start(self.registry.clone(), Arc::clone(&self.clock), job).await
    }

    /// Lets so many whole seconds begin, and half of the last pass: a job that fires every second has fired as often.
    pub async fn pass(&self, seconds: i64) {
        let now = self.clock.now();
        let second = Timestamp::from_second(now.as_second()).expect("it is the present second");
        sleep_until(&*self.clock, second + (seconds * 1000 + 500).milliseconds()).await;
    }
}

impl<R: Registry> Member<R> {
    async fn start(registry: R, clock: Arc<dyn Clock>, job: Registration) -> anyhow::Result<Self> {
        let registry = Arc::new(Metered::new(registry));
        let running = ElasticJob::builder()
            .without_discovery()
            .environment([])
            .pool(POOL, Pool::of(NonZeroUsize::MAX))
            .registry(Arc::clone(&registry) as _)
            .clock(clock)
            .job(job.set("job-executor-service-handler-type", POOL))
            .build()?
            .start()
            .await?;
        Ok(Self { running, registry })
    }

    /// Returns what it asked of the registry so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.registry.counts()
    }

    /// Leaves.
    pub async fn leave(self) {
        self.running.shutdown(GRACE).await;
    }
}

/// Returns a job that fires every second. Its items, all on one instance, end together.
pub fn ending_together(items: u32) -> Registration {
    let barrier = Arc::new(Barrier::new(items as usize));
    let wait = move |_: ShardingContext| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
        }
    };
    every_second(job(JOB, wait).sharding(items))
}

/// Returns a job that fires every second. Its items end one after the other.
pub fn ending_apart(items: u32) -> Registration {
    let sleep = |shard: ShardingContext| tokio::time::sleep(Duration::from_millis(20) * (shard.sharding_item() + 1));
    every_second(job(JOB, sleep).sharding(items))
}

/// Returns a job that is due every second. Its items run for one and a half, so a make-up run follows each firing.
pub fn falling_behind(items: u32) -> Registration {
    let sleep = |_: ShardingContext| tokio::time::sleep(Duration::from_millis(1500));
    every_second(job(JOB, sleep).sharding(items))
}

/// Returns a job that never fires by itself.
pub fn one_off(items: u32) -> Registration {
    job(JOB, async || {}).sharding(items)
}

fn every_second(job: Registration) -> Registration {
    job.cron("* * * * * ?").set("time-zone", "UTC")
}
