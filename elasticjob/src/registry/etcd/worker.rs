//! The task of a session: it keeps the lease alive, hands out events, and serves calls while there is a connection.
//!
//! If any answer fails to come, the whole connection is given up: all calls under way end with an unknown outcome, and the session is
//! suspended until another connection, to the next server, has put the session's key again. From then on nothing of the former
//! connection can happen. Watches begin again at that revision, behind a resync.

use std::pin::pin;
use std::time::Duration;

use etcd_client::{EventType, LeaseKeepAliveResponse, WatchResponse};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::calls::{Context, expired};
use super::compaction::Compaction;
use super::connection::{self, Connection, Identity, OWN};
use super::failure::{Failure, Stop};
use super::groups::{self, Groups, KeyEvent, job_of};
use super::lease::{self, Lease};
use super::turns::{Names, Turns};
use super::{Endpoints, KeepAlive};
use crate::registry::watches::PathWatch;
use crate::registry::{BoxFuture, Error, SessionState, Watch};

/// Calls under way at once: enough to keep a server busy.
const MAX_IN_FLIGHT: usize = 512;

/// The pause between two attempts to connect again.
const PAUSE: Duration = Duration::from_millis(200);

/// A call: what it names, and what makes it once its turn has come.
pub(super) struct Call {
    pub(super) names: Names,
    pub(super) make: Box<dyn FnOnce(Context) -> BoxFuture<'static, Outcome> + Send>,
}

/// What became of a call.
pub(super) enum Outcome {
    /// To be called: it hands the answer over.
    Answered(Box<dyn FnOnce() + Send>),
    /// etcd is to watch the job of this path, from behind this revision.
    Watch {
        path: String,
        revision: i64,
        answer: WatchAnswer,
    },
    /// It is not known. The caller learns of it when `unanswered` is dropped.
    Broken { reason: String, unanswered: Unanswered },
    /// The session is over. To be called once all know that.
    Over {
        reason: String,
        answer: Box<dyn FnOnce() + Send>,
    },
}

pub(super) type WatchAnswer = oneshot::Sender<Result<Box<dyn Watch>, Error>>;

/// Where an answer would have gone.
pub(super) type Unanswered = Box<dyn Send>;

/// What a session and its task share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) state: watch::Sender<SessionState>,
    pub(super) groups: Groups,
    /// Cancelled to end the session.
    pub(super) closing: CancellationToken,
    /// Cancelled by the task when the session has ended.
    pub(super) over: CancellationToken,
}

/// What a session's task works with.
pub(super) struct Worker {
    pub(super) shared: Shared,
    pub(super) endpoints: Endpoints,
    pub(super) identity: Identity,
    pub(super) lease: Lease,
    pub(super) ttl: Duration,
    pub(super) connection_timeout: Duration,
    pub(super) keep_alive: KeepAlive,
    pub(super) compaction: Option<Compaction>,
    /// Until when a write may have been sent to be answered.
    pub(super) proven_until: watch::Sender<Instant>,
    /// The number of the next watch of etcd.
    pub(super) next_number: i64,
    /// Watches that wait for etcd to watch their job.
    pub(super) waiting: Vec<(String, PathWatch, WatchAnswer)>,
}

/// Why the task ends, or a connection does.
enum End {
    /// The users of the session want it to.
    Closed,
    Over(String),
    Broken(String),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        match failure {
            Stop::Over(reason) => Self::Over(reason),
            Stop::Broken(reason) => Self::Broken(reason),
            Stop::Answer(error) => Self::Broken(error.to_string()),
        }
    }
}

impl Worker {
    /// Serves the session until it is over or is to be closed, and says so to all who hold it.
    pub(super) async fn run(mut self, connection: Connection, mut calls: mpsc::Receiver<Call>) {
        let end = self.serve_on(connection, &mut calls).await;
        self.shared.state.send_replace(SessionState::Lost);
        self.shared.groups.close();
        self.waiting.clear();
        calls.close();
        while calls.try_recv().is_ok() {}
        if let End::Closed = end {
            match timeout(self.connection_timeout, self.revoke()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "the end of a registry session was not written"),
                Err(_) => debug!("the end of a registry session was not written in time"),
            }
        }
        self.shared.over.cancel();
    }

    /// Serves calls on one connection after the other.
    async fn serve_on(&mut self, mut connection: Connection, calls: &mut mpsc::Receiver<Call>) -> End {
        loop {
            match self.serve(&mut connection, calls).await {
                End::Broken(reason) => {
                    warn!(reason, "registry connection lost");
                    self.shared.state.send_replace(SessionState::Suspended);
                    self.lease.disconnected();
                    self.waiting.clear();
                }
                End::Over(reason) => {
                    warn!(reason, "registry session over");
                    return End::Over(reason);
                }
                End::Closed => return End::Closed,
            }
            drop(connection);
            connection = match self.reconnect(calls).await {
                Ok(connection) => connection,
                Err(end) => return end,
            };
            info!("registry connected again");
            self.shared.state.send_replace(SessionState::Connected);
        }
    }

    /// The longest silence that is not taken for a lost connection.
    fn patience(&self) -> Duration {
        lease::timeout(self.ttl) * 2 / 5
    }

    /// Serves calls until the connection is lost, or the session ends.
    async fn serve(&mut self, connection: &mut Connection, calls: &mut mpsc::Receiver<Call>) -> End {
        let patience = self.patience();
        let mut turns = Turns::default();
        let mut in_flight = FuturesUnordered::<BoxFuture<'static, Outcome>>::new();
        let mut next_beat = Instant::now();
        let context = Context {
            kv: connection.kv.clone(),
            guard: connection.guard.clone(),
            keys: self.identity.keys.clone(),
            groups: self.shared.groups.clone(),
            proven_until: self.proven_until.subscribe(),
        };
        let end = loop {
            let silent_at = self.lease.waiting_since().map(|since| since + patience);
            tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => break End::Closed,
                beat = connection.beats.message() => match beat {
                    Ok(Some(beat)) => if let Err(end) = self.beaten(&beat) { break end },
                    Ok(None) => break End::Broken("etcd has ended the keep-alives".to_owned()),
                    Err(error) => break Failure::from(error).into(),
                },
                response = connection.events.message() => match response {
                    Ok(Some(response)) => if let Err(end) = self.changed(connection, &response).await { break end },
                    Ok(None) => break End::Broken("etcd has ended the watches".to_owned()),
                    Err(error) => break Failure::from(error).into(),
                },
                () = sleep_until(silent_at.unwrap_or(next_beat)), if silent_at.is_some() => {
                    break End::Broken(format!("no keep-alive was answered within {patience:?}"));
                }
                () = sleep_until(next_beat) => {
                    next_beat = Instant::now() + self.ttl / 9;
                    if let Err(end) = self.beat(connection).await { break end }
                }
                Some(outcome) = in_flight.next(), if !in_flight.is_empty() => {
                    if let Err(end) = self.settle(connection, outcome).await {
                        break end;
                    }
                }
                call = calls.recv(), if in_flight.len() < MAX_IN_FLIGHT => {
                    // Without a caller the session was dropped.
                    let Some(Call { names, make }) = call else { break End::Closed };
                    let (mut turn, context) = (turns.add(names), context.clone());
                    in_flight.push(Box::pin(async move {
                        turn.come().await;
                        let mut outcome = make(context);
                        match timeout(patience, &mut outcome).await {
                            Ok(outcome) => outcome,
                            Err(_) => Outcome::Broken {
                                reason: format!("no answer within {patience:?}"),
                                unanswered: Box::new(outcome),
                            },
                        }
                    }));
                }
            }
        };
        let state = match &end {
            End::Broken(_) => SessionState::Suspended,
            End::Over(_) | End::Closed => SessionState::Lost,
        };
        // Callers that learn of the lost connection by the end of their calls find the session suspended.
        self.shared.state.send_replace(state);
        drop(in_flight);
        end
    }

    /// Sends a keep-alive, and does what is due from time to time.
    async fn beat(&mut self, connection: &mut Connection) -> Result<(), End> {
        if self.keep_alive == KeepAlive::Sent {
            self.lease.sends(Instant::now());
            connection.keeper.keep_alive().await.map_err(Failure::from)?;
        }
        for number in self.shared.groups.sweep() {
            connection.watcher.cancel(number).await.map_err(Failure::from)?;
        }
        if let Some(compaction) = &mut self.compaction {
            compaction.go_on(&connection.kv);
        }
        Ok(())
    }

    /// A keep-alive was answered.
    fn beaten(&mut self, beat: &LeaseKeepAliveResponse) -> Result<(), End> {
        if beat.ttl() <= 0 {
            return Err(End::Over("its lease has ended".to_owned()));
        }
        self.proven_until.send_replace(self.lease.answered());
        Ok(())
    }

    /// etcd says something of a watch.
    async fn changed(&mut self, connection: &mut Connection, response: &WatchResponse) -> Result<(), End> {
        let number = response.watch_id();
        if number == OWN {
            let is_gone = |event: &etcd_client::Event| event.event_type() == EventType::Delete;
            if response.events().iter().any(is_gone) {
                return Err(End::Over("its lease has ended".to_owned()));
            }
            return Ok(());
        }
        // One that nobody needs any more.
        let Some(job) = self.shared.groups.job_of(number) else {
            return Ok(());
        };
        if response.canceled() {
            return self.cancelled(connection, &job, response).await;
        }
        if response.created() {
            self.shared.groups.is_watched(&job);
            let is_of = |(waits_for, ..): &mut (String, _, _)| *waits_for == job;
            for (_, watch, answer) in self.waiting.extract_if(.., is_of) {
                // The caller may have dropped its future.
                drop(answer.send(Ok(Box::new(watch))));
            }
        }
        let (events, revision) = groups::fold(&self.identity.keys, key_events(response));
        self.shared.groups.hand_out(&job, &events, revision);
        Ok(())
    }

    /// etcd does not watch a job any more: what has changed there was compacted before it could be handed out, or we may not see it.
    async fn cancelled(&mut self, connection: &mut Connection, job: &str, response: &WatchResponse) -> Result<(), End> {
        let compacted = response.compact_revision();
        if compacted > 0 {
            info!(
                job,
                revision = compacted,
                "changes were compacted before they were seen, all is read again"
            );
            let number = self.new_number();
            self.shared.groups.lost(job, number);
            let range = self.identity.keys.all_of(job);
            return Ok(connection::watch(&mut connection.watcher, number, range, compacted - 1).await?);
        }
        let reason = response.cancel_reason();
        self.shared.groups.remove(job);
        let is_of = |(waits_for, ..): &mut (String, _, _)| *waits_for == job;
        let waiting: Vec<_> = self.waiting.extract_if(.., is_of).collect();
        if waiting.is_empty() {
            return Err(End::Broken(format!("etcd has ended a watch: {reason}")));
        }
        for (_, _, answer) in waiting {
            drop(answer.send(Err(Error::Refused(format!("etcd: {reason}")))));
        }
        Ok(())
    }

    fn new_number(&mut self) -> i64 {
        self.next_number += 1;
        self.next_number
    }

    /// Does what follows from a call.
    async fn settle(&mut self, connection: &mut Connection, outcome: Outcome) -> Result<(), End> {
        match outcome {
            Outcome::Answered(deliver) => deliver(),
            Outcome::Watch { path, revision, answer } => return self.watch(connection, path, revision, answer).await,
            Outcome::Broken { reason, unanswered } => {
                self.shared.state.send_replace(SessionState::Suspended);
                drop(unanswered);
                return Err(End::Broken(reason));
            }
            Outcome::Over { reason, answer } => {
                self.shared.state.send_replace(SessionState::Lost);
                answer();
                return Err(End::Over(reason));
            }
        }
        Ok(())
    }

    /// Begins a watch, which is answered once etcd watches its job.
    async fn watch(
        &mut self,
        connection: &mut Connection,
        path: String,
        revision: i64,
        answer: WatchAnswer,
    ) -> Result<(), End> {
        let job = job_of(&path);
        for number in self.shared.groups.sweep() {
            connection.watcher.cancel(number).await.map_err(Failure::from)?;
        }
        let (watches, is_watched) = match self.shared.groups.watches(&job) {
            Some(known) => known,
            None => {
                let number = self.new_number();
                let watches = self.shared.groups.add(&job, number, revision);
                let range = self.identity.keys.all_of(&job);
                connection::watch(&mut connection.watcher, number, range, revision).await?;
                (watches, false)
            }
        };
        match watches.begin(path) {
            Err(error) => drop(answer.send(Err(error))),
            Ok(watch) if is_watched => drop(answer.send(Ok(Box::new(watch)))),
            Ok(watch) => self.waiting.push((job, watch, answer)),
        }
        Ok(())
    }

    /// Connects again, to one server after the other. Calls fail meanwhile.
    async fn reconnect(&mut self, calls: &mut mpsc::Receiver<Call>) -> Result<Connection, End> {
        let closing = self.shared.closing.clone();
        let gives_up_at = self.lease.ends_at();
        let ttl = self.ttl;
        let mut attempts = pin!(self.attempt());
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled() => return Err(End::Closed),
                () = sleep_until(gives_up_at) => {
                    warn!(timeout = ?ttl, "registry session given up, since it was not served for its timeout");
                    return Err(End::Over("it was not served for its timeout".to_owned()));
                }
                result = &mut attempts => return result,
                // It is dropped, which says that the connection is lost.
                call = calls.recv() => if call.is_none() {
                    return Err(End::Closed);
                }
            }
        }
    }

    /// Tries to connect until it succeeds or the session is known to be over.
    async fn attempt(&mut self) -> Result<Connection, End> {
        if self.keep_alive != KeepAlive::Sent {
            // A connection begins with one.
            return std::future::pending().await;
        }
        let patience = self.patience();
        loop {
            self.endpoints.next();
            match timeout(patience, self.connect()).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(End::Broken(reason))) => debug!(reason, "etcd cannot be reached"),
                Ok(Err(end)) => return Err(end),
                Err(_) => debug!("etcd does not answer"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Connects to the server whose turn it is, and has it watch all that was watched.
    async fn connect(&mut self) -> Result<Connection, End> {
        let client = self.endpoints.client(self.endpoints.current()).await?;
        let mut connection = Connection::open(client, &self.identity, &mut self.lease).await?;
        self.proven_until.send_replace(self.lease.proves_until());
        self.shared.groups.sweep();
        let groups = self
            .shared
            .groups
            .renumber(self.next_number + 1, connection.guard.revision);
        self.next_number += i64::try_from(groups.len()).unwrap_or_default();
        let (mut missing, revision) = (groups.len(), connection.guard.revision);
        let (keys, mut watcher) = (self.identity.keys.clone(), connection.watcher);
        // Both at once: a server that waits for its answers to be read takes no more requests.
        let (events, mut compacted) = (&mut connection.events, Vec::new());
        let ask = async {
            for (number, job) in &groups {
                connection::watch(&mut watcher, *number, keys.all_of(job), revision).await?;
            }
            Ok::<_, End>(watcher)
        };
        let shared = self.shared.clone();
        let hear = async {
            while missing > 0 {
                let response = events.message().await.map_err(Failure::from)?;
                let Some(response) = response else {
                    return Err(End::Broken("etcd has ended the watches".to_owned()));
                };
                let Some(job) = shared.groups.job_of(response.watch_id()) else {
                    continue;
                };
                if response.canceled() && response.compact_revision() == 0 {
                    return Err(End::Broken(response.cancel_reason().to_owned()));
                }
                if response.canceled() {
                    compacted.push((job, response));
                    continue;
                }
                missing -= usize::from(response.created());
                let (events, revision) = groups::fold(&keys, key_events(&response));
                shared.groups.hand_out(&job, &events, revision);
            }
            Ok(())
        };
        let (watcher, ()) = futures_util::future::try_join(ask, hear).await?;
        connection.watcher = watcher;
        for (job, response) in compacted {
            self.cancelled(&mut connection, &job, &response).await?;
        }
        // Last, so that it stands for all changes before this connection and for none behind it.
        self.shared.groups.resync();
        Ok(connection)
    }

    /// Ends the session in etcd.
    async fn revoke(&self) -> Result<(), Failure> {
        let client = self.endpoints.client(self.endpoints.current()).await?;
        client.lease_client().revoke(self.identity.id).await?;
        Ok(())
    }
}

/// A task that is aborted, since its session was dropped or its runtime ends, says so as well.
impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.state.send_replace(SessionState::Lost);
        self.shared.groups.close();
        self.shared.over.cancel();
    }
}

/// Returns the answer of a call that the session's end overtook.
pub(super) fn over<T: Send + 'static, E: From<Error> + Send + 'static>(
    answer: oneshot::Sender<Result<T, E>>,
) -> Box<dyn FnOnce() + Send> {
    Box::new(move || drop(answer.send(Err(expired()))))
}

/// Returns the changes of keys that etcd says.
fn key_events(response: &WatchResponse) -> impl Iterator<Item = KeyEvent<'_>> {
    response.events().iter().filter_map(|event| {
        let key = event.kv()?;
        Some(KeyEvent {
            key: key.key(),
            is_deletion: event.event_type() == EventType::Delete,
            version: key.version(),
            revision: key.mod_revision(),
        })
    })
}
