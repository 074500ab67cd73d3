//! Runs that an operator cancels.

use super::*;
use crate::cluster::ledger::Record;
use crate::operation::{CancelOutcome, Cancelled, Error};
use crate::run::ItemOutcome;

impl Cluster {
    async fn cancel(&self, item: Option<u32>) -> Result<Cancelled, Error> {
        let operations = self.operations();
        let note = operations.note(Some("alice"), Some("wrong file"));
        operations.cancel("job", item, Some(note)).await
    }

    /// Returns how the newest run of an item ended: its due second, attempt, verdict and cause.
    async fn end_of(&self, item: u32) -> (Timestamp, u32, Option<Verdict>, String) {
        let data = self.data(&format!("/job/ledger/items/{item}")).await;
        let run = Record::parse(data.expect("it has a ledger").as_bytes())
            .run
            .expect("it ran");
        let end = run.end.as_ref();
        let cause = end.and_then(|end| end.cause.clone()).unwrap_or_default();
        (run.scheduled_time(), run.attempt, end.map(|end| end.verdict), cause)
    }

    /// Returns what became of the cancelled run of an item, as an operator learns it now.
    async fn outcome_of(&self, item: u32, cancelled: &Cancelled) -> CancelOutcome {
        let report = self.operations().cancelled(cancelled, Duration::ZERO).await;
        report.unwrap().items[&item].clone()
    }

    async fn cancels(&self) -> Vec<String> {
        self.children("/job/ledger/cancels").await
    }
}

const CAUSE: &str = "by alice: wrong file";

fn by_alice() -> CancelOutcome {
    let cause = CAUSE.to_owned();
    let end = ItemOutcome::Cancelled { cause };
    CancelOutcome::Ended { end }
}

#[tokio::test(start_paused = true)]
async fn ends_the_run_that_is_meant_and_no_other() {
    let mut cluster = Cluster::new().await;
    let instances =
        ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, with_failover(4), lasting(Duration::from_secs(8))));
    let mut events: Vec<_> = instances.iter().map(Instance::events).collect();
    cluster.until(7.0).await;
    let cancelled = cluster.cancel(Some(1)).await.unwrap();
    assert_eq!(cancelled.runs.keys().copied().collect::<Vec<_>>(), [1]);
    cluster.until(7.2).await;
    assert_eq!(
        cluster.end_of(1).await,
        (at(5), 1, Some(Verdict::Cancelled), CAUSE.to_owned())
    );
    assert_eq!(cluster.cancels().await, [""; 0]);
    for item in [0, 2, 3] {
        assert_eq!(cluster.end_of(item).await.2, None, "it goes on");
    }
    let owner = instances
        .iter()
        .position(|instance| instance.id() == cancelled.runs[&1].instance);
    let ended = first_event(&mut events[owner.unwrap()], |event| match event {
        JobEvent::Ended { run, outcome, .. } if run.item == 1 => Some(outcome),
        _ => None,
    });
    assert_eq!(
        ended.await,
        ItemOutcome::Cancelled {
            cause: CAUSE.to_owned()
        }
    );
    cluster.until(30.0).await;
    cluster.history.check();
    assert_eq!(cluster.history.count_at(at(25)), 4, "later runs come as they are due");
    let nothing = cluster.cancel(Some(9)).await.unwrap_err();
    assert!(
        matches!(nothing, Error::NoSuchItem { item: 9, total: 4, .. }),
        "{nothing}"
    );
    cluster.until(39.0).await;
    let nothing = cluster.cancel(None).await.unwrap_err();
    assert_eq!(nothing.to_string(), "nothing of job `job` runs now");
}

#[tokio::test(start_paused = true)]
async fn follows_a_run_to_the_instance_that_takes_it_over() {
    let mut cluster = Cluster::new().await;
    let work = lasting(Duration::from_secs(30));
    let first = cluster.join("10.0.0.1", with_failover(1), Arc::clone(&work));
    let second = cluster.join("10.0.0.2", with_failover(1), work);
    cluster.until(7.0).await;
    let cancelled = {
        let runs = cluster.history.at(at(5));
        let (owner, taker) = if runs[0].1 == first.id() {
            (&first, &second)
        } else {
            (&second, &first)
        };
        // It hears nothing of it, and dies.
        owner.link.cut();
        let cancelled = cluster.cancel(None).await.unwrap();
        owner.kill();
        cluster.until(24.0).await;
        assert_eq!(cluster.attempts(0, at(5)), [(1, owner.id_before()), (2, taker.id())]);
        cancelled
    };
    assert_eq!(
        cluster.end_of(0).await,
        (at(5), 2, Some(Verdict::Cancelled), CAUSE.to_owned())
    );
    let ran = cluster.history.all().pop().unwrap();
    assert_eq!(ran.ended, Some(ran.began), "nothing of it was executed");
    assert_eq!(cluster.cancels().await, [""; 0]);
    assert_eq!(cluster.outcome_of(0, &cancelled).await, by_alice());
}

#[tokio::test(start_paused = true)]
async fn is_known_although_a_time_is_made_up_at_once() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", with_failover(1), lasting(Duration::from_secs(60)));
    // The time of the second 25 has come meanwhile.
    cluster.until(30.0).await;
    let cancelled = cluster.cancel(Some(0)).await.unwrap();
    cluster.until(30.5).await;
    assert_eq!(cluster.attempts(0, at(25)).len(), 1, "it is made up");
    assert_eq!(cluster.outcome_of(0, &cancelled).await, by_alice());
}

#[tokio::test(start_paused = true)]
async fn is_not_for_a_later_run() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", with_failover(2), lasting(Duration::from_secs(8)));
    cluster.until(7.0).await;
    // Written by an operator that was slow.
    cluster.create("/job/ledger/cancels", "").await;
    let note = r#"{"at":"2026-01-01T00:00:00Z"}"#;
    cluster
        .create(
            "/job/ledger/cancels/0",
            &format!(r#"{{"run":"an older one","note":{note}}}"#),
        )
        .await;
    cluster.create("/job/ledger/cancels/1", "of a later version").await;
    cluster.until(14.0).await;
    for item in [0, 1] {
        assert_eq!(cluster.end_of(item).await.2, Some(Verdict::Succeeded));
    }
    assert_eq!(cluster.cancels().await, [""; 0], "they go with the end");
}

#[tokio::test(start_paused = true)]
async fn reaches_a_follower_of_a_large_job() {
    let mut cluster = Cluster::new().await;
    let _limit = crate::limits::lower(usize::MAX, 8);
    let work = lasting(Duration::from_secs(8));
    let instances =
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| cluster.join(ip, with_failover(9), Arc::clone(&work)));
    cluster.until(7.0).await;
    let cancelled = cluster.cancel(None).await.unwrap();
    assert_eq!(cancelled.runs.len(), 9);
    cluster.until(8.0).await;
    for item in 0..9 {
        assert_eq!(cluster.end_of(item).await.3, CAUSE, "item {item}");
    }
    drop(instances);
}

#[tokio::test(start_paused = true)]
async fn of_many_runs_is_written_in_parts() {
    let _limit = crate::limits::lower(2_000, usize::MAX);
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", with_failover(40), lasting(Duration::from_secs(8)));
    cluster.until(7.0).await;
    let cancelled = cluster.cancel(None).await.unwrap();
    assert_eq!(
        cancelled.runs.keys().copied().collect::<Vec<_>>(),
        (0..40).collect::<Vec<_>>()
    );
    cluster.until(8.0).await;
    for item in 0..40 {
        assert_eq!(cluster.end_of(item).await.3, CAUSE, "item {item}");
    }
    assert_eq!(cluster.cancels().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn of_an_older_member_of_ours_is_refused() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(2), lasting(Duration::from_secs(8)));
    cluster.until(7.0).await;
    let member = format!("/job/ledger/members/{}", only.id());
    cluster.set(&member, r#"{"draining":false,"obeysPause":true}"#).await;
    let cancelled = cluster.cancel(None).await.unwrap();
    assert!(cancelled.runs.is_empty(), "{cancelled:?}");
    assert_eq!(cancelled.unreachable[&0], only.id());
    assert_eq!(cancelled.unreachable.len(), 2);
    assert_eq!(
        cluster.cancels().await,
        [""; 0],
        "nothing is written that it would not obey"
    );
}

#[tokio::test(start_paused = true)]
async fn of_an_unaware_instance_is_refused() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", with_failover(3), lasting(Duration::from_secs(8)));
    cluster.until(7.0).await;
    cluster.register_java("10.0.0.9@-@9").await;
    cluster.set("/job/sharding/1/running", "10.0.0.9@-@9").await;
    let data = cluster.data("/job/ledger/items/1").await.unwrap();
    let ended = Record::parse(data.as_bytes()).ended(End::new(Verdict::Succeeded));
    cluster
        .set("/job/ledger/items/1", std::str::from_utf8(&ended.to_bytes()).unwrap())
        .await;
    let cancelled = cluster.cancel(None).await.unwrap();
    assert_eq!(cancelled.runs.keys().copied().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(cancelled.unreachable[&1], "10.0.0.9@-@9");
    let alone = cluster.cancel(Some(1)).await.unwrap();
    assert!(alone.runs.is_empty() && alone.unreachable.len() == 1, "{alone:?}");
}
