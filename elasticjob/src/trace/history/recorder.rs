//! The task that writes events into the database, in batches, while jobs go on.
//!
//! Events wait in a bounded queue. While the database is away they go on waiting, in order, until it is full; what
//! comes then is dropped, counted, and said. What was read from the queue is tried until it is written: nothing is
//! written twice, since rows are named after what they tell of. Rows that the database refuses for what they are
//! are looked at one by one, and only those are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::trace::{Damped, Dropped, JobEvent, Tapped};

use super::error::{Error, Kind};
use super::rows::{Rows, Shape};
use super::store::{Letters, Store};

/// Events that wait at most. A few hundred bytes each.
pub(crate) const CAPACITY: usize = 100_000;

/// Most events in one transaction.
const BATCH: usize = 1000;

/// How long the first event of a batch waits for others.
const LINGER: Duration = Duration::from_millis(100);

/// The pauses between attempts to reach a database that is away.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// How long what waits is still written once the application stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(8);

/// How the recording goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// Events that are in the database.
    pub recorded: u64,
    /// Events that are not, and will not be: the database was away too long, or refused them.
    pub dropped: u64,
    /// Whether the database did what it was last asked.
    pub is_reachable: bool,
}

/// What the recorder tells of itself. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    counts: Arc<Counts>,
    dropped: Dropped,
}

#[derive(Debug, Default)]
struct Counts {
    recorded: AtomicU64,
    is_away: AtomicBool,
}

impl Progress {
    pub(crate) fn now(&self) -> Recording {
        let Counts { recorded, is_away } = &*self.counts;
        Recording {
            recorded: recorded.load(Ordering::Relaxed),
            dropped: self.dropped.count(),
            is_reachable: !is_away.load(Ordering::Relaxed),
        }
    }
}

/// Writes events into a database.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Store,
    host: String,
    tapped: Tapped,
    progress: Progress,
    stop: CancellationToken,
    shape: Option<Shape>,
    /// When what waits is given up; `None` while the application runs.
    give_up_at: Option<Instant>,
    dropped_said: Damped,
    is_refusal_said: bool,
}

impl Recorder {
    pub(super) fn new(store: Store, host: String, tapped: Tapped, stop: CancellationToken) -> Self {
        let progress = Progress {
            counts: Arc::default(),
            dropped: tapped.dropped.clone(),
        };
        Self {
            store,
            host,
            tapped,
            progress,
            stop,
            shape: None,
            give_up_at: None,
            dropped_said: Damped::default(),
            is_refusal_said: false,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Writes until the application stops and nothing waits any more.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        // Before anything runs: so that an operator sees at once that a database cannot be used.
        self.write(&[]).await;
        while self.fill(&mut batch).await {
            self.write(&batch).await;
            batch.clear();
            self.say_dropped(false);
        }
        self.say_dropped(true);
        self.store.close().await;
    }

    /// Takes what waits, with what comes soon after; whether there was anything.
    async fn fill(&mut self, batch: &mut Vec<JobEvent>) -> bool {
        if self.give_up_at.is_none() {
            let queue = &mut self.tapped.queue;
            tokio::select! {
                taken = queue.recv_many(batch, BATCH) => {
                    let until = Instant::now() + LINGER;
                    while taken > 0 && batch.len() < BATCH {
                        let room = BATCH - batch.len();
                        match timeout_at(until, queue.recv_many(batch, room)).await {
                            Ok(1..) => {}
                            _ => break,
                        }
                    }
                    return taken > 0;
                }
                () = self.stop.cancelled() => self.begin_to_stop(),
            }
        }
        self.tapped.queue.recv_many(batch, BATCH).await > 0
    }

    fn begin_to_stop(&mut self) {
        self.tapped.queue.close();
        self.give_up_at.get_or_insert(Instant::now() + FLUSH_LIMIT);
    }

    /// Writes events, however long the database is away.
    async fn write(&mut self, events: &[JobEvent]) {
        let [mut pause, longest] = PAUSES;
        loop {
            match self.attempt(events, Letters::All).await {
                Ok(()) => return self.written(events.len()),
                Err(error) if error.kind == Kind::Rows => return self.write_singly(events).await,
                Err(error) => self.is_away(&error),
            }
            if events.is_empty() && self.stop.is_cancelled() {
                return;
            }
            // Tables may have been dropped, or changed by an update of Java members.
            self.shape = None;
            if !self.pause(pause).await {
                self.drop_events(events.len());
                return;
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Tries to write events, unless there is no time left.
    async fn attempt(&mut self, events: &[JobEvent], letters: Letters) -> Result<(), Error> {
        let out_of_time = out_of_time(self.stop.clone(), self.give_up_at);
        tokio::select! {
            biased;
            result = self.try_to_write(events, letters) => result,
            () = out_of_time => {
                self.tapped.queue.close();
                self.give_up_at = Some(Instant::now());
                Err(self.store.out_of_time())
            }
        }
    }

    async fn try_to_write(&mut self, events: &[JobEvent], letters: Letters) -> Result<(), Error> {
        let shape = match self.shape {
            Some(shape) => shape,
            None => *self.shape.insert(self.store.prepare().await?),
        };
        if events.is_empty() {
            return Ok(());
        }
        self.store.write(&Rows::of(events, &self.host), shape, letters).await
    }

    /// Writes events one by one, so that only those are dropped that the database refuses.
    async fn write_singly(&mut self, events: &[JobEvent]) {
        for event in events {
            let event = std::slice::from_ref(event);
            let mut letters = Letters::All;
            loop {
                match self.attempt(event, letters).await {
                    Ok(()) => break self.written(1),
                    Err(refused) if refused.kind == Kind::Rows && letters == Letters::All => {
                        letters = Letters::Ascii;
                        self.say_refused(&refused);
                        continue;
                    }
                    Err(refused) if refused.kind == Kind::Rows => {
                        let job = &**event[0].job();
                        error!(job, error = %refused.chain(), "an event was refused by the database of the history");
                        break self.drop_events(1);
                    }
                    Err(error) => self.is_away(&error),
                }
                self.shape = None;
                if !self.pause(PAUSES[0]).await {
                    break self.drop_events(1);
                }
            }
        }
    }

    /// Says, once, that texts are written as far as the database takes them.
    fn say_refused(&mut self, refused: &Error) {
        if !std::mem::replace(&mut self.is_refusal_said, true) {
            warn!(error = %refused.chain(), "the database refuses some texts: they are written with `?` for other letters than ASCII");
        }
    }

    /// Waits before the next attempt; false where there is to be none.
    async fn pause(&mut self, pause: Duration) -> bool {
        let jitter = pause.mul_f64(fastrand::f64() / 4.0);
        if self.give_up_at.is_none() {
            tokio::select! {
                () = tokio::time::sleep(pause + jitter) => return true,
                () = self.stop.cancelled() => self.begin_to_stop(),
            }
        }
        let pause_until = Instant::now() + PAUSES[0];
        let is_time_left = self.give_up_at.is_none_or(|at| pause_until < at);
        if is_time_left {
            tokio::time::sleep_until(pause_until).await;
        }
        is_time_left
    }

    fn written(&self, events: usize) {
        let counts = &self.progress.counts;
        counts.recorded.fetch_add(events as u64, Ordering::Relaxed);
        if counts.is_away.swap(false, Ordering::Relaxed) {
            info!(database = %self.store.database(), "the database of the history is back");
        }
        debug!(events, "history written");
    }

    fn is_away(&self, error: &Error) {
        let was_away = self.progress.counts.is_away.swap(true, Ordering::Relaxed);
        match was_away {
            false => warn!(error = %error.chain(), "history waits: the database does not take it"),
            true => debug!(error = %error.chain(), "history still waits"),
        }
    }

    fn drop_events(&self, events: usize) {
        self.progress.dropped.add(events as u64);
    }

    /// Says how many events were dropped, once a minute at most and in the end.
    fn say_dropped(&mut self, is_end: bool) {
        let total = self.progress.dropped.count();
        if let Some(events) = self.dropped_said.news(total, is_end) {
            warn!(events, total, "events were dropped: they are missing in the history");
        }
    }
}

/// Ends when the time is up that is left after the application was told to stop.
async fn out_of_time(stop: CancellationToken, give_up_at: Option<Instant>) {
    match give_up_at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH_LIMIT).await;
        }
    }
}
