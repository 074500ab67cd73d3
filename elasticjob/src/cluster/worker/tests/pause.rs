//! What a pause of the whole job keeps from starting, and what goes on.

use super::*;
use crate::cluster::ledger::Record;
use crate::cluster::note::Note;
use crate::cluster::pause::PAUSED;
use crate::operation::{PauseChange, Target};

/// A member of ours of a version that knows of no pauses, which does nothing.
const OLDER: &str = "10.0.0.8@-@8-older0";
const JAVA: &str = "10.0.0.9@-@9";

impl Cluster {
    async fn pause(&self) -> PauseChange {
        let operations = self.operations();
        let note = operations.note(Some("alice"), Some("month end freeze"));
        let switched = operations.disable(&Target::job("job"), Some(note)).await.unwrap();
        switched[0].pause.expect("it is paused")
    }

    /// Ends the pause; gives the servers that are switched on for that.
    async fn end_pause(&self) -> Vec<String> {
        let switched = self.operations().enable(&Target::job("job")).await.unwrap();
        assert_eq!(switched[0].pause, Some(PauseChange::Ended));
        switched[0].servers.clone()
    }

    async fn ledger_of(&self, item: u32) -> Record {
        let data = self.data(&format!("/job/ledger/items/{item}")).await;
        Record::parse(data.expect("it has a ledger").as_bytes())
    }

    async fn server(&self, ip: &str) -> Option<String> {
        self.data(&format!("/job/servers/{ip}")).await
    }

    /// Returns the times for which anything was run from the second `since` on.
    fn due_since(&self, since: f64) -> Vec<Timestamp> {
        let since = Duration::from_secs_f64(since);
        let runs = self.history.all().into_iter().filter(|ran| ran.began >= since);
        let mut times: Vec<Timestamp> = runs.map(|ran| ran.due).collect();
        times.dedup();
        times
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_new_servers_idle_and_accounts_for_it_in_one_gap() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_second(4), quick());
    let second = cluster.join("10.0.0.2", every_second(4), quick());
    cluster.until(3.5).await;
    assert_eq!(cluster.pause().await, PauseChange::Begun);
    assert_eq!(cluster.server("10.0.0.1").await.as_deref(), Some("ENABLED"), "it obeys");
    cluster.until(5.5).await;
    first.kill();
    second.kill();
    // Every rollout brings new addresses.
    let third = cluster.join("10.0.0.3", every_second(4), quick());
    cluster.until(20.5).await;
    assert_eq!(cluster.due_since(3.5), []);
    let now = third.handle.status.now();
    assert_eq!(
        now.items.len(),
        4,
        "shared out, so that the end of the pause is felt at once"
    );
    assert_eq!(now.unaccounted, 0);
    let note = now.pause.and_then(|pause| pause.note).expect("it is paused");
    assert_eq!(
        note.to_string(),
        "since 2026-01-01T00:00:03Z by alice: month end freeze"
    );

    assert_eq!(cluster.end_pause().await, Vec::<String>::new());
    cluster.until(22.5).await;
    assert_eq!(
        cluster.due_since(3.5),
        [at(21), at(22)],
        "the next times, and none before"
    );
    assert_eq!(third.handle.status.now().pause, None);
    for item in 0..4 {
        let gap = cluster.ledger_of(item).await.skipped.expect("times passed");
        assert_eq!(
            (gap.after, gap.before),
            (at(3).as_millisecond(), at(21).as_millisecond())
        );
        assert_eq!((gap.count, &*gap.reason), (17, PAUSED));
    }
    cluster.until(40.0).await;
    assert_eq!(third.handle.status.now().unaccounted, 0);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn refuses_a_claim_that_is_on_its_way() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.9).await;
    only.link.stall(Direction::Requests);
    cluster.until(4.2).await;
    cluster.pause().await;
    only.link.heal();
    cluster.until(8.5).await;
    assert_eq!(cluster.due_since(3.9), []);
    cluster.end_pause().await;
    cluster.until(9.5).await;
    assert_eq!(cluster.due_since(3.9), [at(9)]);
}

#[tokio::test(start_paused = true)]
async fn refuses_a_claim_on_its_way_where_java_has_always_led() {
    let mut cluster = Cluster::new().await;
    for (path, data) in [
        ("/job", ""),
        ("/job/servers", ""),
        ("/job/instances", ""),
        ("/job/leader", ""),
        ("/job/leader/election", ""),
        ("/job/leader/election/instance", JAVA),
        ("/job/sharding", ""),
        ("/job/sharding/0", ""),
    ] {
        cluster.create(path, data).await;
    }
    cluster.register_java(JAVA).await;
    let config = JobConfig::builder("job").cron("0/3 * * * * ?").time_zone("GMT");
    let config = config.sharding_total_count(1).build().unwrap();
    let only = cluster.join("10.0.0.1", config, quick());
    cluster.until(1.5).await;
    cluster.create("/job/sharding/0/instance", &only.id()).await;
    cluster.until(2.9).await;
    assert_eq!(
        cluster.data("/job/ledger/epoch").await,
        None,
        "none of our instances has shared out"
    );
    only.link.stall(Direction::Requests);
    cluster.until(3.2).await;
    cluster.pause().await;
    only.link.heal();
    cluster.until(6.5).await;
    assert_eq!(cluster.due_since(2.9), []);
    assert_eq!(cluster.server("10.0.0.9").await.as_deref(), Some("DISABLED"));
}

#[tokio::test(start_paused = true)]
async fn makes_nothing_up_when_what_ran_before_ends() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(1), lasting(Duration::from_secs(25)));
    cluster.until(29.9).await;
    // The end of the run of second 5, with the claim of the time that came meanwhile.
    only.link.stall(Direction::Requests);
    cluster.until(30.2).await;
    cluster.pause().await;
    only.link.heal();
    cluster.until(60.0).await;
    assert_eq!(cluster.history.all().len(), 1);
    assert!(
        cluster.ledger_of(0).await.is_ended(),
        "what was claimed before goes on to its end"
    );
    cluster.end_pause().await;
    cluster.until(66.0).await;
    assert_eq!(cluster.due_since(30.0), [at(65)]);
}

#[tokio::test(start_paused = true)]
async fn takes_over_what_an_instance_died_running_after_the_pause() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(15));
    let first = cluster.join("10.0.0.1", with_failover(1), Arc::clone(&work));
    let second = cluster.join("10.0.0.2", with_failover(1), work);
    cluster.until(6.0).await;
    let (running, other) = if cluster.history.all()[0].by == first.id() {
        (&first, &second)
    } else {
        (&second, &first)
    };
    running.kill();
    // Its session ends at 15 at the latest; what is decided then does not get through.
    cluster.until(13.5).await;
    other.link.delay(Duration::from_millis(300));
    cluster.until(15.2).await;
    cluster.pause().await;
    cluster.until(24.0).await;
    assert_eq!(cluster.attempts(0, at(5)).len(), 1, "nothing is taken over");
    assert_eq!(cluster.children("/job/leader/failover/items").await, ["0"], "it waits");
    cluster.end_pause().await;
    cluster.until(27.0).await;
    assert_eq!(
        cluster.attempts(0, at(5)),
        [(1, running.id_before()), (2, other.id())],
        "a run that was begun is brought to its end"
    );
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn begins_no_next_attempt_of_a_run_that_its_fence_stopped() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(1), lasting(Duration::from_secs(12)));
    cluster.until(5.5).await;
    // The fence passes, and the session lives on.
    only.link.stall(Direction::Answers);
    cluster.until(13.0).await;
    cluster.pause().await;
    only.link.heal();
    cluster.until(24.0).await;
    assert_eq!(cluster.attempts(0, at(5)), [(1, only.id())]);
    assert!(cluster.ledger_of(0).await.is_ended());
    assert_eq!(cluster.data("/job/sharding/0/running").await, None);
}

#[tokio::test(start_paused = true)]
async fn keeps_orders_until_it_ends() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(2).build().unwrap();
    let only = cluster.join("10.0.0.1", one_off, quick());
    cluster.until(3.0).await;
    cluster.pause().await;
    let refused = only.trigger("q1").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the job is paused since 2026-01-01T00:00:03Z by alice: month end freeze: `enable` ends that"
    );
    // As a Java console does it.
    cluster.create("/job/trigger", "").await;
    cluster.create(&format!("/job/trigger/{}", only.id()), "").await;
    cluster.until(10.0).await;
    assert_eq!(cluster.due_since(0.0), []);
    assert_eq!(
        cluster.children("/job/trigger").await,
        [only.id()],
        "for everybody to see"
    );
    cluster.end_pause().await;
    cluster.until(12.0).await;
    assert_eq!(cluster.history.all().len(), 2);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn keeps_an_order_that_was_taken_and_not_claimed() {
    let mut cluster = Cluster::new().await;
    let one_off = JobConfig::builder("job").sharding_total_count(2).build().unwrap();
    let only = cluster.join("10.0.0.1", one_off, quick());
    cluster.until(3.0).await;
    only.link.delay(Duration::from_millis(100));
    cluster.create("/job/trigger", "").await;
    cluster.create(&format!("/job/trigger/{}", only.id()), "").await;
    while !cluster.children("/job/trigger").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cluster.pause().await;
    cluster.until(10.0).await;
    assert_eq!(cluster.due_since(0.0), []);
    cluster.end_pause().await;
    cluster.until(12.0).await;
    assert_eq!(cluster.history.all().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn is_caught_up_with_where_the_job_says_so() {
    for (catch_up, expected) in [(None, vec![at(45)]), (Some("1m"), vec![at(25), at(45)])] {
        let mut cluster = Cluster::new().await;
        let config = JobConfig::builder("job").cron("5/20 * * * * ?").time_zone("GMT");
        let config = config.sharding_total_count(1);
        let config = match catch_up {
            Some(limit) => config.prop("elasticjob.catch-up", limit),
            None => config,
        };
        let _only = cluster.join("10.0.0.1", config.build().unwrap(), quick());
        cluster.until(6.0).await;
        cluster.pause().await;
        cluster.until(30.0).await;
        cluster.end_pause().await;
        cluster.until(46.0).await;
        assert_eq!(cluster.due_since(6.0), expected, "{catch_up:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn switches_disobedient_members_off_and_on_again() {
    let mut cluster = Cluster::new().await;
    let ours = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(2.5).await;
    cluster.register_java(JAVA).await;
    cluster.create("/job/servers/10.0.0.5", "DISABLED").await;
    cluster.create("/job/servers/10.0.0.6", "ENABLED").await;
    assert_eq!(cluster.pause().await, PauseChange::Begun);
    assert_eq!(cluster.server("10.0.0.9").await.as_deref(), Some("DISABLED"));
    assert_eq!(
        cluster.server("10.0.0.6").await.as_deref(),
        Some("DISABLED"),
        "a Java member may come there"
    );
    let note = cluster
        .data("/job/ledger/notes/servers/10.0.0.9")
        .await
        .expect("a note");
    assert!(Note::parse(note.as_bytes()).is_some_and(|note| note.is_for_pause));

    // Members that come later.
    cluster.create("/job/servers/10.0.0.8", "ENABLED").await;
    cluster.create(&format!("/job/instances/{OLDER}"), "").await;
    cluster.create(&format!("/job/ledger/members/{OLDER}"), "{}").await;
    cluster.until(3.5).await;
    assert_eq!(cluster.server("10.0.0.8").await.as_deref(), Some("DISABLED"));
    // As the Java console does it: the pause counts.
    cluster.set("/job/servers/10.0.0.9", "ENABLED").await;
    cluster.until(4.5).await;
    assert_eq!(cluster.server("10.0.0.9").await.as_deref(), Some("DISABLED"));
    let owners = [0, 1].map(|item| format!("/job/sharding/{item}/instance"));
    for owner in owners {
        assert_eq!(cluster.data(&owner).await, Some(ours.id()));
    }

    // An operator's own word on one of them outlasts the pause.
    let operations = cluster.operations();
    let target = Target::job_on_server("job", "10.0.0.6");
    let switched = operations.disable(&target, None).await.unwrap();
    assert_eq!(switched[0].pause, Some(PauseChange::Stays));
    assert_eq!(cluster.end_pause().await, ["10.0.0.8", "10.0.0.9"]);
    for (ip, expected) in [("8", "ENABLED"), ("9", "ENABLED"), ("5", "DISABLED"), ("6", "DISABLED")] {
        let server = cluster.server(&format!("10.0.0.{ip}")).await;
        assert_eq!(server.as_deref(), Some(expected), "10.0.0.{ip}");
    }
    assert_eq!(cluster.children("/job/ledger/notes/servers").await, ["10.0.0.6"]);
    cluster.until(8.5).await;
    assert_eq!(
        cluster.server("10.0.0.9").await.as_deref(),
        Some("ENABLED"),
        "left alone from then on"
    );
}

#[tokio::test(start_paused = true)]
async fn is_obeyed_by_our_first_member_beside_java() {
    let mut cluster = Cluster::new().await;
    for path in ["/job", "/job/servers", "/job/instances"] {
        cluster.create(path, "").await;
    }
    cluster.register_java(JAVA).await;
    assert_eq!(cluster.pause().await, PauseChange::BegunUnkept);
    assert_eq!(cluster.server("10.0.0.9").await.as_deref(), Some("DISABLED"));
    let _ours = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(6.5).await;
    assert_eq!(cluster.due_since(0.0), []);
    cluster.end_pause().await;
    cluster.until(12.5).await;
    assert!(!cluster.due_since(0.0).is_empty());
}
