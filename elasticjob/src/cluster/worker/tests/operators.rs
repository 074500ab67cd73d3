//! What operators write into the registry.

use super::*;

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
async fn keep_an_item_of_a_removed_instance_until_its_end() {
    let mut cluster = Cluster::new().await;
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2"]
        .map(|ip| cluster.join(ip, with_failover(1), lasting(Duration::from_secs(10))))
        .into();
    cluster.until(6.0).await;
    let owner = cluster.history.all()[0].by.clone();
    let path = format!("/job/instances/{owner}");
    let removed = Step::Delete { path, version: None };
    cluster.observer.write(vec![removed]).await.unwrap();
    cluster.until(14.0).await;
    assert_eq!(
        cluster.data("/job/sharding/0/running").await,
        Some(owner.clone()),
        "it has not ended"
    );
    cluster.until(40.0).await;
    cluster.history.check();
    assert_eq!(cluster.attempts(0, at(5)), [(1, owner.clone())]);
    let other = instances
        .iter()
        .map(Instance::id)
        .find(|id| *id != owner)
        .expect("there are two");
    assert_eq!(cluster.attempts(0, at(25)), [(1, other)]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_should_join_although_the_configuration_vanishes_meanwhile() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    only.link.delay(Duration::from_millis(100));
    let mut session = only.memberships.clone();
    session.wait_for(Option::is_some).await.unwrap();
    let remove = || {
        let path = "/job/config".to_owned();
        cluster.observer.write(vec![Step::Delete { path, version: None }])
    };
    // As soon as it is there, and before the instance is.
    while remove().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(cluster.children("/job/instances").await, Vec::<String>::new());
    cluster.until(15.5).await;
    assert_eq!(*only.handle.state.borrow(), JobState::Ready);
    assert_eq!(cluster.history.count_at(at(15)), 1);
}

#[tokio::test(start_paused = true)]
async fn run_no_backlog_after_a_server_is_switched_on() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(3.5).await;
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    cluster.until(20.5).await;
    let before = cluster.history.all().len();
    cluster.set("/job/servers/10.0.0.1", "ENABLED").await;
    cluster.until(24.5).await;
    let since: Vec<Timestamp> = cluster.history.all()[before..].iter().map(|ran| ran.due).collect();
    assert!(since.iter().filter(|due| **due <= at(20)).count() <= 1, "{since:?}");
    assert!(since.ends_with(&[at(22), at(23), at(24)]), "{since:?}");
    assert_eq!(only.handle.status.now().unaccounted, 0);
    cluster.history.check();
}
