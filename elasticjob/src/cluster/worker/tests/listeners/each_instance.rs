//! Listeners that are called on each instance.

use super::*;

#[tokio::test(start_paused = true)]
async fn are_called_around_each_firing_on_each_instance() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let config = listened_to(2, &["AUDIT"]);
    let one = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(1)));
    let other = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(1)));
    cluster.until(19.0).await;
    for due in [at(5), at(15)] {
        check_around(&cluster, &journal, due);
        for moment in ["before", "after"] {
            let calls = journal.at(moment, due);
            let mut by: Vec<&str> = calls.iter().map(|entry| &*entry.by).collect();
            by.sort_unstable();
            assert_eq!(by, [one.id(), other.id()], "each once");
            assert_eq!(calls.iter().map(|entry| entry.items.len()).sum::<usize>(), 2);
        }
    }
    cluster.history.check();
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

/// Two firings at once would be one for its listeners.
#[tokio::test(start_paused = true)]
async fn are_called_for_a_single_item_after_the_open_firing() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 0 { 4 } else { 0 }))));
    let _only = cluster.join("10.0.0.1", listened_to(2, &["AUDIT"]), work);
    cluster.until(6.0).await;
    cluster.operations().trigger_item("job", 1, None).await.unwrap();
    cluster.until(8.9).await;
    assert_eq!(cluster.history.all().len(), 2, "item 0 runs");
    cluster.until(10.0).await;
    assert_eq!(cluster.history.all().len(), 3);
    let moments: Vec<_> = journal
        .all()
        .iter()
        .map(|entry| (entry.moment, entry.items.len()))
        .collect();
    assert_eq!(moments, [("before", 2), ("after", 2), ("before", 1), ("after", 1)]);
}

#[tokio::test(start_paused = true)]
async fn are_called_in_their_order() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    for (name, who, order) in [("A", "a", 2), ("B", "b", 1), ("C", "c", 2)] {
        let scribe = Scribe {
            order,
            ..Scribe::new(who, &journal)
        };
        cluster.listen(name, ListenerKind::regular(scribe));
    }
    let _only = cluster.join("10.0.0.1", listened_to(1, &["C", "A", "B"]), quick());
    cluster.until(9.0).await;
    let calls: Vec<_> = journal.all().iter().map(|entry| (entry.moment, entry.who)).collect();
    let expected = ["before", "after"].map(|moment| ["b", "c", "a"].map(|who| (moment, who)));
    assert_eq!(calls, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn count_a_make_up_run_to_the_firing_before() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let _only = cluster.join("10.0.0.1", listened_to(1, &["AUDIT"]), lasting(Duration::from_secs(11)));
    cluster.until(28.0).await;
    assert_eq!(cluster.history.all().len(), 3, "second 5, and made up 15 and 25");
    let calls: Vec<_> = journal.all().iter().map(|entry| (entry.moment, entry.due)).collect();
    assert_eq!(calls, [("before", at(5))]);
}

#[tokio::test(start_paused = true)]
async fn stop_nothing_by_failing() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let failing = Scribe {
        fails: true,
        ..Scribe::new("failing", &journal)
    };
    let slow = Scribe {
        before: Duration::from_secs(600),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("FAILING", ListenerKind::regular(failing));
    cluster.listen("PANICKING", ListenerKind::regular(Panicking));
    cluster.listen(
        "SLOW",
        ListenerKind::regular(slow).started_timeout(Duration::from_secs(1)),
    );
    cluster.listen("LAST", ListenerKind::regular(Scribe::new("last", &journal)));
    let names = ["FAILING", "PANICKING", "SLOW", "LAST"];
    let _only = cluster.join("10.0.0.1", listened_to(2, &names), quick());
    cluster.until(9.0).await;
    assert_eq!(cluster.history.count_at(at(5)), 2);
    assert_eq!(journal.at("after", at(5)).len(), 3);
    let complaints = cluster.complaints();
    assert_eq!(
        complaints,
        [
            "job listener `FAILING` before a firing: no ink",
            "job listener `PANICKING` before a firing: panicked: out of paper",
            "job listener `SLOW` before a firing: not done within 1s",
            "job listener `FAILING` after a firing: no ink",
        ]
    );
}

struct Panicking;

impl JobListener for Panicking {
    async fn before(&self, _: &Firing) -> Result<(), BoxError> {
        panic!("out of paper");
    }
}

#[tokio::test(start_paused = true)]
async fn run_nothing_if_the_error_handler_gives_up() {
    let mut cluster = Cluster::new().await;
    cluster.complaints.is_giving_up = true;
    let journal = Journal::of(&cluster);
    let failing = Scribe {
        fails: true,
        ..Scribe::new("failing", &journal)
    };
    cluster.listen("FAILING", ListenerKind::regular(failing));
    let _only = cluster.join("10.0.0.1", listened_to(2, &["FAILING"]), quick());
    cluster.until(19.0).await;
    assert_eq!(cluster.history.all().len(), 0);
    assert_eq!(journal.all().len(), 2, "of each of two firings the begin");
    assert!(journal.all().iter().all(|entry| entry.moment == "before"));
    for item in 0..2 {
        assert_eq!(cluster.data(&format!("/job/sharding/{item}/running")).await, None);
        let ledger = cluster.data(&format!("/job/ledger/items/{item}")).await.unwrap();
        assert!(ledger.contains("gave the firing up"), "{ledger}");
    }
}

#[tokio::test(start_paused = true)]
async fn end_within_the_grace_of_an_instance_that_leaves() {
    for (grace, ends_by_itself) in [(8, true), (1, false)] {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        let slow = Scribe {
            after: Duration::from_secs(3),
            ..Scribe::new("slow", &journal)
        };
        cluster.listen("SLOW", ListenerKind::regular(slow));
        let only = cluster.join("10.0.0.1", listened_to(1, &["SLOW"]), quick());
        cluster.until(6.0).await;
        let asked = cluster.clock.elapsed();
        only.stop(Duration::from_secs(grace)).await;
        let took = cluster.clock.elapsed() - asked;
        let after = journal.at("after", at(5));
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].ended.is_some(), ends_by_itself, "{grace} {after:?}");
        assert!(took <= Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn let_an_instance_leave_while_others_run() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(2, &["ONCE"]);
    let leaving = cluster.join("10.0.0.1", config.clone(), quick());
    let staying = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(4)));
    cluster.until(6.0).await;
    assert_eq!(
        cluster.children("/job/guarantee/completed").await.len(),
        1,
        "it has ended and waits"
    );
    leaving.stop(Duration::from_secs(30)).await;
    assert!(
        cluster.clock.elapsed() < Duration::from_secs(7),
        "{:?}",
        cluster.clock.elapsed()
    );
    assert_eq!(
        cluster.children("/job/guarantee/completed").await.len(),
        1,
        "which Java members count"
    );
    cluster.until(14.0).await;
    let after = journal.at("after", at(5));
    assert_eq!(after.iter().map(|entry| &entry.by).collect::<Vec<_>>(), [&staying.id()]);
    assert!(after[0].began >= Duration::from_secs(9), "{after:?}");
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn are_called_around_a_takeover() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let config = listened_to(2, &["AUDIT"]);
    let config = config
        .to_builder()
        .cron("5/40 * * * * ?")
        .failover(true)
        .build()
        .unwrap();
    let survivor = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(2)));
    let victim = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(2)));
    cluster.until(6.0).await;
    let lost = by(&cluster.history.at(at(5)), &victim.id());
    victim.kill();
    cluster.until(40.0).await;
    let calls_of = |moment| {
        let mut entries = journal.at(moment, at(5));
        entries.retain(|entry| entry.by == survivor.id() && entry.items == lost);
        entries
    };
    assert_eq!(
        (calls_of("before").len(), calls_of("after").len()),
        (1, 1),
        "{:?}",
        journal.all()
    );
    let taken: Vec<Ran> = cluster
        .history
        .all()
        .into_iter()
        .filter(|ran| ran.attempt == 2)
        .collect();
    assert_eq!(taken.len(), 1);
    assert!(calls_of("before")[0].ended.unwrap() <= taken[0].began);
    assert!(taken[0].ended.unwrap() <= calls_of("after")[0].began);
}
