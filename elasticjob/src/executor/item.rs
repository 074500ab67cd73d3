//! One try of one item: what surrounds the job's code while it runs.
//!
//! From the inside out: the job's future; the time limit, which counts from the last progress; the gate, which looks at
//! fence and cancellation before each poll; the guard, which turns a panic into an outcome. When the try is over, for
//! any reason, the token of its blocking work is cancelled, and the end of that work is waited for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::cluster::fence::{Fence, Gated, Stopped};
use crate::erased::BoxFuture;
use crate::guard::{self, Panicked};
use crate::job::{BlockingExecutor, BoxError, Progress};
use crate::tasks::Tasks;

use super::blocking::{RunBlocking, Stay};
use super::{Permit, Permits, Ticket, TryOutcome};

/// The token of blocking work that timed out is cancelled. If the work has not ended so much later, the log says so.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the run of one item needs beside the job.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Limits how many run at once.
    pub(crate) permits: Permits,
    /// Of the session that the item was claimed in.
    pub(crate) fence: Fence,
    /// Asks the run to stop.
    pub(crate) stop: CancellationToken,
    /// Own the threads of blocking work.
    pub(crate) tasks: Tasks,
    /// Lists the run as one that goes on.
    pub(crate) ticket: Ticket,
    /// How long blocking work, which cannot be stopped, is waited for once the run is over.
    pub(crate) grace: Duration,
}

/// What a run gives to its job.
#[derive(Clone, Debug)]
pub(crate) struct RunEnvironment {
    /// Cancelled when the run should end early, and when it is over.
    pub(crate) cancellation: CancellationToken,
    /// The fence's own token: cancelled when the session that the item was claimed in can no longer be relied upon.
    pub(crate) fenced: CancellationToken,
    /// Takes the job's blocking work.
    pub(crate) blocking: Arc<dyn BlockingExecutor>,
    /// Notified when the job makes progress.
    pub(crate) progress: Progress,
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) outcome: TryOutcome,
    /// Whether it got ahead before that.
    pub(crate) has_progressed: bool,
    /// Pieces of blocking work that go on nevertheless. Their pool has less room until they end.
    pub(crate) overrunning: usize,
}

/// Runs one item that has room in its pool: polls the future that `start` makes until it ends, makes no progress for
/// `timeout`, or is stopped by the fence or a cancellation; then waits for blocking work.
///
/// # Cancel safety
/// Dropping the future drops the job's. Then the token of blocking work is cancelled, and its end is not awaited.
pub(crate) async fn run_item<S>(item: &Item, permit: Permit, timeout: Option<Duration>, start: S) -> Ended
where
    S: FnOnce(RunEnvironment) -> BoxFuture<'static, Result<(), BoxError>> + Send,
{
    let stay = Arc::new(Stay {
        _permit: permit,
        ticket: item.ticket.clone(),
    });
    let progress = Progress::default();
    let work = item.tasks.child();
    let cancellation = item.stop.child_token();
    // At every end, and if it is dropped, the token of blocking work is cancelled.
    let over = cancellation.clone().drop_guard();
    let running = RunEnvironment {
        cancellation: cancellation.clone(),
        fenced: item.fence.token(),
        blocking: Arc::new(RunBlocking {
            tasks: work.clone(),
            fence: item.fence.clone(),
            cancellation,
            stay: Arc::downgrade(&stay),
        }),
        progress: progress.clone(),
    };
    // From its first line on the job is polled through the gate, and its panics are caught.
    let watched = progress.clone();
    let job = within(timeout, watched, move || start(running)).boxed();
    let job = Gated::new(job, item.fence.clone(), item.stop.clone());
    let polled = {
        let mut job = pin!(guard::future(job));
        poll_fn(|cx| item.ticket.polled(|| job.as_mut().poll(cx))).await
    };
    let outcome = outcome_of(polled);
    drop(over);

    // Boxed, and only where there is any: few runs wait here, and all would keep room for it.
    let overrunning = if work.is_idle() {
        0
    } else {
        Box::pin(overrun(&work, &outcome, item.grace)).await
    };
    Ended {
        outcome,
        has_progressed: progress.newest().is_some(),
        overrunning,
    }
}

/// Waits for blocking work; gives how many pieces have not ended in time.
async fn overrun(work: &Tasks, outcome: &TryOutcome, grace: Duration) -> usize {
    if let TryOutcome::TimedOut(limit) = outcome
        && let Err(still_running) = work.close_and_wait(Instant::now() + PATIENCE.min(grace)).await
    {
        let pieces = still_running.tasks;
        warn!(pieces, ?limit, "timed out, but its blocking work has not ended yet");
    }
    match work.close_and_wait(Instant::now() + grace).await {
        Ok(()) => 0,
        Err(still_running) => still_running.tasks,
    }
}

/// Makes the job's future and waits for it, for that long at most since it last got ahead.
async fn within<S>(timeout: Option<Duration>, progress: Progress, start: S) -> TryOutcome
where
    S: FnOnce() -> BoxFuture<'static, Result<(), BoxError>>,
{
    let mut job = pin!(start());
    let mut since = Instant::now();
    // What is longer than any clock counts is no limit.
    while let Some((limit, deadline)) = timeout.and_then(|limit| Some((limit, since.checked_add(limit)?))) {
        if let Ok(returned) = timeout_at(deadline, &mut job).await {
            return returned.into();
        }
        match progress.newest().filter(|newest| *newest > since) {
            Some(newest) => since = newest,
            None => return TryOutcome::TimedOut(limit),
        }
    }
    job.await.into()
}

/// Returns what the layers around a job's future come to.
fn outcome_of(polled: Result<Result<TryOutcome, Stopped>, Panicked>) -> TryOutcome {
    match polled {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(stopped)) => TryOutcome::Cancelled(stopped),
        Err(Panicked(message)) => TryOutcome::Panicked(message),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc;

    use jiff::Timestamp;
    use tokio::sync::oneshot;
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::executor::{Pool, Underway};
    use crate::job::{RunContext, ShardingContext};
    use crate::schedule::ManualClock;
    use crate::tasks::Task;

    const SESSION_TIMEOUT: Duration = Duration::from_secs(9);
    const GRACE: Duration = Duration::from_secs(3);

    struct Fixture {
        clock: Arc<ManualClock>,
        item: Item,
    }

    /// Returns an instance with room for one item, and with a fence that passes in 6 s.
    fn set_up() -> Fixture {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let tasks = Tasks::in_virtual_time();
        let fence = Fence::on_tokio_time(clock.clone(), SESSION_TIMEOUT, Duration::ZERO, &tasks);
        let permits = Pool::of(NonZeroUsize::MIN).open().permits();
        let item = Item {
            permits,
            fence,
            stop: CancellationToken::new(),
            tasks,
            ticket: Underway::default().enter("job".into(), 0, "run".into()),
            grace: GRACE,
        };
        Fixture { clock, item }
    }

    impl Fixture {
        fn run<F>(&self, job: impl FnOnce(RunEnvironment) -> F + Send + 'static) -> Task<Ended>
        where
            F: Future<Output = Result<(), BoxError>> + Send + 'static,
        {
            let item = self.item.clone();
            self.item.tasks.spawn("item", async move {
                let permit = item.permits.clone().acquire().await;
                run_item(&item, permit, None, |running| job(running).boxed()).await
            })
        }

        /// Runs a job that blocks until something comes through the channel, and waits until it has begun.
        async fn run_blocking(&self, blocks: mpsc::Receiver<()>) -> Task<Ended> {
            let (begun, has_begun) = oneshot::channel();
            let task = self.run(async move |running: RunEnvironment| {
                let run = context(&running);
                run.run_blocking(move || {
                    begun.send(()).unwrap();
                    blocks.recv().unwrap();
                })
                .await?;
                Ok(())
            });
            has_begun.await.unwrap();
            task
        }
    }

    fn context(running: &RunEnvironment) -> RunContext {
        RunContext::for_test(ShardingContext::for_test(0, 1)).with_blocking(Arc::clone(&running.blocking))
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_job_returns_should_be_the_outcome() {
        let setting = set_up();
        let ended = setting.run(async |_| Ok(())).await.unwrap();
        assert!(matches!(ended.outcome, TryOutcome::Succeeded));
        assert!(!ended.has_progressed);
        let ended = setting.run(async |_| Err("no data".into())).await.unwrap();
        assert_eq!(ended.outcome.to_string(), "failed: no data");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_should_be_an_outcome_wherever_it_happens() {
        let setting = set_up();
        let ended = setting.run(async |_| panic!("in a poll")).await.unwrap();
        assert_eq!(ended.outcome.to_string(), "panicked: in a poll");

        fn fails() -> Result<(), BoxError> {
            panic!("before the first")
        }
        let ended = setting.run(|_| std::future::ready(fails())).await.unwrap();
        assert_eq!(ended.outcome.to_string(), "panicked: before the first");

        struct FailsWhenDropped;
        impl Drop for FailsWhenDropped {
            fn drop(&mut self) {
                panic!("when dropped");
            }
        }
        let run = setting.run(async |_| {
            let _held = FailsWhenDropped;
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        setting.item.stop.cancel();
        assert_eq!(run.await.unwrap().outcome.to_string(), "panicked: when dropped");
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_should_wait_for_room_in_its_pool() {
        let setting = set_up();
        let start = Instant::now();
        let job = async |_| {
            sleep(Duration::from_secs(2)).await;
            Ok(())
        };
        let runs = [setting.run(job), setting.run(job)];
        for run in runs {
            assert!(matches!(run.await.unwrap().outcome, TryOutcome::Succeeded));
        }
        assert_eq!(start.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn times_out_without_progress() {
        let setting = set_up();
        let start = Instant::now();
        let limit = Duration::from_secs(2);
        let permit = setting.item.permits.clone().acquire().await;
        let job = async |running: RunEnvironment| {
            for _ in 0..2 {
                sleep(Duration::from_millis(1500)).await;
                running.progress.made();
            }
            std::future::pending().await
        };
        let ended = run_item(&setting.item, permit, Some(limit), move |running| job(running).boxed()).await;
        assert_eq!(ended.outcome.to_string(), "timed out after 2s");
        assert!(ended.has_progressed);
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_clocks_should_be_none() {
        let setting = set_up();
        let permit = setting.item.permits.clone().acquire().await;
        let ended = run_item(&setting.item, permit, Some(Duration::MAX), |_| async { Ok(()) }.boxed());
        assert!(matches!(ended.await.outcome, TryOutcome::Succeeded));
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_should_drop_the_job_and_set_its_token() {
        let setting = set_up();
        let (give, token) = oneshot::channel();
        let run = setting.run(async move |running: RunEnvironment| {
            give.send(running.cancellation).unwrap();
            std::future::pending().await
        });
        let token = token.await.unwrap();
        assert!(!token.is_cancelled());
        setting.item.stop.cancel();
        let ended = run.await.unwrap();
        assert!(matches!(ended.outcome, TryOutcome::Cancelled(Stopped::Cancelled)));
        assert!(token.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_fence_should_stop_the_job() {
        let setting = set_up();
        let start = Instant::now();
        let ended = setting.run(async |_| std::future::pending().await).await.unwrap();
        assert!(matches!(ended.outcome, TryOutcome::Cancelled(Stopped::Fenced)));
        assert_eq!(start.elapsed().as_secs(), 6);
        assert!(!setting.item.stop.is_cancelled(), "the others are not ours to stop");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_blocking_work_within_the_grace() {
        let setting = set_up();
        let (end, blocks) = mpsc::channel();
        let run = setting.run_blocking(blocks).await;
        setting.item.stop.cancel();
        tokio::task::yield_now().await;
        end.send(()).unwrap();
        let ended = run.await.unwrap();
        assert!(matches!(ended.outcome, TryOutcome::Cancelled(Stopped::Cancelled)));
        assert_eq!(ended.overrunning, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_room_in_the_pool_for_overrunning_work() {
        let setting = set_up();
        let (end, blocks) = mpsc::channel();
        let run = setting.run_blocking(blocks).await;
        setting.item.stop.cancel();
        tokio::task::yield_now().await;
        // Virtual time does not pass by itself while work blocks on a thread.
        advance(GRACE).await;
        assert_eq!(run.await.unwrap().overrunning, 1);

        let mut room = std::pin::pin!(setting.item.permits.clone().acquire());
        assert!(futures_util::poll!(room.as_mut()).is_pending());
        end.send(()).unwrap();
        drop(room.await);
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_blocking_work_in_a_run_that_stops() {
        let setting = set_up();
        let (give, running) = oneshot::channel();
        let run = setting.run(async move |running: RunEnvironment| {
            give.send(running).unwrap();
            std::future::pending().await
        });
        let running = running.await.unwrap();

        setting.clock.suspend(SESSION_TIMEOUT);
        let refused = context(&running).run_blocking(|| panic!("run behind the fence")).await;
        assert_eq!(refused, Err::<(), _>(crate::job::BlockingError::Refused));

        run.await.unwrap();
        let refused = context(&running).run_blocking(|| panic!("run after the end")).await;
        assert_eq!(refused, Err::<(), _>(crate::job::BlockingError::Refused));
        // What the job keeps takes no room.
        let room = setting.item.permits.clone().acquire().now_or_never();
        assert!(room.is_some());
    }
}
