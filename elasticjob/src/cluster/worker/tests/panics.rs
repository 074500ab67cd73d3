//! Workers that panic, wherever that happens.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::cluster::refusal::Trouble;

/// Of two instances the one that leads panics at this step. Returns whether it did.
async fn check(config: JobConfig, step: u32) -> bool {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_millis(300)));
    cluster.until(2.5).await;
    let other = cluster.join("10.0.0.2", config, lasting(Duration::from_millis(300)));
    cluster.until(5.1).await;
    let before = first.id();
    assert_eq!(
        cluster.data("/job/leader/election/instance").await,
        Some(before.clone())
    );
    first.process.fail_point.panic_at(step);
    cluster.until(30.5).await;
    let (due, has_panicked) = (at(25), !first.process.fail_point.is_set());
    assert_eq!(*first.handle.state.borrow(), JobState::Ready, "step {step}");
    assert_eq!(first.handle.status.now().trouble, None);
    let instances = cluster.children("/job/instances").await;
    assert_eq!(instances.len(), 2, "step {step}");
    assert_eq!(instances.contains(&before), !has_panicked, "step {step}: {instances:?}");
    assert_eq!(first.id(), before, "the session lives on");
    assert_eq!(cluster.children("/job/ledger/members").await, instances);
    for left in ["/job/ledger/standby", "/job/leader/election/latch", "/job/trigger"] {
        assert_eq!(cluster.children(left).await, [""; 0], "step {step}: {left}");
    }
    let run = cluster.history.at(due);
    assert_eq!(run.len(), 4, "step {step}: {run:?}");
    assert_eq!(by(&run, &other.id()).len(), 2, "step {step}: both run items again");
    for item in 0..4 {
        assert_eq!(cluster.data(&format!("/job/sharding/{item}/running")).await, None);
    }
    cluster.history.check();
    has_panicked
}

/// Each fifth second.
fn rare(is_failover: bool) -> JobConfig {
    let config = every_second(4).to_builder().cron("0/5 * * * * ?");
    config.failover(is_failover).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn are_followed_by_another_instance_at_every_step() {
    // A step and the next are alike as a rule.
    for (is_failover, first) in [(false, 1), (true, 2)] {
        for step in (first..46).step_by(2) {
            let has_panicked = check(rare(is_failover), step).await;
            assert!(has_panicked, "step {step} was not reached");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn are_said_until_the_job_runs_again() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    only.process.fail_point.panic_at(3);
    cluster.until(4.5).await;
    assert_eq!(*only.handle.state.borrow(), JobState::StandingBy);
    let trouble = only.handle.status.now().trouble;
    let message = "put in on purpose".to_owned();
    assert_eq!(trouble, Some(Trouble::Panicked { message }));
    let words = cluster.children("/job/ledger/standby").await;
    let word = cluster.data(&format!("/job/ledger/standby/{}", words[0])).await;
    assert!(word.is_some_and(|word| word.contains("its worker panicked: put in on purpose")));
    cluster.until(9.5).await;
    assert_eq!(cluster.history.count_at(at(9)), 2);
    assert_eq!(cluster.children("/job/ledger/standby").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn at_the_start_are_followed_by_a_registration() {
    for step in 1..=6 {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_second(2), quick());
        only.process.fail_point.panic_at(step);
        cluster.until(9.5).await;
        assert_eq!(*only.handle.state.borrow(), JobState::Ready, "step {step}");
        assert_eq!(cluster.history.count_at(at(9)), 2, "step {step}");
        assert_eq!(cluster.children("/job/instances").await.len(), 1, "step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn do_not_keep_a_job_from_stopping() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    only.process.fail_point.panic_at(2);
    cluster.until(4.2).await;
    assert_eq!(*only.handle.state.borrow(), JobState::StandingBy);
    only.stop(Duration::ZERO).await;
    assert_eq!(*only.handle.state.borrow(), JobState::Stopped);
}

/// Runs items that ignore cancellation and end when they are let go.
struct Stubborn {
    tasks: Tasks,
    is_over: Arc<AtomicBool>,
    launched: Arc<Mutex<Vec<String>>>,
}

impl Runner for Stubborn {
    fn launch(&self, launch: Launch) {
        self.launched.lock().unwrap().push(launch.start.run.owner.clone());
        let is_over = Arc::clone(&self.is_over);
        self.tasks.spawn("item", async move {
            while !is_over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let Launch {
                start,
                finished,
                launched_at,
                ..
            } = launch;
            let _ = finished.unbounded_send(Finished {
                key: RunKey {
                    item: start.item,
                    run: start.run.id,
                    attempt: start.run.attempt,
                },
                is_fenced: false,
                end: End::new(Verdict::Cancelled),
                is_abort: false,
                retries: 0,
                began_at: Some(launched_at),
                ended_at: launched_at,
                failure: None,
            });
        });
    }

    fn configure(&self, _config: &JobConfig) -> Result<(), String> {
        Ok(())
    }

    fn is_listened_to(&self) -> bool {
        false
    }

    fn call_listeners(&self, _call: ListenerCall) -> Task<CallResult> {
        self.tasks.spawn("listeners", async { CallResult::default() })
    }

    fn report(&self, _fault: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn keep_the_claim_while_the_work_cannot_stop() {
    let mut cluster = Cluster::new().await;
    let (is_over, launched) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let (over, by_stubborn) = (Arc::clone(&is_over), Arc::clone(&launched));
    let stubborn = cluster.join_with("10.0.0.1", 7, with_failover(1), |tasks| {
        Box::new(Stubborn {
            tasks: tasks.clone(),
            is_over: over,
            launched: by_stubborn,
        })
    });
    cluster.until(3.0).await;
    cluster.until(6.0).await;
    let id = stubborn.id();
    assert_eq!(*launched.lock().unwrap(), std::slice::from_ref(&id));
    stubborn.process.fail_point.panic_at(1);
    let other = cluster.join("10.0.0.2", with_failover(1), quick());
    cluster.until(28.0).await;
    assert_eq!(
        cluster.children("/job/instances").await,
        [other.id()],
        "it gives up the rest"
    );
    assert_eq!(cluster.data("/job/leader/election/instance").await, Some(other.id()));
    assert_eq!(cluster.data("/job/sharding/0/running").await, Some(id.clone()));
    assert_eq!(cluster.children("/job/ledger/members").await, [id, other.id()]);
    assert_eq!(cluster.history.all(), [], "no one runs it beside");

    is_over.store(true, Ordering::Relaxed);
    cluster.until(50.0).await;
    assert!(!cluster.history.all().is_empty(), "the other takes it over");
    assert_eq!(*stubborn.handle.state.borrow(), JobState::Ready);
}
