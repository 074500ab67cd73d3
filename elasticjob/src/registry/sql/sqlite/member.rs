//! A member on SQLite: one turn after the other, each of which serves all requests that wait.
//!
//! A turn is one transaction of the database. What it gives is in the order in which it came about: what others changed first, then
//! for each request its events and its answer.
//!
//! Gathering requests is what makes a file fast enough: the costly part of a write is the wait for the disk at the end
//! of a transaction, which many requests then share. Refused steps change nothing, and the other requests of the turn
//! go on.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tracing::info;

use super::store::{Place, Purpose, Store, Transaction};
use crate::registry::sql::backend::{Backend, Delivery, Failure};
use crate::registry::sql::cursor::{Cursor, Way};
use crate::registry::sql::expiry::{Beat, Expiry, Look};
use crate::registry::sql::session::{Request, Response};
use crate::registry::sql::transaction::Stamp;
use crate::registry::watches::Watches;
use crate::registry::{Step, WriteError, Written};
use crate::uptime::uptime;

/// How often the file is looked at for changes of others.
const POLL: Duration = Duration::from_millis(50);

/// What a member knows between two turns.
#[derive(Debug)]
pub(super) struct Member {
    store: Store,
    session: i64,
    timeout: Duration,
    /// The number of our connection, in the row of the session.
    connection: i64,
    cursor: Cursor,
    expiry: Expiry,
    /// When the beat was last raised, by [`uptime`].
    renewed_at: Duration,
    /// When the beats of others are to be looked at next.
    next_look: Duration,
}

impl Member {
    /// A member whose session has just been created, `joined_at`.
    pub(super) fn new(store: Store, session: i64, timeout: Duration, joined_at: Duration) -> Self {
        Self {
            store,
            session,
            timeout,
            connection: 0,
            // Nothing is watched yet: the first turn finds out where the namespace stands.
            cursor: Cursor::at(0),
            expiry: Expiry::default(),
            renewed_at: joined_at,
            next_look: joined_at,
        }
    }

    /// A write or a sync proves that the session lived when it was sent, as long as the beat is young: the fence of the caller
    /// leaves a third of the timeout, of which a twelfth is used here.
    fn is_renewal_due(&self, now: Duration, requests: &[Request]) -> bool {
        let proves = |request: &Request| matches!(request, Request::Write(_) | Request::Sync);
        let share = if requests.iter().any(proves) { 12 } else { 3 };
        now.saturating_sub(self.renewed_at) >= self.timeout / share
    }

    /// Looks at the beats of the others. Returns those that are over.
    async fn look(&mut self) -> Result<Vec<Beat>, Failure> {
        let sent_at = uptime();
        let mut transaction = self.store.begin(Purpose::Read).await?;
        let beats = transaction.beats(self.session).await?;
        transaction.commit().await?;
        let look = Look {
            sent_at,
            answered_at: uptime(),
        };
        self.next_look = sent_at + Expiry::pause(self.timeout, &beats);
        Ok(self.expiry.after(look, &beats))
    }
}

impl Backend for Member {
    const CALLS_AT_ONCE: usize = 128;

    async fn rest(&mut self) {
        sleep(POLL).await;
    }

    async fn serve(&mut self, requests: Vec<Request>, watches: &Watches) -> Result<Vec<Delivery>, Failure> {
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
        let mut place = transaction.place(self.session, self.connection).await?;
        let mut deliveries = Vec::new();
        if !watches.is_empty() {
            follow(self.cursor, place, &mut transaction, &mut deliveries).await?;
        }
        for request in requests {
            serve(request, self.session, &mut transaction, &mut place, &mut deliveries).await?;
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
            transaction.renew(self.session).await?;
        }
        transaction.commit().await?;
        if is_renewal_due {
            self.renewed_at = now;
        }
        self.cursor = Cursor::at(place.counter);
        Ok(deliveries)
    }

    async fn rejoin(&mut self) -> Result<(), Failure> {
        self.store.reopen().await?;
        let now = uptime();
        let mut transaction = self.store.begin(Purpose::Write).await?;
        let connection = transaction.take_over(self.session).await?;
        let place = transaction.place(self.session, connection).await?;
        transaction.commit().await?;
        (self.connection, self.renewed_at) = (connection, now);
        self.cursor = Cursor::at(place.counter);
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        if !self.store.is_open() {
            self.store.reopen().await?;
        }
        let mut transaction = self.store.begin(Purpose::Write).await?;
        let mut place = transaction.place(self.session, self.connection).await?;
        if let Some(events) = transaction.end(self.session, None).await? {
            let token = next_token(place);
            transaction.record(&mut place, token, &events).await?;
        }
        transaction.commit().await
    }
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

/// Executes the steps of one request and records what they changed. A refusal is an answer.
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

/// A token is beyond the last one, and beyond the clock: a file that is restored or made again does not repeat tokens.
fn next_token(place: Place) -> i64 {
    (place.token + 1).max(Timestamp::now().as_millisecond() << 20)
}
