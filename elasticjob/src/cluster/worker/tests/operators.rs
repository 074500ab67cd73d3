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
