//! When streams end although there is more data, and when they go on. They are run by the real executor.

use std::num::NonZeroUsize;

use super::*;
use crate::error_handler::{ErrorHandlers, Post};
use crate::executor::{DEFAULT_POOL, Equipment, JobRunner, Pool, Pools, Underway, Work as ExecutorWork};
use crate::job::{Components, ShardingContext, dataflow};
use crate::trace::RunLogs;

/// The item that runs out of data.
const DRY: u32 = 7;

/// How long a batch takes.
const BATCH: Duration = Duration::from_secs(1);

/// A batch that was processed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Batch {
    by: String,
    item: u32,
    run: String,
    ended: Duration,
}

#[derive(Clone, Default)]
struct Batches(Arc<Mutex<Vec<Batch>>>);

impl Batches {
    /// Returns those of an item that ended after so many seconds.
    fn after(&self, second: f64, item: u32) -> Vec<Batch> {
        let batches = self.0.lock().unwrap();
        let after = Duration::from_secs_f64(second);
        let is_asked_for = |batch: &&Batch| batch.item == item && batch.ended > after;
        batches.iter().filter(is_asked_for).cloned().collect()
    }

    /// Returns the runs they are of, each with its instance.
    fn runs_after(&self, second: f64, item: u32) -> Vec<(String, String)> {
        let mut runs: Vec<_> = self
            .after(second, item)
            .into_iter()
            .map(|batch| (batch.run, batch.by))
            .collect();
        runs.dedup();
        runs
    }

    /// Panics unless exactly one run, of the instance `by`, streams an item in that time.
    #[track_caller]
    fn assert_one_run(&self, second: f64, item: u32, by: &str) {
        let runs = self.runs_after(second, item);
        assert!(
            runs.len() == 1 && runs[0].1 == by,
            "item {item} after {second}: {runs:?}"
        );
    }
}

/// Streams at the fifth second and every 20 from then on.
fn streaming(total: u32) -> JobConfig {
    let config = JobConfig::builder("job")
        .cron("5/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total);
    config.prop("streaming.process", "true").build().unwrap()
}

/// Returns the work of a job that never runs out of data, except for one item, which has one batch for each run.
fn endless(batches: &Batches, clock: &Arc<ManualClock>) -> ExecutorWork {
    let (batches, clock) = (batches.clone(), Arc::clone(clock));
    let of_fetch = batches.clone();
    let job = dataflow(
        "job",
        move |shard: ShardingContext| {
            let is_done = |batch: &Batch| shard.sharding_item() == DRY && batch.run == shard.run_id();
            let is_dry = of_fetch.0.lock().unwrap().iter().any(is_done);
            async move { if is_dry { vec![] } else { vec![()] } }
        },
        move |shard: ShardingContext, _: Vec<()>| {
            let (batches, clock) = (batches.clone(), Arc::clone(&clock));
            async move {
                tokio::time::sleep(BATCH).await;
                batches.0.lock().unwrap().push(Batch {
                    by: shard.instance_id().to_owned(),
                    item: shard.sharding_item(),
                    run: shard.run_id().to_owned(),
                    ended: clock.elapsed(),
                });
            }
        },
    );
    ExecutorWork::Declared {
        kind: job.kind(),
        job: job.build(&Components::default()).unwrap().into(),
    }
}

impl Cluster {
    fn join_streaming(&mut self, ip: &str, config: JobConfig, batches: &Batches) -> Instance {
        let work = endless(batches, &self.clock);
        self.join_executing(ip, config, work)
    }

    /// Has a process join that runs items with the real executor.
    pub(super) fn join_executing(&mut self, ip: &str, config: JobConfig, work: ExecutorWork) -> Instance {
        let clock = Arc::clone(&self.clock);
        let of_runner = config.clone();
        let pid = u32::try_from(self.seed + 1).unwrap();
        self.join_with(ip, pid, config, move |tasks| {
            let mut pools = Pools::new("executor pool");
            let eight = Pool::of(NonZeroUsize::new(8).unwrap());
            pools.register(DEFAULT_POOL, Arc::new(eight)).unwrap();
            let post = Post {
                tasks: tasks.clone(),
                clock,
                host: "host".into(),
            };
            let equipment = Equipment {
                underway: Underway::default(),
                tasks: tasks.clone(),
                components: Arc::default(),
                pools,
                error_handlers: ErrorHandlers::built_in(),
                listeners: JobListeners::none(),
                logs: RunLogs::default(),
                post,
            };
            Box::new(JobRunner::new(work, Arc::new(equipment), &of_runner).unwrap())
        })
    }

    async fn owner(&self, item: u32) -> Option<String> {
        self.data(&format!("/job/sharding/{item}/instance")).await
    }

    async fn is_running(&self, item: u32) -> bool {
        self.data(&format!("/job/sharding/{item}/running")).await.is_some()
    }

    async fn has_succeeded(&self, item: u32) -> bool {
        let ledger = self.data(&format!("/job/ledger/items/{item}")).await;
        ledger.is_some_and(|ledger| ledger.contains("succeeded"))
    }
}

#[tokio::test(start_paused = true)]
async fn ends_to_move_its_item() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let first = cluster.join_streaming("10.0.0.1", streaming(4), &batches);
    cluster.until(7.5).await;
    let second = cluster.join_streaming("10.0.0.2", streaming(4), &batches);
    cluster.until(24.0).await;
    let (mut moved, mut stayed) = (Vec::new(), Vec::new());
    for item in 0..4 {
        match cluster.owner(item).await {
            Some(owner) if owner == second.id() => moved.push(item),
            owner => {
                assert_eq!(owner, Some(first.id()));
                stayed.push(item);
            }
        }
    }
    assert_eq!((moved.len(), stayed.len()), (2, 2));
    for item in &moved {
        assert!(!cluster.is_running(*item).await);
        assert!(cluster.has_succeeded(*item).await);
        assert_eq!(batches.after(10.0, *item), []);
    }
    cluster.until(30.5).await;
    for item in moved {
        batches.assert_one_run(10.0, item, &second.id());
    }
    for item in stayed {
        batches.assert_one_run(0.0, item, &first.id());
        assert!(batches.after(0.0, item).len() >= 24);
    }
}

#[tokio::test(start_paused = true)]
async fn ends_when_server_or_item_is_switched_off() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let only = cluster.join_streaming("10.0.0.1", streaming(2), &batches);
    cluster.until(7.5).await;
    cluster.create("/job/sharding/1/disabled", "").await;
    cluster.until(12.5).await;
    assert!(cluster.is_running(0).await);
    assert!(!cluster.is_running(1).await);
    batches.assert_one_run(9.5, 0, &only.id());
    assert_eq!(batches.after(9.5, 1), []);
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    cluster.until(30.5).await;
    assert_eq!(batches.after(14.5, 0), []);
    assert!(!cluster.is_running(0).await);
    assert!(cluster.has_succeeded(0).await);
}

#[tokio::test(start_paused = true)]
async fn gives_way_to_items_that_are_due() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let only = cluster.join_streaming("10.0.0.1", streaming(8), &batches);
    cluster.until(3.0).await;
    for item in 1..DRY {
        cluster.create(&format!("/job/sharding/{item}/disabled"), "").await;
    }
    cluster.until(24.5).await;
    batches.assert_one_run(0.0, 0, &only.id());
    batches.assert_one_run(0.0, DRY, &only.id());
    assert_eq!(batches.after(0.0, DRY).len(), 1);
    // The next time: the item that has ended long ago is not held up by the one that goes on.
    cluster.until(44.5).await;
    assert_eq!(batches.after(24.5, DRY).len(), 1);
    assert_eq!(batches.runs_after(0.0, 0).len(), 2);
    batches.assert_one_run(26.5, 0, &only.id());
    // The run that follows gives way as well.
    cluster.until(64.5).await;
    assert_eq!(batches.runs_after(0.0, 0).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn gives_way_to_a_trigger() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let only = cluster.join_streaming("10.0.0.1", streaming(1), &batches);
    cluster.until(20.5).await;
    batches.assert_one_run(0.0, 0, &only.id());
    only.trigger("q1").await.unwrap();
    cluster.until(24.5).await;
    assert_eq!(batches.runs_after(0.0, 0).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn ends_after_its_batch_when_leaving() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let only = cluster.join_streaming("10.0.0.1", streaming(2), &batches);
    cluster.until(7.25).await;
    let before = tokio::time::Instant::now();
    only.stop(Duration::from_secs(30)).await;
    assert!(
        before.elapsed() < 2 * BATCH,
        "no instance waits for the grace to pass: {:?}",
        before.elapsed()
    );
    for item in 0..2 {
        assert!(cluster.has_succeeded(item).await);
        assert_eq!(batches.after(0.0, item).len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn ends_when_its_input_changes() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let only = cluster.join_streaming("10.0.0.1", streaming(1), &batches);
    cluster.until(7.5).await;
    let described = streaming(1).to_builder().description("streams").build().unwrap();
    cluster.set("/job/config", &described.to_yaml()).await;
    cluster.until(27.5).await;
    batches.assert_one_run(0.0, 0, &only.id());
    let single = described
        .to_builder()
        .prop("streaming.process", "false")
        .build()
        .unwrap();
    cluster.set("/job/config", &single.to_yaml()).await;
    // One batch for the time that came while it streamed, and one for the next.
    cluster.until(60.0).await;
    assert_eq!(batches.runs_after(28.5, 0).len(), 2);
    assert_eq!(batches.after(28.5, 0).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn ends_before_a_java_leader_reshards() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let _only = cluster.join_streaming("10.0.0.1", streaming(2), &batches);
    cluster.until(7.5).await;
    let java = "10.0.0.9@-@1";
    cluster.create("/job/servers/10.0.0.9", "ENABLED").await;
    cluster.set("/job/leader/election/instance", java).await;
    cluster.create(&format!("/job/instances/{java}"), "").await;
    cluster.until(9.0).await;
    assert!(cluster.is_running(0).await && cluster.is_running(1).await);
    cluster.create("/job/leader/sharding/necessary", "").await;
    cluster.until(14.5).await;
    assert!(!cluster.is_running(0).await && !cluster.is_running(1).await);
}

#[tokio::test(start_paused = true)]
async fn continues_on_another_instance_after_a_death() {
    let mut cluster = Cluster::new().await;
    let batches = Batches::default();
    let config = streaming(2).to_builder().failover(true).build().unwrap();
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join_streaming(ip, config.clone(), &batches));
    cluster.until(7.5).await;
    let [dies, survives] = instances;
    let lost = (0..2).find(|item| batches.runs_after(0.0, *item)[0].1 == dies.id());
    let lost = lost.expect("each has one");
    dies.kill();
    // Past two more times, which find it running.
    cluster.until(50.0).await;
    batches.assert_one_run(17.5, lost, &survives.id());
    batches.assert_one_run(0.0, 1 - lost, &survives.id());
    assert!(batches.after(17.5, lost).len() >= 30);
    assert_eq!(cluster.owner(lost).await, Some(survives.id()));
}
