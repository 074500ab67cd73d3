//! Which instance has which item, as instances join and leave.

use super::*;
use crate::limits;
use crate::test_log::Log;

#[tokio::test(start_paused = true)]
async fn instances_should_share_the_items_without_gap_or_overlap() {
    let mut cluster = Cluster::new().await;
    let instances: Vec<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        .map(|ip| cluster.join(ip, every_second(10), lasting(Duration::from_millis(300))))
        .into();
    cluster.until(10.5).await;
    cluster.history.check();
    for second in 3..=10 {
        let runs = cluster.history.at(at(second));
        assert_eq!(
            runs.iter().map(|(item, _)| *item).collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>(),
            "at {second}"
        );
        let shares: Vec<usize> = instances
            .iter()
            .map(|instance| by(&runs, &instance.id()).len())
            .collect();
        assert_eq!(shares.iter().sum::<usize>(), 10, "at {second}");
        assert!(
            shares.iter().all(|share| (3..=4).contains(share)),
            "{shares:?} at {second}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_names_the_items_that_move_and_why() {
    let (log, _guard) = Log::record();
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(10), quick());
    cluster.until(2.5).await;
    let second = cluster.join("10.0.0.2", every_second(10), lasting(Duration::from_secs(2)));
    cluster.until(6.1).await;
    let second_id = second.id();
    second.stop(Duration::from_secs(5)).await;
    cluster.until(10.5).await;
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("items shared out")).collect();
    let expected = [
        "items=\"0-9\" reason=\"there was no assignment yet\"".to_owned(),
        format!("items=\"0-4\" reason=\"joined: {second_id}\""),
        format!("items=\"none\" waiting=\"0-4\" reason=\"drained, leaving or switched off: {second_id}\""),
        "items=\"0-4\" reason=\"runs that were waited for have ended: 0-4\"".to_owned(),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.contains(&**expected), "{line}: {expected}");
    }
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn moves_items_of_a_leaver_at_once() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(4.5).await;
    let leaving = second.id();
    second.stop(Duration::from_secs(1)).await;
    assert_eq!(cluster.children("/job/instances").await, [first.id()]);
    cluster.until(8.5).await;
    cluster.history.check();
    assert_eq!(by(&cluster.history.at(at(4)), &leaving).len(), 2);
    for second in 6..=8 {
        assert_eq!(by(&cluster.history.at(at(second)), &first.id()).len(), 4, "at {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn moves_items_of_a_dead_instance_with_its_session() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(4.5).await;
    second.link.cut();
    second.tasks.token().cancel();
    cluster.until(18.5).await;
    cluster.history.check();
    for second in 15..=18 {
        assert_eq!(by(&cluster.history.at(at(second)), &first.id()).len(), 4, "at {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_died_should_be_followed_by_another() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    cluster.until(2.5).await;
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(4.5).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(first.id()));
    first.link.expire();
    first.link.cut();
    cluster.until(8.5).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(second.id()));
    assert_eq!(by(&cluster.history.at(at(8)), &second.id()).len(), 4);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn moves_a_running_item_after_its_end() {
    let mut cluster = Cluster::new().await;
    let every_five = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(4)
        .build()
        .unwrap();
    let work: Work = Arc::new(|item| {
        Box::pin(async move {
            if item == 0 {
                tokio::time::sleep(Duration::from_secs(8)).await;
            }
        })
    });
    let first = cluster.join("10.0.0.1", every_five.clone(), Arc::clone(&work));
    cluster.until(5.5).await;
    let second = cluster.join("10.0.0.2", every_five, work);
    cluster.until(9.5).await;
    assert_eq!(cluster.data("/job/sharding/2/instance").await, Some(first.id()));
    assert_eq!(cluster.data("/job/sharding/1/instance").await, Some(second.id()));
    assert_eq!(
        cluster.data("/job/sharding/0/instance").await,
        Some(first.id()),
        "it runs, so it stays"
    );
    cluster.until(24.5).await;
    cluster.history.check();
    assert_eq!(
        by(&cluster.history.at(at(10)), &second.id()),
        [0, 1],
        "the one that moved is made up where it is now"
    );
    assert_eq!(
        by(&cluster.history.at(at(10)), &first.id()),
        [2, 3],
        "made up, without the one that moves"
    );
    assert_eq!(by(&cluster.history.at(at(20)), &second.id()), [0, 1]);
    assert_eq!(by(&cluster.history.at(at(20)), &first.id()), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn runs_a_moved_item_after_its_old_run() {
    let mut cluster = Cluster::new().await;
    let unmonitored = every_second(2).to_builder().monitor_execution(false).build().unwrap();
    let is_first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let work: Work = Arc::new(move |_| {
        let lasts = is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
        Box::pin(tokio::time::sleep(Duration::from_secs(if lasts { 5 } else { 0 })))
    });
    let first = cluster.join("10.0.0.1", unmonitored.clone(), Arc::clone(&work));
    cluster.until(1.5).await;
    let running = cluster.history.all().iter().map(|ran| ran.item).min().unwrap();
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    let second = cluster.join("10.0.0.2", unmonitored, work);
    cluster.until(3.5).await;
    let owner = cluster.data(&format!("/job/sharding/{running}/instance")).await;
    assert_eq!(owner, Some(second.id()), "no mark keeps it from moving");
    cluster.until(10.5).await;
    assert_eq!(by(&cluster.history.at(at(10)), &second.id()), [0, 1]);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn assigns_a_large_job_followed_in_part() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(400)
        .build()
        .unwrap();
    let ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let instances: Vec<_> = ips
        .map(|ip| cluster.join(ip, config.clone(), lasting(Duration::from_secs(1))))
        .into();
    cluster.until(11.5).await;
    assert_eq!(cluster.history.count_at(at(10)), 400);
    let leader = cluster.data("/job/leader/election/instance").await;
    let follower = instances.iter().find(|instance| Some(instance.id()) != leader).unwrap();
    let others = instances
        .iter()
        .filter(|instance| instance.id() != follower.id())
        .collect::<Vec<_>>();

    // One leaves: the followers learn which items are theirs now.
    follower.stop(Duration::from_secs(3)).await;
    cluster.until(21.5).await;
    assert_eq!(cluster.history.count_at(at(20)), 400);
    for instance in others {
        assert_eq!(by(&cluster.history.at(at(20)), &instance.id()).len(), 200);
    }

    // The operator's switch of one item reaches its owner.
    cluster.create("/job/sharding/399/disabled", "").await;
    cluster.until(26.5).await;
    assert_eq!(cluster.history.count_at(at(25)), 399);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn follows_a_large_job_over_a_reconnect() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(600)
        .build()
        .unwrap();
    let first = cluster.join("10.0.0.1", config.clone(), quick());
    cluster.until(2.0).await;
    let second = cluster.join("10.0.0.2", config, quick());
    cluster.until(11.0).await;
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(first.id()));
    second.link.cut();
    cluster.until(12.0).await;
    second.link.heal();
    cluster.until(21.0).await;
    for second in [10, 15, 20] {
        assert_eq!(cluster.history.count_at(at(second)), 600, "at {second}");
    }
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn assigns_items_added_during_a_survey() {
    let mut cluster = Cluster::new().await;
    let leader = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    leader.link.delay(Duration::from_millis(300));
    let _other = cluster.join("10.0.0.2", every_second(2), quick());
    let flag = "/job/leader/sharding/necessary";
    let flagged = async {
        while cluster.data(flag).await.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(5), flagged).await;
    in_time.expect("the leader flags who came");
    // It hears of more items after it has asked for the state of two, and before the answer comes.
    cluster.set("/job/config", &every_second(5).to_yaml()).await;
    cluster.until(12.5).await;
    assert_eq!(cluster.history.count_at(at(11)), 5);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn releases_an_item_that_moved_during_its_claim() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", config, quick());
    cluster.until(15.0).await;
    // A leader that is none of ours: it raises no epoch, so that nothing refuses the claim.
    let java = "10.0.0.9@-@1";
    cluster.register_java(java).await;
    cluster.set("/job/leader/election/instance", java).await;
    cluster.until(19.5).await;
    // The instance hears at 20.1 what happens at 19.9, before the claim of 20.0 is answered.
    only.link.delay(Duration::from_millis(200));
    cluster.until(19.9).await;
    cluster.delete("/job/sharding/0/instance").await;
    cluster.create("/job/sharding/0/instance", java).await;
    cluster.until(30.0).await;
    let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
    assert!(ledger.contains("given to another instance"), "it was claimed: {ledger}");
    assert_eq!(cluster.history.all().len(), 0);
    assert_eq!(cluster.data("/job/sharding/0/running").await, None);
}

#[tokio::test(start_paused = true)]
async fn repeats_a_claim_under_an_old_assignment() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(1)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(5)));
    cluster.until(19.5).await;
    // The instance hears at 20.1 what happens at 19.9, after the claim of 20.0 was sent.
    only.link.delay(Duration::from_millis(200));
    cluster.until(19.9).await;
    let assignment = cluster.data("/job/ledger/epoch").await.unwrap();
    cluster.set("/job/ledger/epoch", &assignment).await;
    cluster.until(20.15).await;
    assert_eq!(cluster.data("/job/sharding/0/running").await, None, "it was refused");
    cluster.until(22.0).await;
    assert_eq!(cluster.data("/job/sharding/0/running").await, Some(only.id()));
    cluster.until(30.0).await;
    assert_eq!(cluster.history.count_at(at(20)), 1);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn flags_instances_that_a_java_leader_overlooks() {
    let mut cluster = Cluster::new().await;
    let _one = cluster.join("10.0.0.1", every_second(4), quick());
    let _other = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(10.0).await;
    let java = "10.0.0.9@-@1";
    cluster.register_java(java).await;
    cluster.set("/job/leader/election/instance", java).await;
    let flag = "/job/leader/sharding/necessary";
    cluster.until(11.5).await;
    assert_eq!(cluster.data(flag).await, None, "it may see to it by itself");
    cluster.until(13.0).await;
    assert!(cluster.data(flag).await.is_some());
    cluster.delete("/job/sharding/0/instance").await;
    cluster.create("/job/sharding/0/instance", java).await;
    cluster.delete(flag).await;
    cluster.until(60.0).await;
    assert_eq!(cluster.data(flag).await, None, "no instance is overlooked any more");
}

#[tokio::test(start_paused = true)]
async fn flags_items_of_a_leader_that_gives_up() {
    for (other, is_flagged) in [("10.0.0.9@-@1", true), ("", false)] {
        for leaves in [true, false] {
            let mut cluster = Cluster::new().await;
            let only = cluster.join("10.0.0.1", every_second(2), quick());
            cluster.until(3.5).await;
            if is_flagged {
                cluster.register_java(other).await;
            }
            cluster.until(9.5).await;
            if leaves {
                only.stop(Duration::from_secs(1)).await
            } else {
                cluster.set("/job/servers/10.0.0.1", "DISABLED").await
            }
            cluster.until(12.5).await;
            assert_eq!(cluster.data("/job/leader/election/instance").await, None);
            let flag = cluster.data("/job/leader/sharding/necessary").await;
            assert_eq!(flag.is_some(), is_flagged, "leaves: {leaves}");
        }
    }
}

/// Each write of a worker begins with a check that it still is a member, which the parts of a resharding leave room for.
#[tokio::test(start_paused = true)]
async fn assigns_items_at_any_transaction_limit() {
    for limit in (3_000..4_000).step_by(40) {
        let _limits = limits::lower(limit, 1_000);
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_second(16), quick());
        cluster.until(1.0).await;
        for item in 0..16 {
            let owner = cluster.data(&format!("/job/sharding/{item}/instance")).await;
            assert_eq!(owner, Some(only.id()), "item {item}, at most {limit} bytes");
        }
    }
}
