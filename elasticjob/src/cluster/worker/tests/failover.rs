//! What happens to items when their instances die, and to marks that are left behind.

use super::*;

#[tokio::test(start_paused = true)]
async fn removes_a_stale_mark_and_runs_next_time() {
    let mut cluster = Cluster::new().await;
    let failover = every_second(2).to_builder().failover(true).build().unwrap();
    let only = cluster.join("10.0.0.1", failover.clone(), quick());
    cluster.until(2.5).await;
    only.stop(Duration::ZERO).await;
    cluster.create("/job/sharding/1/running", "10.0.0.9@-@77").await;
    let again = cluster.join("10.0.0.1", failover, quick());
    cluster.until(6.5).await;
    assert_eq!(by(&cluster.history.at(at(6)), &again.id()), [0, 1]);
    assert_eq!(cluster.data("/job/sharding/1/running").await, None);
}

#[tokio::test(start_paused = true)]
async fn retries_a_refused_takeover_later() {
    let mut cluster = Cluster::new().await;
    let hourly = every_second(1)
        .to_builder()
        .cron("0 0 * * * ?")
        .failover(true)
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", hourly, quick());
    cluster.until(2.0).await;
    for path in ["/job/leader/failover", "/job/leader/failover/items"] {
        cluster.create(path, "").await;
    }
    // Left behind by an unknown instance.
    cluster.create("/job/sharding/0/failover", "10.0.0.9@-@7").await;
    cluster.create("/job/leader/failover/items/0", "").await;
    // Tried over and over this would never end.
    cluster.until(6.0).await;
    assert_eq!(cluster.history.all().len(), 0);
    let path = "/job/sharding/0/failover".to_owned();
    let gone = Step::Delete { path, version: None };
    cluster.observer.write(vec![gone]).await.unwrap();
    cluster.until(9.0).await;
    assert_eq!(cluster.history.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn reruns_only_what_a_dead_instance_ran() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 1 { 1 } else { 8 }))));
    let first = cluster.join("10.0.0.1", with_failover(4), Arc::clone(&work));
    let second = cluster.join("10.0.0.2", with_failover(4), work);
    cluster.until(7.0).await;
    // The second has items 0 and 1, of which the latter has finished; the first is busy with 2 and 3.
    second.kill();
    cluster.until(24.0).await;
    cluster.history.check();
    assert_eq!(cluster.attempts(0, at(5)), [(1, second.id_before()), (2, first.id())]);
    assert_eq!(cluster.attempts(1, at(5)).len(), 1);
    assert_eq!(cluster.attempts(2, at(5)).len(), 1);
    assert_eq!(
        cluster.children("/job/leader/failover/items").await,
        Vec::<String>::new()
    );
    cluster.until(40.0).await;
    assert_eq!(cluster.history.count_at(at(25)), 4);
    for node in ["running", "failover", "failovering"] {
        assert_eq!(cluster.data(&format!("/job/sharding/0/{node}")).await, None, "{node}");
    }
}

#[tokio::test(start_paused = true)]
async fn takes_over_again_when_the_taker_dies() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(12));
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        .map(|ip| cluster.join(ip, with_failover(1), Arc::clone(&work)))
        .into();
    cluster.until(6.0).await;
    let owner = instances
        .iter()
        .position(|instance| cluster.history.all()[0].by == instance.id())
        .unwrap();
    instances[owner].kill();
    cluster.until(17.0).await;
    assert_eq!(cluster.attempts(0, at(5)).len(), 2);
    let taker = cluster.attempts(0, at(5))[1].1.clone();
    let taker = instances
        .iter()
        .position(|instance| instance.id_before() == taker)
        .unwrap();
    assert_ne!(taker, owner);
    instances[taker].kill();
    cluster.until(45.0).await;
    cluster.history.check();
    let attempts = cluster.attempts(0, at(5));
    assert_eq!(
        attempts.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let last = cluster.history.all().into_iter().find(|ran| ran.attempt == 3).unwrap();
    assert_eq!(
        last.ended,
        Some(last.began + Duration::from_secs(12)),
        "it ran to its end"
    );
}

#[tokio::test(start_paused = true)]
async fn parks_an_item_after_deaths_in_a_row() {
    let mut cluster = Cluster::new().await;
    let config = with_failover(1)
        .to_builder()
        .prop("elasticjob.failover-attempts", "2")
        .build()
        .unwrap();
    let work = lasting(Duration::from_secs(12));
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        .map(|ip| cluster.join(ip, config.clone(), Arc::clone(&work)))
        .into();
    for second in [6.0, 17.0] {
        cluster.until(second).await;
        let last = cluster.history.all().last().unwrap().by.clone();
        instances
            .iter()
            .find(|instance| instance.id_before() == last)
            .unwrap()
            .kill();
    }
    cluster.until(60.0).await;
    cluster.history.check();
    assert_eq!(cluster.attempts(0, at(5)).len(), 2, "parked for that time");
    assert_eq!(cluster.attempts(0, at(45)).len(), 1, "and run at the next");
}

#[tokio::test(start_paused = true)]
async fn reruns_when_one_returns_after_all_died() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(2), lasting(Duration::from_secs(30)));
    cluster.until(6.0).await;
    only.kill();
    cluster.until(30.0).await;
    assert!(
        cluster.data("/job/sharding/0/running").await.is_some(),
        "the mark of the dead is left"
    );
    let again = cluster.join("10.0.0.1", with_failover(2), quick());
    cluster.until(34.0).await;
    for item in 0..2 {
        assert_eq!(cluster.attempts(item, at(5)), [(1, only.id_before()), (2, again.id())]);
        assert_eq!(cluster.data(&format!("/job/sharding/{item}/running")).await, None);
    }
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn begins_next_attempt_after_a_fence() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(1), lasting(Duration::from_secs(9)));
    cluster.until(6.0).await;
    // Cut off for longer than the fence reaches (6 s) and shorter than the session lasts (9 s).
    only.link.cut();
    cluster.until(13.5).await;
    only.link.heal();
    cluster.until(24.5).await;
    cluster.history.check();
    let id = only.id();
    assert_eq!(cluster.attempts(0, at(5)), [(1, id.clone()), (2, id)]);
    assert!(cluster.data("/job/ledger/items/0").await.unwrap().contains("succeeded"));
}

#[tokio::test(start_paused = true)]
async fn reruns_what_a_dead_java_member_ran() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(1), quick());
    cluster.until(8.0).await;
    // As a Java member leaves it: no word in the ledger.
    cluster.create("/job/sharding/0/running", "10.0.0.9@-@77").await;
    cluster.until(24.0).await;
    assert_eq!(cluster.history.all().len(), 1, "no instance has noticed a death");
    only.stop(Duration::ZERO).await;
    let again = cluster.join("10.0.0.1", with_failover(1), quick());
    cluster.until(44.0).await;
    let runs: Vec<_> = cluster
        .history
        .all()
        .into_iter()
        .filter(|ran| ran.by == again.id())
        .collect();
    assert_eq!(runs.len(), 2, "one taken over, one scheduled: {runs:?}");
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn reports_lost_without_failover() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("5/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1);
    let only = cluster.join(
        "10.0.0.1",
        config.failover(true).build().unwrap(),
        lasting(Duration::from_secs(60)),
    );
    cluster.until(6.0).await;
    only.kill();
    cluster.until(16.0).await;
    let without = every_second(1)
        .to_builder()
        .failover(false)
        .overwrite(true)
        .build()
        .unwrap();
    let again = cluster.join("10.0.0.1", without, quick());
    let mut events = again.events();
    cluster.until(19.0).await;
    let lost = first_event(&mut events, |event| match event {
        JobEvent::Lost { item: 0, run, .. } => run,
        _ => None,
    });
    let lost = lost.await;
    assert_eq!((lost.attempt, lost.source), (1, Source::Schedule));
    assert!(lost.instance.starts_with("10.0.0.1@-@"), "{lost:?}");
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn drops_waiting_item_beyond_the_total() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(2), quick());
    cluster.until(3.0).await;
    for path in [
        "/job/leader/failover",
        "/job/leader/failover/items",
        "/job/leader/failover/items/7",
    ] {
        cluster.create(path, "").await;
    }
    cluster.until(4.0).await;
    assert_eq!(
        cluster.children("/job/leader/failover/items").await,
        Vec::<String>::new()
    );
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(only.id()));
}

#[tokio::test(start_paused = true)]
async fn repairs_mark_of_holder_that_died_during_survey() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 1 { 1 } else { 20 }))));
    let config = with_failover(3);
    let leader = cluster.join("10.0.0.1", config.clone(), Arc::clone(&work));
    let finished = cluster.join("10.0.0.2", config.clone(), Arc::clone(&work));
    let running = cluster.join("10.0.0.3", config, work);
    cluster.until(6.5).await;
    let first = leader.id();
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(first.clone()));
    assert_eq!(cluster.attempts(0, at(5)), [(1, running.id())]);
    assert_eq!(cluster.attempts(1, at(5)), [(1, finished.id())]);
    // What the leader reads once the one is gone takes longer than the other has left.
    leader.link.delay(Duration::from_millis(300));
    finished.kill();
    cluster.until(6.6).await;
    running.kill();
    cluster.until(20.0).await;
    assert_eq!(cluster.attempts(0, at(5)), [(1, running.id_before()), (2, first)]);
}

#[tokio::test(start_paused = true)]
async fn clears_waiting_items_when_monitoring_ends() {
    let mut cluster = Cluster::new().await;
    let config = every_second(1)
        .to_builder()
        .failover(true)
        .monitor_execution(false)
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", config, quick());
    cluster.until(2.5).await;
    for path in ["/job/leader/failover", "/job/leader/failover/items"] {
        cluster.create(path, "").await;
    }
    cluster.create("/job/leader/failover/items/0", "").await;
    cluster.until(5.5).await;
    assert_eq!(
        cluster.children("/job/leader/failover/items").await,
        Vec::<String>::new()
    );
    assert_eq!(cluster.history.count_at(at(5)), 1);
}

#[tokio::test(start_paused = true)]
async fn runs_nothing_beside_a_takeover_when_monitoring_ends() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(15));
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2"]
        .map(|ip| cluster.join(ip, with_failover(1), Arc::clone(&work)))
        .into();
    cluster.until(6.0).await;
    let owner = cluster.history.all()[0].by.clone();
    instances.iter().find(|it| it.id() == owner).expect("it runs").kill();
    cluster.until(18.0).await;
    assert_eq!(cluster.attempts(0, at(5)).len(), 2, "it is taken over");
    let unmonitored = with_failover(1).to_builder().monitor_execution(false).build().unwrap();
    cluster.set("/job/config", &unmonitored.to_registry().yaml).await;
    cluster.until(70.0).await;
    let runs = cluster.history.all();
    let (taken_over, next) = (&runs[1], &runs[2]);
    assert!(
        taken_over.ended.expect("it ended") <= next.began,
        "{taken_over:?}, {next:?}"
    );
    assert_eq!(cluster.data("/job/sharding/0/running").await, None);
}
