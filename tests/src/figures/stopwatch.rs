//! A registry that measures how long is waited for its answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use elasticjob::registry::decorator::{Decorated, Decorator};
use elasticjob::registry::{Answer, BoxFuture, Error, Read, Registry, Session, Step, Watch, WriteError, Written};
use tokio::time::Instant;

/// Measures the time in which at least one call waits for its answer.
#[derive(Debug)]
pub(super) struct Stopwatch<R> {
    registry: R,
    waiting: Arc<Waiting>,
}

/// Std mutex: never held across an await.
#[derive(Debug, Default)]
struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: u64,
    under_way: u64,
    since: Option<Instant>,
    waited: Duration,
}

/// A call under way.
struct Ticket(Arc<Waiting>);

/// Measures the calls of a session.
#[derive(Debug)]
struct Timed(Arc<Waiting>);

impl<R> Stopwatch<R> {
    pub(super) fn new(registry: R) -> Self {
        Self {
            registry,
            waiting: Arc::default(),
        }
    }

    /// Calls that were answered, and how long their callers waited.
    pub(super) fn read(&self) -> (u64, Duration) {
        let state = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.calls, state.waited)
    }
}

impl Waiting {
    fn begin(self: &Arc<Self>) -> Ticket {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way += 1;
        state.since.get_or_insert_with(Instant::now);
        Ticket(Arc::clone(self))
    }

    fn time<T: 'static>(self: &Arc<Self>, call: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
        let ticket = self.begin();
        Box::pin(async move {
            let answer = call.await;
            drop(ticket);
            answer
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls += 1;
        state.under_way -= 1;
        if state.under_way == 0
            && let Some(since) = state.since.take()
        {
            state.waited += since.elapsed();
        }
    }
}

impl<R: Registry> Registry for Stopwatch<R> {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(async {
            let ticket = self.waiting.begin();
            let session = self.registry.connect().await?;
            drop(ticket);
            let waiting = Arc::clone(&self.waiting);
            Ok(Decorated::new(session, Timed(waiting)))
        })
    }

    fn describe(&self) -> String {
        self.registry.describe()
    }
}

impl Decorator for Timed {
    fn write(&self, session: &dyn Session, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        self.0.time(session.write(steps))
    }

    fn read_at_once(&self, session: &dyn Session, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        self.0.time(session.read_at_once(reads))
    }

    fn sync(&self, session: &dyn Session) -> BoxFuture<'static, Result<(), Error>> {
        self.0.time(session.sync())
    }

    fn watch(&self, session: &dyn Session, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        self.0.time(session.watch(path))
    }
}
