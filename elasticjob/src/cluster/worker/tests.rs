//! Whole clusters in one thread: several processes' workers on one embedded registry, in virtual time.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::cluster::fence::{Gated, Stopped};
use crate::cluster::ids::Ids;
use crate::cluster::launch::Launch;
use crate::cluster::ledger::{End, Source, Verdict};
use crate::cluster::session::{FenceAlarm, Keeper, Retry};
use crate::registry::memory::{Fate, Link, MemoryRegistry};
use crate::registry::{Answer, CreateMode, Read, Registry, Session, Step};
use crate::schedule::{Clock, ManualClock};
use crate::sharding::Strategies;
use crate::tasks::Tasks;
use crate::trace::JobEvent;

/// How long items run, by item.
type Work = Arc<dyn Fn(u32) -> BoxFuture<'static, ()> + Send + Sync>;

/// One run of an item: who, when due, which item, and when it began and ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ran {
    by: String,
    item: u32,
    due: Timestamp,
    attempt: u32,
    token: i64,
    began: Duration,
    ended: Option<Duration>,
}

#[derive(Clone, Default)]
struct History(Arc<Mutex<Vec<Ran>>>);

impl History {
    fn all(&self) -> Vec<Ran> {
        self.0.lock().unwrap().clone()
    }

    /// The items run for one scheduled time, with who ran them, sorted by item.
    fn at(&self, due: Timestamp) -> Vec<(u32, String)> {
        let mut items: Vec<_> = self
            .all()
            .into_iter()
            .filter(|ran| ran.due == due)
            .map(|ran| (ran.item, ran.by))
            .collect();
        items.sort();
        items
    }

    fn count_at(&self, due: Timestamp) -> usize {
        self.at(due).len()
    }

    /// Panics where two runs of one item overlap, or a token does not grow.
    fn check(&self) {
        let mut by_item: BTreeMap<u32, Vec<Ran>> = BTreeMap::new();
        for ran in self.all() {
            by_item.entry(ran.item).or_default().push(ran);
        }
        for runs in by_item.values_mut() {
            runs.sort_by_key(|ran| ran.token);
            for pair in runs.windows(2) {
                assert!(pair[0].token < pair[1].token, "token used twice: {pair:?}");
                assert!(
                    pair[0].ended.is_some_and(|ended| ended <= pair[1].began),
                    "runs overlap: {pair:?}"
                );
                assert_ne!(
                    (pair[0].due, pair[0].attempt),
                    (pair[1].due, pair[1].attempt),
                    "run twice: {pair:?}"
                );
            }
        }
    }
}

struct FakeRunner {
    tasks: Tasks,
    clock: Arc<ManualClock>,
    history: History,
    work: Work,
}

impl Runner for FakeRunner {
    fn launch(&self, launch: Launch) {
        let Launch {
            start,
            fence,
            cancellation,
            finished,
            ..
        } = launch;
        let (history, clock) = (self.history.clone(), Arc::clone(&self.clock));
        let index = {
            let mut runs = history.0.lock().unwrap();
            runs.push(Ran {
                by: start.run.owner.clone(),
                item: start.item,
                due: Timestamp::from_millisecond(start.run.due).unwrap(),
                attempt: start.run.attempt,
                token: start.fencing_token,
                began: clock.elapsed(),
                ended: None,
            });
            runs.len() - 1
        };
        let work = (self.work)(start.item);
        self.tasks.spawn("item", async move {
            let outcome = Gated::new(work, fence, cancellation).await;
            history.0.lock().unwrap()[index].ended = Some(clock.elapsed());
            let verdict = if outcome.is_ok() {
                Verdict::Succeeded
            } else {
                Verdict::Cancelled
            };
            let is_fenced = matches!(outcome, Err(Stopped::Fenced));
            let (item, run, attempt) = (start.item, start.run.id, start.run.attempt);
            let _ = finished.send(Box::new(Finished {
                item,
                run,
                attempt,
                is_fenced,
                end: End::new(verdict),
                is_abort: false,
            }));
        });
    }

    fn configure(&self, _config: &JobConfig) -> Result<(), String> {
        Ok(())
    }

    fn report(&self, _fault: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        false
    }
}

/// One process of the application.
struct Instance {
    link: Link,
    tasks: Tasks,
    handle: WorkerHandle,
    memberships: watch::Receiver<Option<Arc<Membership>>>,
    process: Arc<Process>,
    /// Its id when it was killed.
    killed: OnceCell<String>,
}

impl Instance {
    /// Its id, also when it was killed.
    fn id_before(&self) -> String {
        self.killed.get().cloned().unwrap_or_else(|| self.id())
    }

    fn id(&self) -> String {
        self.memberships.borrow().as_ref().expect("joined").id().to_string()
    }

    fn events(&self) -> crate::trace::Events {
        self.process.events.subscribe()
    }

    async fn stop(&self, grace: Duration) {
        self.handle
            .commands
            .send(Box::new(Command::Stop {
                cancel_at: Instant::now() + grace,
            }))
            .await
            .unwrap();
        self.handle
            .state
            .clone()
            .wait_for(|state| *state == JobState::Stopped)
            .await
            .unwrap();
        self.tasks.token().cancel();
    }
}

struct Cluster {
    registry: MemoryRegistry,
    clock: Arc<ManualClock>,
    history: History,
    seed: u64,
    observer: Arc<dyn Session>,
}

const TIMEOUT: Duration = Duration::from_secs(9);

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    start() + Duration::from_secs(u64::try_from(second).unwrap())
}

fn every_second(total: u32) -> JobConfig {
    JobConfig::builder("job")
        .cron("* * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total)
        .build()
        .unwrap()
}

fn quick() -> Work {
    Arc::new(|_| Box::pin(async {}))
}

fn lasting(time: Duration) -> Work {
    Arc::new(move |_| Box::pin(tokio::time::sleep(time)))
}

impl Cluster {
    async fn new() -> Self {
        // Shown where a test fails, and with `RUST_LOG`.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .without_time()
            .with_test_writer()
            .try_init();
        let clock = Arc::new(ManualClock::starting_at(start()));
        let of_registry = Arc::clone(&clock);
        let registry =
            MemoryRegistry::with_clock(move || of_registry.now().as_millisecond()).with_session_timeout(TIMEOUT);
        let observer = registry.connect().await.unwrap();
        Self {
            registry,
            clock,
            history: History::default(),
            seed: 1,
            observer,
        }
    }

    fn join(&mut self, ip: &str, config: JobConfig, work: Work) -> Instance {
        self.seed += 1;
        let tasks = Tasks::new();
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let link = self.registry.link(&format!("{ip}-{}", self.seed));
        let (sender, memberships) = watch::channel(None);
        let keeper = Keeper {
            registry: Arc::new(link.clone()),
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
            ids: Ids::seeded(self.seed),
            ip: ip.to_owned(),
            pid: u32::try_from(self.seed).unwrap(),
            retry: Retry {
                base: Duration::from_secs(1),
                limit: Duration::from_secs(3),
                attempts: None,
            },
            alarm: FenceAlarm::Task,
            memberships: sender,
            failed_attempts: watch::Sender::new(0),
        };
        tasks.spawn("keeper", keeper.run());
        let ids = Ids::seeded(self.seed + 1000);
        let process = Arc::new(Process::new(
            Arc::clone(&clock),
            memberships.clone(),
            Strategies::built_in(),
            ids,
            Duration::from_secs(30),
        ));
        let runner = FakeRunner {
            tasks: tasks.clone(),
            clock: Arc::clone(&self.clock),
            history: self.history.clone(),
            work,
        };
        let application = Application {
            config: Arc::new(config),
            implementation: None,
        };
        let (worker, handle) = Worker::new(Arc::clone(&process), application, Box::new(runner));
        tasks.spawn("worker", worker.run());
        Instance {
            link,
            tasks,
            handle,
            memberships,
            process,
            killed: OnceCell::new(),
        }
    }

    /// Lets the time up to a second of the history pass.
    async fn until(&self, second: f64) {
        let target = start() + Duration::from_secs_f64(second);
        tokio::time::sleep_until(self.clock.instant_at(target)).await;
    }

    async fn data(&self, path: &str) -> Option<String> {
        let answers = self.observer.read(vec![Read::Data(path.to_owned())]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Data(found)) => found.map(|(data, _)| String::from_utf8(data).unwrap()),
            _ => None,
        }
    }

    async fn children(&self, path: &str) -> Vec<String> {
        let answers = self.observer.read(vec![Read::Children(path.to_owned())]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Children(found)) => found.unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    async fn set(&self, path: &str, data: &str) {
        let step = Step::Set {
            path: path.to_owned(),
            data: data.into(),
            version: None,
        };
        self.observer.write(vec![step]).await.unwrap();
    }

    async fn create(&self, path: &str, data: &str) {
        let step = Step::Create {
            path: path.to_owned(),
            data: data.into(),
            mode: CreateMode::Persistent,
        };
        self.observer.write(vec![step]).await.unwrap();
    }
}

fn by(runs: &[(u32, String)], id: &str) -> Vec<u32> {
    runs.iter().filter(|(_, by)| by == id).map(|(item, _)| *item).collect()
}

#[tokio::test(start_paused = true)]
async fn instances_should_share_the_items_without_gap_or_overlap() {
    let mut cluster = Cluster::new().await;
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        .map(|ip| cluster.join(ip, every_second(10), lasting(Duration::from_millis(300))))
        .into();
    cluster.until(10.5).await;
    cluster.history.check();
    for second in 3..=10 {
        let runs = cluster.history.at(at(second));
        assert_eq!(
            runs.iter().map(|(item, _)| *item).collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>(),
            "at {second}"
        );
        let shares: Vec<usize> = instances
            .iter()
            .map(|instance| by(&runs, &instance.id()).len())
            .collect();
        assert_eq!(shares.iter().sum::<usize>(), 10, "at {second}");
        assert!(
            shares.iter().all(|share| (3..=4).contains(share)),
            "{shares:?} at {second}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_should_be_what_java_writes() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .sharding_total_count(2)
        .build()
        .unwrap();
    let instance = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(2)));
    cluster.until(6.0).await;
    let id = instance.id();
    assert_eq!(cluster.data("/job").await.as_deref(), Some(""));
    assert_eq!(cluster.data("/job/config").await, Some(config.to_yaml()));
    assert_eq!(cluster.data("/job/servers/10.0.0.1").await.as_deref(), Some("ENABLED"));
    let node = format!("jobInstanceId: {id}\nserverIp: 10.0.0.1\n");
    assert_eq!(cluster.data(&format!("/job/instances/{id}")).await, Some(node));
    assert_eq!(cluster.data("/job/leader/election/instance").await.as_ref(), Some(&id));
    assert_eq!(
        cluster.children("/job/leader/election/latch").await,
        Vec::<String>::new()
    );
    assert_eq!(cluster.children("/job/leader/sharding").await, Vec::<String>::new());
    for item in 0..2 {
        assert_eq!(
            cluster.data(&format!("/job/sharding/{item}/instance")).await.as_ref(),
            Some(&id)
        );
        assert_eq!(
            cluster.data(&format!("/job/sharding/{item}/running")).await.as_ref(),
            Some(&id)
        );
    }
    cluster.until(8.0).await;
    assert_eq!(cluster.data("/job/sharding/0/running").await, None);
}

#[tokio::test(start_paused = true)]
async fn items_of_an_instance_that_leaves_should_move_at_once() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(4.5).await;
    let leaving = second.id();
    second.stop(Duration::from_secs(1)).await;
    assert_eq!(cluster.children("/job/instances").await, [first.id()]);
    cluster.until(8.5).await;
    cluster.history.check();
    assert_eq!(by(&cluster.history.at(at(4)), &leaving).len(), 2);
    for second in 6..=8 {
        assert_eq!(by(&cluster.history.at(at(second)), &first.id()).len(), 4, "at {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn items_of_an_instance_that_died_should_move_when_its_session_ends() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(4.5).await;
    second.link.cut();
    second.tasks.token().cancel();
    cluster.until(18.5).await;
    cluster.history.check();
    for second in 15..=18 {
        assert_eq!(by(&cluster.history.at(at(second)), &first.id()).len(), 4, "at {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_died_should_be_followed_by_another() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    cluster.until(2.5).await;
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(4.5).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(first.id()));
    first.link.expire();
    first.link.cut();
    cluster.until(8.5).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(second.id()));
    assert_eq!(by(&cluster.history.at(at(8)), &second.id()).len(), 4);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_lost_its_session_should_come_back_as_a_new_one() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    let before = only.id();
    only.link.expire();
    cluster.until(8.5).await;
    assert_ne!(only.id(), before);
    assert_eq!(cluster.children("/job/instances").await, [only.id()]);
    assert_eq!(by(&cluster.history.at(at(8)), &only.id()), [0, 1]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn a_disabled_server_should_take_nothing_and_not_lead() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(3.5).await;
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    cluster.until(8.5).await;
    for time in 5..=8 {
        assert_eq!(by(&cluster.history.at(at(time)), &second.id()).len(), 4, "at {time}");
    }
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(second.id()));
    cluster.set("/job/servers/10.0.0.1", "ENABLED").await;
    cluster.until(12.5).await;
    assert_eq!(by(&cluster.history.at(at(12)), &first.id()).len(), 2);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn an_operators_disabled_should_stay_over_a_restart() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(2.5).await;
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    first.stop(Duration::ZERO).await;
    let again = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(6.5).await;
    assert_eq!(cluster.data("/job/servers/10.0.0.1").await.as_deref(), Some("DISABLED"));
    assert_eq!(
        cluster.history.all().iter().filter(|ran| ran.by == again.id()).count(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_cron_and_total_count_should_be_in_force_at_once() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    let changed = JobConfig::builder("job")
        .cron("0/2 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(5)
        .build()
        .unwrap();
    cluster.set("/job/config", &changed.to_yaml()).await;
    cluster.until(10.5).await;
    assert_eq!(
        by(&cluster.history.at(at(4)), &only.id()).len(),
        5,
        "the new count within half a second"
    );
    assert_eq!(cluster.history.count_at(at(5)), 0, "no firing at odd seconds");
    assert_eq!(cluster.history.count_at(at(6)), 5);
    let fewer = changed.to_builder().sharding_total_count(1).build().unwrap();
    cluster.set("/job/config", &fewer.to_yaml()).await;
    cluster.until(12.5).await;
    assert_eq!(cluster.history.count_at(at(12)), 1);
    assert_eq!(cluster.children("/job/sharding").await, ["0"]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn a_configuration_changed_while_an_instance_joins_should_be_in_force_there() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(2.2).await;
    let second = cluster.join("10.0.0.2", every_second(2), quick());
    second.link.delay(Duration::from_millis(20));
    // It has asked for the configuration, and not yet for the rest.
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(cluster.children("/job/instances").await, [first.id()]);
    cluster.set("/job/config", &every_second(4).to_yaml()).await;
    cluster.until(3.5).await;
    first.stop(Duration::ZERO).await;
    cluster.until(6.5).await;
    assert_eq!(by(&cluster.history.at(at(6)), &second.id()), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_configuration_should_leave_the_last_valid_one_in_force() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    cluster
        .set(
            "/job/config",
            "cron: 61 * * * * ?\njobName: job\nshardingTotalCount: 0\n",
        )
        .await;
    cluster.until(6.5).await;
    assert_eq!(cluster.history.count_at(at(6)), 2);
}

#[tokio::test(start_paused = true)]
async fn a_running_item_should_end_before_it_moves_and_hold_up_no_other() {
    let mut cluster = Cluster::new().await;
    let every_five = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(4)
        .build()
        .unwrap();
    let work: Work = Arc::new(|item| {
        Box::pin(async move {
            if item == 0 {
                tokio::time::sleep(Duration::from_secs(8)).await;
            }
        })
    });
    let first = cluster.join("10.0.0.1", every_five.clone(), Arc::clone(&work));
    cluster.until(5.5).await;
    let second = cluster.join("10.0.0.2", every_five, work);
    cluster.until(9.5).await;
    assert_eq!(cluster.data("/job/sharding/2/instance").await, Some(first.id()));
    assert_eq!(cluster.data("/job/sharding/1/instance").await, Some(second.id()));
    assert_eq!(
        cluster.data("/job/sharding/0/instance").await,
        Some(first.id()),
        "it runs, so it stays"
    );
    cluster.until(24.5).await;
    cluster.history.check();
    assert_eq!(
        by(&cluster.history.at(at(10)), &second.id()),
        [0, 1],
        "the one that moved is made up where it is now"
    );
    assert_eq!(
        by(&cluster.history.at(at(10)), &first.id()),
        [2, 3],
        "made up, without the one that moves"
    );
    assert_eq!(by(&cluster.history.at(at(20)), &second.id()), [0, 1]);
    assert_eq!(by(&cluster.history.at(at(20)), &first.id()), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_stale_mark_should_be_removed_and_the_item_run_at_the_next_time() {
    let mut cluster = Cluster::new().await;
    let failover = every_second(2).to_builder().failover(true).build().unwrap();
    let only = cluster.join("10.0.0.1", failover.clone(), quick());
    cluster.until(2.5).await;
    only.stop(Duration::ZERO).await;
    cluster.create("/job/sharding/1/running", "10.0.0.9@-@77").await;
    let again = cluster.join("10.0.0.1", failover, quick());
    cluster.until(6.5).await;
    assert_eq!(by(&cluster.history.at(at(6)), &again.id()), [0, 1]);
    assert_eq!(cluster.data("/job/sharding/1/running").await, None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_to_a_claim_should_neither_lose_nor_repeat_the_firing() {
    for fate in [Fate::Applied, Fate::Dropped] {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_second(3), quick());
        cluster.until(4.9).await;
        only.link.cut_at_next_write(fate);
        cluster.until(5.3).await;
        only.link.heal();
        cluster.until(9.5).await;
        cluster.history.check();
        assert_eq!(cluster.history.count_at(at(5)), 3, "{fate:?}");
        assert_eq!(cluster.history.count_at(at(9)), 3, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_to_an_end_should_leave_no_mark() {
    for fate in [Fate::Applied, Fate::Dropped] {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_second(2), lasting(Duration::from_millis(500)));
        cluster.until(5.2).await;
        only.link.cut_at_next_write(fate);
        cluster.until(5.7).await;
        only.link.heal();
        cluster.until(9.2).await;
        cluster.history.check();
        assert_eq!(cluster.history.count_at(at(9)), 2, "{fate:?}");
        cluster.until(9.9).await;
        assert_eq!(cluster.data("/job/sharding/0/running").await, None, "{fate:?}");
        assert!(
            cluster.data("/job/ledger/items/0").await.unwrap().contains("succeeded"),
            "{fate:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn work_should_stop_before_a_session_that_is_cut_off_can_end() {
    let mut cluster = Cluster::new().await;
    let hourly = JobConfig::builder("job")
        .cron("5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", hourly, lasting(Duration::from_secs(600)));
    cluster.until(6.0).await;
    assert_eq!(cluster.history.all().len(), 1);
    only.link.cut();
    cluster.until(6.0 + TIMEOUT.as_secs_f64()).await;
    let ended = cluster.history.all()[0].ended.expect("it was stopped");
    assert!(ended < Duration::from_secs(6) + TIMEOUT, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn items_should_finish_within_the_grace_period_and_be_cancelled_after_it() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 0 { 2 } else { 60 }))));
    let config = JobConfig::builder("job")
        .cron("5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(2)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", config, work);
    cluster.until(6.0).await;
    let id = only.id();
    let stopping = only.stop(Duration::from_secs(4));
    tokio::pin!(stopping);
    tokio::select! {
        () = &mut stopping => panic!("items are still running"),
        () = cluster.until(9.0) => {}
    }
    assert!(
        cluster
            .data(&format!("/job/ledger/members/{id}"))
            .await
            .unwrap()
            .contains("true"),
        "it is announced"
    );
    assert_eq!(cluster.data("/job/sharding/0/running").await, None, "it finished");
    assert!(cluster.data("/job/sharding/1/running").await.is_some(), "it goes on");
    stopping.await;
    assert!(cluster.data("/job/ledger/items/0").await.unwrap().contains("succeeded"));
    assert!(cluster.data("/job/ledger/items/1").await.unwrap().contains("cancelled"));
    assert_eq!(cluster.data("/job/sharding/1/running").await, None);
    assert_eq!(cluster.children("/job/instances").await, Vec::<String>::new());
    assert_eq!(cluster.data("/job/leader/election/instance").await, None);
}

#[tokio::test(start_paused = true)]
async fn an_order_should_run_all_items_once_and_be_answered_in_the_ledger() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(3).build().unwrap();
    let first = cluster.join("10.0.0.1", one_off.clone(), quick());
    let _second = cluster.join("10.0.0.2", one_off, quick());
    cluster.until(3.0).await;
    let (answer, answered) = oneshot::channel();
    let request = "q1".to_owned();
    first
        .handle
        .commands
        .send(Box::new(Command::Trigger { request, answer }))
        .await
        .unwrap();
    answered.await.unwrap().unwrap();
    cluster.until(4.0).await;
    assert_eq!(cluster.history.all().len(), 3);
    for item in 0..3 {
        let ledger = cluster.data(&format!("/job/ledger/items/{item}")).await.unwrap();
        assert!(
            crate::cluster::ledger::Record::parse(ledger.as_bytes())
                .answer_to("q1")
                .is_some(),
            "{ledger}"
        );
    }
    assert_eq!(cluster.children("/job/trigger").await, Vec::<String>::new());
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn an_order_should_wait_until_the_items_are_shared_out() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(3).build().unwrap();
    let first = cluster.join("10.0.0.1", one_off, quick());
    first
        .handle
        .state
        .clone()
        .wait_for(|state| *state == JobState::Ready)
        .await
        .unwrap();
    assert_eq!(
        cluster.data("/job/sharding/0/instance").await,
        None,
        "nobody has items yet"
    );
    let (answer, answered) = oneshot::channel();
    let request = "q1".to_owned();
    first
        .handle
        .commands
        .send(Box::new(Command::Trigger { request, answer }))
        .await
        .unwrap();
    answered.await.unwrap().unwrap();
    cluster.until(3.0).await;
    assert_eq!(cluster.history.all().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_looked_at_after_a_deletion_should_not_bring_the_node_back() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(2.5).await;
    let path = "/job/sharding/0/failover".to_owned();
    only.link.delay(Duration::from_millis(20));
    cluster.create(&path, "10.0.0.9@-@7").await;
    tokio::time::sleep(Duration::from_millis(25)).await;
    let gone = Step::Delete { path, version: None };
    cluster.observer.write(vec![gone]).await.unwrap();
    // Both the answer to the read and the word of the deletion have come when the worker looks.
    tokio::time::advance(Duration::from_millis(30)).await;
    only.link.delay(Duration::ZERO);
    cluster.until(4.5).await;
    assert_eq!(cluster.history.count_at(at(4)), 1);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_moved_while_it_ran_should_run_again_once_that_has_ended() {
    let mut cluster = Cluster::new().await;
    let unmonitored = every_second(2).to_builder().monitor_execution(false).build().unwrap();
    let is_first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let work: Work = Arc::new(move |_| {
        let lasts = is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
        Box::pin(tokio::time::sleep(Duration::from_secs(if lasts { 5 } else { 0 })))
    });
    let first = cluster.join("10.0.0.1", unmonitored.clone(), Arc::clone(&work));
    cluster.until(1.5).await;
    let running = cluster.history.all().iter().map(|ran| ran.item).min().unwrap();
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    let second = cluster.join("10.0.0.2", unmonitored, work);
    cluster.until(3.5).await;
    let owner = cluster.data(&format!("/job/sharding/{running}/instance")).await;
    assert_eq!(owner, Some(second.id()), "no mark keeps it from moving");
    cluster.until(10.5).await;
    assert_eq!(by(&cluster.history.at(at(10)), &second.id()), [0, 1]);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_that_is_refused_should_be_tried_again_and_not_at_once() {
    let mut cluster = Cluster::new().await;
    let hourly = every_second(1)
        .to_builder()
        .cron("0 0 * * * ?")
        .failover(true)
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", hourly, quick());
    cluster.until(2.0).await;
    for path in ["/job/leader/failover", "/job/leader/failover/items"] {
        cluster.create(path, "").await;
    }
    // Left by nobody knows whom.
    cluster.create("/job/sharding/0/failover", "10.0.0.9@-@7").await;
    cluster.create("/job/leader/failover/items/0", "").await;
    // Tried over and over this would never end.
    cluster.until(6.0).await;
    assert_eq!(cluster.history.all().len(), 0);
    let path = "/job/sharding/0/failover".to_owned();
    let gone = Step::Delete { path, version: None };
    cluster.observer.write(vec![gone]).await.unwrap();
    cluster.until(9.0).await;
    assert_eq!(cluster.history.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_to_an_instance_that_died_should_be_removed() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(1).build().unwrap();
    let first = cluster.join("10.0.0.1", one_off.clone(), quick());
    let second = cluster.join("10.0.0.2", one_off, quick());
    cluster.until(2.0).await;
    second.link.cut();
    let order = format!("/job/trigger/{}", second.id());
    cluster.create("/job/trigger", "").await;
    cluster.create(&order, "q1").await;
    cluster.until(20.0).await;
    assert_eq!(cluster.children("/job/instances").await, [first.id()]);
    assert_eq!(cluster.children("/job/trigger").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_instance_removed_by_an_operator_should_shut_down() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(2.5).await;
    let path = format!("/job/instances/{}", only.id());
    cluster
        .observer
        .write(vec![Step::Delete { path, version: None }])
        .await
        .unwrap();
    cluster.until(3.5).await;
    assert_eq!(*only.handle.state.borrow(), JobState::Stopped);
    assert_eq!(cluster.children("/job/ledger/members").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_large_job_should_be_shared_though_followed_in_part() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(400)
        .build()
        .unwrap();
    let ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let instances: Vec<_> = ips
        .map(|ip| cluster.join(ip, config.clone(), lasting(Duration::from_secs(1))))
        .into();
    cluster.until(11.5).await;
    assert_eq!(cluster.history.count_at(at(10)), 400);
    let leader = cluster.data("/job/leader/election/instance").await;
    let follower = instances.iter().find(|instance| Some(instance.id()) != leader).unwrap();
    let others = instances
        .iter()
        .filter(|instance| instance.id() != follower.id())
        .collect::<Vec<_>>();

    // One leaves: the followers learn which items are theirs now.
    follower.stop(Duration::from_secs(3)).await;
    cluster.until(21.5).await;
    assert_eq!(cluster.history.count_at(at(20)), 400);
    for instance in others {
        assert_eq!(by(&cluster.history.at(at(20)), &instance.id()).len(), 200);
    }

    // The operator's word on one item reaches whoever owns it.
    cluster.create("/job/sharding/399/disabled", "").await;
    cluster.until(26.5).await;
    assert_eq!(cluster.history.count_at(at(25)), 399);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn a_follower_of_a_large_job_should_survive_a_reconnect() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(600)
        .build()
        .unwrap();
    let first = cluster.join("10.0.0.1", config.clone(), quick());
    cluster.until(2.0).await;
    let second = cluster.join("10.0.0.2", config, quick());
    cluster.until(11.0).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(first.id()));
    second.link.cut();
    cluster.until(12.0).await;
    second.link.heal();
    cluster.until(21.0).await;
    for second in [10, 15, 20] {
        assert_eq!(cluster.history.count_at(at(second)), 600, "at {second}");
    }
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn the_clocks_should_be_compared_before_each_firing_where_that_is_asked_for() {
    let mut cluster = Cluster::new().await;
    let config = every_second(1)
        .to_builder()
        .max_time_diff(Some(Duration::from_secs(2)))
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", config, quick());
    cluster.until(3.5).await;
    assert_eq!(cluster.history.count_at(at(3)), 1, "the clocks agree");
    assert_eq!(cluster.data("/job/systemTime/current").await.as_deref(), Some(""));
}

#[tokio::test(start_paused = true)]
async fn an_order_should_start_nothing_where_the_job_is_stopping() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(3)));
    cluster.until(6.0).await;
    let stopping = only.stop(Duration::from_secs(10));
    tokio::pin!(stopping);
    tokio::select! {
        () = &mut stopping => panic!("an item is still running"),
        () = cluster.until(7.0) => {}
    }
    cluster.create("/job/trigger", "").await;
    cluster.create(&format!("/job/trigger/{}", only.id()), "").await;
    stopping.await;
    assert_eq!(cluster.history.all().len(), 1);
    assert_eq!(cluster.children("/job/trigger").await, Vec::<String>::new());
}

/// Every 20 seconds from the fifth on, with failover.
fn with_failover(total: u32) -> JobConfig {
    let config = JobConfig::builder("job")
        .cron("5/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total);
    config
        .failover(true)
        .prop("elasticjob.failover-attempts", "3")
        .build()
        .unwrap()
}

impl Instance {
    /// As a process that is killed: nothing of it says goodbye.
    fn kill(&self) {
        self.killed.set(self.id()).expect("it dies once");
        self.link.cut();
        self.tasks.token().cancel();
    }
}

impl Cluster {
    /// The attempts at one item for one scheduled time: by whom.
    fn attempts(&self, item: u32, due: Timestamp) -> Vec<(u32, String)> {
        let runs = self
            .history
            .all()
            .into_iter()
            .filter(|ran| ran.item == item && ran.due == due);
        runs.map(|ran| (ran.attempt, ran.by)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_that_ran_on_an_instance_that_died_should_be_run_again_and_no_other() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 1 { 1 } else { 8 }))));
    let first = cluster.join("10.0.0.1", with_failover(4), Arc::clone(&work));
    let second = cluster.join("10.0.0.2", with_failover(4), work);
    cluster.until(7.0).await;
    // The second has items 0 and 1, of which the latter has finished; the first is busy with 2 and 3.
    second.kill();
    cluster.until(24.0).await;
    cluster.history.check();
    assert_eq!(cluster.attempts(0, at(5)), [(1, second.id_before()), (2, first.id())]);
    assert_eq!(cluster.attempts(1, at(5)).len(), 1);
    assert_eq!(cluster.attempts(2, at(5)).len(), 1);
    assert_eq!(
        cluster.children("/job/leader/failover/items").await,
        Vec::<String>::new()
    );
    cluster.until(40.0).await;
    assert_eq!(cluster.history.count_at(at(25)), 4);
    for node in ["running", "failover", "failovering"] {
        assert_eq!(cluster.data(&format!("/job/sharding/0/{node}")).await, None, "{node}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_should_be_taken_over_again_when_its_taker_dies_in_turn() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(12));
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        .map(|ip| cluster.join(ip, with_failover(1), Arc::clone(&work)))
        .into();
    cluster.until(6.0).await;
    let owner = instances
        .iter()
        .position(|instance| cluster.history.all()[0].by == instance.id())
        .unwrap();
    instances[owner].kill();
    cluster.until(17.0).await;
    assert_eq!(cluster.attempts(0, at(5)).len(), 2);
    let taker = cluster.attempts(0, at(5))[1].1.clone();
    let taker = instances
        .iter()
        .position(|instance| instance.id_before() == taker)
        .unwrap();
    assert_ne!(taker, owner);
    instances[taker].kill();
    cluster.until(45.0).await;
    cluster.history.check();
    let attempts = cluster.attempts(0, at(5));
    assert_eq!(
        attempts.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let last = cluster.history.all().into_iter().find(|ran| ran.attempt == 3).unwrap();
    assert_eq!(
        last.ended,
        Some(last.began + Duration::from_secs(12)),
        "it ran to its end"
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_whose_instances_die_in_a_row_should_be_parked_for_that_time() {
    let mut cluster = Cluster::new().await;
    let config = with_failover(1)
        .to_builder()
        .prop("elasticjob.failover-attempts", "2")
        .build()
        .unwrap();
    let work = lasting(Duration::from_secs(12));
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        .map(|ip| cluster.join(ip, config.clone(), Arc::clone(&work)))
        .into();
    for second in [6.0, 17.0] {
        cluster.until(second).await;
        let last = cluster.history.all().last().unwrap().by.clone();
        instances
            .iter()
            .find(|instance| instance.id_before() == last)
            .unwrap()
            .kill();
    }
    cluster.until(60.0).await;
    cluster.history.check();
    assert_eq!(cluster.attempts(0, at(5)).len(), 2, "parked for that time");
    assert_eq!(cluster.attempts(0, at(45)).len(), 1, "and run at the next");
}

#[tokio::test(start_paused = true)]
async fn what_ran_when_all_died_should_be_run_again_when_one_comes_back() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(2), lasting(Duration::from_secs(30)));
    cluster.until(6.0).await;
    only.kill();
    cluster.until(30.0).await;
    assert!(
        cluster.data("/job/sharding/0/running").await.is_some(),
        "the mark of the dead is left"
    );
    let again = cluster.join("10.0.0.1", with_failover(2), quick());
    cluster.until(34.0).await;
    for item in 0..2 {
        assert_eq!(cluster.attempts(item, at(5)), [(1, only.id_before()), (2, again.id())]);
        assert_eq!(cluster.data(&format!("/job/sharding/{item}/running")).await, None);
    }
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn an_item_that_the_fence_stopped_should_go_on_as_the_next_attempt_where_the_session_lives() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(1), lasting(Duration::from_secs(9)));
    cluster.until(6.0).await;
    // Cut off for longer than the fence reaches (6 s) and shorter than the session lasts (9 s).
    only.link.cut();
    cluster.until(13.5).await;
    only.link.heal();
    cluster.until(24.5).await;
    cluster.history.check();
    let id = only.id();
    assert_eq!(cluster.attempts(0, at(5)), [(1, id.clone()), (2, id)]);
    assert!(cluster.data("/job/ledger/items/0").await.unwrap().contains("succeeded"));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_ran_on_a_java_member_that_died_should_be_run_again() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(1), quick());
    cluster.until(8.0).await;
    // As a Java member leaves it: no word in the ledger.
    cluster.create("/job/sharding/0/running", "10.0.0.9@-@77").await;
    cluster.until(24.0).await;
    assert_eq!(cluster.history.all().len(), 1, "nobody has noticed a death");
    only.stop(Duration::ZERO).await;
    let again = cluster.join("10.0.0.1", with_failover(1), quick());
    cluster.until(44.0).await;
    let runs: Vec<_> = cluster
        .history
        .all()
        .into_iter()
        .filter(|ran| ran.by == again.id())
        .collect();
    assert_eq!(runs.len(), 2, "one taken over, one scheduled: {runs:?}");
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn a_time_that_passed_while_an_item_changed_hands_should_be_made_up_by_its_new_owner() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(2);
    let config = config.build().unwrap();
    let first = cluster.join("10.0.0.1", config.clone(), quick());
    let second = cluster.join("10.0.0.2", config, quick());
    cluster.until(36.0).await;
    assert_eq!(cluster.history.count_at(at(20)), 2);
    // Its session ends at 45: the time at 40 passes while its item is nobody's.
    second.kill();
    cluster.until(39.9).await;
    let mut events = first.events();
    cluster.until(50.0).await;
    cluster.history.check();
    let late: Vec<_> = cluster
        .history
        .all()
        .into_iter()
        .filter(|ran| ran.due == at(40))
        .collect();
    assert_eq!(late.len(), 2, "{late:?}");
    assert!(late.iter().all(|ran| ran.by == first.id()));
    assert!(late.iter().any(|ran| ran.began > Duration::from_secs(44)), "{late:?}");
    let mut sources = Vec::new();
    while sources.len() < 2 {
        if let Some(JobEvent::Ended { run, outcome }) = events.next().await.unwrap() {
            assert_eq!(outcome, ItemOutcome::Succeeded);
            sources.push(run.source);
        }
    }
    assert_eq!(sources, [Source::Schedule, Source::Misfire]);
}

#[tokio::test(start_paused = true)]
async fn times_that_nobody_was_there_for_should_be_counted_and_not_run() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(5.5).await;
    only.stop(Duration::ZERO).await;
    cluster.until(60.5).await;
    let again = cluster.join("10.0.0.1", every_second(1), quick());
    let mut events = again.events();
    cluster.until(63.5).await;
    assert_eq!(cluster.history.count_at(at(60)), 0);
    let skipped = loop {
        match events.next().await.unwrap() {
            Some(JobEvent::Skipped { times, .. }) => break times,
            Some(_) => {}
            None => panic!("nothing was said of the times that passed"),
        }
    };
    assert_eq!((skipped.after, skipped.before), (at(5), at(61)));
    assert_eq!(skipped.count, 55);
    assert!(
        cluster
            .data("/job/ledger/items/0")
            .await
            .unwrap()
            .contains("\"count\":55")
    );
}

#[tokio::test(start_paused = true)]
async fn the_newest_missed_time_should_be_run_where_the_job_is_to_catch_up() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1);
    let config = config.prop("elasticjob.catch-up", "30s").build().unwrap();
    let only = cluster.join("10.0.0.1", config.clone(), quick());
    cluster.until(25.0).await;
    only.stop(Duration::ZERO).await;
    cluster.until(90.0).await;
    let _again = cluster.join("10.0.0.1", config, quick());
    cluster.until(95.0).await;
    let runs: Vec<_> = cluster.history.all().into_iter().map(|ran| ran.due).collect();
    assert_eq!(runs, [at(20), at(80)], "of 40, 60 and 80 the newest");
}

#[tokio::test(start_paused = true)]
async fn an_item_lost_with_its_instance_should_be_said_to_be_lost_where_nobody_takes_over() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("5/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1);
    let only = cluster.join(
        "10.0.0.1",
        config.failover(true).build().unwrap(),
        lasting(Duration::from_secs(60)),
    );
    cluster.until(6.0).await;
    only.kill();
    cluster.until(16.0).await;
    let without = every_second(1)
        .to_builder()
        .failover(false)
        .overwrite(true)
        .build()
        .unwrap();
    let again = cluster.join("10.0.0.1", without, quick());
    let mut events = again.events();
    cluster.until(19.0).await;
    let lost = JobEvent::Lost {
        job: "job".into(),
        item: 0,
    };
    assert_eq!(events.next().await, Ok(Some(lost)));
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn an_item_that_waits_to_be_taken_over_should_not_outlive_the_total_count() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(2), quick());
    cluster.until(3.0).await;
    for path in [
        "/job/leader/failover",
        "/job/leader/failover/items",
        "/job/leader/failover/items/7",
    ] {
        cluster.create(path, "").await;
    }
    cluster.until(4.0).await;
    assert_eq!(
        cluster.children("/job/leader/failover/items").await,
        Vec::<String>::new()
    );
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(only.id()));
}
