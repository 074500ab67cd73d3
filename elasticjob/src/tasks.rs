//! The one owner of tasks.
//!
//! Nothing in the framework runs unowned: every task and every piece of blocking work is started through a
//! [`Tasks`], carries a name, and is waited for when the framework stops. A panic is never lost: the caller that
//! waits for the task gets it as [`TaskError::Panicked`], and it is always logged.
//!
//! [`Tasks::child`] makes a branch: it is cancelled and waited for with its parent, or alone.
//!
//! Tasks reach the runtime through a [`Spawner`] alone, so that a simulated machine can hold its tasks or
//! drop them.
//!
//! Order of a stop: the token is cancelled, each task ends by itself, and [`Tasks::close_and_wait`] waits for them
//! until a deadline. A task that does not end is reported by number and goes on; nothing is aborted from outside, since
//! a task may hold half of something.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::error;

use crate::erased::BoxFuture;
use crate::guard::{self, Panicked};
use crate::threads::THREADS;

/// Owns the tasks of the framework, or of one part of it. Clones own the same tasks.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    spawner: Arc<dyn Spawner>,
    token: CancellationToken,
    /// Our own tracker first, then those of our parent and its parents: all of them wait for our tasks.
    trackers: Arc<[TaskTracker]>,
}

impl Tasks {
    /// Tasks on the tokio runtime that is current here.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new() -> Self {
        Self::with_spawner(Arc::new(Runtime(Handle::current())))
    }

    /// As [`Tasks::new`], for tests in which virtual time stands still while work blocks: tokio sees to that for threads
    /// of its own.
    #[cfg(test)]
    pub(crate) fn in_virtual_time() -> Self {
        Self::with_spawner(Arc::new(tests::VirtualTime(Handle::current())))
    }

    /// Tasks that `spawner` runs.
    pub(crate) fn with_spawner(spawner: Arc<dyn Spawner>) -> Self {
        Self {
            spawner,
            token: CancellationToken::new(),
            trackers: Arc::new([TaskTracker::new()]),
        }
    }

    /// A branch: its token is cancelled with ours, and we wait for its tasks as for our own.
    pub(crate) fn child(&self) -> Self {
        let own = TaskTracker::new();
        Self {
            spawner: Arc::clone(&self.spawner),
            token: self.token.child_token(),
            trackers: std::iter::once(own).chain(self.trackers.iter().cloned()).collect(),
        }
    }

    /// Asks our tasks to end. Cancelling it drops no task: each looks by itself.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs a task. Its panic is a fault of that task alone.
    ///
    /// Dropping the returned handle lets the task run on.
    pub(crate) fn spawn<F>(&self, name: &'static str, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.start(name, OnPanic::Log, future)
    }

    /// Runs a task that the others cannot do without: its panic cancels [`Tasks::token`].
    pub(crate) fn spawn_essential<F>(&self, name: &'static str, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.start(name, OnPanic::CancelAll, future)
    }

    /// Runs work that blocks its thread, on one of [`threads`](crate::threads).
    ///
    /// Nothing can stop such work from outside; it is waited for like any task, but the end of the process does not wait.
    pub(crate) fn spawn_blocking<T, W>(&self, name: &'static str, work: W) -> Task<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        let on_panic = self.reaction(name, OnPanic::Log);
        let tickets = self.tickets();
        let work = move || {
            let outcome = guard::call(work).map_err(|panicked| on_panic.apply(panicked));
            // The caller that waited may have gone away.
            let _ = sender.send(outcome);
            drop(tickets);
        };
        self.spawner.spawn_blocking(name, Box::new(work));
        Task { result }
    }

    /// Returns whether no task runs, those of our branches included.
    pub(crate) fn is_idle(&self) -> bool {
        self.trackers[0].is_empty()
    }

    /// Waits until all tasks, those of our branches included, have ended. Asks none to end:
    /// that is what [`Tasks::token`] is for.
    ///
    /// # Errors
    /// [`StillRunning`] when some have not ended by the deadline. They run on.
    ///
    /// # Cancel safety
    /// Safe: it may be called again.
    pub(crate) async fn close_and_wait(&self, deadline: Instant) -> Result<(), StillRunning> {
        let tracker = &self.trackers[0];
        tracker.close();
        timeout_at(deadline, tracker.wait())
            .await
            .map_err(|_| StillRunning { tasks: tracker.len() })
    }

    fn start<F>(&self, name: &'static str, on_panic: OnPanic, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        let on_panic = self.reaction(name, on_panic);
        let tickets = self.tickets();
        // Combinators keep the future where it is; an async block would hold it twice, as captured and as awaited.
        let task = guard::future(future).map(move |outcome| {
            // The caller that waited may have gone away.
            let _ = sender.send(outcome.map_err(|panicked| on_panic.apply(panicked)));
            drop(tickets);
        });
        self.spawner.spawn(name, Box::pin(task));
        Task { result }
    }

    fn reaction(&self, name: &'static str, on_panic: OnPanic) -> Reaction {
        let cancels = match on_panic {
            OnPanic::Log => None,
            OnPanic::CancelAll => Some(self.token.clone()),
        };
        Reaction { name, cancels }
    }

    /// Returns a token of each tracker that waits for a task of ours. The task holds them until it has ended.
    fn tickets(&self) -> Vec<TaskTrackerToken> {
        self.trackers.iter().map(TaskTracker::token).collect()
    }
}

/// A task that was started. Awaiting it gives what it returned.
#[derive(Debug)]
pub(crate) struct Task<T> {
    result: oneshot::Receiver<Result<T, TaskError>>,
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.result).poll(cx)).unwrap_or(Err(TaskError::Dropped)))
    }
}

/// Why a task returned nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TaskError {
    /// It panicked, with this message.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It was dropped before its end, with the runtime that ran it.
    #[error("dropped before its end")]
    Dropped,
}

/// Tasks did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tasks} tasks are still running")]
pub(crate) struct StillRunning {
    /// How many.
    pub(crate) tasks: usize,
}

/// What runs tasks: a tokio runtime, or a simulated machine that can hold or drop them.
///
/// What is dropped unfinished counts as ended.
pub(crate) trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// Polls `task` until it ends.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);

    /// Calls `work` where it may block.
    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>);
}

/// The spawner of production.
#[derive(Debug)]
struct Runtime(Handle);

impl Spawner for Runtime {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        // The handle may go: `Tasks` tracks the task by its tickets and takes its result from a channel.
        drop(self.0.spawn(task));
    }

    fn spawn_blocking(&self, _name: &'static str, work: Box<dyn FnOnce() + Send>) {
        THREADS.run(self.0.clone(), work);
    }
}

#[derive(Clone, Copy, Debug)]
enum OnPanic {
    Log,
    CancelAll,
}

#[derive(Debug)]
struct Reaction {
    name: &'static str,
    cancels: Option<CancellationToken>,
}

impl Reaction {
    fn apply(self, Panicked(message): Panicked) -> TaskError {
        error!(task = self.name, panic = %message, essential = self.cancels.is_some(), "task panicked");
        if let Some(token) = self.cancels {
            token.cancel();
        }
        TaskError::Panicked(message)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Runs work that blocks on threads of tokio.
    #[derive(Debug)]
    pub(super) struct VirtualTime(pub(super) Handle);

    impl Spawner for VirtualTime {
        fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
            Runtime(self.0.clone()).spawn(name, task);
        }

        fn spawn_blocking(&self, _name: &'static str, work: Box<dyn FnOnce() + Send>) {
            drop(self.0.spawn_blocking(work));
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_should_give_what_it_returned() {
        let tasks = Tasks::new();
        assert_eq!(tasks.spawn("sum", async { 1 + 2 }).await, Ok(3));
        assert_eq!(tasks.spawn_blocking("product", || 2 * 3).await, Ok(6));
    }

    #[tokio::test(start_paused = true)]
    async fn passes_a_panic_to_its_waiter_alone() {
        let tasks = Tasks::new();
        let failed = tasks.spawn("fails", async { panic!("out of {}", "luck") });
        assert_eq!(
            failed.await,
            Err::<(), _>(TaskError::Panicked("out of luck".to_owned()))
        );
        let failed = tasks.spawn_blocking("fails", || panic!("blocked"));
        assert_eq!(failed.await, Err::<(), _>(TaskError::Panicked("blocked".to_owned())));
        assert!(!tasks.token().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn cancels_the_branch_of_a_panicked_essential_task() {
        let tasks = Tasks::new();
        let (left, right) = (tasks.child(), tasks.child());
        let failed = left.spawn_essential("worker", async { panic!("no") });
        assert_eq!(failed.await, Err::<(), _>(TaskError::Panicked("no".to_owned())));
        assert!(left.token().is_cancelled());
        assert!(!right.token().is_cancelled());
        assert!(!tasks.token().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_branches_only_as_a_parent() {
        let tasks = Tasks::new();
        let branch = tasks.child();
        let token = branch.token().clone();
        branch.spawn("until cancelled", async move { token.cancelled().await });

        assert_eq!(tasks.close_and_wait(soon()).await, Err(StillRunning { tasks: 1 }));
        assert_eq!(tasks.child().close_and_wait(soon()).await, Ok(()));

        tasks.token().cancel();
        assert_eq!(tasks.close_and_wait(soon()).await, Ok(()));
        assert_eq!(branch.close_and_wait(soon()).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_should_include_blocking_work() {
        let tasks = Tasks::in_virtual_time();
        let (release, released) = std::sync::mpsc::channel::<()>();
        tasks.spawn_blocking("waits", move || released.recv());
        assert_eq!(
            tasks.close_and_wait(Instant::now()).await,
            Err(StillRunning { tasks: 1 })
        );
        release.send(()).unwrap();
        // Work on another thread holds virtual time back, so this ends by the work's end alone.
        assert_eq!(tasks.close_and_wait(soon()).await, Ok(()));
    }

    #[test]
    fn reports_a_task_dropped_with_its_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tasks = Tasks::with_spawner(Arc::new(Runtime(runtime.handle().clone())));
        let task = tasks.spawn("never ends", std::future::pending::<()>());
        drop(runtime);
        assert_eq!(
            futures_util::FutureExt::now_or_never(task),
            Some(Err(TaskError::Dropped))
        );
        assert!(tasks.trackers[0].is_empty());
    }
}
