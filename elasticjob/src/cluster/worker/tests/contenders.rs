//! Contenders for the leadership that belong to no instance: it has left, or never was.

use super::*;

const LATCH: &str = "/job/leader/election/latch";

/// Creates a node that lives with the session.
async fn create_with(session: &Arc<dyn Session>, path: &str, mode: CreateMode) {
    let step = Step::Create {
        path: path.to_owned(),
        data: Vec::new(),
        mode,
    };
    session.write(vec![step]).await.unwrap();
}

/// Makes the session a contender, ahead of all that come later.
async fn contend(session: &Arc<dyn Session>) {
    create_with(
        session,
        &format!("{LATCH}/_c_00-latch-"),
        CreateMode::EphemeralSequential,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn leave_with_an_instance_that_an_operator_removes() {
    let mut cluster = Cluster::new().await;
    let leader = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(2.5).await;
    let follower = cluster.join("10.0.0.2", every_second(2), quick());
    cluster.until(4.5).await;
    // A Java member, which stands still at the head of the latch.
    let java = cluster.registry.connect().await.unwrap();
    create_with(&java, "/job/servers/10.0.0.9", CreateMode::Persistent).await;
    create_with(&java, "/job/instances/10.0.0.9@-@9", CreateMode::Ephemeral).await;
    contend(&java).await;
    leader.stop(Duration::ZERO).await;
    cluster.until(8.5).await;
    assert_eq!(cluster.children(LATCH).await.len(), 2, "the follower contends");
    cluster.delete(&format!("/job/instances/{}", follower.id())).await;
    cluster.until(9.5).await;
    assert_eq!(*follower.handle.state.borrow(), JobState::Stopped);
    let left = cluster.children(LATCH).await;
    assert!(left.len() == 1 && left[0].starts_with("_c_00"), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn leave_the_election_while_an_instance_drains() {
    let mut cluster = Cluster::new().await;
    let leader = cluster.join("10.0.0.1", with_failover(1), quick());
    cluster.until(2.5).await;
    let draining = cluster.join("10.0.0.2", with_failover(2), lasting(Duration::from_secs(60)));
    cluster.until(5.5).await;
    let other = cluster.registry.connect().await.unwrap();
    contend(&other).await;
    leader.stop(Duration::ZERO).await;
    cluster.until(8.0).await;
    assert_eq!(cluster.children(LATCH).await.len(), 2, "it contends");
    let cancel_at = Instant::now() + Duration::from_secs(100);
    draining
        .handle
        .commands
        .unbounded_send(Command::Stop { cancel_at })
        .unwrap();
    cluster.until(9.0).await;
    let left = cluster.children(LATCH).await;
    assert!(left.len() == 1 && left[0].starts_with("_c_00"), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn are_removed_where_no_instance_stands_behind_them() {
    let mut cluster = Cluster::new().await;
    let leader = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(2.5).await;
    let next = cluster.join("10.0.0.2", every_second(2), quick());
    cluster.until(4.5).await;
    // Its session lives on, as that of a process with other jobs does.
    let removed = cluster.registry.connect().await.unwrap();
    contend(&removed).await;
    leader.stop(Duration::ZERO).await;
    cluster.until(20.5).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(next.id()));
    assert_eq!(cluster.children(LATCH).await, [""; 0]);
    assert_eq!(by(&cluster.history.at(at(20)), &next.id()), [0, 1]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn stay_where_a_java_member_stands_behind_them() {
    let mut cluster = Cluster::new().await;
    let ours = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(2.5).await;
    let java = cluster.registry.connect().await.unwrap();
    create_with(&java, "/job/servers/10.0.0.9", CreateMode::Persistent).await;
    create_with(&java, "/job/instances/10.0.0.9@-@9", CreateMode::Ephemeral).await;
    contend(&java).await;
    let before = ours.registry.counts();
    cluster.until(62.5).await;
    assert_eq!(cluster.children(LATCH).await.len(), 1);
    let looks = (ours.registry.counts() - before).reads;
    assert!((1..=30).contains(&looks), "{looks} reads in a minute");
}
