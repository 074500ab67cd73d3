//! Who takes over what a dead instance was running, and how much of it at once.

use super::*;
use crate::limits;

fn second_attempts(cluster: &Cluster, id: &str, due: Timestamp) -> Vec<(u32, Duration)> {
    let runs = cluster.history.all().into_iter();
    runs.filter(|ran| ran.by == id && ran.due == due && ran.attempt == 2)
        .map(|ran| (ran.item, ran.began))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn takes_over_all_items_at_once() {
    let mut cluster = Cluster::new().await;
    // Item 10 comes before item 2 as a text.
    let work = lasting(Duration::from_secs(17));
    let first = cluster.join("10.0.0.1", with_failover(12), Arc::clone(&work));
    let second = cluster.join("10.0.0.2", with_failover(12), work);
    cluster.until(6.0).await;
    let lost = by(&cluster.history.at(at(5)), &second.id());
    assert_eq!(lost.len(), 6);
    second.kill();
    // Its own run until second 22, its session that of the dead until 15.
    cluster.until(21.0).await;
    let taken = second_attempts(&cluster, &first.id(), at(5));
    assert_eq!(taken.iter().map(|(item, _)| *item).collect::<Vec<_>>(), lost);
    assert!(
        taken.iter().all(|(_, began)| *began == taken[0].1),
        "one after the other: {taken:?}"
    );
    cluster.until(24.0).await;
    assert_eq!(
        cluster.history.all().len(),
        12 + 6,
        "a take-over is no reason to run anything else"
    );
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_disabled_instance_to_be_enabled() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(8));
    let first = cluster.join("10.0.0.1", with_failover(1), Arc::clone(&work));
    cluster.until(2.0).await;
    let second = cluster.join("10.0.0.2", with_failover(1), work);
    cluster.until(6.0).await;
    let (running, other) = if cluster.history.all()[0].by == first.id() {
        (&first, &second)
    } else {
        (&second, &first)
    };
    let server = if std::ptr::eq(other, &first) {
        "/job/servers/10.0.0.1"
    } else {
        "/job/servers/10.0.0.2"
    };
    cluster.set(server, "DISABLED").await;
    running.kill();
    cluster.until(24.0).await;
    assert_eq!(cluster.children("/job/leader/failover/items").await, ["0"], "it waits");
    assert_eq!(cluster.attempts(0, at(5)).len(), 1);
    cluster.set(server, "ENABLED").await;
    cluster.until(27.0).await;
    assert_eq!(cluster.attempts(0, at(5)), [(1, running.id_before()), (2, other.id())]);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn leaves_a_switched_off_item() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(8));
    let _first = cluster.join("10.0.0.1", with_failover(4), Arc::clone(&work));
    let second = cluster.join("10.0.0.2", with_failover(4), work);
    cluster.until(6.0).await;
    let [off, on] = by(&cluster.history.at(at(5)), &second.id())[..] else {
        panic!("each has two")
    };
    cluster.create(&format!("/job/sharding/{off}/disabled"), "").await;
    second.kill();
    cluster.until(24.0).await;
    assert_eq!(cluster.attempts(off, at(5)).len(), 1);
    assert_eq!(cluster.attempts(on, at(5)).len(), 2);
    let mark = format!("/job/sharding/{off}/running");
    assert_eq!(cluster.data(&mark).await, None, "nothing is left of it");
    cluster.history.check();
}

/// Followers of a large job watch their own items only.
#[tokio::test(start_paused = true)]
async fn leaves_an_item_switched_off_while_it_waits() {
    let _limits = limits::lower(1_000_000, 1);
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(8));
    let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
    let instances = hosts.map(|ip| cluster.join(ip, with_failover(5), Arc::clone(&work)));
    cluster.until(6.0).await;
    let [off] = by(&cluster.history.at(at(5)), &instances[4].id())[..] else {
        panic!("each has one")
    };
    let servers = hosts[..4].iter().map(|ip| format!("/job/servers/{ip}"));
    for server in servers.clone() {
        cluster.set(&server, "DISABLED").await;
    }
    instances[4].kill();
    cluster.until(24.0).await;
    assert_eq!(cluster.children("/job/leader/failover/items").await, [off.to_string()]);
    cluster.create(&format!("/job/sharding/{off}/disabled"), "").await;
    for server in servers {
        cluster.set(&server, "ENABLED").await;
    }
    cluster.until(29.0).await;
    assert_eq!(cluster.attempts(off, at(5)), [(1, instances[4].id_before())]);
    cluster.delete(&format!("/job/sharding/{off}/disabled")).await;
    cluster.until(37.0).await;
    assert_eq!(
        cluster.attempts(off, at(5)).len(),
        2,
        "it waited until it was switched on"
    );
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn reports_lost_if_no_instance_takes_over() {
    let unlimited = |config: &JobConfig| config.to_builder().failover(false).build().unwrap();
    let fewer = |config: &JobConfig| config.to_builder().sharding_total_count(1).build().unwrap();
    let changes: [&dyn Fn(&JobConfig) -> JobConfig; 2] = [&unlimited, &fewer];
    for change in changes {
        let mut cluster = Cluster::new().await;
        let work = lasting(Duration::from_secs(8));
        let waiting = cluster.join("10.0.0.1", with_failover(2), Arc::clone(&work));
        let running = cluster.join("10.0.0.2", with_failover(2), work);
        let mut events = waiting.events();
        cluster.until(1.0).await;
        cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
        cluster.until(6.0).await;
        assert_eq!(by(&cluster.history.at(at(5)), &running.id()), [0, 1]);
        running.kill();
        cluster.until(24.0).await;
        assert_eq!(cluster.children("/job/leader/failover/items").await, ["0", "1"]);
        cluster.set("/job/config", &change(&with_failover(2)).to_yaml()).await;
        let lost = |event| match event {
            JobEvent::Lost { item: 1, .. } => Some(()),
            _ => None,
        };
        first_event(&mut events, lost).await;
        assert!(
            !cluster
                .children("/job/leader/failover/items")
                .await
                .contains(&"1".to_owned())
        );
        let ledger = cluster.data("/job/ledger/items/1").await.unwrap();
        assert!(ledger.contains("lost") && ledger.contains("not taken over"), "{ledger}");
        cluster.history.check();
    }
}

#[tokio::test(start_paused = true)]
async fn shares_the_run_id_between_attempts() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(8));
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, with_failover(1), Arc::clone(&work)));
    let mut events = instances.each_ref().map(Instance::events);
    cluster.until(6.0).await;
    let owner = cluster.history.all()[0].by.clone();
    instances.iter().find(|instance| instance.id() == owner).unwrap().kill();
    cluster.until(50.0).await;
    let mut runs = Vec::new();
    for events in &mut events {
        while let Some(Ok(Some(event))) = futures_util::FutureExt::now_or_never(events.next()) {
            if let JobEvent::Started(run) = event {
                runs.push((run.scheduled_time, run.attempt, run.run_id));
            }
        }
    }
    runs.sort();
    let [(first, 1, id), (again, 2, of_attempt), (_, 1, second), (_, 1, third)] = &runs[..] else {
        panic!("{runs:?}")
    };
    assert_eq!((first, id), (again, of_attempt));
    assert!(id != second && second != third && id != third, "{runs:?}");
}

/// Room for one item in a transaction.
const SMALL: usize = 4_000;

#[tokio::test(start_paused = true)]
async fn is_split_over_several_transactions() {
    let _limits = limits::lower(SMALL, 1_000);
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(16), quick());
    cluster.until(2.0).await;
    // As a leader does that finds a Java member dead.
    let items = (0..16).map(|item| format!("/job/leader/failover/items/{item}"));
    let parents = ["/job/leader/failover", "/job/leader/failover/items"].map(str::to_owned);
    let create = |path| Step::Create {
        path,
        data: Vec::new(),
        mode: CreateMode::Persistent,
    };
    let steps = parents.into_iter().chain(items).map(create).collect();
    cluster.observer.write(steps).await.unwrap();
    cluster.until(4.0).await;
    let mut taken: Vec<u32> = cluster.history.all().iter().map(|ran| ran.item).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..16).collect::<Vec<_>>());
    assert!(cluster.history.all().iter().all(|ran| ran.by == only.id()));
    assert_eq!(
        cluster.children("/job/leader/failover/items").await,
        Vec::<String>::new()
    );
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn removes_many_marks_in_several_transactions() {
    let _limits = limits::lower(SMALL, 1_000);
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", with_failover(16), quick());
    cluster.until(2.0).await;
    // Left behind by a Java member; no instance heard of its end.
    for item in 0..16 {
        cluster
            .create(&format!("/job/sharding/{item}/running"), "10.9.9.9@-@1")
            .await;
    }
    first.stop(Duration::ZERO).await;
    let second = cluster.join("10.0.0.2", with_failover(16), quick());
    cluster.until(4.5).await;
    for item in 0..16 {
        assert_eq!(cluster.data(&format!("/job/sharding/{item}/running")).await, None);
    }
    cluster.until(6.0).await;
    assert_eq!(by(&cluster.history.at(at(5)), &second.id()).len(), 16);
}

#[tokio::test(start_paused = true)]
async fn skips_an_item_switched_off_during_a_split_claim() {
    let _limits = limits::lower(SMALL, 1_000);
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(40), quick());
    cluster.until(2.0).await;
    only.link.delay(Duration::from_secs(1));
    cluster.until(5.5).await;
    cluster.create("/job/sharding/39/disabled", "").await;
    cluster.until(24.0).await;
    let ran = by(&cluster.history.at(at(5)), &only.id());
    assert_eq!(ran, (0..39).collect::<Vec<_>>());
    cluster.history.check();
}
