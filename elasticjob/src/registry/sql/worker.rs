//! The task of a session: serves calls in their order, and keeps the session alive.
//!
//! Answers and events are handed out once they are certain, in the order in which they came about. If a transaction does not come
//! to its end, nothing of it is handed out, so that its outcome is unknown. The session is then suspended until a new connection
//! is the newest one of its row, from which moment the old one can do nothing any more.
//!
//! That last step is what makes a timeout harmless. A transaction whose answer did not come may still be on its way in
//! the database. The new connection raises the number in the session's row first, and every transaction checks that
//! number, so that what is still on its way is refused. Only then calls are taken again.
//!
//! If that does not succeed within the timeout of the session, the task gives the session up by itself: other members
//! have ended it by then, or are about to.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::backend::{Backend, Delivery, Failure};
use super::session::{Call, Request, Response, Shared};
use crate::registry::{SessionState, Watch, size_of};

/// So many bytes of steps are served at once at most.
const BYTES_AT_ONCE: usize = 512 * 1024;

/// The pause between two attempts to connect again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a session's task works with.
pub(super) struct Worker<B> {
    shared: Shared,
    backend: B,
    /// When calls were last served.
    served_at: Instant,
}

/// Why the task ends.
#[derive(Debug)]
enum End {
    /// Its users want it to.
    Closed,
    /// The session is over.
    Over,
}

impl<B: Backend> Worker<B> {
    /// A worker for a session that has just been created.
    pub(super) fn new(shared: Shared, backend: B) -> Self {
        Self {
            shared,
            backend,
            served_at: Instant::now(),
        }
    }

    /// Serves the session until it is over or is to be closed, and says so to all who hold it.
    ///
    /// The state changes before the row of the session is removed: the holders of the session stop their work before
    /// others may take it over.
    pub(super) async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        let end = self.serve(&mut calls).await;
        self.shared.state.send_replace(SessionState::Lost);
        self.shared.watches.close();
        calls.close();
        while let Ok(call) = calls.try_recv() {
            drop(call.answer.send(Response::Expired));
        }
        if let End::Closed = end {
            match timeout(self.shared.connection_timeout, self.backend.leave()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "the end of a registry session was not written"),
                Err(_) => debug!("the end of a registry session was not written in time"),
            }
        }
        self.shared.over.cancel();
    }

    /// Serves calls until the session is over or is to be closed.
    async fn serve(&mut self, calls: &mut mpsc::Receiver<Call>) -> End {
        let closing = self.shared.closing.clone();
        loop {
            let batch = tokio::select! {
                biased;
                () = closing.cancelled() => return End::Closed,
                call = calls.recv() => match call {
                    Some(call) => gather(call, calls, B::CALLS_AT_ONCE),
                    None => return End::Closed,
                },
                () = self.backend.rest() => Vec::new(),
            };
            let (requests, answers): (_, Vec<_>) = batch.into_iter().map(|call| (call.request, call.answer)).unzip();
            let failure = match timeout(self.patience(), self.backend.serve(requests, &self.shared.watches)).await {
                Ok(Ok(deliveries)) => {
                    self.served_at = Instant::now();
                    self.hand_out(deliveries, answers);
                    continue;
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Broken(format!("no answer within {:?}", self.patience())),
            };
            match failure {
                Failure::Over(reason) => {
                    warn!(reason, "registry session over");
                    self.shared.state.send_replace(SessionState::Lost);
                    answers
                        .into_iter()
                        .for_each(|answer| drop(answer.send(Response::Expired)));
                    return End::Over;
                }
                Failure::Broken(error) => {
                    warn!(error, "registry connection lost");
                    self.shared.state.send_replace(SessionState::Suspended);
                    // Last, so that a caller that learns of the lost connection finds the session suspended.
                    drop(answers);
                }
            }
            if let Err(end) = self.reconnect(calls).await {
                return end;
            }
        }
    }

    /// The longest silence that is not taken for a lost connection.
    fn patience(&self) -> Duration {
        self.shared.timeout * 2 / 5
    }

    /// Hands events to the watches and responses to the callers, in the order in which they came about.
    fn hand_out(&self, deliveries: Vec<Delivery>, answers: Vec<oneshot::Sender<Response>>) {
        let watches = &self.shared.watches;
        let mut answers = answers.into_iter();
        for delivery in deliveries {
            let response = match delivery {
                #[cfg(feature = "registry-sqlite")]
                Delivery::Resync => {
                    watches.resync();
                    continue;
                }
                #[cfg(feature = "registry-postgres")]
                Delivery::ResyncOf(job) => {
                    watches.resync_of(&job);
                    continue;
                }
                Delivery::Event(event) => {
                    watches.hand_out(&event);
                    continue;
                }
                Delivery::Response(response) => response,
                Delivery::Watch(path) => {
                    let watch = watches.begin(path);
                    Response::Watched(watch.map(|watch| Box::new(watch) as Box<dyn Watch>))
                }
            };
            if let Some(answer) = answers.next() {
                // The caller may have dropped its future.
                drop(answer.send(response));
            }
        }
    }

    /// Connects again. Calls fail meanwhile.
    async fn reconnect(&mut self, calls: &mut mpsc::Receiver<Call>) -> Result<(), End> {
        let (shared, patience) = (self.shared.clone(), self.patience());
        let gives_up_at = self.served_at + shared.timeout;
        let attempts = async {
            loop {
                match timeout(patience, self.backend.rejoin()).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(failure @ Failure::Over(_))) => return Err(failure),
                    Ok(Err(failure)) => debug!(%failure, "the registry cannot be reached"),
                    Err(_) => debug!("the registry does not answer"),
                }
                sleep(PAUSE).await;
            }
        };
        tokio::pin!(attempts);
        loop {
            tokio::select! {
                biased;
                () = shared.closing.cancelled() => return Err(End::Closed),
                () = sleep_until(gives_up_at) => {
                    warn!(timeout = ?shared.timeout, "registry session given up, since it was not served for its timeout");
                    return Err(End::Over);
                }
                result = &mut attempts => {
                    if let Err(failure) = result {
                        warn!(reason = %failure, "registry session over");
                        return Err(End::Over);
                    }
                    break;
                }
                // It is dropped, which says that the connection is lost.
                call = calls.recv() => if call.is_none() {
                    return Err(End::Closed);
                }
            }
        }
        self.served_at = Instant::now();
        info!("registry connected again");
        shared.watches.resync();
        shared.state.send_replace(SessionState::Connected);
        Ok(())
    }
}

/// Takes all calls that wait, as far as they are served at once.
fn gather(first: Call, calls: &mut mpsc::Receiver<Call>, most: usize) -> Vec<Call> {
    let bytes = |call: &Call| match &call.request {
        Request::Write(steps) => size_of(steps).bytes,
        _ => 0,
    };
    let mut size = bytes(&first);
    let mut batch = vec![first];
    while batch.len() < most && size < BYTES_AT_ONCE {
        let Ok(call) = calls.try_recv() else { break };
        size += bytes(&call);
        batch.push(call);
    }
    batch
}
