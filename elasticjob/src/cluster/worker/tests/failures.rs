//! What health tells of items that fail again and again. They are run by the real executor.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::executor::Work as ExecutorWork;
use crate::job::{Components, ShardingContext, job};

/// At seconds 0, 20 and 40 of each minute; health tells of two failures.
fn config() -> JobConfig {
    let config = JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(2)
        .prop("elasticjob.failed-runs", "2");
    config.build().unwrap()
}

/// Item 1 fails as long as it is said to.
fn failing(fails: &Arc<AtomicBool>) -> ExecutorWork {
    let fails = Arc::clone(fails);
    let job = job("job", move |shard: ShardingContext| {
        let fails = shard.sharding_item() == 1 && fails.load(Ordering::Relaxed);
        async move { if fails { Err("no network") } else { Ok(()) } }
    });
    ExecutorWork::Declared {
        kind: job.kind(),
        job: job.build(&Components::default()).unwrap().into(),
    }
}

fn failures_of(instance: &Instance) -> Vec<(u32, u32)> {
    instance.handle.status.now().failing.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn in_a_row_are_reported_from_the_set_number_on() {
    let mut cluster = Cluster::new().await;
    let fails = Arc::new(AtomicBool::new(true));
    let only = cluster.join_executing("10.0.0.1", config(), failing(&fails));
    cluster.until(35.0).await;
    assert_eq!(failures_of(&only), [], "one is not enough");
    cluster.until(75.0).await;
    assert_eq!(failures_of(&only), [(1, 3)]);
    fails.store(false, Ordering::Relaxed);
    cluster.until(95.0).await;
    assert_eq!(failures_of(&only), []);
}

#[tokio::test(start_paused = true)]
async fn are_not_forgotten_with_a_session_that_is_lost() {
    let mut cluster = Cluster::new().await;
    let fails = Arc::new(AtomicBool::new(true));
    let only = cluster.join_executing("10.0.0.1", config(), failing(&fails));
    cluster.until(55.0).await;
    assert_eq!(failures_of(&only), [(1, 2)]);
    only.link.expire();
    cluster.until(75.0).await;
    assert_eq!(failures_of(&only), [(1, 3)]);
}

#[tokio::test(start_paused = true)]
async fn count_from_the_newest_run_for_an_instance_that_comes() {
    let mut cluster = Cluster::new().await;
    let fails = Arc::new(AtomicBool::new(true));
    let first = cluster.join_executing("10.0.0.1", config(), failing(&fails));
    cluster.until(35.0).await;
    first.stop(Duration::ZERO).await;
    let second = cluster.join_executing("10.0.0.2", config(), failing(&fails));
    cluster.until(55.0).await;
    assert_eq!(failures_of(&second), [(1, 2)], "one before it came, and one of its own");
}
