use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cluster::fence::Fence;
use crate::executor::{Pool, Underway};
use crate::job::{RunContext, ShardingContext, permanent};
use crate::schedule::ManualClock;
use crate::tasks::Tasks;

/// The fence passes after two thirds of it.
const SESSION_TIMEOUT: Duration = Duration::from_secs(900);

/// How long blocking work is waited for.
const GRACE: Duration = Duration::from_secs(3);

fn read(props: &[(&str, &str)]) -> Result<Tries, String> {
    let props: BTreeMap<String, String> = props
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    crate::property::read(&props).map_err(|faults| faults.to_string())
}

fn item() -> Item {
    let tasks = Tasks::in_virtual_time();
    let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
    Item {
        permits: Pool::of(NonZeroUsize::MIN).open().permits(),
        fence: Fence::on_tokio_time(clock, SESSION_TIMEOUT, Duration::ZERO, &tasks),
        stop: CancellationToken::new(),
        tasks,
        ticket: Underway::default().enter("job".into(), 0, "run".into()),
        grace: GRACE,
    }
}

fn identity(item: u32) -> Identity {
    Identity {
        run: "run".to_owned(),
        item,
    }
}

/// Runs it with a job that receives the number of earlier tries.
async fn run<F>(tries: Tries, item: Item, job: impl Fn(u32) -> F + Send + Sync + 'static) -> Tried
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let wind_down = WindDown::below(&item.stop);
    let start = move |retry, _: RunEnvironment| -> BoxFuture<'static, _> { job(retry).boxed() };
    tries.run(&item, &wind_down, &identity(0), &start).await
}

struct CountsDrops(Arc<AtomicU32>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn three_retries() -> Tries {
    read(&[(RETRY, "3"), (BACKOFF, "2s"), (MAX_BACKOFF, "3s")]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn retries_until_a_success() {
    let start = Instant::now();
    let job = |retry| async move { if retry < 2 { Err("no network".into()) } else { Ok(()) } };
    let tried = run(three_retries(), item(), job).await;
    assert!(matches!(tried.outcome, TryOutcome::Succeeded));
    assert_eq!(tried.tries, 3);
    // The first pause is of 2 s, the second of 3, and each is half of it at least.
    let elapsed = start.elapsed().as_secs_f64();
    assert!((2.5..=5.0).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_run_should_fail_as_its_last_try_did() {
    let job = |retry| async move { Err(format!("failure {retry}").into()) };
    let tried = run(three_retries(), item(), job).await;
    assert_eq!(tried.outcome.to_string(), "failed: failure 3");
    assert_eq!(tried.tries, 4);
    let once = run(read(&[]).unwrap(), item(), job).await;
    assert_eq!(
        (once.outcome.to_string().as_str(), once.tries),
        ("failed: failure 0", 1)
    );
}

#[tokio::test(start_paused = true)]
async fn fails_at_once_if_no_retry_helps() {
    let job = |_| async { Err(permanent("no account").into()) };
    let tried = run(three_retries(), item(), job).await;
    assert_eq!((tried.tries, tried.given_up), (1, Some(GivenUp::Permanent)));
    let panics = |_| async { panic!("a bug, or not") };
    assert_eq!(run(three_retries(), item(), panics).await.tries, 4);
}

#[tokio::test(start_paused = true)]
async fn a_try_should_be_dropped_after_its_time() {
    let tries = read(&[(TIMEOUT, "30s"), (RETRY, "1")]).unwrap();
    let dropped = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&dropped);
    let start = Instant::now();
    let job = move |_| {
        let count = Arc::clone(&count);
        async move {
            let _held = CountsDrops(count);
            std::future::pending().await
        }
    };
    let item = item();
    let tried = run(tries, item, job).await;
    assert_eq!(tried.outcome.to_string(), "timed out after 30s");
    assert_eq!((tried.tries, dropped.load(Ordering::Relaxed)), (2, 2));
    assert!((60..62).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn cancels_overrunning_blocking_work_without_a_second_try() {
    let tries = read(&[(TIMEOUT, "1s"), (RETRY, "3")]).unwrap();
    let item = item();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let begun = Arc::new(std::sync::Mutex::new(Some(begun)));
    let (end, blocks) = mpsc::channel::<()>();
    let blocks = Arc::new(std::sync::Mutex::new(blocks));
    let task = item.tasks.clone().spawn("run", async move {
        let wind_down = WindDown::below(&CancellationToken::new());
        let start = move |_, running: RunEnvironment| -> BoxFuture<'static, _> {
            let run = RunContext::for_test(ShardingContext::for_test(0, 1)).with_blocking(running.blocking);
            let (begun, blocks) = (Arc::clone(&begun), Arc::clone(&blocks));
            let token = running.cancellation;
            Box::pin(async move {
                run.run_blocking(move || {
                    begun.lock().unwrap().take().expect("tried once").send(token).unwrap();
                    let _ = blocks.lock().unwrap().recv();
                })
                .await?;
                Ok(())
            })
        };
        tries.run(&item, &wind_down, &identity(0), &start).await
    });
    let token = has_begun.await.unwrap();
    // Virtual time does not pass by itself while work blocks on a thread.
    tokio::time::advance(Duration::from_secs(1)).await;
    token.cancelled().await;
    // Before it is read that the work goes on, and after.
    for _ in 0..2 {
        tokio::time::advance(GRACE).await;
        tokio::task::yield_now().await;
    }
    let tried = task.await.unwrap();
    drop(end);
    assert_eq!(tried.outcome.to_string(), "timed out after 1s");
    assert_eq!((tried.overrunning, tried.tries), (1, 1));
    assert_eq!(tried.given_up, Some(GivenUp::Overrunning));
}

#[tokio::test(start_paused = true)]
async fn retries_nothing_in_a_run_that_is_to_end() {
    let tries = read(&[(RETRY, "9"), (BACKOFF, "10s")]).unwrap();
    let job = |_| async { Err("no network".into()) };
    let ended = |item: Item, wind_down: WindDown| async move {
        let start = move |retry, _: RunEnvironment| -> BoxFuture<'static, _> { job(retry).boxed() };
        tries.run(&item, &wind_down, &identity(0), &start).await
    };
    let start = Instant::now();
    let (running, wind_down) = (item(), WindDown::below(&CancellationToken::new()));
    let run = running.tasks.clone().spawn("run", ended(running, wind_down.clone()));
    sleep(Duration::from_secs(1)).await;
    assert!(wind_down.ask("the item is to move"));
    let tried = run.await.unwrap();
    let given_up = Some(GivenUp::WoundDown("the item is to move"));
    assert_eq!(tried.given_up, given_up);
    assert_eq!(tried.outcome.to_string(), "failed: no network");
    assert_eq!((start.elapsed().as_secs(), tried.tries), (1, 1));
    let tried = ended(item(), wind_down).await;
    assert_eq!((start.elapsed().as_secs(), tried.tries), (1, 1));
    assert_eq!(tried.given_up, given_up);
}

#[test]
fn names_the_number_of_tries_and_why_no_more() {
    let account = |tries, given_up| {
        let tried = Tried {
            tries,
            given_up,
            ..Tried::not_yet()
        };
        tried.account("no network")
    };
    let moving = Some(GivenUp::WoundDown("the item is to move"));
    assert_eq!(account(1, None), "no network");
    assert_eq!(account(3, None), "tried 3 times: no network");
    assert_eq!(
        account(1, moving),
        "not tried again, since the item is to move: no network"
    );
    assert_eq!(
        account(3, moving),
        "tried 3 times, not again, since the item is to move: no network"
    );
}

#[tokio::test(start_paused = true)]
async fn cancels_a_run_that_is_stopped_while_it_waits() {
    let tries = read(&[(RETRY, "9"), (BACKOFF, "10s")]).unwrap();
    let item = item();
    let job = move |item: Item| async move { run(tries, item, |_| async { Err("no network".into()) }).await };
    let waiting = item.tasks.spawn("run", job(item.clone()));
    sleep(Duration::from_secs(1)).await;
    item.stop.cancel();
    let tried = waiting.await.unwrap();
    assert_eq!((tried.outcome.to_string().as_str(), tried.tries), ("cancelled", 1));
    let tried = job(item).await;
    assert_eq!((tried.outcome.to_string().as_str(), tried.tries), ("cancelled", 0));
}

#[tokio::test(start_paused = true)]
async fn others_should_have_the_room_while_a_run_pauses() {
    let item = item();
    let start = Instant::now();
    let (tries, other) = (three_retries(), item.clone());
    let failing = item.tasks.spawn("run", async move {
        run(tries, other, |retry| async move {
            if retry == 0 { Err("no network".into()) } else { Ok(()) }
        })
        .await
    });
    tokio::task::yield_now().await;
    let other = run(three_retries(), item, |_| async { Ok(()) }).await;
    assert!(matches!(other.outcome, TryOutcome::Succeeded));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(failing.await.unwrap().tries, 2);
}

#[tokio::test(start_paused = true)]
async fn resets_the_retries_of_a_run_that_advances() {
    let tries = read(&[(RETRY, "1"), (BACKOFF, "1s")]).unwrap();
    let wind_down = WindDown::below(&CancellationToken::new());
    let start = |retry: u32, running: RunEnvironment| -> BoxFuture<'static, _> {
        if retry < 5 {
            running.progress.made();
        }
        Box::pin(async { Err("no network".into()) })
    };
    let tried = tries.run(&item(), &wind_down, &identity(0), &start).await;
    assert_eq!(tried.tries, 6, "the last that got ahead is tried again, too");
}

#[tokio::test(start_paused = true)]
async fn the_fence_should_end_a_pause() {
    let tries = read(&[(RETRY, "9"), (BACKOFF, "1h"), (MAX_BACKOFF, "1h")]).unwrap();
    let tried = run(tries, item(), |_| async { Err("no network".into()) }).await;
    assert!(matches!(tried.outcome, TryOutcome::Cancelled(Stopped::Fenced)));
    assert_eq!(tried.tries, 1);
}

#[test]
fn doubles_pauses_up_to_a_limit_with_jitter() {
    let tries = read(&[(RETRY, "100"), (BACKOFF, "1s"), (MAX_BACKOFF, "10s")]).unwrap();
    let pauses = |item| (0..100).map(move |retry| tries.pause(retry, &identity(item)).as_secs_f64());
    for (retry, pause) in (0..).zip(pauses(0)) {
        let whole = 2_f64.powi(retry).min(10.0);
        assert!((whole / 2.0..=whole).contains(&pause), "{retry}: {pause}");
    }
    assert!(pauses(0).eq(pauses(0)));
    assert!(pauses(0).zip(pauses(1)).all(|(one, other)| one != other));
}

#[test]
fn reports_what_is_wrong() {
    let fault = |key, value| read(&[(key, value)]).unwrap_err();
    for (key, value) in [
        (TIMEOUT, "0s"),
        (TIMEOUT, "soon"),
        (RETRY, "-1"),
        (RETRY, "1001"),
        (BACKOFF, "x"),
    ] {
        let fault = fault(key, value);
        assert!(fault.contains(key) && fault.contains(value), "{fault}");
    }
    assert_eq!(
        fault("elasticjob.retry.backof", "3s"),
        "`props.elasticjob.retry.backof`: unknown property, did you mean `elasticjob.retry.backoff`?"
    );
    assert_eq!(
        fault(BACKOFF, "2m"),
        "`props.elasticjob.retry.max-backoff`: expected no less than `elasticjob.retry.backoff`, which is 120s"
    );
}
