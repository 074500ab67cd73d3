//! Strategies of users, and what they do wrong.

use super::*;
use crate::sharding::{Assignment, AverageAllocation, ShardingRequest, ShardingStrategy};

/// Answers as [`AverageAllocation`], where it does.
struct Moody(fn(&ShardingRequest<'_>) -> Option<Assignment>);

impl ShardingStrategy for Moody {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        (self.0)(request).unwrap_or_else(|| AverageAllocation.assign(request))
    }
}

fn moody(total: u32) -> JobConfig {
    every_second(total)
        .to_builder()
        .sharding_strategy("MOODY")
        .build()
        .unwrap()
}

async fn cluster(answer: fn(&ShardingRequest<'_>) -> Option<Assignment>) -> Cluster {
    let mut cluster = Cluster::new().await;
    cluster.strategies.register("MOODY", Arc::new(Moody(answer))).unwrap();
    cluster
}

/// Returns an answer to another request, of so many items.
fn other(items: u32) -> Assignment {
    Assignment::from_fn(&ShardingRequest::new("other", items, []), |_| None)
}

#[tokio::test(start_paused = true)]
async fn keep_items_in_place_after_a_panic() {
    let mut cluster = cluster(|request| match request.instances().len() {
        2 => panic!("no idea"),
        _ => None,
    })
    .await;
    let first = cluster.join("10.0.0.1", moody(4), quick());
    cluster.until(4.5).await;
    let second = cluster.join("10.0.0.2", moody(4), quick());
    cluster.until(20.5).await;
    for second in 3..=20 {
        assert_eq!(by(&cluster.history.at(at(second)), &first.id()).len(), 4, "at {second}");
    }
    assert_eq!(cluster.children("/job/leader/sharding").await, [""; 0]);

    // A change is another question.
    first.stop(Duration::from_secs(1)).await;
    cluster.until(24.5).await;
    assert_eq!(by(&cluster.history.at(at(24)), &second.id()).len(), 4);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn keep_an_item_unassigned_while_they_fail() {
    let mut cluster = cluster(|request| (request.instances().len() < 3).then(|| other(99))).await;
    let first = cluster.join("10.0.0.1", moody(4), quick());
    let _second = cluster.join("10.0.0.2", moody(4), quick());
    cluster.until(10.5).await;
    assert_eq!(cluster.history.all(), []);
    assert_eq!(cluster.children("/job/leader/sharding").await, [""; 0]);
    let before = first.registry.counts();
    cluster.until(70.5).await;
    let counts = first.registry.counts() - before;
    assert_eq!(counts.reads, 0, "it is asked again and again");
    assert_eq!(counts.writes, 60, "each time is accounted for");

    let _third = cluster.join("10.0.0.3", moody(4), quick());
    cluster.until(74.5).await;
    assert_eq!(cluster.history.count_at(at(74)), 4);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn leave_items_unassigned_and_run_the_others() {
    let mut cluster = cluster(|request| Some(Assignment::from_fn(request, |item| (item != 1).then_some(0)))).await;
    let _only = cluster.join("10.0.0.1", moody(3), quick());
    cluster.until(8.5).await;
    let items = |second| cluster.history.at(at(second)).into_iter().map(|(item, _)| item);
    for second in 3..=8 {
        assert_eq!(items(second).collect::<Vec<_>>(), [0, 2], "at {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn keep_sticky_items_under_any_leader() {
    let mut cluster = Cluster::new().await;
    let sticky = || {
        every_second(12)
            .to_builder()
            .sharding_strategy("STICKY")
            .build()
            .unwrap()
    };
    let leader = cluster.join("10.0.0.2", sticky(), quick());
    cluster.until(2.5).await;
    let _above = cluster.join("10.0.0.3", sticky(), quick());
    let _below = cluster.join("10.0.0.1", sticky(), quick());
    cluster.until(6.5).await;
    let owners = |second| -> BTreeMap<u32, String> { cluster.history.at(at(second)).into_iter().collect() };
    let before = owners(6);
    assert_eq!(before.len(), 12);
    assert_eq!(before.values().filter(|by| **by == leader.id()).count(), 4);
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(leader.id()));

    let gone = leader.id();
    leader.stop(Duration::from_secs(1)).await;
    cluster.until(10.5).await;
    let owners = |second| -> BTreeMap<u32, String> { cluster.history.at(at(second)).into_iter().collect() };
    let after = owners(10);
    assert_eq!(after.len(), 12);
    let moved = before.iter().filter(|(item, by)| after[*item] != **by);
    assert!(moved.clone().all(|(_, by)| *by == gone), "{before:?} {after:?}");
    assert_eq!(moved.count(), 4);

    let fourth = cluster.join("10.0.0.4", sticky(), quick());
    cluster.until(14.5).await;
    let owners = |second| -> BTreeMap<u32, String> { cluster.history.at(at(second)).into_iter().collect() };
    let last = owners(14);
    let moved = after.iter().filter(|(item, by)| last[*item] != **by);
    assert!(
        moved.clone().all(|(item, _)| last[item] == fourth.id()),
        "{after:?} {last:?}"
    );
    assert_eq!(moved.count(), 4);
    cluster.history.check();
}
