//! Processes that cannot run a job by the stored configuration.

use super::*;
use crate::cluster::refusal::Trouble;
use crate::sharding::AverageAllocation;

/// A cron expression that Quartz takes and this one refuses.
const REFUSED: &str = "jobName: job\ncron: 0 0 3 ? * MONDAY\nshardingTotalCount: 2\n";

fn with_strategy(total: u32, strategy: &str) -> String {
    let config = every_second(total).to_builder().sharding_strategy(strategy);
    config.build().unwrap().to_registry().yaml
}

/// Creates a cluster with this configuration in the registry before any instance comes.
async fn cluster_with(config: &str) -> Cluster {
    let cluster = Cluster::new().await;
    cluster.create("/job", "").await;
    cluster.create("/job/config", config).await;
    cluster
}

fn state(instance: &Instance) -> JobState {
    *instance.handle.state.borrow()
}

async fn word(cluster: &Cluster, instance: &Instance) -> String {
    let path = format!("/job/ledger/standby/{}", instance.id());
    cluster.data(&path).await.unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn takes_no_items_until_the_configuration_changes() {
    let mut cluster = cluster_with(&with_strategy(4, "OURS")).await;
    cluster
        .strategies
        .register("OURS", Arc::new(AverageAllocation))
        .unwrap();
    let able = cluster.join("10.0.0.1", every_second(4), quick());
    cluster.strategies = Strategies::built_in();
    let unable = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(5.5).await;
    assert_eq!((state(&able), state(&unable)), (JobState::Ready, JobState::StandingBy));
    assert_eq!(cluster.children("/job/instances").await, [able.id()]);
    assert_eq!(cluster.children("/job/ledger/members").await, [able.id()]);
    assert_eq!(by(&cluster.history.at(at(5)), &able.id()), [0, 1, 2, 3]);
    let said = word(&cluster, &unable).await;
    assert!(
        said.contains("unknown sharding strategy `OURS`: expected one of AVG"),
        "{said}"
    );

    let before = unable.registry.counts();
    cluster.until(65.5).await;
    let counts = unable.registry.counts() - before;
    assert_eq!((counts.writes, counts.reads), (0, 0), "it waits for an event");

    cluster.set("/job/config", &every_second(4).to_registry().yaml).await;
    cluster.until(68.5).await;
    assert_eq!(state(&unable), JobState::Ready);
    assert_eq!(unable.handle.status.now().trouble, None);
    assert_eq!(cluster.children("/job/ledger/standby").await, [""; 0]);
    assert_eq!(by(&cluster.history.at(at(68)), &unable.id()).len(), 2);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_configuration_that_can_be_read() {
    let mut cluster = cluster_with(REFUSED).await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    assert_eq!(state(&only), JobState::StandingBy);
    assert_eq!(cluster.children("/job/instances").await, [""; 0]);
    assert!(word(&cluster, &only).await.contains("MONDAY"));
    cluster.set("/job/config", &with_strategy(2, "NONE_OF_OURS")).await;
    cluster.until(4.5).await;
    assert!(word(&cluster, &only).await.contains("NONE_OF_OURS"), "another reason");
    cluster.set("/job/config", &every_second(2).to_registry().yaml).await;
    cluster.until(8.5).await;
    assert_eq!(state(&only), JobState::Ready);
    assert_eq!(cluster.history.count_at(at(8)), 2);
}

#[tokio::test(start_paused = true)]
async fn replaces_a_refused_configuration_once_removed() {
    let mut cluster = cluster_with(REFUSED).await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    cluster.delete("/job/config").await;
    cluster.until(7.5).await;
    assert_eq!(
        cluster.data("/job/config").await,
        None,
        "the rest of the job may follow"
    );
    cluster.until(12.5).await;
    assert_eq!(state(&only), JobState::Ready);
    assert_eq!(cluster.history.count_at(at(12)), 2);
}

#[tokio::test(start_paused = true)]
async fn stops_when_the_job_is_removed() {
    let mut cluster = cluster_with(REFUSED).await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    cluster.delete("/job/config").await;
    cluster.delete(&format!("/job/ledger/standby/{}", only.id())).await;
    for path in ["/job/ledger/standby", "/job/ledger", "/job"] {
        cluster.delete(path).await;
    }
    cluster.until(20.0).await;
    assert_eq!(state(&only), JobState::Stopped);
    assert_eq!(cluster.data("/job").await, None);
}

#[tokio::test(start_paused = true)]
async fn continues_in_the_next_session_and_ends_at_a_stop() {
    let mut cluster = cluster_with(REFUSED).await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    let before = only.id();
    only.link.expire();
    cluster.until(10.5).await;
    assert_ne!(only.id(), before);
    assert_eq!(cluster.children("/job/ledger/standby").await, [only.id()]);
    only.link.cut();
    cluster.until(11.5).await;
    cluster.set("/job/config", &with_strategy(2, "NONE_OF_OURS")).await;
    only.link.heal();
    cluster.until(14.5).await;
    assert!(
        word(&cluster, &only).await.contains("NONE_OF_OURS"),
        "changed while it was cut off"
    );
    only.stop(Duration::ZERO).await;
    assert_eq!(cluster.children("/job/ledger/standby").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn is_not_entered_by_an_instance_that_has_run() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    for refused in [REFUSED.to_owned(), with_strategy(2, "NONE_OF_OURS")] {
        cluster.set("/job/config", &refused).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let trouble = only.handle.status.now().trouble;
        assert!(matches!(trouble, Some(Trouble::Outdated { .. })), "{trouble:?}");
        let member = cluster.data(&format!("/job/ledger/members/{}", only.id())).await;
        assert!(member.is_some_and(|member| member.contains("outdated")));
    }
    // Also over a lost session, since it has a configuration that it runs by.
    only.link.expire();
    cluster.until(12.5).await;
    assert_eq!(state(&only), JobState::Ready);
    assert_eq!(cluster.history.count_at(at(12)), 2);
    let member = cluster.data(&format!("/job/ledger/members/{}", only.id())).await;
    assert!(member.is_some_and(|member| member.contains("NONE_OF_OURS")));

    cluster.set("/job/config", &every_second(3).to_registry().yaml).await;
    cluster.until(15.5).await;
    assert_eq!(cluster.history.count_at(at(15)), 3);
    let member = cluster.data(&format!("/job/ledger/members/{}", only.id())).await;
    assert!(member.is_some_and(|member| !member.contains("outdated")));
    assert_eq!(only.handle.status.now().trouble, None);
}
