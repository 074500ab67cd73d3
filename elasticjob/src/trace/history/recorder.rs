//! The task that writes events into the database, in batches, while jobs go on.
//!
//! Events wait in a bounded queue. While the database is away they go on waiting, in order. If the queue is full, new events are
//! dropped, counted and logged. Events from the queue are written until that succeeds. Nothing is written twice, because the key of
//! a row is that of its run. If the database refuses rows for their contents, these are found by halving the batch. Of such an event
//! less and less is written: its texts in ASCII, then without reasons and causes, so that a run has its end with any failure
//! text. Only an event that is refused even then is dropped.
//!
//! Refusals differ from a database that is away. A refusal of rows will come again, so that the rows are
//! changed; anything else may pass, so that the same rows are written again after a pause. With each of these the
//! tables are looked at again, because a migration may be the reason.
//!
//! When the application stops, no more events are taken, and what waits has eight seconds to be written. The rest is
//! dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::trace::{Capacity, Damped, Dropped, JobEvent, Tapped};

use super::error::{Error, FaultyPart};
use super::fit::Texts;
use super::rows::Rows;
use super::shape::Shape;
use super::store::{Prepared, Store};

/// What waits at most. An event weighs less than 1 KiB as a rule, and up to 16 KiB more with the account of a failure.
pub(crate) const CAPACITY: Capacity = Capacity {
    events: 100_000,
    bytes: 64 * 1024 * 1024,
};

/// Most events in one transaction.
const BATCH: usize = 1000;

/// How long the first event of a batch waits for others.
const LINGER: Duration = Duration::from_millis(100);

/// The pauses between attempts to reach a database that is away.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// How long waiting events are still written after the application stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(8);

/// The counts and the state of a recorder.
///
/// `dropped` is what an operator should watch: history is complete as long as it stays 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Events that are in the database.
    pub recorded: u64,
    /// Events that were dropped: the database was away too long, or refused them.
    pub dropped: u64,
    /// Whether the last request to the database succeeded.
    pub is_reachable: bool,
}

/// The progress of the recorder. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct RecorderProgress {
    counts: Arc<Counts>,
    dropped: Dropped,
}

/// What the recorder counts, and others read.
#[derive(Debug, Default)]
struct Counts {
    recorded: AtomicU64,
    is_away: AtomicBool,
}

impl RecorderProgress {
    /// Returns the counts as they are now. They may be of moments that lie slightly apart.
    pub(crate) fn now(&self) -> RecorderStats {
        let Counts { recorded, is_away } = &*self.counts;
        RecorderStats {
            recorded: recorded.load(Ordering::Relaxed),
            dropped: self.dropped.count(),
            is_reachable: !is_away.load(Ordering::Relaxed),
        }
    }
}

/// Writes events into a database.
///
/// Its task owns it. It ends when the application stops, and nothing waits for it but that end.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Store,
    host: String,
    tapped: Tapped,
    progress: RecorderProgress,
    stop: CancellationToken,
    shape: Option<Shape>,
    /// When what waits is given up; `None` while the application runs.
    give_up_at: Option<Instant>,
    dropped_said: Damped,
    /// Events that were written with less than they say, or not at all, because the database refused them.
    refused: u64,
    refused_said: Damped,
    /// What was last said of the tables, and of their indexes.
    tables_said: (Vec<String>, Vec<String>),
}

/// What became of a part of a batch.
enum Attempted {
    Written,
    /// For what the rows are.
    Refused(Error),
    /// There is no time left.
    GivenUp,
}

impl Recorder {
    /// Returns a recorder that has not begun. `host` is written as the place of each run; `stop` ends it.
    pub(super) fn new(store: Store, host: String, tapped: Tapped, stop: CancellationToken) -> Self {
        let progress = RecorderProgress {
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
            refused: 0,
            refused_said: Damped::default(),
            tables_said: Default::default(),
        }
    }

    /// Returns how it goes, also after it has begun.
    pub(crate) fn progress(&self) -> RecorderProgress {
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
    }

    /// Takes what waits, with what comes soon after; whether there was anything.
    async fn fill(&mut self, batch: &mut Vec<JobEvent>) -> bool {
        if self.give_up_at.is_none() {
            let tapped = &mut self.tapped;
            tokio::select! {
                taken = tapped.take_many(batch, BATCH) => {
                    let until = Instant::now() + LINGER;
                    while taken > 0 && batch.len() < BATCH {
                        let room = BATCH - batch.len();
                        match timeout_at(until, tapped.take_many(batch, room)).await {
                            Ok(1..) => {}
                            _ => break,
                        }
                    }
                    return taken > 0;
                }
                () = self.stop.cancelled() => self.begin_to_stop(),
            }
        }
        self.tapped.take_many(batch, BATCH).await > 0
    }

    /// Takes no more events, and sets the moment at which what waits is given up.
    fn begin_to_stop(&mut self) {
        self.tapped.close();
        self.give_up_at.get_or_insert(Instant::now() + FLUSH_LIMIT);
    }

    /// Writes events, however long the database is away.
    async fn write(&mut self, events: &[JobEvent]) {
        match self.write_as(events, Texts::Fitted).await {
            Attempted::Written => {}
            Attempted::Refused(_) => {
                // The tables may have been altered since they were looked at.
                self.shape = None;
                self.write_in_parts(events).await;
            }
            Attempted::GivenUp => self.drop_events(events.len()),
        }
    }

    /// Writes events that the database refused together: halves of them, until those are found that it refuses.
    async fn write_in_parts(&mut self, events: &[JobEvent]) {
        let mut parts = vec![events];
        while let Some(part) = parts.pop() {
            match (self.write_as(part, Texts::Fitted).await, part) {
                (Attempted::Written, _) => {}
                (Attempted::Refused(refused), [event]) => self.write_less(event, refused).await,
                (Attempted::Refused(_), _) => {
                    let (older, newer) = part.split_at(part.len() / 2);
                    parts.extend([newer, older]);
                }
                (Attempted::GivenUp, _) => self.drop_events(part.len()),
            }
        }
    }

    /// Writes of an event that the database refused as much as it takes.
    async fn write_less(&mut self, event: &JobEvent, mut refused: Error) {
        for (texts, what) in [
            (Texts::Ascii, "its texts in ascii"),
            (Texts::LeftOut, "all but its cause"),
        ] {
            match self.write_as(std::slice::from_ref(event), texts).await {
                Attempted::Written => return self.say_refused(event, &refused, what),
                Attempted::Refused(again) => refused = again,
                Attempted::GivenUp => return self.drop_events(1),
            }
        }
        self.drop_events(1);
        self.say_refused(event, &refused, "nothing");
    }

    /// Writes events, or finds that the database refuses them for what they are, however long it is away.
    async fn write_as(&mut self, events: &[JobEvent], texts: Texts) -> Attempted {
        let [mut pause, longest] = PAUSES;
        loop {
            match self.attempt(events, texts).await {
                Ok(()) => {
                    self.written(events.len());
                    return Attempted::Written;
                }
                Err(error) if error.kind == FaultyPart::Rows => return Attempted::Refused(error),
                Err(error) => self.is_away(&error),
            }
            if events.is_empty() && self.stop.is_cancelled() {
                return Attempted::GivenUp;
            }
            // Tables may have been dropped, or changed by an update of Java members.
            self.shape = None;
            if !self.pause(pause).await {
                return Attempted::GivenUp;
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Tries to write events, unless there is no time left.
    async fn attempt(&mut self, events: &[JobEvent], texts: Texts) -> Result<(), Error> {
        let out_of_time = out_of_time(self.stop.clone(), self.give_up_at);
        tokio::select! {
            biased;
            result = self.try_to_write(events, texts) => result,
            () = out_of_time => {
                self.tapped.close();
                self.give_up_at = Some(Instant::now());
                Err(self.store.out_of_time())
            }
        }
    }

    /// Writes events in one transaction, after the tables were made ready if their shape is not known.
    ///
    /// If the future is dropped while the shape is being found out, it is found out again the next time.
    async fn try_to_write(&mut self, events: &[JobEvent], texts: Texts) -> Result<(), Error> {
        let shape = match self.shape.take() {
            Some(shape) => shape,
            None => {
                let prepared = self.store.prepare().await?;
                self.say_tables(&prepared);
                prepared.shape
            }
        };
        let shape = &*self.shape.insert(shape);
        if events.is_empty() {
            return Ok(());
        }
        self.store.write(&Rows::of(events, &self.host), shape, texts).await
    }

    /// Logs how the tables differ from the expected ones, once.
    fn say_tables(&mut self, prepared: &Prepared) {
        let lacks = prepared.shape.lacks();
        if self.tables_said.0 != lacks && !lacks.is_empty() {
            let database = self.store.database();
            warn!(
                database,
                ?lacks,
                "the tables of the history hold less than is recorded: letters are replaced, columns left out"
            );
        }
        let unmade: Vec<String> = prepared.unmade.iter().map(|(name, _)| name.clone()).collect();
        if let Some((_, error)) = prepared.unmade.first().filter(|_| self.tables_said.1 != unmade) {
            warn!(indexes = ?unmade, error = %error.chain(), "queries of the history will be slow: indexes cannot be made");
        }
        self.tables_said = (lacks, unmade);
    }

    /// Says, once a minute at most, what the database refused and what was written all the same.
    fn say_refused(&mut self, event: &JobEvent, refused: &Error, written: &'static str) {
        self.refused += 1;
        let job = &**event.job();
        let error = refused.chain();
        match (self.refused_said.news(self.refused, false), written) {
            (None, _) => debug!(job, %error, written, "an event was refused by the database of the history"),
            (Some(events), "nothing") => {
                error!(job, events, %error, written, "events were refused by the database of the history");
            }
            (Some(events), _) => {
                warn!(job, events, %error, written, "events were refused by the database of the history");
            }
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

    /// Counts events that are in the database, and logs if it was away before.
    fn written(&self, events: usize) {
        let counts = &self.progress.counts;
        counts.recorded.fetch_add(events as u64, Ordering::Relaxed);
        if counts.is_away.swap(false, Ordering::Relaxed) {
            info!(database = self.store.database(), "the database of the history is back");
        }
        debug!(events, "history written");
    }

    /// Notes that the database does not take what is written. It is said once until it is back.
    fn is_away(&self, error: &Error) {
        let was_away = self.progress.counts.is_away.swap(true, Ordering::Relaxed);
        if was_away {
            debug!(error = %error.chain(), "history still waits")
        } else {
            warn!(error = %error.chain(), "history waits: the database does not take it")
        }
    }

    /// Counts events that will not be in the history.
    fn drop_events(&self, events: usize) {
        self.progress.dropped.add(events as u64);
    }

    /// Logs how many events were dropped, at most once a minute and at the end.
    fn say_dropped(&mut self, is_end: bool) {
        let total = self.progress.dropped.count();
        if let Some(events) = self.dropped_said.news(total, is_end) {
            warn!(events, total, "events were dropped: they are missing in the history");
        }
    }
}

/// Ends when the time that remains after the stop of the application is up.
async fn out_of_time(stop: CancellationToken, give_up_at: Option<Instant>) {
    match give_up_at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH_LIMIT).await;
        }
    }
}
