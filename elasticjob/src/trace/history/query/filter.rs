use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::way::Way;
use crate::trace::Source;
use crate::trace::history::dialect::Dialect;
use crate::trace::history::rows;
use crate::trace::history::statement::{ColumnKind, Statement, Value};

/// Which runs are asked for. Without any condition: all.
///
/// Each condition narrows the answer; a condition that is set twice is the later one. Which conditions are set together
/// decides how fast the answer is: a job, an item of it, an outcome other than success, or an address each have an
/// index.
///
/// ```
/// use elasticjob::trace::history::{RunFilter, RunOutcome};
///
/// let failures = RunFilter::default().job("sync_orders").outcome(RunOutcome::Failed);
/// # assert_ne!(failures, RunFilter::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct RunFilter {
    pub(super) job: Option<String>,
    pub(super) item: Option<u32>,
    pub(super) instance: Option<String>,
    pub(super) outcome: Option<RunOutcome>,
    pub(super) source: Option<Source>,
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
}

/// How a run ended, as far as the database knows.
///
/// Java members record less: of their runs there are only success, failure and "runs".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// It runs, or its end could not be written.
    Running,
    /// The job returned success.
    Succeeded,
    /// The job returned an error, or panicked.
    Failed,
    /// It was stopped before it returned.
    Cancelled,
    /// Its instance died, or was cut off.
    Lost,
}

impl RunFilter {
    /// Of this job.
    ///
    /// It has to be the whole name.
    pub fn job(self, name: impl Into<String>) -> Self {
        Self {
            job: Some(name.into()),
            ..self
        }
    }

    /// Of this item.
    ///
    /// Items of all jobs have the same numbers, so that it is of use together with [`job`](Self::job).
    pub fn item(self, item: u32) -> Self {
        Self {
            item: Some(item),
            ..self
        }
    }

    /// Run by this instance, or on the server with this address.
    pub fn instance(self, id_or_address: impl Into<String>) -> Self {
        Self {
            instance: Some(id_or_address.into()),
            ..self
        }
    }

    /// That ended so.
    ///
    /// [`RunOutcome::Running`] finds runs without an end, also those of long ago whose end nobody could write.
    pub fn outcome(self, outcome: RunOutcome) -> Self {
        Self {
            outcome: Some(outcome),
            ..self
        }
    }

    /// Runs with this source. Java members write [`Source::Schedule`] also for triggered runs.
    pub fn source(self, source: Source) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// Started at this time or later.
    pub fn from(self, time: Timestamp) -> Self {
        Self {
            from: Some(time),
            ..self
        }
    }

    /// Started before this time.
    ///
    /// Together with `from` it is an interval that has its begin and not its end, so that two that follow
    /// one another share no run.
    pub fn until(self, time: Timestamp) -> Self {
        Self {
            until: Some(time),
            ..self
        }
    }

    /// The conditions, each after an `AND`, on runs `e` with their details `d`.
    pub(super) fn push(&self, statement: &mut Statement, dialect: &Dialect) {
        self.push_served(statement, dialect);
        self.push_others(statement, dialect);
        self.push_times(statement, dialect, None, None);
    }

    /// Returns whether an index serves all conditions, so that each of its rows is a result.
    pub(super) fn is_served(&self) -> bool {
        let mut others = Statement::new();
        self.push_others(&mut others, &Dialect::Sqlite);
        others.sql.is_empty()
    }

    /// The conditions that the index serves which the question goes by.
    pub(super) fn push_served(&self, statement: &mut Statement, dialect: &Dialect) {
        let way = Way::of(self);
        if let Some(source) = self.source.filter(|_| way.serves_source()) {
            statement.push(&format!(" AND e.execution_source = '{}'", rows::source(source)));
        }
        if let Some(job) = self.job.as_ref().filter(|_| way.serves_job()) {
            let job = statement.bind(dialect, Value::Text(job.clone()));
            statement.push(&format!(" AND e.job_name = {job}"));
        }
        if let Some(item) = self.item.filter(|_| way.serves_item()) {
            let item = statement.bind(dialect, Value::Integer(item.into()));
            statement.push(&format!(" AND e.sharding_item = {item}"));
        }
        if let Some(outcome) = self.outcome.filter(|_| way.serves_success()) {
            let flag = dialect.is_flag("e.is_success", outcome == RunOutcome::Succeeded);
            statement.push(&format!(" AND {flag}"));
        }
        if let Some((address, _)) = self.server().filter(|_| way.serves_address()) {
            let address = statement.bind(dialect, Value::Text(address.to_owned()));
            statement.push(&format!(" AND e.ip = {address}"));
        }
    }

    /// The times that are asked for, behind `after` and up to `last` of them. One condition at most from each side: SQLite
    /// would believe that several leave nothing over, whichever index it takes.
    pub(super) fn push_times(
        &self,
        statement: &mut Statement,
        dialect: &Dialect,
        after: Option<&Cursor>,
        last: Option<&Cursor>,
    ) {
        let until = self.until.map(Timestamp::as_microsecond);
        let after = after.filter(|after| until.is_none_or(|until| after.time < until));
        let sides = [
            (until, after, "<", "<="),
            (self.from.map(Timestamp::as_microsecond), last, ">", ">="),
        ];
        for (time, place, beyond, to) in sides {
            match (time, place) {
                (_, Some(place)) => {
                    let mut time = || statement.bind_as(dialect, ColumnKind::Time, Value::Integer(place.time));
                    let (near, far) = (time(), time());
                    let id = statement.bind(dialect, Value::Text(place.id.clone()));
                    // The place that the page before ended at was on it; that which this one ends at is, too.
                    let id_to = if beyond == "<" { beyond } else { to };
                    // The first condition is the one that an index serves.
                    statement.push(&format!(
                        " AND e.start_time {to} {near} AND (e.start_time {beyond} {far} OR e.id {id_to} {id})"
                    ));
                }
                (Some(time), None) => {
                    let time = statement.bind_as(dialect, ColumnKind::Time, Value::Integer(time));
                    let sign = if beyond == "<" { beyond } else { to };
                    statement.push(&format!(" AND e.start_time {sign} {time}"));
                }
                (None, None) => {}
            }
        }
    }

    /// The other conditions, in forms that no index serves.
    pub(super) fn push_others(&self, statement: &mut Statement, dialect: &Dialect) {
        let way = Way::of(self);
        if let Some(job) = self.job.as_ref().filter(|_| !way.serves_job()) {
            let job = statement.bind(dialect, Value::Text(job.clone()));
            statement.push(&format!(" AND COALESCE(e.job_name, '') = {job}"));
        }
        if let Some(item) = self.item.filter(|_| !way.serves_item()) {
            let item = statement.bind(dialect, Value::Integer(item.into()));
            statement.push(&format!(" AND e.sharding_item + 0 = {item}"));
        }
        if let Some((address, id)) = self.server() {
            if !way.serves_address() {
                let address = statement.bind(dialect, Value::Text(address.to_owned()));
                statement.push(&format!(" AND COALESCE(e.ip, '') = {address}"));
            }
            if let Some(id) = id {
                let id = statement.bind(dialect, Value::Text(id.to_owned()));
                statement.push(&format!(" AND COALESCE(d.instance, '') = {id}"));
            }
        }
        if let Some(outcome) = self.outcome {
            let is_success = outcome == RunOutcome::Succeeded;
            if !way.serves_success() {
                let flag = dialect.is_flag("e.is_success", is_success);
                statement.push(&format!(" AND CASE WHEN {flag} THEN 1 ELSE 0 END = 1"));
            }
            if !is_success {
                let expression = outcome_of(dialect);
                statement.push(&format!(" AND {expression} = '{}'", outcome.as_str()));
            }
        }
        if let Some(source) = self.source.filter(|_| !way.serves_source()) {
            statement.push(&format!(" AND {SOURCE} = '{}'", rows::source(source)));
        }
    }

    /// The address of the server, and the id of the instance if that was given.
    fn server(&self) -> Option<(&str, Option<&str>)> {
        let instance = self.instance.as_deref()?;
        Some(match instance.split_once("@-@") {
            Some((address, _)) => (address, Some(instance)),
            None => (instance, None),
        })
    }
}

/// Why a run was run.
pub(super) const SOURCE: &str =
    "COALESCE(d.source, CASE e.execution_source WHEN 'NORMAL_TRIGGER' THEN 'SCHEDULE' ELSE e.execution_source END)";

/// How a run ended. Java members write less than we.
pub(super) fn outcome_of(dialect: &Dialect) -> String {
    let succeeded = dialect.is_flag("e.is_success", true);
    format!(
        "COALESCE(d.verdict, CASE WHEN {succeeded} THEN 'SUCCEEDED' \
         WHEN e.complete_time IS NULL AND e.failure_cause IS NULL THEN 'RUNNING' ELSE 'FAILED' END)"
    )
}

impl RunOutcome {
    /// All there are.
    ///
    /// In the order in which a report would show them, from running to lost.
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Lost => "LOST",
        }
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_str().to_ascii_lowercase())
    }
}

/// No outcome is called so.
///
/// Its text names those that there are. Case does not matter when an outcome is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome `{0}`: expected running, succeeded, failed, cancelled or lost")]
pub struct UnknownOutcome(String);

impl FromStr for RunOutcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        let found = Self::ALL
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}

/// The begin of the next page: after the last row of the previous page, also if rows are written meanwhile. It can be written as a
/// text and read back.
///
/// It names a row and not a number of rows, so that it stays right while history is written and deleted. It does not
/// remember the filter: the next page has to be asked for with the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) time: i64,
    pub(super) id: String,
}

/// What was given is not what a [`Cursor`] is written as.
///
/// A cursor of a row that has been deleted since is none of these: the page begins behind the place where the row was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place in a history: take the one that came with the page before")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time, self.id)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (time, id) = text.split_once('.').ok_or(InvalidCursor)?;
        let id = id.to_owned();
        time.parse().map(|time| Self { time, id }).map_err(|_| InvalidCursor)
    }
}

/// One page of an answer. It may hold fewer rows than were asked for, even none, where few of many runs are asked for:
/// as long as there is a `next`, there may be more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The newest first.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
}

/// How many runs of an interval ended how.
///
/// A run belongs to the interval in which it started.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct IntervalCounts {
    /// When the interval begins.
    pub from: Timestamp,
    /// How many ended how; what there was none of is absent.
    pub counts: std::collections::BTreeMap<RunOutcome, u64>,
}

/// How long runs took.
///
/// The percentiles are durations of runs that there were, and not values between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Durations {
    /// How many ended.
    pub count: u64,
    /// The shortest.
    pub min: Duration,
    /// Half of them took no longer.
    pub p50: Duration,
    /// Nine of ten took no longer.
    pub p90: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}
