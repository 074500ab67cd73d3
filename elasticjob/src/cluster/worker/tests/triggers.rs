//! Runs that an operator or a program triggers.

use super::*;

#[tokio::test(start_paused = true)]
async fn run_all_items_once_and_answer_in_the_ledger() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(3).build().unwrap();
    let first = cluster.join("10.0.0.1", one_off.clone(), quick());
    let _second = cluster.join("10.0.0.2", one_off, quick());
    cluster.until(3.0).await;
    first.trigger("q1").await.unwrap();
    cluster.until(4.0).await;
    assert_eq!(cluster.history.all().len(), 3);
    for item in 0..3 {
        let ledger = cluster.data(&format!("/job/ledger/items/{item}")).await.unwrap();
        assert!(
            crate::cluster::ledger::Record::parse(ledger.as_bytes())
                .answer_to("q1")
                .is_some(),
            "{ledger}"
        );
    }
    assert_eq!(cluster.children("/job/trigger").await, Vec::<String>::new());
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn wait_until_the_items_are_assigned() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(3).build().unwrap();
    let first = cluster.join("10.0.0.1", one_off, quick());
    first
        .handle
        .state
        .clone()
        .wait_for(|state| *state == JobState::Ready)
        .await
        .unwrap();
    assert_eq!(
        cluster.data("/job/sharding/0/instance").await,
        None,
        "no instance has items yet"
    );
    first.trigger("q1").await.unwrap();
    cluster.until(3.0).await;
    assert_eq!(cluster.history.all().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn stay_deleted_after_a_late_answer() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(2.5).await;
    let path = "/job/sharding/0/failover".to_owned();
    only.link.delay(Duration::from_millis(20));
    cluster.create(&path, "10.0.0.9@-@7").await;
    tokio::time::sleep(Duration::from_millis(25)).await;
    let gone = Step::Delete { path, version: None };
    cluster.observer.write(vec![gone]).await.unwrap();
    // Both the answer to the read and the word of the deletion have come when the worker looks.
    tokio::time::advance(Duration::from_millis(30)).await;
    only.link.delay(Duration::ZERO);
    cluster.until(4.5).await;
    assert_eq!(cluster.history.count_at(at(4)), 1);
}

#[tokio::test(start_paused = true)]
async fn are_removed_with_a_dead_instance() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(1).build().unwrap();
    let first = cluster.join("10.0.0.1", one_off.clone(), quick());
    let second = cluster.join("10.0.0.2", one_off, quick());
    cluster.until(2.0).await;
    second.link.cut();
    let node = format!("/job/trigger/{}", second.id());
    cluster.create("/job/trigger", "").await;
    cluster.create(&node, "q1").await;
    cluster.until(20.0).await;
    assert_eq!(cluster.children("/job/instances").await, [first.id()]);
    assert_eq!(cluster.children("/job/trigger").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn start_nothing_in_a_job_that_stops() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(3)));
    cluster.until(6.0).await;
    let stopping = only.stop(Duration::from_secs(10));
    tokio::pin!(stopping);
    tokio::select! {
        () = &mut stopping => panic!("an item is still running"),
        () = cluster.until(7.0) => {}
    }
    cluster.create("/job/trigger", "").await;
    cluster.create(&format!("/job/trigger/{}", only.id()), "").await;
    stopping.await;
    assert_eq!(cluster.history.all().len(), 1);
    assert_eq!(cluster.children("/job/trigger").await, Vec::<String>::new());
}
