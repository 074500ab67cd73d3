//! Scheduled times that pass without a run.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_time_that_passed_while_an_item_changed_hands_should_be_made_up_by_its_new_owner() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(2);
    let config = config.build().unwrap();
    let first = cluster.join("10.0.0.1", config.clone(), quick());
    let second = cluster.join("10.0.0.2", config, quick());
    cluster.until(36.0).await;
    assert_eq!(cluster.history.count_at(at(20)), 2);
    // Its session ends at 45: the time at 40 passes while its item is nobody's.
    second.kill();
    cluster.until(39.9).await;
    let mut events = first.events();
    cluster.until(50.0).await;
    cluster.history.check();
    let late: Vec<_> = cluster
        .history
        .all()
        .into_iter()
        .filter(|ran| ran.due == at(40))
        .collect();
    assert_eq!(late.len(), 2, "{late:?}");
    assert!(late.iter().all(|ran| ran.by == first.id()));
    assert!(late.iter().any(|ran| ran.began > Duration::from_secs(44)), "{late:?}");
    let mut sources = Vec::new();
    while sources.len() < 2 {
        if let Some(JobEvent::Ended { run, outcome }) = events.next().await.unwrap() {
            assert_eq!(outcome, ItemOutcome::Succeeded);
            sources.push(run.source);
        }
    }
    assert_eq!(sources, [Source::Schedule, Source::Misfire]);
}

#[tokio::test(start_paused = true)]
async fn times_that_nobody_was_there_for_should_be_counted_and_not_run() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(5.5).await;
    only.stop(Duration::ZERO).await;
    cluster.until(60.5).await;
    let again = cluster.join("10.0.0.1", every_second(1), quick());
    let mut events = again.events();
    cluster.until(63.5).await;
    assert_eq!(cluster.history.count_at(at(60)), 0);
    let skipped = loop {
        match events.next().await.unwrap() {
            Some(JobEvent::Skipped { times, .. }) => break times,
            Some(_) => {}
            None => panic!("nothing was said of the times that passed"),
        }
    };
    assert_eq!((skipped.after, skipped.before), (at(5), at(61)));
    assert_eq!(skipped.count, 55);
    assert!(
        cluster
            .data("/job/ledger/items/0")
            .await
            .unwrap()
            .contains("\"count\":55")
    );
}

#[tokio::test(start_paused = true)]
async fn the_newest_missed_time_should_be_run_where_the_job_is_to_catch_up() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1);
    let config = config.prop("elasticjob.catch-up", "30s").build().unwrap();
    let only = cluster.join("10.0.0.1", config.clone(), quick());
    cluster.until(25.0).await;
    only.stop(Duration::ZERO).await;
    cluster.until(90.0).await;
    let _again = cluster.join("10.0.0.1", config, quick());
    cluster.until(95.0).await;
    let runs: Vec<_> = cluster.history.all().into_iter().map(|ran| ran.due).collect();
    assert_eq!(runs, [at(20), at(80)], "of 40, 60 and 80 the newest");
}
