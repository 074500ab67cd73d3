//! The client's half of a session on a [`MemoryRegistry`](super::MemoryRegistry).

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::core::Core;
use super::state::{RequestKind, State, Submitted};
use super::watch::MemoryWatch;
use crate::registry::{
    Answer, BoxFuture, Error, Limits, Read, Session, SessionState, Step, Watch, WriteError, Written, path, size,
};

/// Dropping it ends the session, as far as the link carries the word.
#[derive(Debug)]
pub(super) struct MemorySession {
    core: Arc<Core>,
    id: i64,
    timeout: Duration,
    steps: usize,
    state: watch::Receiver<SessionState>,
}

impl MemorySession {
    pub(super) fn open(core: &Arc<Core>, link: usize) -> Result<Self, Error> {
        core.with(|registry| {
            let (id, state) = registry.connect(link)?;
            Ok(Self {
                core: Arc::clone(core),
                id,
                timeout: registry.session_timeout(),
                steps: registry.steps,
                state,
            })
        })
    }

    /// Hands a request to the registry, over the session's link.
    fn submit<T, E>(
        &self,
        kind: RequestKind,
        serve: impl FnOnce(&mut State) -> Result<T, E> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        answered(self.core.with(|state| state.submit(self.id, kind, serve)))
    }
}

/// Returns the answer as a future. A sender that was dropped without an answer stands for a lost connection.
fn answered<T, E>(submitted: Submitted<T, E>) -> BoxFuture<'static, Result<T, E>>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    match submitted {
        Submitted::Answered(result) => Box::pin(future::ready(result)),
        Submitted::Waiting(answer) => {
            Box::pin(async { answer.await.unwrap_or_else(|_| Err(Error::ConnectionLoss.into())) })
        }
    }
}

impl Session for MemorySession {
    fn id(&self) -> i64 {
        self.id
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn limits(&self) -> Limits {
        Limits {
            steps: self.steps,
            ..Limits::default()
        }
    }

    fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    fn write(&self, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        if let Err(error) = size::check_steps(&steps, self.limits()) {
            return Box::pin(future::ready(Err(error)));
        }
        let session = self.id;
        // Locked once: where there are many jobs, the lock is what they wait for.
        answered(self.core.with(|state| {
            let is_struck = state.strikes(session, &steps);
            state.submit(session, RequestKind::Write { is_struck }, move |state| {
                state.write(session, steps)
            })
        }))
    }

    fn read_at_once(&self, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        if let Err(error) = size::check_reads(&reads, self.limits()) {
            return Box::pin(future::ready(Err(error)));
        }
        let session = self.id;
        self.submit(RequestKind::Read, move |state| state.read(session, &reads))
    }

    fn sync(&self) -> BoxFuture<'static, Result<(), Error>> {
        let session = self.id;
        self.submit(RequestKind::Sync, move |state| state.sync(session))
    }

    fn watch(&self, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        if let Err(error) = path::validate(path) {
            return Box::pin(future::ready(Err(error)));
        }
        let (core, session, path) = (Arc::downgrade(&self.core), self.id, path.to_owned());
        self.submit(RequestKind::Read, move |state| {
            let queue = state.watch(session, &path)?;
            Ok(Box::new(MemoryWatch {
                core,
                session,
                path,
                queue,
            }) as Box<dyn Watch>)
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.core.with(|state| state.close(self.id));
        Box::pin(future::ready(()))
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        self.core.with(|state| state.close(self.id));
    }
}
