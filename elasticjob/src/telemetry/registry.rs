//! Counts and times the requests to a registry.
//!
//! Refusals are counted apart from answers that were lost. Many refusals are contention between instances; lost answers
//! are the network or the registry. A request that its caller dropped is not counted.

use std::sync::Arc;

use tokio::time::Instant;

use crate::registry::decorator::{Decorated, Decorator};
use crate::registry::inspection::Finding;
#[cfg(feature = "registry-postgres")]
use crate::registry::sql::Inbox;
use crate::registry::{Answer, BoxFuture, Error, Read, Registry, Session, Step, Watch, WriteError, Written};

use super::facade::{Counter, Histogram, counter, histogram};
use super::names;

/// A registry decorator that counts and times requests.
#[derive(Debug)]
pub(super) struct Observed {
    registry: Arc<dyn Registry>,
    metrics: Arc<RequestMetrics>,
}

/// The handles, by the kind of request.
#[derive(Debug)]
struct RequestMetrics {
    connect: Operation,
    write: Operation,
    read: Operation,
    sync: Operation,
    watch: Operation,
}

/// The handles of one kind.
#[derive(Debug)]
struct Operation {
    answered: Counter,
    /// Answered with a refusal: another instance was first, or the registry does not allow it.
    refused: Counter,
    /// Not answered: the outcome is unknown, or the session is over.
    lost: Counter,
    duration: Histogram,
}

impl Observed {
    pub(super) fn new(registry: Arc<dyn Registry>) -> Self {
        let metrics = RequestMetrics {
            connect: Operation::new("connect"),
            write: Operation::new("write"),
            read: Operation::new("read"),
            sync: Operation::new("sync"),
            watch: Operation::new("watch"),
        };
        Self {
            registry,
            metrics: Arc::new(metrics),
        }
    }
}

impl Operation {
    fn new(operation: &str) -> Self {
        let with = |outcome| {
            counter(
                names::REGISTRY_REQUESTS,
                &[("operation", operation), ("outcome", outcome)],
            )
        };
        Self {
            answered: with("answered"),
            refused: with("refused"),
            lost: with("lost"),
            duration: histogram(names::REGISTRY_REQUEST_DURATION, &[("operation", operation)]),
        }
    }

    /// Notes how a request went and how long it took.
    fn note<T, E>(&self, began: Instant, result: &Result<T, E>, error: impl FnOnce(&E) -> &Error) {
        self.duration.record(began.elapsed());
        let outcome = match result {
            Ok(_) => &self.answered,
            Err(found) => match error(found) {
                error if error.is_outcome_unknown() || error.is_session_lost() => &self.lost,
                Error::Unreachable(_) => &self.lost,
                _ => &self.refused,
            },
        };
        outcome.increment(1);
    }
}

impl Observed {
    /// Counts and times a way to connect.
    fn connecting<'a>(
        &'a self,
        connect: impl FnOnce(&'a dyn Registry) -> BoxFuture<'a, Result<Arc<dyn Session>, Error>> + Send + 'a,
    ) -> BoxFuture<'a, Result<Arc<dyn Session>, Error>> {
        Box::pin(async {
            let began = Instant::now();
            let connected = connect(&*self.registry).await;
            self.metrics.connect.note(began, &connected, |error| error);
            Ok(Decorated::new(connected?, Arc::clone(&self.metrics)))
        })
    }
}

impl Registry for Observed {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        self.connecting(|registry| registry.connect())
    }

    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        self.connecting(|registry| registry.connect_to_look())
    }

    fn is_shared(&self) -> bool {
        self.registry.is_shared()
    }

    fn inspect(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.registry.inspect()
    }

    #[cfg(feature = "registry-postgres")]
    fn inbox(&self) -> Option<Inbox> {
        self.registry.inbox()
    }

    fn describe(&self) -> String {
        self.registry.describe()
    }
}

/// Returns the answer to a request, and notes it. The request has been made already.
fn noted<T, E>(
    metrics: &Arc<RequestMetrics>,
    request: BoxFuture<'static, Result<T, E>>,
    operation: fn(&RequestMetrics) -> &Operation,
    error: fn(&E) -> &Error,
) -> BoxFuture<'static, Result<T, E>>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
{
    let (metrics, began) = (Arc::clone(metrics), Instant::now());
    Box::pin(async move {
        let result = request.await;
        operation(&metrics).note(began, &result, error);
        result
    })
}

impl Decorator for Arc<RequestMetrics> {
    fn write(&self, session: &dyn Session, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        let request = session.write(steps);
        noted(self, request, |metrics| &metrics.write, |refused| &refused.error)
    }

    fn read_at_once(&self, session: &dyn Session, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        let request = session.read_at_once(reads);
        noted(self, request, |metrics| &metrics.read, |error| error)
    }

    fn sync(&self, session: &dyn Session) -> BoxFuture<'static, Result<(), Error>> {
        noted(self, session.sync(), |metrics| &metrics.sync, |error| error)
    }

    fn watch(&self, session: &dyn Session, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        noted(self, session.watch(path), |metrics| &metrics.watch, |error| error)
    }
}
