//! How a session hands calls to its task.

use std::future::{Future, ready};

use tokio::sync::mpsc;

use super::{BoxFuture, Error};

/// Queues a call at once, so that the order of calls is the order of the program, and returns the future of its answer. If the
/// queue is full, the future waits for room first. A task that has ended says that the session is over.
pub(super) fn pass_on<C, T, E>(
    calls: &mpsc::Sender<C>,
    call: C,
    answered: impl Future<Output = Result<T, E>> + Send + 'static,
) -> BoxFuture<'static, Result<T, E>>
where
    C: Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    match calls.try_send(call) {
        Ok(()) => Box::pin(answered),
        Err(mpsc::error::TrySendError::Closed(_)) => failed(Error::SessionExpired),
        Err(mpsc::error::TrySendError::Full(call)) => {
            let calls = calls.clone();
            Box::pin(async move {
                match calls.send(call).await {
                    Ok(()) => answered.await,
                    Err(_) => Err(Error::SessionExpired.into()),
                }
            })
        }
    }
}

/// Returns the future of a call that fails at once.
pub(super) fn failed<T: Send + 'static, E: Send + 'static>(error: impl Into<E>) -> BoxFuture<'static, Result<T, E>> {
    Box::pin(ready(Err(error.into())))
}
