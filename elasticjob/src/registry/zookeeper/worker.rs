//! The task of a session: between the client crate, which tells late and waits long, and our calls.
//!
//! The order in which it looks at things is what the contract's order of events and answers rests on: an
//! answer is delivered only after a look at the connection that came after the answer. If the connection has
//! changed by then, the answer is given up and the watches are set again first.
//!
//! A session is given up, although the servers may still have it, if it was not served for its timeout: they will have
//! ended it by then, and a process that waits for their word would hold its work back for longer than needed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future, stream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Timeout, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use zookeeper_client as zk;

use super::watch::{Slot, Watches};
use crate::registry::{BoxFuture, SessionState};

/// A request, to be sent over the client. It answers with what hands the answer over.
pub(super) type Call = Box<dyn for<'a> FnOnce(&'a zk::Client) -> BoxFuture<'a, Deliver> + Send>;

/// Hands an answer over. If it is dropped instead, the caller gets an unknown outcome.
pub(super) type Deliver = Box<dyn FnOnce() + Send>;

/// Requests under way at once: enough to keep a server busy, and a bound for the client, which has none.
const MAX_IN_FLIGHT: usize = 512;

/// Watches that are set at once on a new connection.
const WATCHES_AT_ONCE: usize = 256;

/// The pause before watches are set again that a server, though connected, would not set.
const REWATCH_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub(super) timeout: Duration,
    pub(super) connection_timeout: Duration,
    pub(super) state: watch::Sender<SessionState>,
    pub(super) watches: Watches,
    pub(super) closing: CancellationToken,
    pub(super) over: CancellationToken,
}

/// What the connection allows.
enum Phase<'a> {
    /// Calls are served.
    Serving,
    /// There is a new connection, on which the watches are being set.
    Rewatching(BoxFuture<'a, ()>),
    /// There is none.
    Disconnected,
}

impl Worker {
    /// Serves the session until it is over, and confirms its end.
    pub(super) async fn run(self, client: zk::Client, mut calls: mpsc::Receiver<Call>) {
        let mut states = client.state_watcher();
        self.serve(&client, &mut states, &mut calls).await;
        // The last clone: its end ends the session, at once if there is a connection.
        drop(client);
        self.end();
        // `changed` never returns once the last state was taken.
        if !states.peek_state().is_terminated() {
            let closed = async { while !states.changed().await.is_terminated() {} };
            if timeout(self.connection_timeout, closed).await.is_err() {
                debug!("the registry did not confirm the end of a session");
            }
        }
        self.over.cancel();
    }

    /// Serves calls until the session is over or is to be closed.
    async fn serve(&self, client: &zk::Client, states: &mut zk::StateWatcher, calls: &mut mpsc::Receiver<Call>) {
        let mut phase = match client.state() {
            zk::SessionState::SyncConnected => Phase::Serving,
            _ => self.suspend(),
        };
        // All calls in flight when this returns are dropped with their answers.
        let mut in_flight = FuturesUnordered::<Timeout<BoxFuture<'_, Deliver>>>::new();
        let mut gives_up_at = Instant::now() + self.timeout;
        loop {
            let is_serving = matches!(phase, Phase::Serving);
            let mut given_up = None;
            let change = tokio::select! {
                biased;
                state = states.changed() => Some(state),
                () = self.closing.cancelled() => return,
                () = sleep_until(gives_up_at), if !is_serving => {
                    warn!(timeout = ?self.timeout, "registry session given up, since it was not served for its timeout");
                    return;
                }
                () = phase.rewatched() => {
                    info!("registry connected again");
                    self.state.send_replace(SessionState::Connected);
                    phase = Phase::Serving;
                    None
                }
                Some(answer) = in_flight.next(), if !in_flight.is_empty() => {
                    let change = states.changed().now_or_never();
                    match answer {
                        Ok(deliver) if change.is_none() => deliver(),
                        answer => given_up = Some(answer),
                    }
                    change
                }
                call = calls.recv(), if in_flight.len() < MAX_IN_FLIGHT => {
                    // Without a caller the session was dropped.
                    let Some(call) = call else { return };
                    if is_serving {
                        in_flight.push(timeout(self.timeout, call(client)));
                    }
                    None
                }
            };
            let Some(change) = change else { continue };
            if is_serving || change == zk::SessionState::SyncConnected {
                gives_up_at = Instant::now() + self.timeout;
            }
            phase = match change {
                zk::SessionState::SyncConnected => {
                    self.suspend();
                    Phase::Rewatching(Box::pin(rewatch(client, self.watches.all())))
                }
                zk::SessionState::Disconnected | zk::SessionState::ConnectedReadOnly => self.suspend(),
                ended => {
                    warn!(state = %ended, "registry session over");
                    self.end();
                    return;
                }
            };
            // Last, so that a caller that learns of the lost connection finds the session suspended.
            drop(given_up);
            in_flight.clear();
        }
    }

    /// Publishes that there is no connection, and logs it once.
    fn suspend<'a>(&self) -> Phase<'a> {
        let suspended = |state: &mut SessionState| {
            let is_news = *state != SessionState::Suspended;
            *state = SessionState::Suspended;
            is_news
        };
        if self.state.send_if_modified(suspended) {
            warn!("registry connection lost");
        }
        Phase::Disconnected
    }

    /// Publishes that the session is over, to its state and to its watches.
    fn end(&self) {
        self.state.send_replace(SessionState::Lost);
        self.watches.close();
    }
}

/// A task that is aborted, since its session was dropped or its runtime ends, ends the session as well.
impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
        self.over.cancel();
    }
}

impl Phase<'_> {
    /// Completes when all watches are set on a new connection; never in other phases.
    fn rewatched(&mut self) -> impl Future<Output = ()> {
        match self {
            Self::Rewatching(rewatch) => future::Either::Left(Pin::new(rewatch)),
            Self::Serving | Self::Disconnected => future::Either::Right(future::pending()),
        }
    }
}

/// Sets the watches on a new connection. Only a loss of that connection can keep it from ending.
async fn rewatch(client: &zk::Client, watches: Vec<(String, Arc<Slot>)>) {
    let set = |(path, slot): (String, Arc<Slot>)| async move {
        slot.replace(client.watch(&path, zk::AddWatchMode::PersistentRecursive).await?);
        Ok::<_, zk::Error>(())
    };
    loop {
        let all = stream::iter(watches.clone()).map(set).buffer_unordered(WATCHES_AT_ONCE);
        match all.try_collect::<()>().await {
            Ok(()) => return,
            Err(error) => warn!(%error, "registry watches could not be set"),
        }
        sleep(REWATCH_PAUSE).await;
    }
}
