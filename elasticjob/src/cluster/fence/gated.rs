//! The gate in front of work: a future that the fence and a cancellation can stop.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::task::unconstrained;
use tokio_util::sync::CancellationToken;

use crate::erased::BoxFuture;

use super::Fence;

/// A future that is polled only before its fence has passed and its token was cancelled.
///
/// When either happens the future is dropped where it is and the outcome says which. A poll that has begun
/// is not interrupted; what it returned then counts.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Gated<F> {
    /// `None` once it ended.
    inner: Option<F>,
    fence: Fence,
    token: CancellationToken,
    /// Wakes us when the fence passes or the token is cancelled.
    stopped: BoxFuture<'static, ()>,
    /// Who `stopped` wakes. Asking it again on each poll would have all runs of the process fight for the
    /// lock on the fence's waiters.
    waker: Option<Waker>,
}

impl<F: Future + Unpin> Gated<F> {
    pub(crate) fn new(inner: F, fence: Fence, token: CancellationToken) -> Self {
        let (passed, cancelled) = (fence.passed(), token.clone().cancelled_owned());
        // Unconstrained: a task that has used up its budget would be put off without our waker being kept.
        let stopped = Box::pin(unconstrained(async move {
            tokio::select! {
                biased;
                () = passed => {}
                () = cancelled => {}
            }
        }));
        Self {
            inner: Some(inner),
            fence,
            token,
            stopped,
            waker: None,
        }
    }

    /// Returns why the future must not be polled any more. The fence comes first: it is the stronger reason.
    fn why_stopped(&self) -> Option<Stopped> {
        if self.fence.is_passed() {
            return Some(Stopped::Fenced);
        }
        self.token.is_cancelled().then_some(Stopped::Cancelled)
    }
}

impl<F: Future + Unpin> Future for Gated<F> {
    type Output = Result<F::Output, Stopped>;

    /// # Panics
    /// When polled after it ended.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // First, so that what happens after the look below wakes us.
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            // Its answer is not needed: we look for ourselves.
            let _ = self.stopped.as_mut().poll(cx);
        }
        if let Some(stopped) = self.why_stopped() {
            self.inner = None;
            return Poll::Ready(Err(stopped));
        }
        let inner = self.inner.as_mut().expect("a future is not polled after it ended");
        let Poll::Ready(output) = Pin::new(inner).poll(cx) else {
            return Poll::Pending;
        };
        self.inner = None;
        Poll::Ready(Ok(output))
    }
}

/// Why a future was dropped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Stopped {
    /// The registry session can no longer be relied upon.
    #[error("fenced: the registry session can no longer be relied upon")]
    Fenced,
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::schedule::ManualClock;
    use crate::tasks::Tasks;

    const SESSION_TIMEOUT: Duration = Duration::from_secs(9);

    struct Fixture {
        clock: Arc<ManualClock>,
        fence: Fence,
        token: CancellationToken,
        /// Owns the task that wakes all that wait for the fence.
        _tasks: Tasks,
    }

    fn set_up() -> Fixture {
        let clock = Arc::new(ManualClock::starting_at(jiff::Timestamp::UNIX_EPOCH));
        let tasks = Tasks::new();
        let fence = Fence::on_tokio_time(clock.clone(), SESSION_TIMEOUT, Duration::ZERO, &tasks);
        Fixture {
            clock,
            fence,
            token: CancellationToken::new(),
            _tasks: tasks,
        }
    }

    impl Fixture {
        fn gate<T>(&self, future: impl Future<Output = T> + Send + 'static) -> Gated<BoxFuture<'static, T>> {
            Gated::new(Box::pin(future), self.fence.clone(), self.token.clone())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gives_output_of_future_that_ends_in_time() {
        let setting = set_up();
        let gated = setting.gate(async {
            sleep(Duration::from_secs(5)).await;
            7
        });
        assert_eq!(gated.await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn drops_idle_future_when_its_fence_passes() {
        let setting = set_up();
        let start = Instant::now();
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let gated = setting.gate(async move {
            std::future::pending::<()>().await;
            drop(inside);
        });
        let mut gated = std::pin::pin!(gated);
        assert_eq!(gated.as_mut().await, Err(Stopped::Fenced));
        assert_eq!(start.elapsed().as_secs(), 6);
        assert_eq!(Arc::strong_count(&held), 1, "dropped before the gate is");
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_should_drop_an_idle_future_at_once() {
        let setting = set_up();
        let start = Instant::now();
        let gated = setting.gate(std::future::pending::<()>());
        let run = Tasks::new().spawn("run", gated);
        sleep(Duration::from_secs(1)).await;
        setting.token.cancel();
        assert_eq!(run.await.unwrap(), Err(Stopped::Cancelled));
        assert_eq!(start.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn polls_nothing_after_the_fence() {
        let setting = set_up();
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let mut gated = setting.gate(poll_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut gated).poll(&mut cx).is_pending());

        // The process was stopped, and its next poll comes before any timer had a chance.
        setting.clock.suspend(SESSION_TIMEOUT);
        assert_eq!(Pin::new(&mut gated).poll(&mut cx), Poll::Ready(Err(Stopped::Fenced)));
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_future_that_moved_to_another_task() {
        let setting = set_up();
        let mut gated = setting.gate(std::future::pending::<()>());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut gated).poll(&mut cx).is_pending());
        assert_eq!(gated.await, Err(Stopped::Fenced));
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_future_of_task_that_used_up_its_budget() {
        let setting = set_up();
        let mut gated = setting.gate(std::future::pending::<()>());
        let run = Tasks::new().spawn("run", async move {
            let mut spent = false;
            poll_fn(|cx| {
                while !spent && tokio::task::coop::has_budget_remaining() {
                    // Each poll of a ready resource takes one from the budget.
                    let _ = Box::pin(tokio::task::coop::consume_budget()).as_mut().poll(cx);
                }
                spent = true;
                Pin::new(&mut gated).poll(cx)
            })
            .await
        });
        assert_eq!(run.await.unwrap(), Err(Stopped::Fenced));
    }

    #[tokio::test(start_paused = true)]
    async fn names_the_fence_before_its_cancellation() {
        let setting = set_up();
        setting.fence.close();
        setting.token.cancel();
        assert_eq!(setting.gate(async {}).await, Err(Stopped::Fenced));
    }
}
