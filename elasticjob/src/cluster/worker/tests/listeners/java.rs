//! Listeners that are called once in a cluster with Java members.

use super::*;

#[tokio::test(start_paused = true)]
async fn include_a_java_member() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let only = cluster.join("10.0.0.1", listened_to(2, &["ONCE"]), lasting(Duration::from_secs(1)));
    cluster.until(3.0).await;
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(6.0).await;
    let own = by(&cluster.history.at(at(5)), &only.id());
    assert_eq!(own, Vec::<u32>::new(), "it waits");
    let ours = cluster.children("/job/guarantee/started").await;
    assert_eq!(ours.len(), 1);
    let theirs = match &*ours[0] {
        "0" => "1",
        _ => "0",
    };
    // The Java member comes last and calls the hook itself.
    cluster.create(&format!("/job/guarantee/started/{theirs}"), "").await;
    cluster.until(6.2).await;
    for path in [
        &*format!("started/{theirs}"),
        &*format!("started/{}", ours[0]),
        "started",
    ] {
        cluster.delete(&format!("/job/guarantee/{path}")).await;
    }
    cluster.until(6.5).await;
    assert_eq!(cluster.history.count_at(at(5)), 1);
    assert_eq!(journal.all().len(), 0, "the hook was called over there");
    // It ends first, and ours is last.
    cluster.create("/job/guarantee/completed", "").await;
    cluster.create(&format!("/job/guarantee/completed/{theirs}"), "").await;
    cluster.until(9.0).await;
    assert_eq!(journal.at("after", at(5)).len(), 1);
    assert_eq!(
        cluster.data("/job/guarantee/completed").await,
        None,
        "which tells the Java member"
    );
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

/// A Java leader at a barrier waits for our instance and reshards nothing, so our instance must not wait for the resharding.
#[tokio::test(start_paused = true)]
async fn do_not_wait_for_a_java_leader_at_the_barrier() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let only = cluster.join("10.0.0.1", listened_to(2, &["ONCE"]), quick());
    cluster.until(6.0).await;
    let java = "10.0.0.9@-@77";
    cluster.set("/job/leader/election/instance", java).await;
    cluster.register_java(java).await;
    cluster.delete("/job/sharding/1/instance").await;
    cluster.create("/job/sharding/1/instance", java).await;
    let flag = "/job/leader/sharding/necessary";
    cluster.create(flag, "").await;
    cluster.until(16.0).await;
    assert_eq!(cluster.history.count_at(at(15)), 0, "no instance waits for it");
    cluster.create("/job/guarantee/started", "").await;
    cluster.create("/job/guarantee/started/1", "").await;
    cluster.until(17.0).await;
    assert_eq!(by(&cluster.history.at(at(15)), &only.id()), [0]);
    assert_eq!(journal.at("before", at(15)).len(), 1);
    assert_eq!(cluster.data("/job/guarantee/started").await, None, "the leader goes on");
    assert!(cluster.data(flag).await.is_some());
}

/// A Java member waits until all items have come, those that are switched off included, and does not see to the hook.
#[tokio::test(start_paused = true)]
async fn are_called_soon_beside_a_late_java_member() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let only = cluster.join("10.0.0.1", listened_to(3, &["ONCE"]), quick());
    cluster.until(3.0).await;
    cluster.create("/job/sharding/2/disabled", "").await;
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(5.2).await;
    for item in 0..2 {
        if cluster.data(&format!("/job/sharding/{item}/instance")).await != Some(only.id()) {
            cluster.create(&format!("/job/guarantee/started/{item}"), "").await;
        }
    }
    cluster.until(5.5).await;
    assert_eq!(journal.at("before", at(5)).len(), 1);
    assert_eq!(cluster.data("/job/guarantee/started").await, None);
}
