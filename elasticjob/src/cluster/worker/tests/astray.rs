//! Items with an owner node that is deleted or changed in the registry by something other than a member of the job.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::sharding::{Assignment, ShardingRequest, ShardingStrategy};

const OWNER: &str = "/job/sharding/0/instance";

/// Reconciled each minute, and never due while a test looks.
fn resting(total: u32) -> JobConfig {
    let config = every_second(total).to_builder().cron("0 0 12 * * ?");
    config
        .reconcile_interval(Some(Duration::from_secs(60)))
        .build()
        .unwrap()
}

/// Deletes the owner's node and creates it again, as tools do.
async fn give(cluster: &Cluster, owner: &str) {
    cluster.delete(OWNER).await;
    cluster.create(OWNER, owner).await;
}

#[tokio::test(start_paused = true)]
async fn is_reassigned_at_once_without_an_owner() {
    let mut cluster = Cluster::new().await;
    let leader = cluster.join("10.0.0.1", every_second(4), quick());
    let other = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(5.2).await;
    let before = cluster.data(OWNER).await;
    cluster.delete(OWNER).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for instance in [&leader, &other] {
        assert!(
            instance.handle.status.now().unassigned.is_empty(),
            "no fault of the strategy"
        );
    }
    cluster.until(5.8).await;
    assert_eq!(cluster.data(OWNER).await, before);
    cluster.until(8.5).await;
    for time in 6..=8 {
        assert_eq!(cluster.history.count_at(at(time)), 4, "at {time}");
    }
    // All of them at once, and the nodes above.
    for item in 0..4 {
        cluster.delete(&format!("/job/sharding/{item}/instance")).await;
        cluster.delete(&format!("/job/sharding/{item}")).await;
    }
    cluster.until(10.5).await;
    assert_eq!(cluster.history.count_at(at(10)), 4);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn is_reassigned_at_once_under_static_sharding() {
    let mut cluster = Cluster::new().await;
    let config = every_second(2).to_builder().static_sharding(true).build().unwrap();
    let only = cluster.join("10.0.0.1", config, quick());
    cluster.until(3.2).await;
    cluster.delete(OWNER).await;
    cluster.until(4.5).await;
    assert_eq!(cluster.data(OWNER).await, Some(only.id()));
}

#[tokio::test(start_paused = true)]
async fn is_put_back_when_it_is_reconciled() {
    let mut cluster = Cluster::new().await;
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, resting(2), quick()));
    cluster.until(10.0).await;
    let before = cluster.data(OWNER).await.expect("an owner");
    let other = instances.iter().map(Instance::id).find(|id| *id != before);
    give(&cluster, &other.expect("there are two")).await;
    // One beyond the total, as a tool of old may leave it.
    cluster.create("/job/sharding/9", "").await;
    cluster.create("/job/sharding/9/instance", &before).await;
    cluster.until(75.0).await;
    assert_eq!(cluster.data(OWNER).await, Some(before));
    assert_eq!(cluster.children("/job/sharding").await, ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn is_looked_for_without_a_request() {
    let mut cluster = Cluster::new().await;
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, resting(6), quick()));
    cluster.until(20.0).await;
    let before = instances.each_ref().map(|instance| instance.registry.counts());
    cluster.until(400.0).await;
    for (instance, before) in instances.iter().zip(before) {
        let counts = instance.registry.counts() - before;
        assert_eq!((counts.writes, counts.reads), (0, 0));
    }
}

/// Assigns all items to one instance, each time to another one.
struct Whimsical(AtomicU32);

impl ShardingStrategy for Whimsical {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        let turn = self.0.fetch_add(1, Ordering::Relaxed) as usize % request.instances().len();
        Assignment::from_fn(request, |_| Some(turn))
    }
}

#[tokio::test(start_paused = true)]
async fn is_not_looked_for_under_an_inconstant_strategy() {
    let mut cluster = Cluster::new().await;
    let strategy = Arc::new(Whimsical(AtomicU32::new(0)));
    cluster.strategies.register("WHIMSICAL", strategy).unwrap();
    let config = resting(2).to_builder().sharding_strategy("WHIMSICAL").build().unwrap();
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(20.0).await;
    let before = instances.each_ref().map(|instance| instance.registry.counts());
    cluster.until(400.0).await;
    for (instance, before) in instances.iter().zip(before) {
        assert_eq!((instance.registry.counts() - before).writes, 0);
    }
}
