//! Sessions that end, and work that ends before them.

use super::*;

#[tokio::test(start_paused = true)]
async fn returns_as_a_new_instance_after_a_lost_session() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    let before = only.id();
    only.link.expire();
    cluster.until(8.5).await;
    assert_ne!(only.id(), before);
    assert_eq!(cluster.children("/job/instances").await, [only.id()]);
    assert_eq!(by(&cluster.history.at(at(8)), &only.id()), [0, 1]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn asks_once_why_an_instance_is_gone() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    only.link.delay(Duration::from_millis(1));
    cluster.until(3.5).await;
    let before = only.id();
    // The registry ends the session, and a request is all that could tell.
    only.link.freeze();
    cluster.until(3.5 + TIMEOUT.as_secs_f64()).await;
    let counts = only.registry.counts();
    cluster.until(3.5 + TIMEOUT.as_secs_f64() + 2.0).await;
    assert_eq!(cluster.children("/job/instances").await, Vec::<String>::new());
    let requests = (only.registry.counts() - counts).requests();
    assert!((1..=20).contains(&requests), "{requests} requests in two seconds");
    only.link.heal();
    cluster.until(20.0).await;
    assert_ne!(only.id(), before);
    assert_eq!(cluster.children("/job/instances").await, [only.id()]);
}

#[tokio::test(start_paused = true)]
async fn stops_work_before_a_cut_off_session_ends() {
    let mut cluster = Cluster::new().await;
    let hourly = JobConfig::builder("job")
        .cron("5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", hourly, lasting(Duration::from_secs(600)));
    cluster.until(6.0).await;
    assert_eq!(cluster.history.all().len(), 1);
    only.link.cut();
    cluster.until(6.0 + TIMEOUT.as_secs_f64()).await;
    let ended = cluster.history.all()[0].ended.expect("it was stopped");
    assert!(ended < Duration::from_secs(6) + TIMEOUT, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn cancels_items_after_the_grace_period() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 0 { 2 } else { 60 }))));
    let config = JobConfig::builder("job")
        .cron("5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(2)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", config, work);
    cluster.until(6.0).await;
    let id = only.id();
    let stopping = only.stop(Duration::from_secs(4));
    tokio::pin!(stopping);
    tokio::select! {
        () = &mut stopping => panic!("items are still running"),
        () = cluster.until(9.0) => {}
    }
    assert!(
        cluster
            .data(&format!("/job/ledger/members/{id}"))
            .await
            .unwrap()
            .contains("true"),
        "it is announced"
    );
    assert_eq!(cluster.data("/job/sharding/0/running").await, None, "it finished");
    assert!(cluster.data("/job/sharding/1/running").await.is_some(), "it goes on");
    stopping.await;
    assert!(cluster.data("/job/ledger/items/0").await.unwrap().contains("succeeded"));
    assert!(
        cluster
            .data("/job/ledger/items/1")
            .await
            .unwrap()
            .contains("the instance left before the run ended")
    );
    assert_eq!(cluster.data("/job/sharding/1/running").await, None);
    assert_eq!(cluster.children("/job/instances").await, Vec::<String>::new());
    assert_eq!(cluster.data("/job/leader/election/instance").await, None);
}

#[tokio::test(start_paused = true)]
async fn notices_a_clock_set_without_a_session() {
    let mut cluster = Cluster::new().await;
    // Past the first time, so that the session ends before the next.
    let ahead = jiff::SignedDuration::from_hours(24) + jiff::SignedDuration::from_secs(6);
    cluster.clock.shift(ahead);
    let only = cluster.join("10.0.0.1", with_failover(1), quick());
    tokio::time::sleep(Duration::from_secs(2)).await;
    only.link.cut();
    tokio::time::sleep(TIMEOUT * 2).await;
    assert_eq!(
        cluster.history.all().len(),
        0,
        "nothing was due yet, by the clock that is wrong"
    );
    cluster.clock.set(start());
    only.link.heal();
    cluster.until(26.0).await;
    assert_eq!(by(&cluster.history.at(at(25)), &only.id()), [0]);
}
