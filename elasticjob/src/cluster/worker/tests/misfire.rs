//! Scheduled times that pass without a run.

use super::*;
use crate::run::ItemOutcome;
use crate::trace::SkippedTimes;

fn skipped_times(event: JobEvent) -> Option<SkippedTimes> {
    match event {
        JobEvent::Skipped { times, .. } => Some(times),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn is_made_up_by_the_new_owner() {
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
    // Its session ends at 45: the time at 40 passes while its item has no owner.
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
        let ended = first_event(&mut events, |event| match event {
            JobEvent::Ended { run, outcome, .. } => Some((run.source, outcome)),
            _ => None,
        });
        let (source, outcome) = ended.await;
        assert_eq!(outcome, ItemOutcome::Succeeded);
        sources.push(source);
    }
    assert_eq!(sources, [Source::Schedule, Source::Misfire]);
}

#[tokio::test(start_paused = true)]
async fn counts_times_without_instances_and_runs_none() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(5.5).await;
    only.stop(Duration::ZERO).await;
    cluster.until(60.5).await;
    let again = cluster.join("10.0.0.1", every_second(1), quick());
    let mut events = again.events();
    cluster.until(63.5).await;
    assert_eq!(cluster.history.count_at(at(60)), 0);
    let skipped = first_event(&mut events, skipped_times).await;
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
async fn runs_the_newest_missed_time_to_catch_up() {
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

/// Due each ten seconds.
fn each_ten_seconds(total: u32) -> elasticjob_config::job::Builder {
    JobConfig::builder("job")
        .cron("0/10 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total)
}

/// Returns when the items of one time began, in milliseconds of the history.
fn begun_at(cluster: &Cluster, due: Timestamp) -> Vec<(u32, u128)> {
    let ran = cluster.history.all().into_iter().filter(|ran| ran.due == due);
    ran.map(|ran| (ran.item, ran.began.as_millis())).collect()
}

#[tokio::test(start_paused = true)]
async fn is_made_up_once_right_after() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 0 { 25 } else { 1 }))));
    let _only = cluster.join("10.0.0.1", each_ten_seconds(2).build().unwrap(), work);
    cluster.until(34.9).await;
    assert_eq!(begun_at(&cluster, at(20)), [], "coalesced with the time after it");
    cluster.until(39.9).await;
    cluster.history.check();
    let begun = begun_at(&cluster, at(30));
    assert!(
        begun.len() == 2 && begun.iter().all(|(_, at)| (35_000..35_100).contains(at)),
        "{begun:?}"
    );
    let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
    assert!(ledger.contains("misfire"), "{ledger}");
}

#[tokio::test(start_paused = true)]
async fn is_skipped_if_misfire_is_off() {
    let mut cluster = Cluster::new().await;
    let config = each_ten_seconds(1).misfire(false).build().unwrap();
    let _only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(15)));
    cluster.until(59.9).await;
    let due: Vec<_> = cluster.history.all().iter().map(|ran| ran.due).collect();
    assert_eq!(due, [at(10), at(30), at(50)]);
}

#[tokio::test(start_paused = true)]
async fn runs_once_after_a_lost_answer_to_end_and_claim() {
    for fate in [Fate::Applied, Fate::Dropped] {
        let mut cluster = Cluster::new().await;
        let config = each_ten_seconds(3).build().unwrap();
        let only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(15)));
        cluster.until(24.9).await;
        only.link.cut_at_next_write(fate);
        cluster.until(25.4).await;
        only.link.heal();
        cluster.until(49.9).await;
        cluster.history.check();
        assert_eq!(cluster.history.count_at(at(20)), 3, "{fate:?}");
        assert_eq!(cluster.history.count_at(at(40)), 3, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn is_not_made_up_for_an_item_that_is_to_move() {
    let mut cluster = Cluster::new().await;
    let config = each_ten_seconds(2).build().unwrap();
    let first = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(15)));
    cluster.until(12.0).await;
    let second = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(15)));
    cluster.until(45.0).await;
    cluster.history.check();
    let (first, second) = (first.id(), second.id());
    let mut owners: Vec<_> = cluster.history.at(at(20)).into_iter().map(|(_, by)| by).collect();
    owners.sort();
    assert_eq!(owners, [first, second], "each makes up the item that it has now");
}

#[tokio::test(start_paused = true)]
async fn makes_up_a_java_mark_for_its_item_alone() {
    for misfire in [true, false] {
        let mut cluster = Cluster::new().await;
        let config = each_ten_seconds(2).misfire(misfire).build().unwrap();
        let _only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(1)));
        cluster.until(15.0).await;
        cluster.create("/job/sharding/1/misfire", "").await;
        cluster.until(19.9).await;
        assert_eq!(cluster.history.all().len(), 2, "it waits for a normal run");
        cluster.until(49.9).await;
        cluster.history.check();
        let runs = |item| cluster.history.all().iter().filter(|ran| ran.item == item).count();
        let made_up = usize::from(misfire);
        assert_eq!((runs(0), runs(1)), (4, 4 + made_up), "misfire {misfire}");
        let mark = cluster.data("/job/sharding/1/misfire").await;
        assert_eq!(mark.is_none(), misfire, "consumed only where it is made up");
    }
}

#[tokio::test(start_paused = true)]
async fn leaves_the_times_of_a_java_owner_to_it() {
    for (other, made_up, reason) in [
        ("10.0.0.9@-@1", 0, "ran elsewhere"),
        ("10.0.0.9@-@1-abcdef", 1, "no instance ran the item"),
    ] {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", each_ten_seconds(1).build().unwrap(), quick());
        cluster.until(15.0).await;
        cluster.register_java(other).await;
        cluster.set("/job/leader/election/instance", other).await;
        let mine = only.id();
        for (second, owner) in [(33.0, other), (39.0, mine.as_str())] {
            cluster.delete("/job/sharding/0/instance").await;
            cluster.create("/job/sharding/0/instance", owner).await;
            cluster.until(second).await;
        }
        assert_eq!(cluster.history.count_at(at(30)), made_up, "it was {other}'s");
        cluster.until(45.0).await;
        assert_eq!(cluster.history.count_at(at(40)), 1);
        let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
        assert!(ledger.contains(reason), "{ledger}");
        cluster.history.check();
    }
}

#[tokio::test(start_paused = true)]
async fn reports_no_skip_of_a_time_that_another_ran() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(5.5).await;
    let mark = "/job/sharding/0/running";
    cluster.create(mark, &only.id()).await;
    cluster.until(8.4).await;
    // It had the item for a moment, at 7.
    let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
    let (before, after) = (at(5).as_millisecond().to_string(), at(7).as_millisecond().to_string());
    assert!(ledger.contains(&before), "{ledger}");
    cluster
        .set("/job/ledger/items/0", &ledger.replace(&before, &after))
        .await;
    cluster.delete(mark).await;
    let mut events = only.events();
    cluster.until(9.5).await;
    assert_eq!(cluster.history.count_at(at(9)), 1);
    let skipped = first_event(&mut events, skipped_times).await;
    assert_eq!((skipped.after, skipped.before, skipped.count), (at(7), at(9), 1));
    let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
    assert!(ledger.contains(&format!("\"skipped\":{{\"after\":{after}")), "{ledger}");
}
