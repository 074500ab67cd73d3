//! A session as its users hold it: it passes calls on to the session's task, which answers them in their order.
//!
//! A call is queued when the method is called and not when its future is polled, so that the order of calls is the
//! order of the program. A future that is dropped does not take its call back: what was asked may happen. While there
//! is no connection, calls are refused at once and none is kept for later, because a write that its caller has given up
//! must not happen then.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::registry::calls::{failed, pass_on};
use crate::registry::watches::Watches;
use crate::registry::{
    Answer, BoxFuture, Error, Limits, Read, Session, SessionState, Step, Watch, WriteError, Written, path, size,
};

/// Calls that wait for the session's task.
///
/// A caller beyond that waits for room, behind those that wait already.
const QUEUE_CAPACITY: usize = 1024;

/// What is asked of a session's task.
///
/// Sizes and paths have been checked: a request that no registry would take does not get here.
#[derive(Debug)]
pub(super) enum Request {
    Write(Vec<Step>),
    Read(Vec<Read>),
    Sync,
    Watch(String),
}

/// The answer to a [`Request`] of the same kind.
#[derive(Debug)]
pub(super) enum Response {
    Written(Result<Vec<Written>, WriteError>),
    Read(Vec<Answer>),
    Synced,
    Watched(Result<Box<dyn Watch>, Error>),
    /// To any request: the session is over, and nothing was done.
    Expired,
}

/// A request, and where its answer goes. If that is dropped instead, the caller gets an unknown outcome.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Response>,
}

/// What a session and its task share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) id: i64,
    pub(super) timeout: Duration,
    pub(super) connection_timeout: Duration,
    pub(super) state: watch::Sender<SessionState>,
    pub(super) watches: Watches,
    /// Cancelled to end the session.
    pub(super) closing: CancellationToken,
    /// Cancelled by the task when the session has ended.
    pub(super) over: CancellationToken,
}

impl Shared {
    /// What a session that is connected shares with its task.
    pub(super) fn new(id: i64, timeout: Duration, connection_timeout: Duration) -> Self {
        Self {
            id,
            timeout,
            connection_timeout,
            state: watch::Sender::new(SessionState::Connected),
            watches: Watches::default(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
        }
    }
}

/// One session. Dropping it ends the session in the background; [`Session::close`] waits for it.
#[derive(Debug)]
pub(super) struct SqlSession {
    shared: Shared,
    state: watch::Receiver<SessionState>,
    calls: mpsc::Sender<Call>,
    tasks: JoinSet<()>,
}

impl SqlSession {
    /// Starts the session's task, which `run` makes.
    pub(super) fn start<T>(shared: Shared, run: impl FnOnce(mpsc::Receiver<Call>) -> T) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (calls, queue) = mpsc::channel(QUEUE_CAPACITY);
        let mut tasks = JoinSet::new();
        tasks.spawn(run(queue));
        Self {
            state: shared.state.subscribe(),
            shared,
            calls,
            tasks,
        }
    }

    /// Passes a request on to the session's task. `take` takes the answer out of a response of its kind.
    fn call<T, E>(
        &self,
        request: Request,
        take: impl FnOnce(Response) -> Option<Result<T, E>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match *self.state.borrow() {
            SessionState::Connected => {}
            SessionState::Suspended => return failed(Error::ConnectionLoss),
            SessionState::Lost => return failed(Error::SessionExpired),
        }
        let (answer, receiver) = oneshot::channel();
        let answered = async {
            match receiver.await {
                Ok(Response::Expired) => Err(Error::SessionExpired.into()),
                Ok(response) => take(response).expect("a request is answered in its kind"),
                Err(_) => Err(Error::ConnectionLoss.into()),
            }
        };
        pass_on(&self.calls, Call { request, answer }, answered)
    }
}

impl Session for SqlSession {
    fn id(&self) -> i64 {
        self.shared.id
    }

    fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    fn write(&self, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        if let Err(error) = size::check_steps(&steps, self.limits()) {
            return failed(error);
        }
        self.call(Request::Write(steps), |response| match response {
            Response::Written(result) => Some(result),
            _ => None,
        })
    }

    fn read_at_once(&self, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        if let Err(error) = size::check_reads(&reads, self.limits()) {
            return failed(error);
        }
        self.call(Request::Read(reads), |response| match response {
            Response::Read(answers) => Some(Ok(answers)),
            _ => None,
        })
    }

    fn sync(&self) -> BoxFuture<'static, Result<(), Error>> {
        self.call(Request::Sync, |response| match response {
            Response::Synced => Some(Ok(())),
            _ => None,
        })
    }

    fn watch(&self, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        if let Err(error) = path::validate(path) {
            return failed(error);
        }
        self.call(Request::Watch(path.to_owned()), |response| match response {
            Response::Watched(result) => Some(result),
            _ => None,
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.shared.closing.cancel();
        let (over, patience) = (self.shared.over.clone(), self.shared.connection_timeout);
        Box::pin(async move {
            // Without an answer another member ends the session after its timeout: nothing more can be done here.
            let _ = tokio::time::timeout(patience, over.cancelled()).await;
        })
    }
}

impl Drop for SqlSession {
    fn drop(&mut self) {
        self.shared.closing.cancel();
        // The task has to delete what is ephemeral; it ends within the connection timeout.
        self.tasks.detach_all();
    }
}
