//! Work that blocks, kept off the runtime's threads.
//!
//! The work runs behind the guard, so a panic in it is an error of the run. Nothing can stop work that has begun: its
//! result is dropped if the run was dropped meanwhile, and the item stays claimed until the work ends.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::erased::BoxFuture;
use crate::guard::{self, Panicked};

/// Runs work that may block, apart from the threads of the runtime. The framework has threads for it; tests choose another
/// executor by [`RunContext::with_blocking`](super::RunContext::with_blocking), such as [`Inline`].
///
/// ```
/// use std::sync::Arc;
/// use elasticjob::job::{BlockingExecutor, RunContext, ShardingContext};
/// use elasticjob::registry::BoxFuture;
///
/// /// Runs each piece of work on a thread of its own.
/// #[derive(Debug)]
/// struct Threads;
///
/// impl BlockingExecutor for Threads {
///     fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
///         Box::pin(async move {
///             let thread = std::thread::spawn(work);
///             // A real one would not wait on the thread of the runtime.
///             thread.join().expect("the work does not panic");
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let run = RunContext::for_test(ShardingContext::for_test(0, 1)).with_blocking(Arc::new(Threads));
/// assert_eq!(run.run_blocking(|| 6 * 7).await.unwrap(), 42);
/// # }
/// ```
pub trait BlockingExecutor: fmt::Debug + Send + Sync + 'static {
    /// Runs `work`, which does not panic. The future ends when the work has ended, or was refused and dropped.
    ///
    /// It must not wait on the thread that calls it: the caller may be a thread of the runtime. Work that is dropped
    /// without being run is reported to the run as [`BlockingError::Refused`].
    ///
    /// # Cancel safety
    /// Dropping the future must not stop work that has begun, nor panic.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
}

/// Runs the work in place, on the thread that polls. For tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl BlockingExecutor for Inline {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        Box::pin(async move { work() })
    }
}

/// Why blocking work gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// The work panicked, with this message.
    #[error("the blocking function panicked: {0}")]
    Panicked(String),
    /// The executor dropped the work before its end, as on shutdown.
    #[error("the blocking function was not run: the executor is shutting down")]
    Refused,
}

pub(super) async fn run<R, F>(executor: Arc<dyn BlockingExecutor>, work: F) -> Result<R, BlockingError>
where
    R: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let guarded = move || {
        // A panic is this item's failure. What it may have left broken was moved into the closure and is gone.
        let result = guard::call(work);
        if let Err(unheard) = answer.send(result) {
            // The run may have been dropped, and nothing waits for the result then.
            guard::discard(unheard);
        }
    };
    executor.run(Box::new(guarded)).await;
    match answered.await {
        Ok(result) => result.map_err(|Panicked(message)| BlockingError::Panicked(message)),
        Err(_) => Err(BlockingError::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An executor that is shutting down.
    #[derive(Debug)]
    struct Closed;

    impl BlockingExecutor for Closed {
        fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
            drop(work);
            Box::pin(async {})
        }
    }

    #[tokio::test]
    async fn work_should_give_its_result() {
        assert_eq!(run(Arc::new(Inline), || 42).await, Ok(42));
    }

    #[tokio::test]
    async fn a_panic_should_become_an_error_with_its_message() {
        let formatted = run(Arc::new(Inline), || -> () { panic!("no disk {}", 3) }).await;
        assert_eq!(formatted, Err(BlockingError::Panicked("no disk 3".to_owned())));

        let constant = run(Arc::new(Inline), || -> () { panic!("no disk") }).await;
        assert_eq!(constant, Err(BlockingError::Panicked("no disk".to_owned())));
    }

    #[tokio::test]
    async fn work_that_is_dropped_should_be_refused() {
        assert_eq!(run(Arc::new(Closed), || 42).await, Err(BlockingError::Refused));
    }
}
