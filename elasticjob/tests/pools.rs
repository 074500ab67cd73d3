//! How many items run at once, of pools that the configuration names.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::executor::{ExecutorServiceHandler, Pool};
use elasticjob::operation::Operations;
use elasticjob::prelude::*;
use elasticjob::registry::Registry;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::starter::Builder;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts the runs that are under way, and holds them.
struct Turnstile {
    arrived: Semaphore,
    exits: Semaphore,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self {
            arrived: Semaphore::new(0),
            exits: Semaphore::new(0),
        }
    }
}

impl Turnstile {
    /// A run goes through, when it is let out.
    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.exits.acquire().await.unwrap().forget();
    }

    /// Waits until so many further runs are under way.
    async fn arrived(&self, count: u32) {
        let arrived = timeout_at(Instant::now() + PATIENCE, self.arrived.acquire_many(count));
        arrived.await.expect("they begin in time").unwrap().forget();
    }

    /// Returns how many runs are under way beyond those that were waited for, when all has been done that can be.
    async fn others(&self) -> usize {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        self.arrived.available_permits()
    }
}

/// What a shop's database bears.
#[derive(Inject)]
struct Database {
    pool: Component<Pool>,
}

const DATABASE_LINE: u32 = line!() + 2;

#[executor_service_handler(name = "DATABASE")]
impl ExecutorServiceHandler for Database {
    fn pool(&self, _: &str) -> Pool {
        Pool::clone(&self.pool)
    }
}

fn three() -> NonZeroUsize {
    NonZeroUsize::new(3).unwrap()
}

/// Returns an application with a job for each of these names, of eight items each, in this pool.
fn application(turnstile: &Arc<Turnstile>, jobs: &[&str], pool: &str) -> Builder {
    let builder = ElasticJob::builder().environment([]).component(Pool::shared(three()));
    jobs.iter().fold(builder, |builder, name| {
        let turnstile = Arc::clone(turnstile);
        let work = move || {
            let turnstile = Arc::clone(&turnstile);
            async move { turnstile.pass().await }
        };
        builder.job(
            job(*name, work)
                .sharding(8)
                .set("job-executor-service-handler-type", pool),
        )
    })
}

/// Starts the application, and runs each of the jobs once.
async fn run(builder: Builder, jobs: &[&str]) -> ElasticJob {
    let running = builder.build().unwrap().start().await.unwrap();
    for job in jobs {
        running.one_off_named(job).unwrap().execute().await.unwrap();
    }
    running
}

fn faults(builder: Builder) -> Vec<String> {
    match builder.build() {
        Err(elasticjob::Error::Invalid(faults)) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pool_runs_as_many_items_as_its_name_says() {
    for (pool, at_once) in [("SINGLE_THREAD", 1), ("FIXED(5)", 5), ("UNBOUNDED", 8)] {
        let turnstile = Arc::new(Turnstile::default());
        let running = run(application(&turnstile, &["settle"], pool), &["settle"]).await;
        turnstile.arrived(at_once).await;
        assert_eq!(turnstile.others().await, 0, "{pool}");
        turnstile.exits.add_permits(8);
        turnstile.arrived(8 - at_once).await;
        running.shutdown(PATIENCE).await;
    }
}

#[tokio::test]
async fn jobs_share_the_room_of_a_pool() {
    let turnstile = Arc::new(Turnstile::default());
    let jobs = ["settle", "bill"];
    let running = run(application(&turnstile, &jobs, "DATABASE"), &jobs).await;
    turnstile.arrived(3).await;
    assert_eq!(turnstile.others().await, 0);
    turnstile.exits.add_permits(16);
    turnstile.arrived(13).await;
    running.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_changed_pool_counts_at_once() {
    let turnstile = Arc::new(Turnstile::default());
    let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
    let builder = application(&turnstile, &["settle"], "FIXED(2)").registry(Arc::clone(&registry));
    let running = run(builder, &["settle"]).await;
    turnstile.arrived(2).await;
    assert_eq!(turnstile.others().await, 0);

    let operations = Operations::new(registry);
    let change = async |pool: &str| {
        let stored = operations.configuration("settle").await.unwrap().unwrap();
        let config = stored
            .config
            .unwrap()
            .with_settings([("jobExecutorServiceHandlerType", Some(pool))]);
        operations
            .update_configuration("settle", &config.unwrap(), stored.version)
            .await
            .unwrap();
    };
    change("FIXED(6)").await;
    turnstile.arrived(4).await;
    assert_eq!(turnstile.others().await, 0);

    // Six run; four of them end before another may begin.
    change("FIXED(3)").await;
    turnstile.exits.add_permits(3);
    assert_eq!(turnstile.others().await, 0);
    turnstile.exits.add_permits(1);
    turnstile.arrived(1).await;
    assert_eq!(turnstile.others().await, 0);
    turnstile.exits.add_permits(4);
    turnstile.arrived(1).await;
    running.shutdown(PATIENCE).await;
}

#[test]
fn an_unknown_pool_is_refused_with_the_known_ones() {
    let found = faults(application(&Arc::default(), &["settle"], "DATABASES"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].ends_with(
            "unknown executor pool `DATABASES`: expected one of CPU, DATABASE, FIXED(n), SINGLE_THREAD, UNBOUNDED"
        ),
        "{found:?}"
    );
    let found = faults(application(&Arc::default(), &["settle"], "FIXED(0)"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("job settle (")
            && found[0].ends_with("executor pool `FIXED(0)`: expected a number of 1 or more, as in `FIXED(8)`"),
        "{found:?}"
    );
}

#[test]
fn two_pools_of_one_name_are_refused() {
    let builder = application(&Arc::default(), &["settle"], "DATABASE");
    let registered = line!() + 1;
    let found = faults(builder.pool("DATABASE", Pool::unbounded()));
    let file = file!();
    assert_eq!(
        found,
        [format!(
            "more than one executor pool is named `DATABASE`: {file}:{registered}, {file}:{DATABASE_LINE}"
        )]
    );
}
