//! The questions of the Java console: pages by number, with a total, over the two tables that Java members have.
//!
//! They are for scripts alone. A page by number reads all that comes before it, and its total all that matches:
//! [`runs`](History::runs) does neither.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::super::schema::{EXECUTIONS, STATUSES};
use super::super::shape::Shape;
use super::super::statement::{ColumnKind, Statement, Table, Value};
use super::super::store::READING;
use super::{Error, History, moment, natural, runs_of};

/// Most rows of a page.
const PAGE_LIMIT: u32 = 1_000;

/// Conditions on events: equal to each text that is there, and strictly between the times. A text that the table has no column for is not
/// looked at.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct JavaFilter {
    /// The name of the job.
    pub job: Option<String>,
    /// The address, of an execution.
    pub ip: Option<String>,
    /// Whether an execution succeeded.
    pub is_success: Option<bool>,
    /// The source, of a status.
    pub source: Option<String>,
    /// The type of execution, of a status.
    pub execution_type: Option<String>,
    /// The state, of a status.
    pub state: Option<String>,
    /// Later than this.
    pub after: Option<Timestamp>,
    /// Earlier than this.
    pub before: Option<Timestamp>,
}

/// Which page of the events is asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JavaPaging {
    /// Rows of a page: 10 by default, 1,000 at most.
    pub size: u32,
    /// The number of the page, from 1.
    pub number: u32,
    /// The field to sort by, as Java names it; the newest is first without one, or with one that is unknown.
    pub sort: Option<String>,
    /// Whether the order is ascending, if there is a field to sort by.
    pub is_ascending: bool,
}

impl Default for JavaPaging {
    fn default() -> Self {
        Self {
            size: 10,
            number: 1,
            sort: None,
            is_ascending: true,
        }
    }
}

/// A page of events.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct JavaPage<T> {
    /// How many there are on all pages.
    pub total: u64,
    /// Those of this page.
    pub rows: Vec<T>,
}

/// An execution: a row of `JOB_EXECUTION_LOG` as it stands. Times are milliseconds since 1970 in JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JavaExecution {
    /// The key of the row.
    pub id: String,
    /// The name of the machine.
    pub hostname: String,
    /// The address of the machine.
    pub ip: String,
    /// The firing.
    pub task_id: String,
    /// The name of the job.
    pub job_name: String,
    /// Why it ran, also if it is none of Java's words.
    pub source: String,
    /// The number of the item.
    pub sharding_item: i64,
    /// When it started.
    #[serde(serialize_with = "milliseconds")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(serialize_with = "milliseconds")]
    pub complete_time: Option<Timestamp>,
    /// Whether it succeeded.
    pub success: bool,
    /// Why it failed.
    pub failure_cause: Option<String>,
}

/// A status: a row of `JOB_STATUS_TRACE_LOG` as it stands. Times are milliseconds since 1970 in JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JavaStatus {
    /// The key of the row.
    pub id: String,
    /// The name of the job.
    pub job_name: String,
    /// The firing that it goes back to.
    pub original_task_id: String,
    /// The firing.
    pub task_id: String,
    /// The instance.
    pub slave_id: String,
    /// Which part of the system wrote it; empty if the table has no such column.
    pub source: String,
    /// The type of execution.
    pub execution_type: String,
    /// The items, as a text.
    pub sharding_items: String,
    /// The state, also if it is none of Java's.
    pub state: String,
    /// What is said of it.
    pub message: Option<String>,
    /// When it came about.
    #[serde(serialize_with = "milliseconds")]
    pub creation_time: Option<Timestamp>,
}

/// Something that names of events are completed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JavaName {
    /// The jobs of executions.
    ExecutionJob,
    /// The addresses of executions.
    ExecutionIp,
    /// The jobs of statuses.
    StatusJob,
}

fn milliseconds<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time.map(|time| time.as_millisecond()), serializer)
}

/// The fields of an execution by which pages are sorted, as Java names them, with their columns.
const OF_EXECUTIONS: [(&str, &str); 12] = [
    ("id", "id"),
    ("hostname", "hostname"),
    ("ip", "ip"),
    ("taskId", "task_id"),
    ("jobName", "job_name"),
    ("source", "execution_source"),
    ("executionSource", "execution_source"),
    ("shardingItem", "sharding_item"),
    ("startTime", "start_time"),
    ("completeTime", "complete_time"),
    ("isSuccess", "is_success"),
    ("success", "is_success"),
];

/// The same of a status.
const OF_STATUSES: [(&str, &str); 10] = [
    ("id", "id"),
    ("jobName", "job_name"),
    ("originalTaskId", "original_task_id"),
    ("taskId", "task_id"),
    ("slaveId", "slave_id"),
    ("source", "source"),
    ("executionType", "execution_type"),
    ("shardingItem", "sharding_item"),
    ("state", "state"),
    ("creationTime", "creation_time"),
];

impl History {
    /// Returns a page of the executions, with their number.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn java_executions(
        &self,
        filter: &JavaFilter,
        paging: &JavaPaging,
    ) -> Result<JavaPage<JavaExecution>, Error> {
        let runs = runs_of(&self.store.shape(READING, &[&EXECUTIONS]).await?);
        let dialect = self.store.dialect();
        let mut conditions = self.conditions(
            filter,
            "start_time",
            &[("job_name", filter.job.as_deref()), ("ip", filter.ip.as_deref())],
        );
        if let Some(is_success) = filter.is_success {
            conditions.push(&format!(" AND {}", dialect.is_flag("e.is_success", is_success)));
        }
        let (started, ended) = (dialect.time_out("e.start_time"), dialect.time_out("e.complete_time"));
        let success = dialect.integer(&format!(
            "CASE WHEN {} THEN 1 ELSE 0 END",
            dialect.is_flag("e.is_success", true)
        ));
        let item = dialect.integer("e.sharding_item");
        let columns = format!(
            "e.id, COALESCE(e.hostname, ''), COALESCE(e.ip, ''), COALESCE(e.task_id, ''), COALESCE(e.job_name, ''), \
             COALESCE(e.execution_source, ''), {item}, {started}, {ended}, {success}, e.failure_cause"
        );
        let order = order(&OF_EXECUTIONS, "start_time", paging);
        self.java_page(&columns, &runs, conditions, &order, paging, |row| {
            Ok(JavaExecution {
                id: row.try_get(0)?,
                hostname: row.try_get(1)?,
                ip: row.try_get(2)?,
                task_id: row.try_get(3)?,
                job_name: row.try_get(4)?,
                source: row.try_get(5)?,
                sharding_item: row.try_get(6)?,
                start_time: row.try_get::<Option<i64>, _>(7)?.map(moment),
                complete_time: row.try_get::<Option<i64>, _>(8)?.map(moment),
                success: row.try_get::<i64, _>(9)? != 0,
                failure_cause: row.try_get(10)?,
            })
        })
        .await
    }

    /// Returns a page of the statuses, with their number.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn java_statuses(&self, filter: &JavaFilter, paging: &JavaPaging) -> Result<JavaPage<JavaStatus>, Error> {
        let statuses = statuses_of(&self.store.shape(READING, &[&STATUSES]).await?);
        let conditions = self.conditions(
            filter,
            "creation_time",
            &[
                ("job_name", filter.job.as_deref()),
                ("source", filter.source.as_deref()),
                ("execution_type", filter.execution_type.as_deref()),
                ("state", filter.state.as_deref()),
            ],
        );
        let created = self.store.dialect().time_out("e.creation_time");
        let columns = format!(
            "e.id, COALESCE(e.job_name, ''), COALESCE(e.original_task_id, ''), COALESCE(e.task_id, ''), \
             COALESCE(e.slave_id, ''), COALESCE(e.source, ''), COALESCE(e.execution_type, ''), \
             COALESCE(e.sharding_item, ''), COALESCE(e.state, ''), e.message, {created}"
        );
        let order = order(&OF_STATUSES, "creation_time", paging);
        self.java_page(&columns, &statuses, conditions, &order, paging, |row| {
            Ok(JavaStatus {
                id: row.try_get(0)?,
                job_name: row.try_get(1)?,
                original_task_id: row.try_get(2)?,
                task_id: row.try_get(3)?,
                slave_id: row.try_get(4)?,
                source: row.try_get(5)?,
                execution_type: row.try_get(6)?,
                sharding_items: row.try_get(7)?,
                state: row.try_get(8)?,
                message: row.try_get(9)?,
                creation_time: row.try_get::<Option<i64>, _>(10)?.map(moment),
            })
        })
        .await
    }

    /// Returns the names that begin so, in ascending order, and at most `limit` of them. Of capitals it depends on the database whether they count
    /// as others.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn java_names(&self, of: JavaName, prefix: &str, limit: u32) -> Result<Vec<String>, Error> {
        let (table, column): (&Table, &str) = match of {
            JavaName::ExecutionJob => (&EXECUTIONS, "job_name"),
            JavaName::ExecutionIp => (&EXECUTIONS, "ip"),
            JavaName::StatusJob => (&STATUSES, "job_name"),
        };
        let mut query = Statement::new();
        query.push(&format!(
            "SELECT DISTINCT {column} FROM {} WHERE {column} IS NOT NULL",
            table.name
        ));
        if !prefix.is_empty() {
            // With a sign of its own, since databases differ in which they take for granted.
            let escaped = prefix.replace('!', "!!").replace('%', "!%").replace('_', "!_");
            let pattern = query.bind(self.store.dialect(), Value::Text(format!("{escaped}%")));
            query.push(&format!(" AND {column} LIKE {pattern} ESCAPE '!'"));
        }
        query.push(&format!(" ORDER BY {column} LIMIT {}", limit.clamp(1, PAGE_LIMIT)));
        let found = self.store.rows(&query).await?;
        self.read(&found, |row| row.try_get(0))
    }

    /// Returns the conditions, each after an `AND`, of which the texts are those of these columns.
    fn conditions(&self, filter: &JavaFilter, time: &str, texts: &[(&str, Option<&str>)]) -> Statement {
        let dialect = self.store.dialect();
        let mut conditions = Statement::new();
        for (column, text) in texts.iter().filter_map(|(column, text)| Some((*column, (*text)?))) {
            let text = conditions.bind(dialect, Value::Text(text.to_owned()));
            conditions.push(&format!(" AND e.{column} = {text}"));
        }
        for (sign, bound) in [(">", filter.after), ("<", filter.before)] {
            let Some(bound) = bound else { continue };
            let bound = Value::Integer(bound.as_microsecond());
            let bound = conditions.bind_as(dialect, ColumnKind::Time, bound);
            conditions.push(&format!(" AND e.{time} {sign} {bound}"));
        }
        conditions
    }

    /// Asks for the number of all rows and for those of a page.
    async fn java_page<T>(
        &self,
        columns: &str,
        table: &str,
        conditions: Statement,
        order: &str,
        paging: &JavaPaging,
        read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
    ) -> Result<JavaPage<T>, Error> {
        let (size, number) = (paging.size.clamp(1, PAGE_LIMIT), paging.number.max(1));
        let asked = |what: &str, rest: &str| {
            let mut query = conditions.clone();
            query.sql = format!("SELECT {what} FROM {table} WHERE 1 = 1{}{rest}", conditions.sql);
            query
        };
        let count = self.store.dialect().integer("COUNT(*)");
        let counted = self.store.rows(&asked(&count, "")).await?;
        let total = self.read(&counted, |row| natural(row, 0))?.into_iter().sum();
        let skipped = u64::from(number - 1) * u64::from(size);
        let found = self
            .store
            .rows(&asked(columns, &format!("{order} LIMIT {size} OFFSET {skipped}")))
            .await?;
        let rows = self.read(&found, read)?;
        Ok(JavaPage { total, rows })
    }
}

/// Returns the order of a page: by the field that is asked for, and the newest first without one.
fn order(fields: &[(&str, &str)], time: &str, paging: &JavaPaging) -> String {
    let field = paging
        .sort
        .as_deref()
        .and_then(|sort| fields.iter().find(|(field, _)| *field == sort));
    match field {
        Some((_, column)) => {
            let direction = if paging.is_ascending { "ASC" } else { "DESC" };
            format!(" ORDER BY e.{column} {direction}, e.id {direction}")
        }
        None => format!(" ORDER BY e.{time} DESC, e.id DESC"),
    }
}

/// The statuses, as `e`. The tables of Java 3.0.5 have no source.
fn statuses_of(shape: &Shape) -> String {
    if shape.has(&STATUSES, "source") {
        format!("{} e", STATUSES.name)
    } else {
        format!("(SELECT s.*, '' AS source FROM {} s) e", STATUSES.name)
    }
}
