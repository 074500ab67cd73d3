//! Items that run only on some of the instances.

use super::*;

/// Item 0 needs what `label` says, item 1 nothing.
fn labelled(config: &JobConfig, items: &str) -> JobConfig {
    let config = config.to_builder().sharding_strategy("LABEL");
    config.prop("label.items", items).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn bind_items_also_when_they_are_taken_over() {
    let mut cluster = Cluster::new().await;
    let config = labelled(&with_failover(2), "0=gpu");
    let work = lasting(Duration::from_secs(6));
    let leader = cluster.join("10.0.0.9", config.clone(), Arc::clone(&work));
    cluster.until(0.5).await;
    let mut able: Vec<Instance> = [("10.0.0.1", 7), ("10.0.0.2", 8)]
        .map(|(ip, pid)| cluster.join_labelled(ip, pid, config.clone(), Arc::clone(&work), &["gpu", "large"]))
        .into();
    cluster.until(6.0).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(leader.id()));
    let owner = cluster.attempts(0, at(5))[0].1.clone();
    let place = able.iter().position(|instance| instance.id() == owner);
    able.remove(place.expect("an instance with the label")).kill();
    cluster.until(24.0).await;
    let other = able[0].id();
    assert_eq!(cluster.attempts(0, at(5)), [(1, owner), (2, other.clone())]);

    cluster.until(26.0).await;
    able[0].kill();
    cluster.until(90.0).await;
    assert_eq!(cluster.attempts(0, at(25)), [(1, other.clone())]);
    for second in [45, 65, 85] {
        assert_eq!(cluster.history.at(at(second)), [(1, leader.id())], "at {second}");
    }
    assert_eq!(leader.handle.status.now().unassigned, [0]);

    let late = cluster.join_labelled("10.0.0.3", 9, config, work, &["gpu"]);
    cluster.until(112.0).await;
    assert_eq!(cluster.attempts(0, at(25)), [(1, other), (2, late.id())]);
    assert_eq!(by(&cluster.history.at(at(105)), &late.id()), [0]);
    assert_eq!(leader.handle.status.now().unassigned, [0; 0]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn items_should_move_when_their_labels_are_changed() {
    let mut cluster = Cluster::new().await;
    let config = |items| labelled(&every_second(2), items);
    let first = cluster.join_labelled("10.0.0.1", 7, config("0=gpu,1=eu"), quick(), &["gpu"]);
    let second = cluster.join_labelled("10.0.0.2", 8, config("0=gpu,1=eu"), quick(), &["eu"]);
    cluster.until(5.5).await;
    assert_eq!(cluster.history.at(at(5)), [(0, first.id()), (1, second.id())]);
    cluster
        .set("/job/config", &config("0=eu,1=gpu").to_registry().yaml)
        .await;
    cluster.until(9.5).await;
    assert_eq!(cluster.history.at(at(9)), [(0, second.id()), (1, first.id())]);

    // No instance can run by a configuration with labels for items beyond the total count.
    cluster.set("/job/config", &config("2=gpu").to_registry().yaml).await;
    cluster.until(12.5).await;
    assert_eq!(cluster.history.at(at(12)), [(0, second.id()), (1, first.id())]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn labels_should_stay_when_an_instance_leaves() {
    let mut cluster = Cluster::new().await;
    let config = labelled(&every_second(1), "0=gpu");
    let only = cluster.join_labelled("10.0.0.1", 7, config, lasting(Duration::from_millis(400)), &["gpu"]);
    cluster.until(3.2).await;
    let member = format!("/job/ledger/members/{}", only.id());
    let read = async || cluster.data(&member).await;
    assert_eq!(
        read().await.as_deref(),
        Some(r#"{"draining":false,"labels":["gpu"],"obeysPause":true,"obeysCancels":true,"obeysRequests":true}"#)
    );
    let leaving = only.stop(Duration::from_secs(5));
    let looking = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(
            read().await.as_deref(),
            Some(r#"{"draining":true,"labels":["gpu"],"obeysPause":true,"obeysCancels":true,"obeysRequests":true}"#)
        );
    };
    tokio::join!(leaving, looking);
}
