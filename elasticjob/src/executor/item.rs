use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::RunBlocking;
use super::{Outcome, Permits};
use crate::cluster::fence::{Fence, Gated, Stopped};
use crate::job::{BlockingExecutor, BoxError};
use crate::registry::BoxFuture;
use crate::tasks::{Tasks, panic_message};

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
    /// How long blocking work, which cannot be stopped, is waited for once the run is over.
    pub(crate) grace: Duration,
}

/// What a run gives to its job.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Cancelled when the run should end early, and when it is over.
    pub(crate) cancellation: CancellationToken,
    /// The fence's own token: cancelled when the session that the item was claimed in can no longer be relied upon.
    pub(crate) fenced: CancellationToken,
    /// Takes the job's blocking work.
    pub(crate) blocking: Arc<dyn BlockingExecutor>,
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Whether the job began at all: it was stopped before there was room in its pool otherwise.
    pub(crate) has_begun: bool,
    /// Pieces of blocking work that go on nevertheless. Their pool has less room until they end.
    pub(crate) overrunning: usize,
}

/// Runs one item: waits for room in the pool, then polls the future that `start` makes until it ends or the
/// fence or somebody stops it, then waits for blocking work.
///
/// # Cancel safety
/// Dropping the future drops the job's. Blocking work is then told to stop, and not waited for.
pub(crate) async fn run_item<S>(item: Item, start: S) -> Ended
where
    S: FnOnce(Running) -> BoxFuture<'static, Result<(), BoxError>> + Send + 'static,
{
    let Item {
        permits,
        fence,
        stop,
        tasks,
        grace,
    } = item;
    let room = Gated::new(Box::pin(permits.acquire()), fence.clone(), stop.clone());
    let permit = match room.await {
        Ok(permit) => Arc::new(permit),
        Err(stopped) => {
            return Ended {
                outcome: Outcome::Cancelled(stopped),
                has_begun: false,
                overrunning: 0,
            };
        }
    };

    let work = tasks.child();
    let cancellation = stop.child_token();
    // However this ends, and if it is dropped: what still blocks is told.
    let over = cancellation.clone().drop_guard();
    let running = Running {
        cancellation: cancellation.clone(),
        fenced: fence.token(),
        blocking: Arc::new(RunBlocking {
            tasks: work.clone(),
            fence: fence.clone(),
            cancellation,
            permit: Arc::downgrade(&permit),
        }),
    };
    // From its first line on the job is polled through the gate, and whatever it does is caught.
    let job = Gated::new(async move { start(running).await }.boxed(), fence, stop);
    let outcome = outcome_of(
        AssertUnwindSafe(job)
            .catch_unwind()
            .await
            .map_err(|panic| panic_message(&*panic)),
    );
    drop(over);

    let overrunning = match work.close_and_wait(Instant::now() + grace).await {
        Ok(()) => 0,
        Err(still_running) => still_running.tasks,
    };
    Ended {
        outcome,
        has_begun: true,
        overrunning,
    }
}

fn outcome_of(polled: Result<Result<Result<(), BoxError>, Stopped>, String>) -> Outcome {
    match polled {
        Ok(Ok(returned)) => returned.into(),
        Ok(Err(stopped)) => Outcome::Cancelled(stopped),
        Err(panic) => Outcome::Panicked(panic),
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
    use crate::executor::Pool;
    use crate::job::{RunContext, ShardingContext};
    use crate::schedule::ManualClock;
    use crate::tasks::Task;

    const SESSION_TIMEOUT: Duration = Duration::from_secs(9);
    const GRACE: Duration = Duration::from_secs(3);

    struct Setting {
        clock: Arc<ManualClock>,
        item: Item,
    }

    /// An instance with room for one item, whose fence passes in 6 s.
    fn set_up() -> Setting {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let tasks = Tasks::new();
        let fence = Fence::on_tokio_time(clock.clone(), SESSION_TIMEOUT, Duration::ZERO, &tasks);
        let permits = Pool::of(NonZeroUsize::MIN).open().permits();
        let item = Item {
            permits,
            fence,
            stop: CancellationToken::new(),
            tasks,
            grace: GRACE,
        };
        Setting { clock, item }
    }

    impl Setting {
        fn run<F>(&self, job: impl FnOnce(Running) -> F + Send + 'static) -> Task<Ended>
        where
            F: Future<Output = Result<(), BoxError>> + Send + 'static,
        {
            self.item
                .tasks
                .spawn("item", run_item(self.item.clone(), |running| job(running).boxed()))
        }

        /// Runs a job that blocks until something comes through the channel, and waits until it has begun.
        async fn run_blocking(&self, blocks: mpsc::Receiver<()>) -> Task<Ended> {
            let (begun, has_begun) = oneshot::channel();
            let task = self.run(async move |running: Running| {
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

    fn context(running: &Running) -> RunContext {
        RunContext::for_test(ShardingContext::for_test(0, 1)).with_blocking(Arc::clone(&running.blocking))
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_job_returns_should_be_the_outcome() {
        let setting = set_up();
        let ended = setting.run(async |_| Ok(())).await.unwrap();
        assert!(matches!(ended.outcome, Outcome::Succeeded));
        assert!(ended.has_begun);
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
            assert!(matches!(run.await.unwrap().outcome, Outcome::Succeeded));
        }
        assert_eq!(start.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_that_is_stopped_while_it_waits_should_not_begin() {
        let setting = set_up();
        let _first = setting.run(async |_| std::future::pending().await);
        tokio::task::yield_now().await;
        let second = setting.run(async |_| panic!("begun"));
        tokio::task::yield_now().await;
        setting.item.stop.cancel();
        let ended = second.await.unwrap();
        assert!(matches!(ended.outcome, Outcome::Cancelled(Stopped::Cancelled)));
        assert!(!ended.has_begun);
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_should_drop_the_job_and_set_its_token() {
        let setting = set_up();
        let (give, token) = oneshot::channel();
        let run = setting.run(async move |running: Running| {
            give.send(running.cancellation).unwrap();
            std::future::pending().await
        });
        let token = token.await.unwrap();
        assert!(!token.is_cancelled());
        setting.item.stop.cancel();
        let ended = run.await.unwrap();
        assert!(matches!(ended.outcome, Outcome::Cancelled(Stopped::Cancelled)));
        assert!(ended.has_begun);
        assert!(token.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_fence_should_stop_the_job() {
        let setting = set_up();
        let start = Instant::now();
        let ended = setting.run(async |_| std::future::pending().await).await.unwrap();
        assert!(matches!(ended.outcome, Outcome::Cancelled(Stopped::Fenced)));
        assert_eq!(start.elapsed().as_secs(), 6);
        assert!(!setting.item.stop.is_cancelled(), "the others are not ours to stop");
    }

    #[tokio::test(start_paused = true)]
    async fn blocking_work_that_ends_within_the_grace_should_be_waited_for() {
        let setting = set_up();
        let (end, blocks) = mpsc::channel();
        let run = setting.run_blocking(blocks).await;
        setting.item.stop.cancel();
        tokio::task::yield_now().await;
        end.send(()).unwrap();
        let ended = run.await.unwrap();
        assert!(matches!(ended.outcome, Outcome::Cancelled(Stopped::Cancelled)));
        assert_eq!(ended.overrunning, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn blocking_work_that_overruns_should_be_reported_and_keep_its_room_in_the_pool() {
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
    async fn blocking_work_should_be_refused_once_the_run_is_to_stop() {
        let setting = set_up();
        let (give, running) = oneshot::channel();
        let run = setting.run(async move |running: Running| {
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
