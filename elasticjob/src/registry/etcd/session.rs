//! A session as its users hold it: it passes calls on to the session's task.
//!
//! A call is queued when the method is called and not when its future is polled, so that the order of calls is the order of the
//! program. While there is no connection, calls are refused at once and none is kept for later, because a write that its caller
//! has given up must not happen then.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::calls::{Context, jobs_of_reads};
use super::failure::{Failure, Stop};
use super::groups::job_of;
use super::turns::Names;
use super::worker::{Call, Outcome, Shared, over};
use crate::registry::calls::{failed, pass_on};
use crate::registry::{
    Answer, BoxFuture, Error, Limits, Read, Session, SessionState, Step, Watch, WriteError, Written, path, size,
};

/// Steps of one transaction: etcd takes 128 comparisons, and some are ours.
const MOST_STEPS: usize = 120;

/// Calls that wait for the session's task. It takes them at once, save in a flood.
const QUEUE_CAPACITY: usize = 1024;

/// One session. Dropping it ends the session in the background; [`Session::close`] waits for it.
#[derive(Debug)]
pub(super) struct EtcdSession {
    id: i64,
    timeout: Duration,
    connection_timeout: Duration,
    shared: Shared,
    state: watch::Receiver<SessionState>,
    calls: mpsc::Sender<Call>,
    tasks: JoinSet<()>,
}

impl EtcdSession {
    /// Starts the session's task, which `run` makes.
    pub(super) fn start<T>(
        id: i64,
        timeout: Duration,
        connection_timeout: Duration,
        shared: Shared,
        run: impl FnOnce(mpsc::Receiver<Call>) -> T,
    ) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (calls, queue) = mpsc::channel(QUEUE_CAPACITY);
        let mut tasks = JoinSet::new();
        tasks.spawn(run(queue));
        Self {
            id,
            timeout,
            connection_timeout,
            state: shared.state.subscribe(),
            shared,
            calls,
            tasks,
        }
    }

    /// Returns why no call is taken, if none is.
    fn refusal(&self) -> Option<Error> {
        match *self.state.borrow() {
            SessionState::Connected => None,
            SessionState::Suspended => Some(Error::ConnectionLoss),
            SessionState::Lost => Some(Error::SessionExpired),
        }
    }

    /// Passes a request on to the session's task.
    fn call<T, E, F>(
        &self,
        names: Names,
        request: impl FnOnce(Context) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Future<Output = Result<T, Stop<E>>> + Send + 'static,
    {
        let make = move |context, answer: oneshot::Sender<Result<T, E>>| async move {
            match request(context).await {
                // The caller may have dropped its future.
                Ok(given) => Outcome::Answered(Box::new(move || drop(answer.send(Ok(given))))),
                Err(Stop::Answer(error)) => Outcome::Answered(Box::new(move || drop(answer.send(Err(error))))),
                Err(Stop::Broken(reason)) => Outcome::Broken {
                    reason,
                    unanswered: Box::new(answer),
                },
                Err(Stop::Over(reason)) => Outcome::Over {
                    reason,
                    answer: over(answer),
                },
            }
        };
        self.pass(names, make)
    }

    /// Queues a call, which is made with where its answer goes.
    fn pass<T, E, F>(
        &self,
        names: Names,
        make: impl FnOnce(Context, oneshot::Sender<Result<T, E>>) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        if let Some(refusal) = self.refusal() {
            return failed(refusal);
        }
        let (answer, receiver) = oneshot::channel();
        let call = Call {
            names,
            make: Box::new(move |context| Box::pin(make(context, answer))),
        };
        let state = self.state.clone();
        // If no answer can come, the task drops the call, and its sender with it.
        let answered = async move {
            receiver.await.unwrap_or_else(|_| {
                let is_over = *state.borrow() == SessionState::Lost;
                Err(if is_over {
                    Error::SessionExpired
                } else {
                    Error::ConnectionLoss
                }
                .into())
            })
        };
        pass_on(&self.calls, call, answered)
    }
}

impl Session for EtcdSession {
    fn id(&self) -> i64 {
        self.id
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn limits(&self) -> Limits {
        let limits = Limits::default();
        Limits {
            steps: MOST_STEPS.min(limits.steps),
            ..limits
        }
    }

    fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    fn write(&self, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        if let Err(error) = size::check_steps(&steps, self.limits()) {
            return failed(error);
        }
        let jobs = steps.iter().map(|step| job_of(step.path())).collect();
        self.call(Names::Writes(jobs), |context| context.write(steps))
    }

    fn read_at_once(&self, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        if let Err(error) = size::check_reads(&reads, self.limits()) {
            return failed(error);
        }
        self.call(Names::Reads(jobs_of_reads(&reads)), |context| context.read(reads))
    }

    fn sync(&self) -> BoxFuture<'static, Result<(), Error>> {
        self.call(Names::All, Context::sync)
    }

    fn watch(&self, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        if let Err(error) = path::validate(path) {
            return failed(error);
        }
        let path = path.to_owned();
        let names = Names::Reads([job_of(&path)].into());
        self.pass(names, |context, answer| async move {
            match context.revision().await {
                Ok(revision) => Outcome::Watch { path, revision, answer },
                Err(Failure::Answer(error)) => Outcome::Answered(Box::new(move || drop(answer.send(Err(error))))),
                Err(Failure::Broken(reason)) => Outcome::Broken {
                    reason,
                    unanswered: Box::new(answer),
                },
                Err(Failure::Over(reason)) => Outcome::Over {
                    reason,
                    answer: over(answer),
                },
            }
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.shared.closing.cancel();
        let (over, patience) = (self.shared.over.clone(), self.connection_timeout);
        Box::pin(async move {
            // Without an answer etcd ends the session after its timeout: nothing more can be done here.
            let _ = tokio::time::timeout(patience, over.cancelled()).await;
        })
    }
}

impl Drop for EtcdSession {
    fn drop(&mut self) {
        self.shared.closing.cancel();
        // The task has to end the lease; it ends within the connection timeout.
        self.tasks.detach_all();
    }
}
