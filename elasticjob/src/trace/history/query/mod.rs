//! Questions to the history. The same on all databases, and on what Java members wrote.
//!
//! Java's table of runs and ours beside it are joined. Where there is no table of ours, because only Java members have
//! written so far, an empty one stands for it, so that every question is one statement for all writers.
//!
//! A page costs about as much as it has rows, however much history there is: it goes by one index, from the newest run
//! back, and after a number of runs that do not match it ends early and says where to go on.

mod filter;
mod java;
#[cfg(test)]
#[cfg(feature = "history-sqlite")]
mod java_tests;
#[cfg(test)]
#[cfg(feature = "history-sqlite")]
mod tests;
mod way;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

pub use self::filter::{Cursor, Durations, IntervalCounts, InvalidCursor, Page, RunFilter, RunOutcome, UnknownOutcome};
use self::filter::{SOURCE, outcome_of};
pub use self::java::{JavaExecution, JavaFilter, JavaName, JavaPage, JavaPaging, JavaStatus};

use super::database::Database;
use super::dialect::Dialect;
use super::error::Error;
use super::schema::{DETAILS, EXECUTIONS, SKIPPED};
use super::shape::Shape;
use super::statement::{ColumnKind, Statement, Value};
use super::store::{Access, READING, Store};
use crate::run::Reason;
use crate::trace::{SkippedTimes, Source};

/// Most rows of a page.
const PAGE_LIMIT: u32 = 1000;

/// Most runs that are looked at for one page: those that an index gives for what is asked.
const LOOKED_AT: u32 = 2000;

/// The history that is in a database. Clones share its connections.
///
/// It only reads, and changes no table. It may be asked while an application records into the same database, from that
/// process or any other; [`Storage`](super::Storage) is what records.
///
/// # Cancel safety
/// All questions are safe to drop: they change nothing.
///
/// ```no_run
/// use elasticjob::trace::history::{Database, History, RunFilter, RunOutcome};
///
/// # async fn look() -> Result<(), Box<dyn std::error::Error>> {
/// let database: Database = "sqlite:elasticjob-history.db".parse()?;
/// let history = History::open(&database)?;
/// let failures = RunFilter::default().outcome(RunOutcome::Failed);
/// let page = history.runs(&failures, None, 50).await?;
/// for run in &page.rows {
///     println!("{} {}/{}: {:?}", run.started_at, run.job, run.item, run.failure);
/// }
/// let older = history.runs(&failures, page.next.as_ref(), 50).await?;
/// # drop(older);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct History {
    store: Store,
    /// Where runs stand, once the table was seen.
    runs: Arc<OnceLock<String>>,
    /// Whether our own tables were seen. Where only Java members have written there are none, until one of ours comes.
    has_details: Arc<AtomicBool>,
}

/// What questions are asked of.
struct Sources {
    /// The runs, as `e`.
    runs: String,
    /// What is known of them beside, joined as `d`.
    details: String,
}

/// A run as it is recorded.
///
/// One attempt is one row. A run that was taken over by another instance has a row for each, with the same
/// `run_id`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RecordedRun {
    /// The key of the row in `JOB_EXECUTION_LOG`.
    pub id: String,
    /// The name of the job.
    pub job: String,
    /// The item that ran, from 0.
    pub item: u32,
    /// The firing as Java names it: the same for all firings of the same items on one instance.
    pub task_id: String,
    /// The name of the machine that it ran on.
    pub host: String,
    /// The address of that machine.
    pub ip: String,
    /// Why the item ran.
    pub source: Source,
    /// How the run ended, or that it goes on as far as the database knows.
    pub outcome: RunOutcome,
    /// When the run started, to the millisecond; to the second if a Java member wrote it to MySQL.
    pub started_at: Timestamp,
    /// When the run ended; `None` while it goes on, and for ever if its instance died and no other recorded the end.
    pub ended_at: Option<Timestamp>,
    /// The error with its causes, cut to the width of the column (4,000 characters in tables of ours); `None` if the run did not
    /// fail.
    pub failure: Option<String>,
    /// What members of ours record beside; `None` for a run of a Java member.
    pub detail: Option<RunDetail>,
}

/// What only members of ours record.
///
/// It is in a table of its own, because Java's has no columns for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RunDetail {
    /// The id of the run, which is the same over all its attempts.
    pub run_id: String,
    /// The number of the attempt, from 1. Each attempt has a row of its own.
    pub attempt: u32,
    /// How often this attempt was tried again.
    pub retries: u32,
    /// The scheduled time, or when the run was triggered.
    pub scheduled_time: Timestamp,
    /// The id of the instance that ran it.
    pub instance: String,
}

/// Scheduled times of an item that were not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedSkip {
    /// The name of the job.
    pub job: String,
    /// The item that did not run, from 0.
    pub item: u32,
    /// The range of times, their number, and the reason.
    pub times: SkippedTimes,
}

impl History {
    /// The history in this database. Nothing is connected yet, and nothing is created.
    ///
    /// A file that is not there is an error of the first question, and is not created by it.
    ///
    /// # Errors
    /// If the URL is not one of a supported database.
    pub fn open(database: &Database) -> Result<Self, Error> {
        Ok(Self::of(Store::new(database, Access::Read)?))
    }

    /// Returns where it is, without user and password.
    #[must_use]
    pub fn database(&self) -> &str {
        self.store.database()
    }

    pub(super) fn of(store: Store) -> Self {
        Self {
            store,
            runs: Arc::default(),
            has_details: Arc::default(),
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Runs, the newest first, up to `limit` (1,000 at most) of those behind `after`.
    ///
    /// A page reads at most 2,000 runs, so that it is fast for any query. If no index serves the whole query, a page may be short
    /// or even empty, and its `next` goes on.
    ///
    /// Runs that start while pages are read are newer than the first page and are not seen. Runs that started in the same
    /// microsecond are in the order of their ids, so that no row is on two pages or on none.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RecordedRun>, Error> {
        let limit = limit.clamp(1, PAGE_LIMIT) as usize;
        let sources = self.sources().await?;
        let last_looked_at = if filter.is_served() {
            None
        } else {
            self.last_looked_at(&sources, filter, after).await?
        };
        let mut query = self.page(&sources, filter, after, last_looked_at.as_ref());
        query.push(&format!(" LIMIT {}", limit + 1));
        let found = self.store.rows(&query).await?;
        let mut rows: Vec<RecordedRun> = self.read(&found, run)?;
        if rows.len() <= limit {
            let next = last_looked_at;
            return Ok(Page { rows, next });
        }
        rows.truncate(limit);
        let next = rows.last().map(|last| Cursor {
            time: last.started_at.as_microsecond(),
            id: last.id.clone(),
        });
        Ok(Page { rows, next })
    }

    /// The runs that are asked for behind `after` and up to `last`.
    fn page(
        &self,
        Sources { runs, details }: &Sources,
        filter: &RunFilter,
        after: Option<&Cursor>,
        last: Option<&Cursor>,
    ) -> Statement {
        let dialect = self.store.dialect();
        let mut query = Statement::new();
        query.push(&format!("SELECT {} FROM {runs}{details} {STARTED}", columns(dialect)));
        filter.push_served(&mut query, dialect);
        filter.push_others(&mut query, dialect);
        filter.push_times(&mut query, dialect, after, last);
        query.push(NEWEST_FIRST);
        query
    }

    /// The attempts of one run, oldest first: `run` is the id of the run, or the key of one of its attempts, as [`RecordedRun::id`] has it.
    /// Of a run of a Java member there is one. There are none if no such run is recorded.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn attempts(&self, run: &str) -> Result<Vec<RecordedRun>, Error> {
        let sources = self.sources().await?;
        if !run.contains('-') {
            return self.attempts_of(&sources, run).await;
        }
        let found = self.attempts_where(&sources, "e.id", run).await?;
        match found.first().and_then(|run| run.detail.as_ref()) {
            Some(detail) => self.attempts_of(&sources, &detail.run_id).await,
            None => Ok(found),
        }
    }

    /// The attempts of a run with this id.
    async fn attempts_of(&self, sources: &Sources, run_id: &str) -> Result<Vec<RecordedRun>, Error> {
        let mut attempts = self.attempts_where(sources, "d.run_id", run_id).await?;
        attempts.sort_by_key(|run| run.detail.as_ref().map(|detail| detail.attempt));
        Ok(attempts)
    }

    async fn attempts_where(
        &self,
        Sources { runs, details }: &Sources,
        column: &str,
        value: &str,
    ) -> Result<Vec<RecordedRun>, Error> {
        let dialect = self.store.dialect();
        let mut query = Statement::new();
        let value = query.bind(dialect, Value::Text(value.to_owned()));
        query.push(&format!(
            "SELECT {} FROM {runs}{details} WHERE {column} = {value} LIMIT {ATTEMPTS}",
            columns(dialect)
        ));
        let found = self.store.rows(&query).await?;
        self.read(&found, run)
    }

    /// The last of the runs that a page looks at; `None` if these are all that there are.
    async fn last_looked_at(
        &self,
        Sources { runs, .. }: &Sources,
        filter: &RunFilter,
        after: Option<&Cursor>,
    ) -> Result<Option<Cursor>, Error> {
        let dialect = self.store.dialect();
        let started = dialect.time_out("e.start_time");
        let mut query = Statement::new();
        query.push(&format!("SELECT {started}, e.id FROM {runs} {STARTED}"));
        filter.push_served(&mut query, dialect);
        filter.push_times(&mut query, dialect, after, None);
        query.push(&format!("{NEWEST_FIRST} LIMIT 1 OFFSET {}", LOOKED_AT - 1));
        let found = self.store.rows(&query).await?;
        let read = self.read(&found, |row| {
            Ok(Cursor {
                time: row.try_get(0)?,
                id: row.try_get(1)?,
            })
        })?;
        Ok(read.into_iter().next())
    }

    /// Finds out what there is to be asked.
    async fn sources(&self) -> Result<Sources, Error> {
        let runs = match self.runs.get() {
            Some(runs) => runs.clone(),
            None => {
                let shape = self.store.shape(READING, &[&EXECUTIONS]).await?;
                let runs = runs_of(&shape);
                if shape.knows(&EXECUTIONS) {
                    // Two callers that ask at once have found the same.
                    let _ = self.runs.set(runs.clone());
                }
                runs
            }
        };
        if !self.has_details.load(Ordering::Relaxed) {
            let has_details = self.store.has(READING, DETAILS.name, "1").await?;
            self.has_details.store(has_details, Ordering::Relaxed);
        }
        let details = if self.has_details.load(Ordering::Relaxed) {
            format!(" LEFT JOIN {} d ON d.id = e.id", DETAILS.name)
        } else {
            format!(" LEFT JOIN ({NO_DETAILS} FROM {runs} WHERE 1 = 0) d ON d.id = e.id")
        };
        Ok(Sources { runs, details })
    }

    /// How many runs ended how, for each interval of this length that has any; they count from 1970.
    ///
    /// The intervals are given in ascending order. An interval without runs is absent, and so is an outcome that no run
    /// of an interval had. Unlike a page, this reads all runs that match: give the filter a time.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn counts(&self, filter: &RunFilter, interval: Duration) -> Result<Vec<IntervalCounts>, Error> {
        let dialect = self.store.dialect();
        let step = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
        let Sources { runs, details } = self.sources().await?;
        let place = dialect.whole_quotient(&dialect.time_out("e.start_time"), &step.to_string());
        let mut query = Statement::new();
        query.push(&format!(
            "SELECT {}, {}, {} FROM {runs}{details} {STARTED}",
            dialect.integer(&place),
            outcome_of(dialect),
            dialect.integer("COUNT(*)")
        ));
        filter.push(&mut query, dialect);
        query.push(" GROUP BY 1, 2 ORDER BY 1");
        let found = self.store.rows(&query).await?;
        let counted = self.read(&found, |row| {
            let place: i64 = row.try_get(0)?;
            let outcome = outcome(row, 1)?;
            Ok((moment(place.saturating_mul(step)), outcome, natural(row, 2)?))
        })?;
        let mut intervals: BTreeMap<Timestamp, BTreeMap<RunOutcome, u64>> = BTreeMap::new();
        for (from, outcome, count) in counted {
            *intervals.entry(from).or_default().entry(outcome).or_default() += count;
        }
        let intervals = intervals.into_iter();
        Ok(intervals
            .map(|(from, counts)| IntervalCounts { from, counts })
            .collect())
    }

    /// How long runs took that have ended; `None` if there are none.
    ///
    /// It reads all runs that match, as [`counts`](Self::counts) does.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn durations(&self, filter: &RunFilter) -> Result<Option<Durations>, Error> {
        let dialect = self.store.dialect();
        let (started, ended) = (dialect.time_out("e.start_time"), dialect.time_out("e.complete_time"));
        let columns = [
            "COUNT(*)".to_owned(),
            "MIN(took)".to_owned(),
            percentile(50),
            percentile(90),
            percentile(99),
            "MAX(took)".to_owned(),
        ];
        let Sources { runs, details } = self.sources().await?;
        let columns: Vec<String> = columns.iter().map(|column| dialect.integer(column)).collect();
        let mut query = Statement::new();
        query.push(&format!(
            "SELECT {} FROM (SELECT took, ROW_NUMBER() OVER (ORDER BY took) AS place, COUNT(*) OVER () AS total FROM \
             (SELECT {ended} - {started} AS took FROM {runs}{details} {STARTED} AND e.complete_time IS NOT NULL",
            columns.join(", ")
        ));
        filter.push(&mut query, dialect);
        query.push(") taken) placed");
        let found = self.store.rows(&query).await?;
        let read = self.read(&found, |row| {
            let count = natural(row, 0)?;
            if count == 0 {
                return Ok(None);
            }
            let duration = |column| natural(row, column).map(Duration::from_micros);
            Ok(Some(Durations {
                count,
                min: duration(1)?,
                p50: duration(2)?,
                p90: duration(3)?,
                p99: duration(4)?,
                max: duration(5)?,
            }))
        })?;
        Ok(read.into_iter().flatten().next())
    }

    /// Scheduled times that were not run, the newest first, up to `limit` (1,000 at most): of the filter's job, item and
    /// times.
    ///
    /// Other conditions of the filter do not apply: no instance ran, and there is no outcome. A database without the
    /// table of these, as one that only Java members have written to, has none.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn skipped(&self, filter: &RunFilter, limit: u32) -> Result<Vec<RecordedSkip>, Error> {
        // Java members make no such table. Where there are none at all, or none for us, the question itself says so.
        if !self.store.has(READING, SKIPPED.name, "1").await? && self.store.has(READING, EXECUTIONS.name, "1").await? {
            return Ok(Vec::new());
        }
        let dialect = self.store.dialect();
        let mut query = Statement::new();
        query.push(&format!(
            "SELECT job_name, sharding_item, after_time, before_time, times, reason FROM {} WHERE 1 = 1",
            SKIPPED.name
        ));
        if let Some(job) = &filter.job {
            let job = query.bind(dialect, Value::Text(job.clone()));
            query.push(&format!(" AND job_name = {job}"));
        }
        if let Some(item) = filter.item {
            let item = query.bind(dialect, Value::Integer(item.into()));
            query.push(&format!(" AND sharding_item = {item}"));
        }
        for (sign, time) in [(">", filter.from), ("<=", filter.until)] {
            let Some(time) = time else { continue };
            let time = query.bind(dialect, Value::Integer(time.as_millisecond()));
            query.push(&format!(" AND before_time {sign} {time}"));
        }
        query.push(&format!(
            " ORDER BY before_time DESC, job_name, sharding_item LIMIT {}",
            limit.clamp(1, PAGE_LIMIT)
        ));
        let found = self.store.rows(&query).await?;
        self.read(&found, |row| {
            let reason: String = row.try_get(5)?;
            Ok(RecordedSkip {
                job: row.try_get(0)?,
                item: item(row, 1)?,
                times: SkippedTimes {
                    after: moment(row.try_get::<i64, _>(2)?.saturating_mul(1000)),
                    before: moment(row.try_get::<i64, _>(3)?.saturating_mul(1000)),
                    count: natural(row, 4)?,
                    code: Reason::from_english(&reason),
                    reason,
                },
            })
        })
    }

    /// Reads rows. One that cannot be understood fails them all.
    pub(in crate::trace::history) fn read<T>(
        &self,
        rows: &[AnyRow],
        read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, Error> {
        let read: Result<Vec<T>, sqlx::Error> = rows.iter().map(read).collect();
        read.map_err(|error| self.store.not_understood(error))
    }
}

/// Most attempts of one run that are read.
const ATTEMPTS: u32 = 100;

/// The columns of a run, in the order in which [`run`] reads them.
fn columns(dialect: &Dialect) -> String {
    let (started, ended) = (dialect.time_out("e.start_time"), dialect.time_out("e.complete_time"));
    let outcome = outcome_of(dialect);
    format!(
        "e.id, e.job_name, e.task_id, e.hostname, e.ip, e.sharding_item, e.failure_cause, {SOURCE}, {outcome}, {started}, {ended}, \
         d.run_id, d.attempt, d.scheduled_time, d.instance, d.retries"
    )
}

/// The columns about runs that Java members and ours write, as `e`. A column that was dropped has no values.
fn runs_of(shape: &Shape) -> String {
    let is_absent = |(name, kind): &&(&str, ColumnKind)| {
        matches!(kind, ColumnKind::Text(_) | ColumnKind::Account(_)) && !shape.has(&EXECUTIONS, name)
    };
    let absent: Vec<String> = EXECUTIONS
        .columns
        .iter()
        .filter(is_absent)
        .map(|(name, kind)| match kind {
            // A text everywhere, and none.
            ColumnKind::Account(_) => format!("NULLIF('', '') AS {name}"),
            _ => format!("'' AS {name}"),
        })
        .collect();
    if absent.is_empty() {
        format!("{} e", EXECUTIONS.name)
    } else {
        format!("(SELECT j.*, {} FROM {} j) e", absent.join(", "), EXECUTIONS.name)
    }
}

/// The first condition; more follow. In its plain form SQLite would take it for one on a range.
const STARTED: &str = "WHERE CASE WHEN e.start_time IS NULL THEN 0 ELSE 1 END = 1";

/// The order of pages, which every index of runs has.
const NEWEST_FIRST: &str = " ORDER BY e.start_time DESC, e.id DESC";

/// What is known of no run, in columns of the same types.
const NO_DETAILS: &str = "SELECT e.id, e.id AS run_id, e.sharding_item AS attempt, e.sharding_item AS retries, \
                          e.sharding_item AS scheduled_time, e.execution_source AS source, e.ip AS instance, \
                          e.execution_source AS verdict";

/// The shortest duration that so many in a hundred did not exceed.
fn percentile(percent: u8) -> String {
    format!("MIN(CASE WHEN place * 100 >= total * {percent} THEN took END)")
}

/// Reads the row of a run, in the columns of a page.
fn run(row: &AnyRow) -> Result<RecordedRun, sqlx::Error> {
    let run_id: Option<String> = row.try_get(11)?;
    let detail = match run_id {
        None => None,
        Some(run_id) => Some(RunDetail {
            run_id,
            attempt: item(row, 12)?,
            scheduled_time: moment(row.try_get::<i64, _>(13)?.saturating_mul(1000)),
            instance: row.try_get(14)?,
            retries: item(row, 15)?,
        }),
    };
    Ok(RecordedRun {
        id: row.try_get(0)?,
        job: row.try_get(1)?,
        task_id: row.try_get(2)?,
        host: row.try_get(3)?,
        ip: row.try_get(4)?,
        item: item(row, 5)?,
        failure: row.try_get(6)?,
        source: match row.try_get::<String, _>(7)?.as_str() {
            "MISFIRE" => Source::Misfire,
            "FAILOVER" => Source::Failover,
            "TRIGGER" => Source::Trigger,
            "UNKNOWN" => Source::Unknown,
            _ => Source::Schedule,
        },
        outcome: outcome(row, 8)?,
        started_at: moment(row.try_get(9)?),
        ended_at: row.try_get::<Option<i64>, _>(10)?.map(moment),
        detail,
    })
}

fn outcome(row: &AnyRow, column: usize) -> Result<RunOutcome, sqlx::Error> {
    let text: String = row.try_get(column)?;
    // What a later version of ours may write ended in some way, and not well.
    Ok(text.parse().unwrap_or(RunOutcome::Cancelled))
}

fn item(row: &AnyRow, column: usize) -> Result<u32, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    Ok(u32::try_from(number).unwrap_or_default())
}

/// Reads a number that is not negative. One that is, as a duration between two clocks may be, is taken for 0.
fn natural(row: &AnyRow, column: usize) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// So many microseconds after 1970.
fn moment(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
