//! The task of a session on SQLite: one turn after the other, each of which serves all calls that wait.
//!
//! A turn is one transaction of the database. Its answers and events are handed out after the commit, in the order in which
//! they came about: what others changed first, then for each call its events and its answer. If a turn does not come to
//! its end, nothing of it is handed out, so that its outcome is unknown. The session is then suspended until a new connection
//! is the newest one of its row, from which moment the old one can do nothing any more.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::store::{Failure, Place, Purpose, Store, Transaction};
use crate::registry::sql::cursor::{Cursor, Way};
use crate::registry::sql::expiry::{Beat, Expiry, Look};
use crate::registry::sql::session::{Call, Request, Response, Shared};
use crate::registry::sql::transaction::Stamp;
use crate::registry::{SessionState, Step, Watch, WatchEvent, WriteError, Written, size_of};
use crate::uptime::uptime;

/// How often the file is looked at for changes of others.
const POLL: Duration = Duration::from_millis(50);

/// So many calls, and so many bytes of steps, share a turn at most: others wait for their turn meanwhile.
const CALLS_A_TURN: usize = 128;
const BYTES_A_TURN: usize = 512 * 1024;

/// The pause between two attempts to open the file again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a session's task works with.
pub(super) struct Worker {
    shared: Shared,
    store: Store,
    /// The number of our connection, in the row of the session.
    connection: i64,
    cursor: Cursor,
    expiry: Expiry,
    /// When the beat was last raised, by [`uptime`].
    renewed_at: Duration,
    /// When the beats of others are to be looked at next.
    next_look: Duration,
    /// When a turn last came to its end.
    served_at: Instant,
}

/// Something to be handed out after the commit.
enum Delivery {
    /// Changes may have been missed.
    Resync,
    Event(WatchEvent),
    /// The answer to the next call.
    Response(Response),
    /// The answer to the next call: a watch of this path, which begins then.
    Watch(String),
}

/// Why the task ends.
#[derive(Debug)]
enum End {
    /// Its users want it to.
    Closed,
    /// The session is over.
    Over,
}

impl Worker {
    /// A worker for a session that has just been created, `joined_at`.
    pub(super) fn new(shared: Shared, store: Store, joined_at: Duration) -> Self {
        Self {
            shared,
            store,
            connection: 0,
            // Nothing is watched yet: the first turn finds out where the namespace stands.
            cursor: Cursor::at(0),
            expiry: Expiry::default(),
            renewed_at: joined_at,
            next_look: joined_at,
            served_at: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        let end = self.serve(&mut calls).await;
        self.shared.state.send_replace(SessionState::Lost);
        self.shared.watches.close();
        calls.close();
        while let Ok(call) = calls.try_recv() {
            drop(call.answer.send(Response::Expired));
        }
        if let End::Closed = end {
            match timeout(self.shared.connection_timeout, self.leave()).await {
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
                    Some(call) => gather(call, calls),
                    None => return End::Closed,
                },
                () = sleep(POLL) => Vec::new(),
            };
            let (requests, answers): (_, Vec<_>) = batch.into_iter().map(|call| (call.request, call.answer)).unzip();
            let failure = match timeout(self.patience(), self.turn(requests)).await {
                Ok(Ok(deliveries)) => {
                    self.served_at = Instant::now();
                    self.hand_out(deliveries, answers);
                    continue;
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Broken(format!("no turn within {:?}", self.patience())),
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

    /// Serves the requests in one transaction, and does what is due beside them.
    async fn turn(&mut self, requests: Vec<Request>) -> Result<Vec<Delivery>, Failure> {
        let now = uptime();
        let over = if now >= self.next_look {
            self.look().await?
        } else {
            Vec::new()
        };
        let is_renewal_due = self.is_renewal_due(now, &requests);
        let is_idle = requests.is_empty() && over.is_empty() && !is_renewal_due;
        if is_idle && !self.store.has_changed().await? {
            return Ok(Vec::new());
        }
        let has_writes = requests.iter().any(|request| matches!(request, Request::Write(_)));
        let writes = is_renewal_due || !over.is_empty() || has_writes;
        let purpose = if writes { Purpose::Write } else { Purpose::Read };
        let mut transaction = self.store.begin(purpose).await?;
        let mut place = transaction.place(self.shared.id, self.connection).await?;
        let mut deliveries = Vec::new();
        if !self.shared.watches.is_empty() {
            follow(self.cursor, place, &mut transaction, &mut deliveries).await?;
        }
        for request in requests {
            serve(request, self.shared.id, &mut transaction, &mut place, &mut deliveries).await?;
        }
        for Beat { session, beat, .. } in over {
            let Some(events) = transaction.end(session, Some(beat)).await? else {
                continue;
            };
            info!(
                session = format_args!("{session:x}"),
                "ended a registry session that was not renewed"
            );
            let token = next_token(place);
            transaction.record(&mut place, token, &events).await?;
            deliveries.extend(events.into_iter().map(Delivery::Event));
        }
        if is_renewal_due {
            transaction.renew(self.shared.id).await?;
        }
        transaction.commit().await?;
        if is_renewal_due {
            self.renewed_at = now;
        }
        self.cursor = Cursor::at(place.counter);
        Ok(deliveries)
    }

    /// A write or a sync proves that the session lived when it was sent, as long as the beat is young: the fence of the caller
    /// leaves a third of the timeout, of which a twelfth is used here.
    fn is_renewal_due(&self, now: Duration, requests: &[Request]) -> bool {
        let proves = |request: &Request| matches!(request, Request::Write(_) | Request::Sync);
        let share = if requests.iter().any(proves) { 12 } else { 3 };
        now.saturating_sub(self.renewed_at) >= self.shared.timeout / share
    }

    /// Looks at the beats of the others. Returns those that are over.
    async fn look(&mut self) -> Result<Vec<Beat>, Failure> {
        let sent_at = uptime();
        let mut transaction = self.store.begin(Purpose::Read).await?;
        let beats = transaction.beats(self.shared.id).await?;
        transaction.commit().await?;
        let look = Look {
            sent_at,
            answered_at: uptime(),
        };
        self.next_look = sent_at + Expiry::pause(self.shared.timeout, &beats);
        Ok(self.expiry.after(look, &beats))
    }

    fn hand_out(&self, deliveries: Vec<Delivery>, answers: Vec<oneshot::Sender<Response>>) {
        let watches = &self.shared.watches;
        let mut answers = answers.into_iter();
        for delivery in deliveries {
            let response = match delivery {
                Delivery::Resync => {
                    watches.resync();
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

    /// Opens the file again and makes this the newest connection of the session. Calls fail meanwhile.
    async fn reconnect(&mut self, calls: &mut mpsc::Receiver<Call>) -> Result<(), End> {
        let (shared, patience) = (self.shared.clone(), self.patience());
        let gives_up_at = self.served_at + shared.timeout;
        let attempts = async {
            loop {
                match timeout(patience, self.rejoin()).await {
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
        info!("registry connected again");
        shared.watches.resync();
        shared.state.send_replace(SessionState::Connected);
        Ok(())
    }

    async fn rejoin(&mut self) -> Result<(), Failure> {
        self.store.reopen().await?;
        let now = uptime();
        let mut transaction = self.store.begin(Purpose::Write).await?;
        let connection = transaction.take_over(self.shared.id).await?;
        let place = transaction.place(self.shared.id, connection).await?;
        transaction.commit().await?;
        (self.connection, self.renewed_at) = (connection, now);
        self.cursor = Cursor::at(place.counter);
        self.served_at = Instant::now();
        Ok(())
    }

    /// Ends the session in the file.
    async fn leave(&mut self) -> Result<(), Failure> {
        if !self.store.is_open() {
            self.store.reopen().await?;
        }
        let mut transaction = self.store.begin(Purpose::Write).await?;
        let mut place = transaction.place(self.shared.id, self.connection).await?;
        if let Some(events) = transaction.end(self.shared.id, None).await? {
            let token = next_token(place);
            transaction.record(&mut place, token, &events).await?;
        }
        transaction.commit().await
    }
}

/// Takes all calls that wait, as far as one turn serves them.
fn gather(first: Call, calls: &mut mpsc::Receiver<Call>) -> Vec<Call> {
    let bytes = |call: &Call| match &call.request {
        Request::Write(steps) => size_of(steps),
        _ => 0,
    };
    let mut size = bytes(&first);
    let mut batch = vec![first];
    while batch.len() < CALLS_A_TURN && size < BYTES_A_TURN {
        let Ok(call) = calls.try_recv() else { break };
        size += bytes(&call);
        batch.push(call);
    }
    batch
}

/// Collects what others changed since the cursor.
async fn follow(
    cursor: Cursor,
    place: Place,
    transaction: &mut Transaction<'_>,
    deliveries: &mut Vec<Delivery>,
) -> Result<(), Failure> {
    match cursor.way_to(place.counter) {
        Way::Here => {}
        Way::After(number) => {
            let changes = transaction.changes_after(number).await?;
            if cursor.is_whole(place.counter, changes.iter().map(|(number, _)| *number)) {
                deliveries.extend(changes.into_iter().map(|(_, event)| Delivery::Event(event)));
            } else {
                deliveries.push(Delivery::Resync);
            }
        }
        Way::Lost => deliveries.push(Delivery::Resync),
    }
    Ok(())
}

/// Serves one request within the transaction.
async fn serve(
    request: Request,
    session: i64,
    transaction: &mut Transaction<'_>,
    place: &mut Place,
    deliveries: &mut Vec<Delivery>,
) -> Result<(), Failure> {
    let delivery = match request {
        Request::Write(steps) => {
            let result = write(steps, session, transaction, place, deliveries).await?;
            Delivery::Response(Response::Written(result))
        }
        Request::Read(reads) => Delivery::Response(Response::Read(transaction.read(reads).await?)),
        Request::Sync => Delivery::Response(Response::Synced),
        Request::Watch(path) => Delivery::Watch(path),
    };
    deliveries.push(delivery);
    Ok(())
}

async fn write(
    steps: Vec<Step>,
    session: i64,
    transaction: &mut Transaction<'_>,
    place: &mut Place,
    deliveries: &mut Vec<Delivery>,
) -> Result<Result<Vec<Written>, WriteError>, Failure> {
    let stamp = Stamp {
        token: next_token(*place),
        at: Timestamp::now().as_millisecond(),
        session,
    };
    let outcome = match transaction.execute(steps, stamp).await? {
        Ok(outcome) => outcome,
        Err(error) => return Ok(Err(error)),
    };
    if !outcome.events.is_empty() {
        transaction.record(place, stamp.token, &outcome.events).await?;
    }
    deliveries.extend(outcome.events.into_iter().map(Delivery::Event));
    Ok(Ok(outcome.answers))
}

/// A token is beyond the last one, and beyond the clock: a file that is restored or made anew does not repeat tokens.
fn next_token(place: Place) -> i64 {
    (place.token + 1).max(Timestamp::now().as_millisecond() << 20)
}
