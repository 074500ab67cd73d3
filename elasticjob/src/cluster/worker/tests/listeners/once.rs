//! Listeners that are called once in the cluster, at a barrier of the instances.

use super::*;

#[tokio::test(start_paused = true)]
async fn hold_up_no_other_when_stopped_in_a_hook() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(4),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let config = listened_to(2, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(6.0).await;
    let (stopping, other) = caller_and_other(&instances, &journal);
    stop_job(stopping, Duration::from_secs(1));
    cluster.until(14.0).await;
    let before = journal.at("before", at(5));
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!((before[0].ended, &before[1].by), (None, &other.id()));
    assert!(before[1].began < Duration::from_secs(9), "{before:?}");
    assert_eq!(by(&cluster.history.at(at(5)), &other.id()).len(), 1);
    assert_eq!(journal.at("after", at(5)).len(), 1);
}

/// Returns the instance that called the hook at five seconds, and the one that did not.
fn caller_and_other<'a>(instances: &'a [Instance; 2], journal: &Journal) -> (&'a Instance, &'a Instance) {
    let [one, other] = instances;
    if journal.at("before", at(5))[0].by == one.id() {
        (one, other)
    } else {
        (other, one)
    }
}

/// The job leaves there; the process and its session live on.
fn stop_job(instance: &Instance, grace: Duration) {
    let cancel_at = Instant::now() + grace;
    let stop = Command::Stop { cancel_at };
    instance.handle.commands.unbounded_send(stop).unwrap();
}

#[tokio::test(start_paused = true)]
async fn are_not_called_again_after_returning_at_a_stop() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(1),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let config = listened_to(2, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(5.5).await;
    let (caller, other) = caller_and_other(&instances, &journal);
    // It ends at six seconds, and some time later all others can know.
    caller.link.delay(Duration::from_millis(300));
    cluster.until(6.2).await;
    assert!(journal.at("before", at(5))[0].ended.is_some());
    stop_job(caller, Duration::ZERO);
    cluster.until(14.0).await;
    let before = journal.at("before", at(5));
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(by(&cluster.history.at(at(5)), &other.id()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn are_called_once_around_all_items() {
    for count in [1, 2, 3] {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        cluster.listen(
            "ONCE",
            ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
        );
        let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_millis(100 * u64::from(item)))));
        let instances: Vec<_> = (1..=count)
            .map(|host| cluster.join(&format!("10.0.0.{host}"), listened_to(6, &["ONCE"]), Arc::clone(&work)))
            .collect();
        cluster.until(39.0).await;
        for due in [at(5), at(15), at(25), at(35)] {
            check_once(&cluster, &journal, due, 6);
        }
        cluster.history.check();
        assert_eq!(cluster.complaints(), Vec::<String>::new(), "{count} instances");
        assert_eq!(cluster.children("/job/guarantee/started").await, Vec::<String>::new());
        assert_eq!(
            cluster.children("/job/guarantee/completed-latch").await,
            Vec::<String>::new()
        );
        drop(instances);
    }
}

#[tokio::test(start_paused = true)]
async fn write_the_barrier_as_java_does() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(2),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let _one = cluster.join("10.0.0.1", listened_to(3, &["ONCE"]), lasting(Duration::from_secs(1)));
    let _other = cluster.join("10.0.0.2", listened_to(3, &["ONCE"]), lasting(Duration::from_secs(1)));
    cluster.until(6.0).await;
    assert_eq!(cluster.children("/job/guarantee").await, ["started", "started-latch"]);
    assert_eq!(cluster.children("/job/guarantee/started").await, ["0", "1", "2"]);
    for path in ["/job/guarantee", "/job/guarantee/started", "/job/guarantee/started/1"] {
        assert_eq!(cluster.data(path).await.as_deref(), Some(""), "{path}");
    }
    let contenders = cluster.children("/job/guarantee/started-latch").await;
    assert_eq!(contenders.len(), 1, "{contenders:?}");
    assert!(
        contenders[0].starts_with("_c_") && contenders[0].ends_with("-latch-0000000000"),
        "{contenders:?}"
    );
    cluster.until(9.5).await;
    assert_eq!(cluster.data("/job/guarantee/started").await, None);
    assert_eq!(cluster.data("/job/guarantee/completed").await, None);
}

#[tokio::test(start_paused = true)]
async fn wait_for_no_item_that_cannot_run() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let _one = cluster.join("10.0.0.1", listened_to(4, &["ONCE"]), quick());
    let _other = cluster.join("10.0.0.2", listened_to(4, &["ONCE"]), quick());
    cluster.until(3.0).await;
    cluster.create("/job/sharding/1/disabled", "").await;
    cluster.until(9.0).await;
    check_once(&cluster, &journal, at(5), 3);
    let after = &journal.at("after", at(5))[0];
    assert!(after.began < Duration::from_millis(5500), "at once: {after:?}");
    cluster.set("/job/servers/10.0.0.2", "DISABLED").await;
    cluster.until(29.0).await;
    check_once(&cluster, &journal, at(25), 3);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn are_called_again_if_the_caller_dies() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(2),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let config = listened_to(4, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(6.0).await;
    let caller = journal.at("before", at(5))[0].by.clone();
    let (dying, living) = if instances[0].id() == caller {
        (&instances[0], &instances[1])
    } else {
        (&instances[1], &instances[0])
    };
    dying.kill();
    cluster.until(34.0).await;
    let before = journal.at("before", at(5));
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!((before[0].ended, before[1].by.clone()), (None, living.id()));
    assert_eq!(journal.at("after", at(5)).len(), 1);
    let ran = cluster.history.at(at(5));
    assert_eq!((ran.len(), by(&ran, &living.id()).len()), (2, 2), "the others are lost");
    check_once(&cluster, &journal, at(25), 4);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn are_called_once_after_an_instance_died() {
    for failover in [false, true] {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        cluster.listen(
            "ONCE",
            ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
        );
        let config = listened_to(4, &["ONCE"]);
        let config = config
            .to_builder()
            .cron("5/40 * * * * ?")
            .failover(failover)
            .build()
            .unwrap();
        let survivor = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(2)));
        let victim = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(2)));
        cluster.until(6.0).await;
        victim.kill();
        cluster.until(42.0).await;
        let after = journal.at("after", at(5));
        assert_eq!(after.len(), 1, "failover {failover}: {after:?}");
        let runs = cluster.history.all().into_iter();
        let by_survivor: Vec<Ran> = runs.filter(|ran| ran.by == survivor.id()).collect();
        assert_eq!(by_survivor.len(), if failover { 4 } else { 2 });
        for ran in by_survivor {
            assert!(
                ran.ended.is_some_and(|ended| ended <= after[0].began),
                "{after:?} {ran:?}"
            );
        }
        assert_eq!(journal.at("before", at(5)).len(), 1);
        assert_eq!(cluster.complaints(), Vec::<String>::new(), "failover {failover}");
        cluster.until(59.0).await;
        check_once(&cluster, &journal, at(45), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn include_a_late_instance_from_the_next_firing_on() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(4, &["ONCE"]);
    let work = lasting(Duration::from_secs(3));
    let _one = cluster.join("10.0.0.1", config.clone(), Arc::clone(&work));
    cluster.until(6.0).await;
    let late = cluster.join("10.0.0.2", config, work);
    cluster.until(29.0).await;
    for due in [at(5), at(15), at(25)] {
        check_once(&cluster, &journal, due, 4);
    }
    assert_eq!(by(&cluster.history.at(at(25)), &late.id()).len(), 2);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn survive_lost_answers() {
    for fate in [Fate::Applied, Fate::Dropped] {
        for part in [
            "/guarantee/started/",
            "/guarantee/started-latch/",
            "/ledger/called",
            "/guarantee/completed/",
        ] {
            let mut cluster = Cluster::new().await;
            let journal = Journal::of(&cluster);
            cluster.listen(
                "ONCE",
                ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
            );
            let config = listened_to(4, &["ONCE"]);
            let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
            cluster.until(4.0).await;
            instances
                .iter()
                .for_each(|instance| instance.link.cut_at_next_write_to(part, fate));
            cluster.until(7.0).await;
            instances.iter().for_each(|instance| instance.link.heal());
            cluster.until(29.0).await;
            let cuts: u64 = instances.iter().map(|instance| instance.link.cuts_at_writes()).sum();
            assert!(cuts > 0, "{part}");
            for due in [at(5), at(15), at(25)] {
                check_once(&cluster, &journal, due, 4);
            }
            cluster.history.check();
            assert_eq!(cluster.complaints(), Vec::<String>::new(), "{fate:?} {part}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn are_each_called_once() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    for (name, who) in [("FIRST", "first"), ("SECOND", "second")] {
        cluster.listen(name, ListenerKind::distribute_once(Once(Scribe::new(who, &journal))));
    }
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let config = listened_to(6, &["FIRST", "AUDIT", "SECOND"]);
    let _all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(39.0).await;
    for due in [at(5), at(15), at(25), at(35)] {
        assert_eq!(cluster.history.count_at(due), 6);
        for moment in ["before", "after"] {
            let calls = journal.at(moment, due);
            let count = |who| calls.iter().filter(|entry| entry.who == who).count();
            assert_eq!(
                [count("first"), count("second"), count("audit")],
                [1, 1, 3],
                "{calls:?}"
            );
        }
    }
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn wait_for_a_missing_instance_until_the_timeout() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let once = ListenerKind::distribute_once(Once(Scribe::new("once", &journal)));
    cluster.listen(
        "ONCE",
        once.started_timeout(Duration::from_secs(3))
            .completed_timeout(Duration::from_secs(2)),
    );
    let only = cluster.join("10.0.0.1", listened_to(2, &["ONCE"]), quick());
    cluster.until(3.0).await;
    // A Java member has one of the items, and does nothing.
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(4.9).await;
    let ours = [0, 1].map(|item| format!("/job/sharding/{item}/instance"));
    let owners = [cluster.data(&ours[0]).await, cluster.data(&ours[1]).await];
    assert!(
        owners.contains(&Some(java.to_owned())) && owners.contains(&Some(only.id())),
        "{owners:?}"
    );
    cluster.until(14.0).await;
    assert_eq!(cluster.history.count_at(at(5)), 1);
    assert_eq!(journal.all().len(), 0);
    let missing = owners.iter().position(|owner| owner.as_deref() == Some(java)).unwrap();
    assert_eq!(
        cluster.complaints(),
        [
            format!("job listener `ONCE` before a firing: these items have not started within 3s: [{missing}]"),
            format!("job listener `ONCE` after a firing: these items have not ended within 2s: [{missing}]"),
        ]
    );
    assert_eq!(
        cluster.data("/job/guarantee/started").await,
        None,
        "nothing is left behind"
    );
    assert_eq!(cluster.data("/job/guarantee/completed").await, None);
}

#[tokio::test(start_paused = true)]
async fn ignore_nodes_left_behind_at_the_barrier() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(4, &["ONCE"]);
    let _all = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(3.0).await;
    for path in [
        "/job/guarantee",
        "/job/guarantee/started",
        "/job/guarantee/started/0",
        "/job/guarantee/started/3",
    ] {
        cluster.create(path, "").await;
    }
    cluster.until(29.0).await;
    for due in [at(15), at(25)] {
        check_once(&cluster, &journal, due, 4);
    }
    assert_eq!(cluster.history.count_at(at(5)), 4);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn pass_the_barrier_in_few_requests() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(4, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(14.0).await;
    let before = instances.each_ref().map(|instance| instance.registry.counts());
    cluster.until(19.0).await;
    let asked = [0, 1].map(|index| instances[index].registry.counts() - before[index]);
    check_once(&cluster, &journal, at(15), 4);
    for counts in asked {
        assert!(
            counts.writes <= 2 + 2 * 3 && counts.reads <= 2 * 4 && counts.watches == 2,
            "{counts:?}"
        );
    }
    let writes: u64 = asked.iter().map(|counts| counts.writes).sum();
    assert_eq!(
        writes,
        2 * (2 + 2) + 2 * 2,
        "claims, ends, registrations; for each hook a contender and the end"
    );
}

#[tokio::test(start_paused = true)]
async fn wake_no_instance_when_giving_up() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let once = ListenerKind::distribute_once(Once(Scribe::new("once", &journal)));
    let config = listened_to(3, &["ONCE"]);
    cluster.listen("ONCE", once.clone().started_timeout(Duration::from_secs(1)));
    let hasty = cluster.join("10.0.0.1", config.clone(), quick());
    cluster.listeners = JobListeners::none();
    cluster.listen("ONCE", once);
    let patient = cluster.join("10.0.0.2", config, quick());
    cluster.until(3.0).await;
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(8.0).await;
    let ran = cluster.history.at(at(5));
    assert_eq!((ran.len(), by(&ran, &hasty.id()).len()), (1, 1), "it gave up: {ran:?}");
    let gathered = cluster.children("/job/guarantee/started").await;
    assert_eq!(gathered.len(), 1, "the other is there: {gathered:?}");
    let owners = [0, 1, 2].map(|item| format!("/job/sharding/{item}/instance"));
    for (item, owner) in owners.iter().enumerate() {
        if cluster.data(owner).await.as_deref() == Some(java) {
            cluster.create(&format!("/job/guarantee/started/{item}"), "").await;
        }
    }
    cluster.until(14.0).await;
    let ran = cluster.history.at(at(5));
    assert_eq!(by(&ran, &patient.id()).len(), 1);
    let before = journal.at("before", at(5));
    assert_eq!(
        before.iter().map(|entry| &entry.by).collect::<Vec<_>>(),
        [&patient.id()]
    );
}

#[tokio::test(start_paused = true)]
async fn are_not_repeated_over_short_cuts() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        cluster.listen(
            "ONCE",
            ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
        );
        let config = listened_to(4, &["ONCE"]);
        let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
        cluster.until(4.0).await;
        for firing in [5, 15, 25, 35] {
            // Around each firing, where it may hurt.
            let mut now = f64::from(firing);
            for _ in 0..4 {
                let link = &instances[rng.usize(..2)].link;
                now += rng.f64() * 0.1;
                cluster.until(now).await;
                link.cut();
                now += 0.01 + rng.f64() * 0.4;
                cluster.until(now).await;
                link.heal();
            }
        }
        cluster.until(64.0).await;
        for due in [at(5), at(15), at(25), at(35)] {
            for moment in ["before", "after"] {
                let calls = journal.at(moment, due);
                let whole = calls.iter().filter(|entry| entry.ended.is_some()).count();
                assert!(whole <= 1, "seed {seed}: {calls:?}");
            }
        }
        for due in [at(45), at(55)] {
            check_once(&cluster, &journal, due, 4);
        }
        cluster.history.check();
        assert_eq!(cluster.complaints(), Vec::<String>::new(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn ask_rarely_for_an_item_that_another_runs() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let once = ListenerKind::distribute_once(Once(Scribe::new("once", &journal)));
    let limit = Duration::from_secs(1);
    cluster.listen("ONCE", once.started_timeout(limit).completed_timeout(limit));
    // There is no mark that says until when it runs.
    let config = listened_to(2, &["ONCE"]).to_builder();
    let config = config.failover(false).monitor_execution(false).build().unwrap();
    let slow = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(40)));
    cluster.until(1.0).await;
    let other = cluster.join("10.0.0.2", config, quick());
    other.link.delay(Duration::from_millis(5));
    cluster.until(8.0).await;
    assert_eq!(by(&cluster.history.at(at(5)), &slow.id()).len(), 1);
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    cluster.until(13.0).await;
    let before = other.registry.counts();
    cluster.until(23.0).await;
    assert_eq!(
        by(&cluster.history.at(at(15)), &other.id()).len(),
        1,
        "the other is still run"
    );
    let asked = other.registry.counts() - before;
    assert!(asked.requests() <= 60, "{asked:?}");
    cluster.until(56.0).await;
    assert_eq!(by(&cluster.history.at(at(55)), &other.id()).len(), 2);
}
