//! An application of a user's in a simulated cluster.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::executor::{DEFAULT_POOL, ExecutorServiceHandler, Pool, Pools};
use crate::starter::{ApplicationParts, Ready};

use super::history::History;
use super::outside::Stuck;
use super::world::HandedOut;
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
/// There is no I/O. A run that asks for some (a socket, `tokio::fs`, `spawn_blocking`, a thread or a runtime of its own) fails, and
/// the report has a violation that names the job. Error handlers that tell people, and listeners, have no I/O either.
///
/// An application for a test reads no files of the working directory ([`without_files`](crate::starter::Builder::without_files)) nor
/// the variables of the process, and has the jobs that the test is about ([`only`](crate::starter::Builder::only)). Jobs that other
/// tests declare are [not discovered](crate::starter::Jobs::discovered).
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
///     let builder = ElasticJob::builder().without_files().environment([]).only(["settle_orders"]);
///     builder.shared_component(Arc::clone(orders)).build()
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
    stuck_after: Duration,
}

/// No code that a test runs takes that long without a pause.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What is given about a simulation; the seed decides the rest.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) instances: Option<NonZeroUsize>,
    pub(super) time: Option<Duration>,
    pub(super) has_faults: bool,
    /// How many items each job of a drawn application has.
    pub(super) items: Option<u32>,
}

impl Course {
    pub(super) fn drawn() -> Self {
        Self {
            instances: None,
            time: None,
            has_faults: true,
            items: None,
        }
    }
}

impl Simulation {
    /// Returns a cluster of instances of this application.
    ///
    /// Each instance has all its jobs. No history is recorded, and trace listeners receive nothing.
    pub fn of(application: Ready) -> Self {
        Self {
            application,
            course: Course::drawn(),
            stuck_after: STUCK_AFTER,
        }
    }

    /// So many instances at the beginning; others come and go. Else the seed decides.
    ///
    /// An instance that faults take away is often replaced, so that the number varies from then on.
    /// [`without_faults`](Self::without_faults) keeps it.
    ///
    /// # Panics
    /// If there are none.
    pub fn instances(mut self, count: usize) -> Self {
        let count = NonZeroUsize::new(count).expect("a cluster has at least one instance");
        self.course.instances = Some(count);
        self
    }

    /// Lets faults strike for that long, in virtual time. Else the seed decides, and it is about a minute.
    ///
    /// After that the cluster is healed and watched for some time more, so that runs go on beyond it. A job that fires
    /// once an hour needs more than an hour to be seen.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.course.time = Some(time);
        self
    }

    /// Nothing happens to any instance.
    ///
    /// It is for tests of what jobs do when nothing interrupts them.
    pub fn without_faults(mut self) -> Self {
        self.course.has_faults = false;
        self
    }

    /// Aborts the simulation if it makes no step for that long, in real time, because code of a job blocks it. By default a minute.
    ///
    /// A job that computes for longer than that without awaiting needs a larger limit; a job that deadlocks is reported
    /// sooner by a smaller one.
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.stuck_after = limit;
        self
    }

    /// Runs it: with faults for a while, then without, until all is as it should be or the time for that is over.
    ///
    /// It goes on in a thread of its own, which this waits for. A simulation that is [stuck](Self::stuck_after) is left behind, with
    /// its thread, and the report has a violation that names the items which ran.
    ///
    /// The same application and the same seed give the same report, as long as the jobs ask the machine for nothing.
    /// Call it for many seeds, and keep those that once found something.
    ///
    /// # Panics
    /// If a component panics as the application is taken down, or the framework does.
    #[must_use]
    pub fn run(self, seed: u64) -> Report {
        let mut application: ApplicationParts = self.application.into_parts();
        application.pools = pools(&application.pools);
        let (course, handed_out) = (self.course, HandedOut::default());
        let HandedOut { history, steps } = handed_out.clone();
        let (report, reported) = mpsc::channel();
        // The caller may have a subscriber of its own.
        let subscriber = tracing::dispatcher::get_default(Clone::clone);
        let simulation = thread::spawn(move || {
            let _subscriber = tracing::dispatcher::set_default(&subscriber);
            // Not received if the caller has given it up.
            let _ = report.send(in_virtual_time(seed, Some(application), course, handed_out, None));
        });
        match (steps.wait_for(&reported, self.stuck_after), history.get()) {
            (Ok(Some(report)), _) => report,
            (Err(stuck), Some(history)) => given_up(history, stuck),
            // It panicked, or did not even begin.
            (Ok(None) | Err(_), _) => match simulation.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => unreachable!("a simulation that ends has sent its report"),
            },
        }
    }
}

/// Returns the report of a simulation that is left behind.
fn given_up(history: &History, stuck: Stuck) -> Report {
    history.stuck(stuck);
    Report {
        history: history.clone(),
    }
}

/// Returns the same pools, but none that depends on the machine.
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
    fn runs_a_users_job_at_each_time() {
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
    fn processes_each_row_of_a_stream_once_under_faults() {
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
    fn repeats_the_history_of_a_seed() {
        let runs = Arc::default();
        let run = |seed| Simulation::of(application(&runs)).run(seed);
        let first = run(3);
        assert_eq!(first.violations(), Vec::<String>::new(), "{first}");
        assert_eq!(first.fingerprint(), run(3).fingerprint());
        assert_ne!(first.fingerprint(), run(4).fingerprint());
    }

    #[test]
    fn keeps_all_promises_with_each_strategy() {
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

    mod outside {
        use std::net::Ipv4Addr;

        use tokio::net::TcpListener;
        use tokio::runtime::Handle;

        use super::*;
        use crate::job::{BoxError, Registration};

        /// Runs the job alone, for some of its times, and returns how many runs there were and what was wrong.
        fn run(job: Registration) -> (usize, Vec<String>) {
            let builder = ElasticJob::builder()
                .without_discovery()
                .without_files()
                .environment([]);
            let ready = builder.job(job.cron("0/10 * * * * ?").sharding(1)).build().unwrap();
            let simulation = Simulation::of(ready).instances(1).without_faults();
            let simulation = simulation
                .lasting(Duration::from_secs(25))
                .stuck_after(Duration::from_millis(500));
            let report = simulation.run(1);
            (report.runs(), report.violations())
        }

        fn asks_for_io(job: Registration) {
            let (runs, violations) = run(job);
            let [violation] = &violations[..] else {
                panic!("{violations:?}")
            };
            assert!(
                violation.contains("job sync asks tokio for real I/O, which a simulation in virtual time cannot bring: give the job a component"),
                "{violation}"
            );
            assert!(runs > 1, "the others go on: {runs}");
        }

        #[test]
        fn sockets_fail_the_run_with_what_to_do() {
            asks_for_io(job("sync", async || {
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map(drop)
            }));
        }

        #[test]
        fn processes_fail_the_run_with_what_to_do() {
            asks_for_io(job("sync", async || {
                tokio::process::Command::new("true").status().await.map(drop)
            }));
        }

        #[test]
        fn sockets_in_blocking_work_fail_the_run_with_what_to_do() {
            asks_for_io(job("sync", async |run: RunContext| {
                let listening = || Handle::current().block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
                run.run_blocking(listening).await?.map(drop).map_err(BoxError::from)
            }));
        }

        #[test]
        #[expect(clippy::disallowed_methods, reason = "as code of applications does")]
        fn sockets_in_tasks_of_the_job_fail_the_run_with_what_to_do() {
            asks_for_io(job("sync", async || {
                tokio::spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
                    .await
                    .map(drop)
            }));
        }

        fn waits_for_a_thread(job: Registration) {
            let (_, violations) = run(job);
            let expected = "job sync waits for work of the thread `";
            let [violation] = &violations[..] else {
                panic!("{violations:?}")
            };
            assert!(violation.contains(expected), "{violation}");
        }

        #[test]
        #[expect(clippy::disallowed_methods, reason = "as code of applications does")]
        fn work_of_tokios_threads_fails_the_run() {
            waits_for_a_thread(job("sync", async || tokio::task::spawn_blocking(|| {}).await));
        }

        #[test]
        fn files_fail_the_run() {
            waits_for_a_thread(job("sync", async || tokio::fs::read("Cargo.toml").await.map(drop)));
        }

        #[test]
        fn what_the_framework_gives_is_inside() {
            let (runs, violations) = run(job("sync", async |run: RunContext| {
                tokio::time::sleep(Duration::from_millis(100)).await;
                run.run_blocking(|| super::super::super::sleep_blocking(Duration::from_millis(100)))
                    .await
            }));
            assert_eq!(violations, Vec::<String>::new());
            assert!(runs > 1, "{runs}");
        }

        /// It blocks in real time, and waits for virtual time, which waits for it.
        #[test]
        fn a_wait_without_end_ends_the_simulation() {
            let (_, violations) = run(job("sync", async |run: RunContext| {
                run.run_blocking(|| Handle::current().block_on(tokio::time::sleep(Duration::from_secs(1))))
                    .await
            }));
            let expected = "nothing has happened for 500ms of real time, while these items ran: sync/0;";
            let [violation] = &violations[..] else {
                panic!("{violations:?}")
            };
            assert!(violation.contains(expected), "{violation}");
        }

        #[cfg(feature = "http")]
        #[test]
        fn requests_of_jobs_by_configuration_fail_them() {
            let builder = ElasticJob::builder()
                .without_discovery()
                .without_files()
                .environment([]);
            let builder = builder
                .set("jobs.ping.elastic-job-type", "HTTP")
                .set("jobs.ping.cron", "0/10 * * * * ?")
                .set("jobs.ping.sharding-total-count", "1")
                .set("jobs.ping.props.http.uri", "http://127.0.0.1:1/")
                .set("jobs.ping.props.http.method", "GET");
            let simulation = Simulation::of(builder.build().unwrap()).instances(1).without_faults();
            let report = simulation.lasting(Duration::from_secs(25)).run(1);
            let violations = report.violations();
            assert!(
                violations
                    .iter()
                    .any(|violation| violation.contains("job ping asks tokio for real I/O")),
                "{violations:?}"
            );
        }
    }
}
