//! A configuration that changes while the job runs.

use crate::limits;

use super::*;

#[tokio::test(start_paused = true)]
async fn applies_changed_cron_and_total_at_once() {
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
async fn applies_change_made_while_joining() {
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
async fn keeps_the_last_valid_one() {
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
async fn keeps_the_last_one_over_a_total_beyond_the_bound() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    let valid = every_second(2).to_yaml();
    let most = valid.replace("shardingTotalCount: 2", "shardingTotalCount: 2000000000");
    assert_ne!(most, valid);
    cluster.set("/job/config", &most).await;
    cluster.until(6.5).await;
    assert_eq!(cluster.history.count_at(at(6)), 2);
    assert_eq!(cluster.children("/job/sharding").await, ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn applies_a_changed_zone_under_the_same_cron() {
    let mut cluster = Cluster::new().await;
    // The history begins at midnight in Greenwich, which is one o'clock in Paris.
    let at_one = JobConfig::builder("job")
        .cron("10 0 1 * * ?")
        .time_zone("GMT")
        .sharding_total_count(1)
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", at_one.clone(), quick());
    cluster.until(5.0).await;
    let paris = at_one.to_builder().time_zone("Europe/Paris").build().unwrap();
    cluster.set("/job/config", &paris.to_registry().yaml).await;
    cluster.until(12.0).await;
    assert_eq!(cluster.history.count_at(at(10)), 1, "one o'clock in Paris");
}

#[tokio::test(start_paused = true)]
async fn keeps_the_last_one_over_an_unknown_strategy() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    let unknown = every_second(2).to_builder().cron("0 0 0 * * ?");
    let unknown = unknown.sharding_strategy("OF_ANOTHER_PROGRAM").build().unwrap();
    cluster.set("/job/config", &unknown.to_registry().yaml).await;
    cluster.until(8.5).await;
    assert_eq!(cluster.history.count_at(at(8)), 2);
}

#[tokio::test(start_paused = true)]
async fn applies_another_of_the_same_version() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(2.5).await;
    let of = |total| every_second(total).to_registry().yaml;
    cluster.set("/job/config", &of(2)).await;
    cluster.until(4.5).await;
    assert_eq!(cluster.history.count_at(at(4)), 2);
    let path = "/job/config".to_owned();
    cluster
        .observer
        .write(vec![Step::Delete { path, version: None }])
        .await
        .unwrap();
    cluster.create("/job/config", &of(1)).await;
    cluster.set("/job/config", &of(3)).await;
    cluster.until(7.5).await;
    assert_eq!(cluster.history.count_at(at(7)), 3);
}

#[tokio::test(start_paused = true)]
async fn counts_missed_times_by_the_schedule_of_then() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(3.5).await;
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    cluster.until(8.5).await;
    let fewer = every_second(1).to_builder().cron("0/5 * * * * ?").build().unwrap();
    cluster.set("/job/config", &fewer.to_yaml()).await;
    cluster.until(21.0).await;
    cluster.set("/job/servers/10.0.0.1", "ENABLED").await;
    cluster.until(25.5).await;
    let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
    // Each second from 4 to 8, and then 10, 15 and 20.
    assert!(ledger.contains(r#""count":8"#), "{ledger}");
}

#[tokio::test(start_paused = true)]
async fn finds_added_items_after_a_missed_resharding() {
    let _limits = limits::lower(1_000_000, 1);
    let mut cluster = Cluster::new().await;
    let _leader = cluster.join("10.0.0.1", every_second(2), quick());
    let follower = cluster.join("10.0.0.2", every_second(2), quick());
    cluster.until(5.5).await;
    // It learns of the change and of two assignments before it has read either.
    follower.link.delay(Duration::from_millis(900));
    cluster.set("/job/config", &every_second(6).to_yaml()).await;
    cluster.until(6.2).await;
    let assignment = cluster.data("/job/ledger/epoch").await.unwrap();
    cluster.set("/job/ledger/epoch", &assignment).await;
    cluster.until(6.3).await;
    follower.link.delay(Duration::ZERO);
    cluster.until(15.0).await;
    assert_eq!(by(&cluster.history.at(at(14)), &follower.id()), [0, 1, 2]);
    assert_eq!(cluster.history.count_at(at(14)), 6);
    cluster.history.check();
}
