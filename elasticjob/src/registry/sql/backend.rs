//! What differs between databases: how requests become transactions.
//!
//! The task of a session is the same for all databases: it takes calls, hands out what is certain, and reconnects. A
//! backend knows one database. It owns the connection for calls and never keeps two of these at a time, so that "the newest connection of
//! the session" is a number in a row and nothing that has to be agreed upon.

use super::session::{Request, Response};
use crate::registry::WatchEvent;
use crate::registry::watches::Watches;

/// A member of the cluster as its database knows it: one session, over one connection at a time.
///
/// A future of it that is dropped leaves no connection: what was on its way may happen, or not.
///
/// The task drops a future when it takes too long. Nothing of that turn is handed out then, and the backend is asked to
/// rejoin before it serves again.
pub(super) trait Backend: Send + 'static {
    /// So many requests are served at once at most.
    const CALLS_AT_ONCE: usize;

    /// Waits until a member has something to do although there are no requests. The future may be dropped.
    fn rest(&mut self) -> impl Future<Output = ()> + Send;

    /// Serves requests in their order, and does what is due beside them: renews the session, looks for changes of others and
    /// for members that are over. Returns what is to be handed out, in order, all of which is certain.
    ///
    /// For each request there is exactly one response or watch among the deliveries, in the order of the requests. The
    /// events that precede a response are those that the request or others before it brought about.
    fn serve(
        &mut self,
        requests: Vec<Request>,
        watches: &Watches,
    ) -> impl Future<Output = Result<Vec<Delivery>, Failure>> + Send;

    /// Makes a new connection the newest one of the session, from which moment an older one can do nothing any more. What is
    /// followed begins where it stands then.
    ///
    /// # Errors
    /// [`Failure::Over`] if another member has ended the session; there is nothing to rejoin.
    fn rejoin(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Ends the session.
    ///
    /// Its ephemeral nodes are deleted, and others see these changes. If it fails, another member does the same after
    /// the timeout.
    fn leave(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Something to be handed out.
#[derive(Debug)]
pub(super) enum Delivery {
    /// Changes may have been missed.
    #[cfg(feature = "registry-sqlite")]
    Resync,
    /// Changes of this job may have been missed; those of the root if it is empty.
    #[cfg(feature = "registry-postgres")]
    ResyncOf(String),
    Event(WatchEvent),
    /// The answer to the next request.
    Response(Response),
    /// The answer to the next request: a watch of this path, which begins then.
    Watch(String),
}

/// Why nothing is known of a transaction, or nothing can be done any more.
///
/// There is no failure that is certain not to have written but `Over`. A step that is refused is an answer and no
/// failure.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The session is over, and nothing was done.
    #[error("the session is over: {0}")]
    Over(&'static str),
    /// The connection is of no use any more.
    #[error("{0}")]
    Broken(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
