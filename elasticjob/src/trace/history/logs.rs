//! The logs of runs in the database: the task that writes them, and questions to them.
//!
//! They are apart from the history itself, so that neither waits for the other: a log is larger than a row, and its table is younger. If
//! the database refuses to create the table, runs are recorded without logs.
//!
//! The log of an attempt is one row, with the key of the attempt's row, so that no attempt overwrites the log of another, and writing again
//! is right. While a run goes on the row is replaced each time there is more.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::run::{CONTINUED, CUT_OFF};
use crate::trace::run_log::{Record, SHORT, Sink, Taken};

use super::error::{Error, FaultyPart};
use super::fit::Room;
use super::query::History;
use super::rows::row_id;
use super::schema::{EXECUTIONS, LOGS};
use super::statement::{Conflict, Statement, Value};
use super::store::{READING, Store};

/// How often what is new of the runs that go on is written.
const INTERVAL: Duration = Duration::from_secs(2);

/// Most bytes in one transaction: servers refuse packets of megabytes.
const BATCH: usize = 512 * 1024;

/// The pauses between attempts to reach a database that is away.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// How long logs are still written after the application stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(8);

const WRITING: &str = "cannot write the log of a run";

/// Writes the logs of runs. Its task owns it.
#[derive(Debug)]
pub(super) struct LogWriter {
    store: Store,
    sink: Sink,
    stop: CancellationToken,
    is_prepared: bool,
    is_away: bool,
}

/// The log of one attempt of a run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RecordedLog {
    /// The key of the attempt: that of its row in `JOB_EXECUTION_LOG`.
    pub id: String,
    /// The name of the job.
    pub job: String,
    /// The item that ran, from 0.
    pub item: u32,
    /// The id of the run, which is the same over all its attempts.
    pub run_id: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The scheduled time, or when the run was triggered.
    pub scheduled_time: Timestamp,
    /// Whether there will be no more of it: the run has ended. If its process died, there is no more of it either.
    pub is_over: bool,
    /// The messages, oldest first, each ended by a line end. The first line says how many were cut off in front.
    pub text: String,
}

impl RecordedLog {
    /// Returns how many messages were cut off in front.
    #[must_use]
    pub fn cut(&self) -> u64 {
        cut_of(&self.text).0
    }

    /// Returns the messages that are kept, oldest first, each with its further lines.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        messages(cut_of(&self.text).1)
    }
}

/// Separates how many messages were cut off from those that are there.
fn cut_of(text: &str) -> (u64, &str) {
    let first = text.split_once('\n').and_then(|(first, rest)| {
        let number = first.strip_prefix('(')?.strip_suffix(CUT_OFF)?;
        Some((number.parse().ok()?, rest))
    });
    first.unwrap_or((0, text))
}

/// Takes messages apart. Each further line of a message begins with a sign.
fn messages(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = rest.match_indices('\n').map(|(at, _)| at + 1);
        let mut ends = ends.filter(|&end| !rest[end..].starts_with(&CONTINUED[1..]));
        let (message, others) = rest.split_at(ends.next().unwrap_or(rest.len()));
        rest = others;
        Some(message.trim_end_matches('\n'))
    })
}

impl LogWriter {
    pub(super) fn new(store: Store, sink: Sink, stop: CancellationToken) -> Self {
        Self {
            store,
            sink,
            stop,
            is_prepared: false,
            is_away: false,
        }
    }

    /// Writes until the application stops and no log waits any more.
    pub(super) async fn run(mut self) {
        let mut next = Instant::now() + INTERVAL;
        while !self.stop.is_cancelled() {
            tokio::select! {
                () = self.sink.ended() => {}
                () = tokio::time::sleep_until(next) => next = Instant::now() + INTERVAL,
                () = self.stop.cancelled() => break,
            }
            if self.write_waiting(SHORT, None).await {
                return;
            }
        }
        // Also of runs that still go on: what they have said so far is all that there will be.
        self.write_waiting(Duration::ZERO, Some(Instant::now() + FLUSH_LIMIT))
            .await;
    }

    /// Writes what waits, of runs that go on if they do for this long. Returns whether no log can be kept here.
    async fn write_waiting(&mut self, age: Duration, give_up_at: Option<Instant>) -> bool {
        loop {
            let Taken { records, dropped } = self.sink.take(BATCH, age);
            if dropped > 0 {
                warn!(
                    logs = dropped,
                    "logs of runs were dropped: too many wait for the database"
                );
            }
            if records.is_empty() {
                return false;
            }
            match self.write(&records, give_up_at).await {
                Ok(()) => debug!(logs = records.len(), "logs of runs written"),
                Err(Refused::Table(refused)) => {
                    warn!(
                        error = %refused.chain(),
                        "no logs of runs are kept: the database refuses to create the table {}. The history goes on without",
                        LOGS.name
                    );
                    self.sink.close();
                    return true;
                }
                Err(Refused::Time) => return false,
            }
        }
    }

    /// Writes records, however long the database is away.
    async fn write(&mut self, records: &[Record], give_up_at: Option<Instant>) -> Result<(), Refused> {
        let [mut pause, longest] = PAUSES;
        loop {
            let failed = match self.attempt(records).await {
                Ok(()) => {
                    if std::mem::take(&mut self.is_away) {
                        info!(database = self.store.database(), "logs of runs are written again");
                    }
                    return Ok(());
                }
                Err(failed) => failed,
            };
            if !self.is_prepared && failed.is_an_answer() {
                return Err(Refused::Table(failed));
            }
            if failed.kind == FaultyPart::Rows {
                self.write_each(records).await;
                return Ok(());
            }
            if !std::mem::replace(&mut self.is_away, true) {
                warn!(error = %failed.chain(), "logs of runs wait: the database does not take them");
            }
            self.is_prepared = false;
            let until = Instant::now() + pause.mul_f64(1.0 + fastrand::f64() / 4.0);
            match give_up_at {
                Some(at) if until >= at => return Err(Refused::Time),
                Some(_) => tokio::time::sleep_until(until).await,
                None => {
                    if timeout_at(until, self.stop.cancelled()).await.is_ok() {
                        // What is left of the time belongs to what waits.
                        return Err(Refused::Time);
                    }
                }
            }
            pause = (pause * 2).min(longest);
        }
    }

    async fn attempt(&mut self, records: &[Record]) -> Result<(), Error> {
        if !self.is_prepared {
            self.store.prepare_logs().await?;
            self.is_prepared = true;
        }
        let room = Room::of(usize::MAX);
        let statements: Vec<Statement> = records.iter().map(|record| self.statement(record, room)).collect();
        self.store.execute_together(WRITING, &statements).await
    }

    /// Writes records that the database refused together, each for itself: in ASCII if it refuses the letters.
    async fn write_each(&self, records: &[Record]) {
        for record in records {
            for room in [Room::of(usize::MAX), Room::of(usize::MAX).in_ascii()] {
                match self.store.execute(WRITING, &self.statement(record, room)).await {
                    Ok(_) => break,
                    Err(refused) if room == Room::of(usize::MAX) => {
                        debug!(error = %refused.chain(), "the log of a run was refused");
                    }
                    Err(refused) => error!(error = %refused.chain(), "the log of a run is not kept"),
                }
            }
        }
    }

    fn statement(&self, record: &Record, room: Room) -> Statement {
        let dialect = self.store.dialect();
        let id = |run: &crate::trace::LoggedRun| row_id(&run.run_id, run.scheduled_time, run.item, run.attempt);
        match record {
            Record::Write { run, text, is_over } => {
                let row = vec![
                    Value::Text(id(run)),
                    Value::Text(run.run_id.clone()),
                    Value::Integer(run.attempt.into()),
                    Value::Text(
                        Room {
                            characters: 100,
                            ..room
                        }
                        .fit(&run.job),
                    ),
                    Value::Integer(run.item.into()),
                    Value::Integer(run.scheduled_time.as_millisecond()),
                    Value::Integer((*is_over).into()),
                    Value::Text(room.fit(text)),
                ];
                let replaced = Conflict::Replace(vec!["is_over", "log_text"]);
                Statement::insert(dialect, &LOGS, LOGS.columns, &[row], &replaced)
            }
            Record::Remove(run) => {
                let mut statement = Statement::new();
                let key = statement.bind(dialect, Value::Text(id(run)));
                statement.push(&format!("DELETE FROM {} WHERE id = {key}", LOGS.name));
                statement
            }
        }
    }
}

/// Why logs were not written.
enum Refused {
    /// There can be no table for them.
    Table(Error),
    /// There is no time left.
    Time,
}

impl History {
    /// Returns the logs of a run, an attempt each, oldest first: `run` is the id of the run, or the key of one attempt. It returns none if no
    /// log was kept: the run succeeded and `tracing.run-log.keep` says `failed`, nothing was logged, or no [`RunLog`](crate::trace::RunLog)
    /// was there.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn logs(&self, run: &str) -> Result<Vec<RecordedLog>, Error> {
        // Ids of runs are letters and digits; keys of attempts have a hyphen.
        let column = if run.contains('-') { "id" } else { "run_id" };
        // Where there are no tables at all, or none for us, the question itself says so.
        if !self.store().has(READING, LOGS.name, "1").await? && self.store().has(READING, EXECUTIONS.name, "1").await? {
            return Ok(Vec::new());
        }
        let mut query = Statement::new();
        let key = query.bind(self.store().dialect(), Value::Text(run.to_owned()));
        query.push(&format!(
            "SELECT id, job_name, sharding_item, run_id, attempt, scheduled_time, is_over, log_text FROM {} WHERE {column} = {key} \
             ORDER BY scheduled_time, attempt LIMIT {MOST}",
            LOGS.name
        ));
        let found = self.store().rows(&query).await?;
        self.read(&found, |row| {
            let number = |column: usize| -> Result<u32, sqlx::Error> {
                let number: i64 = row.try_get(column)?;
                Ok(u32::try_from(number).unwrap_or_default())
            };
            Ok(RecordedLog {
                id: row.try_get(0)?,
                job: row.try_get(1)?,
                item: number(2)?,
                run_id: row.try_get(3)?,
                attempt: number(4)?,
                scheduled_time: Timestamp::from_millisecond(row.try_get(5)?).unwrap_or(Timestamp::UNIX_EPOCH),
                is_over: number(6)? != 0,
                text: row.try_get(7)?,
            })
        })
    }
}

/// Most attempts that are read of one run.
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_log_apart() {
        let text = "(12 earlier messages were cut off)\n1 INFO a\n  | more\n2 INFO b\n";
        let (cut, rest) = cut_of(text);
        assert_eq!(cut, 12);
        let all: Vec<&str> = messages(rest).collect();
        assert_eq!(all, ["1 INFO a\n  | more", "2 INFO b"]);
        assert_eq!(cut_of("1 INFO (12 earlier messages were cut off)\n").0, 0);
        assert_eq!(messages("").count(), 0);
    }
}
