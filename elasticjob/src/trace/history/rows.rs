//! What is written of events.
//!
//! Pure. Writing the same events again changes nothing, and it does not matter whether the start of a run or its end
//! is written first: rows are named after what they tell of.
//!
//! That is what makes "at least once" enough: a batch whose outcome is unknown is written again, and two instances may
//! write of the same run, as one that ran it and one that recorded its loss. The rules are: a start is written unless
//! the row is there; an end replaces what it tells of; a loss fills only what is still open, so that a late loss does
//! not replace an end.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::run::ItemOutcome;
use crate::trace::{JobEvent, LostRun, RunEvent, SkippedTimes, Source, TaskEvent};

use super::dialect::Dialect;
use super::fit::{LONGEST, Texts};
use super::schema::{DETAILS, EXECUTIONS, SKIPPED, STATES, STATUSES};
use super::shape::Shape;
use super::statement::{ColumnKind, Conflict, Statement, Table, Value};

/// Most rows in one statement. A power of two, as are all numbers of rows: a database prepares few statements then.
const ROWS: usize = 64;

/// Rows of some events, each once.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    host: &'a str,
    executions: BTreeMap<String, Execution<'a>>,
    lost: BTreeMap<String, (&'a str, u32, &'a LostRun)>,
    /// Attempts that another one followed.
    followed: Vec<(String, Timestamp)>,
    statuses: BTreeMap<String, &'a TaskEvent>,
    skipped: BTreeMap<(&'a str, u32, Timestamp), &'a SkippedTimes>,
}

/// A run, with its end if that is among the events.
#[derive(Debug)]
struct Execution<'a> {
    run: &'a RunEvent,
    end: Option<End<'a>>,
}

/// How a run ended.
#[derive(Debug)]
struct End<'a> {
    at: Timestamp,
    outcome: &'a ItemOutcome,
    failure: Option<&'a str>,
}

/// Puts statements together that write rows into the tables as they are.
struct Writer<'a> {
    dialect: &'a Dialect,
    shape: &'a Shape,
    texts: Texts,
    statements: Vec<Statement>,
}

impl<'a> Rows<'a> {
    /// What is to be written of these events by a process on `host`.
    pub(super) fn of(events: &'a [JobEvent], host: &'a str) -> Self {
        let mut rows = Self {
            host,
            ..Self::default()
        };
        for event in events {
            rows.add(event);
        }
        rows
    }

    /// Takes in an event. Of the events of one run the end counts, if it is among them.
    fn add(&mut self, event: &'a JobEvent) {
        match event {
            JobEvent::Started(run) => {
                let id = |attempt| row_id(&run.run_id, run.scheduled_time, run.item, attempt);
                if run.attempt > 1 {
                    self.followed.push((id(run.attempt - 1), run.started_at));
                }
                self.executions
                    .entry(id(run.attempt))
                    .or_insert(Execution { run, end: None });
            }
            JobEvent::Ended {
                run,
                outcome,
                ended_at,
                failure,
            } => {
                let end = End {
                    at: *ended_at,
                    outcome,
                    failure: failure.as_deref(),
                };
                let id = row_id(&run.run_id, run.scheduled_time, run.item, run.attempt);
                self.executions.insert(id, Execution { run, end: Some(end) });
            }
            JobEvent::Lost { job, item, run } => {
                // Of a run of a Java member nothing is known but that there was one.
                if let Some(run) = run {
                    let id = row_id(&run.run_id, run.scheduled_time, *item, run.attempt);
                    self.lost.insert(id, (job, *item, run));
                }
            }
            JobEvent::Skipped { job, item, times } => {
                self.skipped.insert((job, *item, times.before), times);
            }
            JobEvent::Task(task) => {
                let item = task.items.first().copied().unwrap_or_default();
                let id = row_id(&task.run_id, task.scheduled_time, item, task.attempt);
                let state = task.state.as_str().as_bytes()["TASK_".len()];
                self.statuses.insert(format!("{id}{}", char::from(state)), task);
            }
        }
    }

    /// The statements that write them into tables of this shape, to be run in one transaction.
    pub(super) fn statements(&self, dialect: &Dialect, shape: &Shape, texts: Texts) -> Vec<Statement> {
        let mut writer = Writer {
            dialect,
            shape,
            texts,
            statements: Vec::new(),
        };
        let (ended, started): (Vec<_>, Vec<_>) = self.executions.iter().partition(|(_, row)| row.end.is_some());
        let executions =
            |of: &[(&String, &Execution<'_>)]| of.iter().map(|(id, row)| self.execution(id, row)).collect();
        let details = |of: &[(&String, &Execution<'_>)]| of.iter().map(|(id, row)| detail(id, row)).collect();
        writer.keep(&EXECUTIONS, executions(&started));
        let of_end = ["failure_cause", "is_success", "start_time", "complete_time"];
        writer.replace(&EXECUTIONS, executions(&ended), &of_end);
        writer.keep(&DETAILS, details(&started));
        writer.replace(&DETAILS, details(&ended), &["verdict", "retries"]);

        let lost = || self.lost.iter();
        let executions = lost().map(|(id, (job, item, run))| self.lost_execution(id, job, *item, run));
        writer.keep(&EXECUTIONS, executions.collect());
        let details = lost().map(|(id, (_, _, run))| lost_detail(id, run));
        writer.keep(&DETAILS, details.collect());
        for (id, _) in lost() {
            writer.give_up(id, "its instance died");
        }
        for (id, _) in &self.followed {
            writer.give_up(
                id,
                "it did not end: its instance died or was cut off, and it was run again",
            );
        }

        let statuses = self.statuses.iter().map(|(id, task)| status(id, task)).collect();
        match dialect {
            Dialect::MySql => writer.unless_there(&STATUSES, statuses),
            _ => writer.keep(&STATUSES, statuses),
        }
        let states = self.statuses.iter().map(|(id, task)| state(id, task)).collect();
        writer.keep(&STATES, states);
        let skipped = self
            .skipped
            .iter()
            .map(|((job, item, _), times)| skipped(job, *item, times));
        writer.keep(&SKIPPED, skipped.collect());
        writer.statements
    }

    /// Returns the row of a run in Java's table, in the order of its columns.
    fn execution(&self, id: &str, row: &Execution<'_>) -> Vec<Value> {
        let run = row.run;
        let is_success = row
            .end
            .as_ref()
            .is_some_and(|end| matches!(end.outcome, ItemOutcome::Succeeded));
        let failure = row.end.as_ref().and_then(End::cause);
        vec![
            text(id),
            text(&run.job),
            text(&run.task_id),
            text(self.host),
            text(address(&run.instance)),
            Value::Integer(run.item.into()),
            text(java_source(run.source)),
            failure.map_or(Value::NoText, text),
            Value::Integer(is_success.into()),
            Value::Integer(run.started_at.as_microsecond()),
            row.end
                .as_ref()
                .map_or(Value::NoInteger, |end| Value::Integer(end.at.as_microsecond())),
        ]
    }

    /// Returns the row of a run that is not written yet: only its time is known.
    fn lost_execution(&self, id: &str, job: &str, item: u32, run: &LostRun) -> Vec<Value> {
        vec![
            text(id),
            text(job),
            text(""),
            text(""),
            text(address(&run.instance)),
            Value::Integer(item.into()),
            text(java_source(run.source)),
            Value::NoText,
            Value::Integer(0),
            Value::Integer(run.scheduled_time.as_microsecond()),
            Value::NoInteger,
        ]
    }
}

impl End<'_> {
    /// Returns why the run did not succeed: the whole account of the failure, or what the ledger has of it.
    fn cause(&self) -> Option<&str> {
        let cause = self.outcome.cause()?;
        Some(self.failure.unwrap_or(cause))
    }

    /// Returns the verdict as it is kept, or none for an outcome that is not known.
    fn verdict(&self) -> Value {
        let verdict = match self.outcome {
            ItemOutcome::Succeeded => "SUCCEEDED",
            ItemOutcome::Failed { .. } => "FAILED",
            ItemOutcome::Cancelled { .. } => "CANCELLED",
            ItemOutcome::Skipped { .. } => "SKIPPED",
            _ => return Value::NoText,
        };
        text(verdict)
    }
}

fn detail(id: &str, row: &Execution<'_>) -> Vec<Value> {
    let run = row.run;
    vec![
        text(id),
        text(&run.run_id),
        Value::Integer(run.attempt.into()),
        Value::Integer(run.retries.into()),
        Value::Integer(run.scheduled_time.as_millisecond()),
        text(source(run.source)),
        text(&run.instance),
        row.end.as_ref().map_or(Value::NoText, End::verdict),
    ]
}

fn lost_detail(id: &str, run: &LostRun) -> Vec<Value> {
    vec![
        text(id),
        text(&run.run_id),
        Value::Integer(run.attempt.into()),
        // Who died had no time to say.
        Value::Integer(0),
        Value::Integer(run.scheduled_time.as_millisecond()),
        text(source(run.source)),
        text(&run.instance),
        Value::NoText,
    ]
}

/// Returns the row of a step of a firing in Java's table.
fn status(id: &str, task: &TaskEvent) -> Vec<Value> {
    vec![
        text(id),
        text(&task.job),
        text(""),
        text(&task.task_id),
        text(address(&task.instance)),
        text("LITE_EXECUTOR"),
        text("READY"),
        text(&items(&task.items)),
        text(task.state.as_str()),
        text(&task.message),
        Value::Integer(task.at.as_microsecond()),
    ]
}

/// Returns what that row has no columns for.
fn state(id: &str, task: &TaskEvent) -> Vec<Value> {
    vec![
        text(id),
        text(&task.run_id),
        Value::Integer(task.attempt.into()),
        Value::Integer(task.scheduled_time.as_millisecond()),
        text(&task.instance),
    ]
}

/// Returns the row of scheduled times that were not run.
fn skipped(job: &str, item: u32, times: &SkippedTimes) -> Vec<Value> {
    vec![
        text(job),
        Value::Integer(item.into()),
        Value::Integer(times.before.as_millisecond()),
        Value::Integer(times.after.as_millisecond()),
        Value::Integer(i64::try_from(times.count).unwrap_or(i64::MAX)),
        text(&times.reason),
    ]
}

impl Writer<'_> {
    /// Inserts rows, and leaves those alone that are there.
    fn keep(&mut self, table: &Table, rows: Vec<Vec<Value>>) {
        self.insert(table, rows, &Conflict::Keep);
    }

    /// Inserts rows, and sets these columns of those that are there.
    fn replace(&mut self, table: &Table, rows: Vec<Vec<Value>>, columns: &[&'static str]) {
        let is_there = |name: &&str| self.shape.has(table, name);
        let columns = columns.iter().copied().filter(is_there).collect();
        self.insert(table, rows, &Conflict::Replace(columns));
    }

    /// Inserts rows in as few statements as there may be.
    fn insert(&mut self, table: &Table, rows: Vec<Vec<Value>>, conflict: &Conflict) {
        let columns = self.columns(table);
        let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| self.fit(table, row)).collect();
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let size = (1 << rest.len().ilog2()).min(ROWS);
            let (these, others) = rest.split_at(size);
            let statement = Statement::insert(self.dialect, table, &columns, these, conflict);
            self.statements.push(statement);
            rest = others;
        }
    }

    /// Inserts rows into a table that may have no unique key, such as the table of states that Java created in MySQL.
    fn unless_there(&mut self, table: &Table, rows: Vec<Vec<Value>>) {
        let columns = self.columns(table);
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let known: Vec<&str> = ["task_id", "state", "id"]
            .into_iter()
            .filter(|name| names.contains(name))
            .collect();
        for row in rows {
            let row = self.fit(table, row);
            let mut statement = Statement::new();
            let places = statement.bind_row(self.dialect, &columns, &row);
            let conditions: Vec<String> = names
                .iter()
                .zip(row)
                .filter(|(name, _)| known.contains(name))
                .map(|(name, value)| format!("{name} = {}", statement.bind(self.dialect, value)))
                .collect();
            let (table, names, conditions) = (table.name, names.join(", "), conditions.join(" AND "));
            statement.push(&format!(
                "INSERT INTO {table} ({names}) SELECT {places} FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {conditions})"
            ));
            self.statements.push(statement);
        }
    }

    /// Records a run without an end as lost.
    fn give_up(&mut self, id: &str, cause: &str) {
        let dialect = self.dialect;
        let mut verdict = Statement::new();
        let key = verdict.bind(dialect, text(id));
        verdict.push(&format!(
            "UPDATE {} SET verdict = 'LOST' WHERE id = {key} AND verdict IS NULL",
            DETAILS.name
        ));
        self.statements.push(verdict);
        if !self.shape.has(&EXECUTIONS, "failure_cause") {
            return;
        }
        let cause = self.fit_text(&EXECUTIONS, "failure_cause", LONGEST, cause);
        let mut execution = Statement::new();
        let cause = execution.bind(dialect, Value::Text(cause));
        let key = execution.bind(dialect, text(id));
        execution.push(&format!(
            "UPDATE {} SET failure_cause = {cause} WHERE id = {key} AND complete_time IS NULL AND failure_cause IS NULL",
            EXECUTIONS.name
        ));
        self.statements.push(execution);
    }

    /// The columns of a table that are there.
    fn columns(&self, table: &Table) -> Vec<(&'static str, ColumnKind)> {
        let is_there = |(name, _): &(&'static str, ColumnKind)| self.shape.has(table, name);
        table.columns.iter().copied().filter(is_there).collect()
    }

    /// A row with values for the columns that are there, which these hold.
    fn fit(&self, table: &Table, row: Vec<Value>) -> Vec<Value> {
        let columns = table.columns.iter().zip(row);
        let columns = columns.filter(|((name, _), _)| self.shape.has(table, name));
        columns
            .map(|((name, kind), value)| match (kind, value) {
                (ColumnKind::Account(_), Value::Text(_)) if self.texts == Texts::LeftOut => Value::NoText,
                (ColumnKind::Text(declared) | ColumnKind::Account(declared), Value::Text(text)) => {
                    Value::Text(self.fit_text(table, name, *declared, &text))
                }
                (_, value) => value,
            })
            .collect()
    }

    /// Returns what is written of a text into a column.
    fn fit_text(&self, table: &Table, column: &str, declared: usize, text: &str) -> String {
        let room = self.shape.room(table, column, declared);
        match self.texts {
            Texts::Fitted => room.fit(text),
            Texts::Ascii | Texts::LeftOut => room.in_ascii().fit(text),
        }
    }
}

/// Returns the key of a row, which is that of its run: all instances that write about a run write the same row. At most 40 characters.
pub(super) fn row_id(run_id: &str, scheduled_time: Timestamp, item: u32, attempt: u32) -> String {
    let time = base36(scheduled_time.as_millisecond().unsigned_abs());
    format!("{run_id}-{time}-{item}-{attempt}")
}

/// Writes a number with digits and letters, so that a key stays short.
fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
    }
    digits.into_iter().rev().collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Returns the address in the id of an instance.
fn address(instance: &str) -> &str {
    instance.split_once("@-@").map_or(instance, |(address, _)| address)
}

/// Why an item runs, as Java can read it.
fn java_source(source: Source) -> &'static str {
    match source {
        Source::Schedule | Source::Trigger | Source::Unknown => "NORMAL_TRIGGER",
        Source::Misfire => "MISFIRE",
        Source::Failover => "FAILOVER",
    }
}

/// Returns why an item runs, as our own tables have it.
pub(super) fn source(source: Source) -> &'static str {
    match source {
        Source::Schedule => "SCHEDULE",
        Source::Trigger => "TRIGGER",
        Source::Misfire => "MISFIRE",
        Source::Failover => "FAILOVER",
        Source::Unknown => "UNKNOWN",
    }
}

/// The items as Java writes them; where that takes more room than there is, as ranges.
fn items(items: &[u32]) -> String {
    let all = format!("{items:?}");
    if all.len() <= 100 {
        return all;
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for item in items {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*item) => *last = *item,
            _ => ranges.push((*item, *item)),
        }
    }
    let ranges: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    format!("[{}]", ranges.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_row_after_its_run() {
        let time = Timestamp::from_millisecond(1_795_286_400_123).unwrap();
        assert_eq!(row_id("k3v9x0a1b2c3", time, 7, 2), "k3v9x0a1b2c3-mwqr63y3-7-2");
        let late = Timestamp::from_millisecond(64_060_588_800_000).unwrap();
        assert!(row_id("k3v9x0a1b2c3", late, u32::MAX, 99_999).len() < 40);
    }

    #[test]
    fn many_items_should_be_shown_as_ranges() {
        assert_eq!(items(&[0, 1, 5]), "[0, 1, 5]");
        let many: Vec<u32> = (0..100).chain([200]).collect();
        assert_eq!(items(&many), "[0-99, 200]");
    }
}
