//! Questions to the history. The same on all databases, and on what Java members wrote.

mod filter;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

pub use self::filter::{Cursor, Durations, IntervalCounts, InvalidCursor, Page, RunFilter, RunOutcome, UnknownOutcome};
use self::filter::{SOURCE, outcome_of};

use super::database::Database;
use super::error::Error;
use super::schema::SKIPPED;
use super::statement::{Kind, Statement, Value};
use super::store::{Access, Store};
use crate::trace::{SkippedTimes, Source};

/// Most rows of a page.
const PAGE_LIMIT: u32 = 1000;

/// The history that is in a database. Clones share its connections.
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
}

/// A run as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RecordedRun {
    /// Names the row.
    pub id: String,
    /// The job.
    pub job: String,
    /// The item.
    pub item: u32,
    /// The firing that it belonged to.
    pub task_id: String,
    /// The name of the machine that it ran on.
    pub host: String,
    /// The address of that machine.
    pub ip: String,
    /// Why it ran.
    pub source: Source,
    /// How it ended.
    pub outcome: RunOutcome,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// What Java members do not record.
    pub detail: Option<RunDetail>,
}

/// What only members of ours record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RunDetail {
    /// Names the run, over all its attempts.
    pub run_id: String,
    /// Counted from 1.
    pub attempt: u32,
    /// How often this attempt was tried again.
    pub retries: u32,
    /// The time it was due, or when it was asked for.
    pub scheduled_time: Timestamp,
    /// The instance that ran it.
    pub instance: String,
}

/// Scheduled times of an item that were not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedSkip {
    /// The job.
    pub job: String,
    /// The item.
    pub item: u32,
    /// The times.
    pub times: SkippedTimes,
}

impl History {
    /// The history in this database. Nothing is connected yet, and nothing is created.
    ///
    /// # Errors
    /// When nobody could connect by such a URL.
    pub fn open(database: &Database) -> Result<Self, Error> {
        let store = Store::new(database, Access::Read)?;
        Ok(Self { store })
    }

    pub(super) fn of(store: Store) -> Self {
        Self { store }
    }

    /// Runs, the newest first, up to `limit` (1,000 at most) of those behind `after`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RecordedRun>, Error> {
        let dialect = self.store.dialect();
        let limit = limit.clamp(1, PAGE_LIMIT) as usize;
        let (started, ended) = (dialect.time_out("e.start_time"), dialect.time_out("e.complete_time"));
        let outcome = outcome_of(dialect);
        let mut query = Statement::new();
        query.push(&format!(
            "SELECT e.id, e.job_name, e.task_id, e.hostname, e.ip, e.sharding_item, e.failure_cause, {SOURCE}, \
             {outcome}, {started}, {ended}, d.run_id, d.attempt, d.scheduled_time, d.instance, d.retries \
             FROM {FROM}"
        ));
        filter.push(&mut query, dialect);
        if let Some(after) = after {
            let time = |query: &mut Statement| query.bind_as(dialect, Kind::Time, Value::Integer(after.time));
            let (up_to, before) = (time(&mut query), time(&mut query));
            let id = query.bind(dialect, Value::Text(after.id.clone()));
            // The first condition is the one that an index serves.
            query.push(&format!(
                " AND e.start_time <= {up_to} AND (e.start_time < {before} OR e.id < {id})"
            ));
        }
        query.push(&format!(" ORDER BY e.start_time DESC, e.id DESC LIMIT {}", limit + 1));
        let found = self.store.rows(&query).await?;
        let mut rows: Vec<RecordedRun> = self.read(&found, run)?;
        let next = rows.get(limit).is_some().then(|| rows.truncate(limit)).and_then(|()| {
            let last = rows.last()?;
            let (time, id) = (last.started_at.as_microsecond(), last.id.clone());
            Some(Cursor { time, id })
        });
        Ok(Page { rows, next })
    }

    /// How many runs ended how, for each interval of this length that has any; they count from 1970.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn counts(&self, filter: &RunFilter, interval: Duration) -> Result<Vec<IntervalCounts>, Error> {
        let dialect = self.store.dialect();
        let step = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
        let place = dialect.whole_quotient(&dialect.time_out("e.start_time"), &step.to_string());
        let mut query = Statement::new();
        query.push(&format!(
            "SELECT {}, {}, {} FROM {FROM}",
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
        let columns: Vec<String> = columns.iter().map(|column| dialect.integer(column)).collect();
        let mut query = Statement::new();
        query.push(&format!(
            "SELECT {} FROM (SELECT took, ROW_NUMBER() OVER (ORDER BY took) AS place, COUNT(*) OVER () AS total FROM \
             (SELECT {ended} - {started} AS took FROM {FROM} AND e.complete_time IS NOT NULL",
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
    /// # Errors
    /// When the database cannot be asked.
    pub async fn skipped(&self, filter: &RunFilter, limit: u32) -> Result<Vec<RecordedSkip>, Error> {
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
            Ok(RecordedSkip {
                job: row.try_get(0)?,
                item: item(row, 1)?,
                times: SkippedTimes {
                    after: moment(row.try_get::<i64, _>(2)?.saturating_mul(1000)),
                    before: moment(row.try_get::<i64, _>(3)?.saturating_mul(1000)),
                    count: natural(row, 4)?,
                    reason: row.try_get(5)?,
                },
            })
        })
    }

    fn read<T>(&self, rows: &[AnyRow], read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>) -> Result<Vec<T>, Error> {
        let read: Result<Vec<T>, sqlx::Error> = rows.iter().map(read).collect();
        read.map_err(|error| self.store.not_understood(error))
    }
}

/// Runs with what is known of them beside. More conditions follow.
const FROM: &str = "JOB_EXECUTION_LOG e LEFT JOIN ELASTICJOB_RUN d ON d.id = e.id WHERE e.start_time IS NOT NULL";

/// The shortest duration that so many in a hundred did not exceed.
fn percentile(percent: u8) -> String {
    format!("MIN(CASE WHEN place * 100 >= total * {percent} THEN took END)")
}

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

fn natural(row: &AnyRow, column: usize) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// So many microseconds after 1970.
fn moment(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
