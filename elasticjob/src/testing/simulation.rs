//! An application of a user's in a simulated cluster.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::executor::{DEFAULT_POOL, ExecutorServiceHandler, Pool, Pools};
use crate::starter::{Application, Ready};

use super::{Report, in_virtual_time};

/// An application, to be run as a cluster of its instances in virtual time.
///
/// Everything of it is used as it is, jobs, strategies, error handlers, configuration, except for the registry centre
/// and the clock. Its components are shared by all instances: give it fakes of what is outside, and look afterwards
/// what became of them. Random faults strike it, unless it is to be [`without_faults`](Self::without_faults).
///
/// Time is virtual as long as the jobs wait by `tokio::time`, and blocking functions by
/// [`sleep_blocking`](super::sleep_blocking). For the same seed to give the same history, jobs take nothing from
/// outside that differs from time to time.
///
/// ```standalone_crate
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use elasticjob::prelude::*;
/// use elasticjob::starter::Ready;
/// use elasticjob::testing::Simulation;
///
/// /// Stands for the database: which item wrote with which fencing token.
/// #[derive(Default)]
/// struct Orders(Mutex<Vec<(u32, i64)>>);
///
/// #[elastic_job(cron = "0/5 * * * * ?", sharding = 3, failover)]
/// async fn settle_orders(shard: ShardingContext, orders: Component<Orders>) {
///     tokio::time::sleep(Duration::from_millis(1200)).await;
///     orders.0.lock().unwrap().push((shard.sharding_item(), shard.fencing_token()));
/// }
///
/// fn application(orders: &Arc<Orders>) -> elasticjob::Result<Ready> {
///     ElasticJob::builder().environment([]).shared_component(Arc::clone(orders)).build()
/// }
///
/// for seed in 0..3 {
///     let orders = Arc::new(Orders::default());
///     let report = Simulation::of(application(&orders)?).instances(3).run(seed);
///     assert!(report.violations().is_empty(), "{report}");
///     let written = orders.0.lock().unwrap();
///     assert!(written.len() > 10);
///     for item in 0..3 {
///         let tokens = written.iter().filter(|(of, _)| *of == item).map(|(_, token)| token);
///         assert!(tokens.is_sorted(), "no older run of an item writes after a newer one");
///     }
/// }
/// # Ok::<_, elasticjob::Error>(())
/// ```
#[must_use = "a simulation does nothing before `run`"]
#[derive(Debug)]
pub struct Simulation {
    application: Ready,
    course: Course,
}

/// What is given about a simulation; the seed decides the rest.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) instances: Option<NonZeroUsize>,
    pub(super) time: Option<Duration>,
    pub(super) has_faults: bool,
}

impl Course {
    pub(super) fn drawn() -> Self {
        Self {
            instances: None,
            time: None,
            has_faults: true,
        }
    }
}

impl Simulation {
    /// A cluster of instances of this application.
    pub fn of(application: Ready) -> Self {
        Self {
            application,
            course: Course::drawn(),
        }
    }

    /// So many instances at the beginning; others come and go. Else the seed decides.
    ///
    /// # Panics
    /// If there are none.
    pub fn instances(mut self, count: usize) -> Self {
        let count = NonZeroUsize::new(count).expect("a cluster has at least one instance");
        self.course.instances = Some(count);
        self
    }

    /// Lets faults strike for that long, in virtual time. Else the seed decides, and it is about a minute.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.course.time = Some(time);
        self
    }

    /// Nothing happens to any instance.
    pub fn without_faults(mut self) -> Self {
        self.course.has_faults = false;
        self
    }

    /// Runs it: with faults for a while, then without, until all is as it should be or the time for that is over.
    ///
    /// # Panics
    /// Inside of a tokio runtime: it makes its own.
    #[must_use]
    pub fn run(self, seed: u64) -> Report {
        let mut application: Application = self.application.into_application();
        application.pools = pools(&application.pools);
        in_virtual_time(seed, Some(application), self.course, None)
    }
}

/// The same pools, but none that depends on the machine.
pub(super) fn pools(pools: &Pools) -> Pools {
    const EIGHT: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");
    let mut fixed = Pools::new("executor pool");
    for name in pools.names() {
        let pool = match name {
            DEFAULT_POOL => Some(Arc::new(Pool::of(EIGHT)) as Arc<dyn ExecutorServiceHandler>),
            _ => pools.get(name).ok(),
        };
        if let Some(pool) = pool {
            fixed.register(name, pool).expect("names are unique");
        }
    }
    fixed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::ElasticJob;
    use crate::job::{Component, RunContext, ShardingContext, dataflow, job};

    fn application(runs: &Arc<AtomicU32>) -> Ready {
        let runs = Arc::clone(runs);
        let count = job("count", move |run: RunContext| {
            let runs = Arc::clone(&runs);
            async move {
                run.run_blocking(|| super::super::sleep_blocking(Duration::from_millis(700)))
                    .await
                    .map_err(|error| error.to_string())?;
                runs.fetch_add(1, Ordering::Relaxed);
                Ok::<_, String>(())
            }
        });
        let builder = ElasticJob::builder().without_discovery().environment([]);
        builder.job(count.cron("0/10 * * * * ?").sharding(2)).build().unwrap()
    }

    #[test]
    fn a_users_job_should_be_run_at_each_of_its_times_where_nothing_happens() {
        let runs = Arc::new(AtomicU32::new(0));
        let simulation = Simulation::of(application(&runs)).instances(2).without_faults();
        let report = simulation.lasting(Duration::from_secs(3600)).run(1);
        assert_eq!(report.violations(), Vec::<String>::new(), "{report}");
        let runs = runs.load(Ordering::Relaxed);
        assert!((720..740).contains(&runs), "{runs} runs");
    }

    /// How often each row was processed, and the newest token of each item.
    #[derive(Default)]
    struct Table(Mutex<(BTreeMap<u32, u32>, BTreeMap<u32, i64>)>);

    const ITEMS: u32 = 3;

    fn streaming(table: &Arc<Table>) -> Ready {
        let fetch = |shard: ShardingContext, table: Component<Table>| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (rows, _) = &*table.0.lock().unwrap();
            let is_ours = |row: &u32| row % ITEMS == shard.sharding_item();
            let open = rows.iter().filter(|(_, times)| **times == 0).map(|(row, _)| *row);
            open.filter(is_ours).take(5).collect::<Vec<_>>()
        };
        let process = |shard: ShardingContext, table: Component<Table>, batch: Vec<u32>| async move {
            tokio::time::sleep(Duration::from_millis(700)).await;
            // A transaction: all of it or nothing.
            let (rows, tokens) = &mut *table.0.lock().unwrap();
            let newest = tokens.entry(shard.sharding_item()).or_default();
            if *newest > shard.fencing_token() {
                return Err("a newer run has written");
            }
            *newest = shard.fencing_token();
            batch.iter().for_each(|row| *rows.entry(*row).or_default() += 1);
            Ok(())
        };
        let job = dataflow("drain", fetch, process).cron("0/10 * * * * ?").sharding(ITEMS);
        let builder = ElasticJob::builder().without_discovery().environment([]);
        let builder = builder.shared_component(Arc::clone(table));
        builder.job(job.streaming().set("failover", true)).build().unwrap()
    }

    #[test]
    fn every_row_of_a_stream_should_be_processed_once_whatever_happens() {
        for seed in 0..12 {
            let table = Arc::new(Table::default());
            table.0.lock().unwrap().0.extend((0..300).map(|row| (row, 0)));
            let report = Simulation::of(streaming(&table)).instances(3).run(seed);
            assert_eq!(report.violations(), Vec::<String>::new(), "seed {seed}\n{report}");
            let (rows, _) = &*table.0.lock().unwrap();
            let wrong: Vec<_> = rows.iter().filter(|(_, times)| **times != 1).collect();
            assert_eq!((rows.len(), wrong), (300, vec![]), "seed {seed}");
        }
    }

    #[test]
    fn a_users_job_should_have_the_same_history_for_the_same_seed() {
        let runs = Arc::default();
        let run = |seed| Simulation::of(application(&runs)).run(seed);
        let first = run(3);
        assert_eq!(first.violations(), Vec::<String>::new(), "{first}");
        assert_eq!(first.fingerprint(), run(3).fingerprint());
        assert_ne!(first.fingerprint(), run(4).fingerprint());
    }

    #[test]
    fn every_strategy_should_keep_all_promises_whatever_happens_to_the_cluster() {
        for strategy in ["STICKY", "LABEL", "SINGLE_SHARDING_BALANCE"] {
            for seed in 0..8 {
                let work = async || tokio::time::sleep(Duration::from_millis(700)).await;
                let job = job("settle", work).cron("0/3 * * * * ?").sharding(5);
                let job = job.set("failover", "true").set("job-sharding-strategy-type", strategy);
                let builder = ElasticJob::builder().without_discovery().environment([]);
                let simulation = Simulation::of(builder.job(job).build().unwrap());
                let report = simulation.instances(3).run(seed);
                let violations = report.violations();
                assert_eq!(violations, Vec::<String>::new(), "{strategy}, seed {seed}: {report}");
            }
        }
    }
}
