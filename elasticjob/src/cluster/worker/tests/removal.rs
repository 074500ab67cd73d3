//! Jobs that are removed from the registry with all that is theirs.

use super::*;

async fn remove_all(cluster: &Cluster, path: String) {
    for child in cluster.children(&path).await {
        Box::pin(remove_all(cluster, format!("{path}/{child}"))).await;
    }
    cluster.delete(&path).await;
}

#[tokio::test(start_paused = true)]
async fn stops_the_job_on_all_instances() {
    let mut cluster = Cluster::new().await;
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, every_second(2), quick()));
    cluster.until(3.2).await;
    remove_all(&cluster, "/job".to_owned()).await;
    cluster.until(6.0).await;
    for instance in instances {
        assert_eq!(*instance.handle.state.borrow(), JobState::Stopped);
    }
    assert_eq!(cluster.children("/job/instances").await, Vec::<String>::new());
    assert_eq!(cluster.history.count_at(at(5)), 0);
}

#[tokio::test(start_paused = true)]
async fn stops_the_job_on_a_cut_off_instance() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.2).await;
    only.link.cut();
    cluster.until(5.0).await;
    remove_all(&cluster, "/job".to_owned()).await;
    only.link.heal();
    cluster.until(9.0).await;
    assert_eq!(*only.handle.state.borrow(), JobState::Stopped);
    assert_eq!(cluster.history.count_at(at(8)), 0);
}

#[tokio::test(start_paused = true)]
async fn registers_the_job_again_in_a_new_session() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.2).await;
    only.link.cut();
    cluster.until(15.0).await;
    remove_all(&cluster, "/job".to_owned()).await;
    only.link.heal();
    cluster.until(24.5).await;
    assert_eq!(*only.handle.state.borrow(), JobState::Ready);
    assert!(cluster.data("/job/config").await.is_some());
    assert_eq!(by(&cluster.history.at(at(24)), &only.id()), [0, 1]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn cancels_runs_before_others_begin() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(12));
    let old = cluster.join("10.0.0.1", with_failover(2), Arc::clone(&work));
    cluster.until(6.0).await;
    assert_eq!(cluster.history.count_at(at(5)), 2);
    remove_all(&cluster, "/job".to_owned()).await;
    // Its times come before the old runs would have ended.
    let config = with_failover(2).to_builder().cron("8/20 * * * * ?").build().unwrap();
    let new = cluster.join("10.0.0.2", config, work);
    cluster.until(9.0).await;
    assert_eq!(*old.handle.state.borrow(), JobState::Stopped);
    assert_eq!(by(&cluster.history.at(at(8)), &new.id()), [0, 1]);
    cluster.until(24.0).await;
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn writes_nothing_into_a_job_created_again() {
    let mut cluster = Cluster::new().await;
    let old = cluster.join("10.0.0.1", with_failover(1), lasting(Duration::from_secs(4)));
    cluster.until(6.0).await;
    assert_eq!(cluster.history.count_at(at(5)), 1);
    // It hears of nothing, and what it writes is heard.
    old.link.stall(Direction::Answers);
    remove_all(&cluster, "/job".to_owned()).await;
    let config = with_failover(1).to_builder().cron("7/20 * * * * ?").build().unwrap();
    let new = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(6)));
    cluster.until(8.0).await;
    let running = "/job/sharding/0/running";
    assert_eq!(cluster.data(running).await, Some(new.id()));
    // The old run has come to its end, by a ledger of the same version.
    cluster.until(11.0).await;
    assert_eq!(cluster.data(running).await, Some(new.id()));
    cluster.until(14.0).await;
    assert_eq!(cluster.data(running).await, None);
    let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
    assert!(ledger.contains(&new.id()) && ledger.contains("succeeded"), "{ledger}");
    let tokens: Vec<i64> = cluster.history.all().iter().map(|ran| ran.token).collect();
    assert!(tokens.is_sorted() && tokens.len() == 2, "{tokens:?}");
    assert_eq!(by(&cluster.history.at(at(7)), &new.id()), [0]);
}
