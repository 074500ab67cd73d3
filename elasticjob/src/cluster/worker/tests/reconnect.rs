//! Connections that go and come back, and what happened meanwhile.

use super::*;

/// Due at second 5 of each minute.
fn each_minute(total: u32) -> JobConfig {
    JobConfig::builder("job")
        .cron("5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn keeps_marks_of_running_items() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", each_minute(1), lasting(Duration::from_secs(20)));
    cluster.until(6.0).await;
    let id = only.id();
    // Shorter than the fence reaches (6 s).
    only.link.cut();
    cluster.until(8.0).await;
    only.link.heal();
    cluster.until(24.0).await;
    assert_eq!(cluster.data("/job/sharding/0/running").await, Some(id.clone()));
    cluster.until(30.0).await;
    assert_eq!(only.id(), id);
    assert_eq!(cluster.data("/job/sharding/0/running").await, None);
    let runs = cluster.history.all();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].ended, Some(runs[0].began + Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn registers_a_removed_server_again() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(3.0).await;
    only.link.cut();
    cluster.until(14.5).await;
    assert_eq!(cluster.children("/job/instances").await, Vec::<String>::new());
    cluster.delete("/job/servers/10.0.0.1").await;
    only.link.heal();
    cluster.until(24.5).await;
    assert_eq!(cluster.data("/job/servers/10.0.0.1").await.as_deref(), Some("ENABLED"));
    assert_eq!(by(&cluster.history.at(at(24)), &only.id()), [0]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn carries_out_a_trigger_of_the_meantime() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", each_minute(2), quick());
    cluster.until(20.0).await;
    let before = cluster.history.all().len();
    only.link.cut();
    cluster.until(21.0).await;
    cluster.create("/job/trigger", "").await;
    cluster.create(&format!("/job/trigger/{}", only.id()), "").await;
    cluster.until(23.0).await;
    only.link.heal();
    cluster.until(28.0).await;
    assert_eq!(cluster.history.all().len(), before + 2);
    assert_eq!(cluster.children("/job/trigger").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn joins_triggers_that_come_during_a_run() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", each_minute(1), lasting(Duration::from_secs(10)));
    cluster.until(6.0).await;
    cluster.create("/job/trigger", "").await;
    for second in [7.0, 9.0] {
        cluster.create(&format!("/job/trigger/{}", only.id()), "").await;
        cluster.until(second).await;
    }
    assert_eq!(cluster.history.all().len(), 1);
    cluster.until(40.0).await;
    assert_eq!(cluster.history.all().len(), 2);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn removes_no_mark_of_another_instance() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", each_minute(1), lasting(Duration::from_secs(10)));
    cluster.until(6.0).await;
    assert_eq!(cluster.data("/job/sharding/0/running").await, Some(only.id()));
    // Another instance has taken the item.
    let other = "10.0.0.9@-@7";
    cluster.delete("/job/sharding/0/running").await;
    cluster.create("/job/sharding/0/running", other).await;
    cluster.set("/job/ledger/items/0", "").await;
    cluster.until(40.0).await;
    assert!(cluster.history.all()[0].ended.is_some());
    assert_eq!(cluster.data("/job/sharding/0/running").await.as_deref(), Some(other));
    assert_eq!(cluster.data("/job/ledger/items/0").await.as_deref(), Some(""));
}

#[tokio::test(start_paused = true)]
async fn makes_a_new_instance_under_the_old_address() {
    let mut cluster = Cluster::new().await;
    let before = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    before.kill();
    // As a container: the same address, the same process id, and the session of the last one still alive.
    let again = cluster.join_as("10.0.0.1", 2, every_second(2), quick());
    cluster.until(8.0).await;
    assert_ne!(again.id(), before.id_before());
    assert!(cluster.children("/job/instances").await.contains(&before.id_before()));
    cluster.until(20.5).await;
    assert_eq!(cluster.children("/job/instances").await, [again.id()]);
    assert_eq!(*again.handle.state.borrow(), JobState::Ready);
    assert_eq!(by(&cluster.history.at(at(20)), &again.id()), [0, 1]);
    cluster.history.check();
}
