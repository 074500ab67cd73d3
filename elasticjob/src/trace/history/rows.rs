//! What is written of events.
//!
//! Pure. Writing the same events again changes nothing, and it does not matter whether the start of a run or its end
//! is written first: rows are named after what they tell of.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cluster::worker::ItemOutcome;
use crate::trace::{JobEvent, LostRun, RunEvent, SkippedTimes, Source, TaskEvent};

use super::dialect::Dialect;
use super::schema::{DETAILS, EXECUTIONS, SKIPPED, STATUSES, STATUSES_WITHOUT_SOURCE};
use super::statement::{Conflict, Statement, Table, Value};

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

#[derive(Debug)]
struct Execution<'a> {
    run: &'a RunEvent,
    end: Option<End<'a>>,
}

#[derive(Debug)]
struct End<'a> {
    at: Timestamp,
    outcome: &'a ItemOutcome,
    failure: Option<&'a str>,
}

/// What is known of tables that somebody else created.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Whether states have a source: since 3.0.5 Java's have none.
    pub(super) has_source: bool,
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

    /// The statements that write them, to be run in one transaction.
    pub(super) fn statements(&self, dialect: &Dialect, shape: Shape) -> Vec<Statement> {
        let mut statements = Vec::new();
        let (ended, started): (Vec<_>, Vec<_>) = self.executions.iter().partition(|(_, row)| row.end.is_some());
        let executions =
            |of: &[(&String, &Execution<'_>)]| of.iter().map(|(id, row)| self.execution(id, row)).collect();
        let details = |of: &[(&String, &Execution<'_>)]| of.iter().map(|(id, row)| detail(id, row)).collect();
        let (keep, end) = (
            Conflict::Keep,
            Conflict::Replace(&["failure_cause", "is_success", "start_time", "complete_time"]),
        );
        insert(&mut statements, dialect, &EXECUTIONS, executions(&started), keep);
        insert(&mut statements, dialect, &EXECUTIONS, executions(&ended), end);
        insert(&mut statements, dialect, &DETAILS, details(&started), keep);
        let verdict = Conflict::Replace(&["verdict", "retries"]);
        insert(&mut statements, dialect, &DETAILS, details(&ended), verdict);

        let lost = || self.lost.iter();
        let executions = lost().map(|(id, (job, item, run))| self.lost_execution(id, job, *item, run));
        insert(&mut statements, dialect, &EXECUTIONS, executions.collect(), keep);
        let details = lost().map(|(id, (_, _, run))| lost_detail(id, run));
        insert(&mut statements, dialect, &DETAILS, details.collect(), keep);
        for (id, _) in lost() {
            statements.extend(give_up(dialect, id, "its instance died"));
        }
        for (id, _) in &self.followed {
            statements.extend(give_up(
                dialect,
                id,
                "it did not end: its instance died or was cut off, and it was run again",
            ));
        }

        let table = if shape.has_source {
            &STATUSES
        } else {
            &STATUSES_WITHOUT_SOURCE
        };
        let statuses = self.statuses.iter().map(|(id, task)| status(id, task, shape));
        match dialect {
            Dialect::MySql => statements.extend(statuses.map(|row| unless_there(dialect, table, row))),
            _ => insert(&mut statements, dialect, table, statuses.collect(), keep),
        }
        let skipped = self
            .skipped
            .iter()
            .map(|((job, item, _), times)| skipped(job, *item, times));
        insert(&mut statements, dialect, &SKIPPED, skipped.collect(), keep);
        statements
    }

    fn execution(&self, id: &str, row: &Execution<'_>) -> Vec<Value> {
        let run = row.run;
        let is_success = row
            .end
            .as_ref()
            .is_some_and(|end| matches!(end.outcome, ItemOutcome::Succeeded));
        let failure = row.end.as_ref().and_then(End::cause);
        vec![
            text(id, 40),
            text(&run.job, 100),
            text(&run.task_id, 255),
            text(self.host, 255),
            text(address(&run.instance), 50),
            Value::Integer(run.item.into()),
            text(java_source(run.source), 20),
            failure.map_or(Value::NoText, |cause| text(cause, 4000)),
            Value::Integer(is_success.into()),
            Value::Integer(run.started_at.as_microsecond()),
            row.end
                .as_ref()
                .map_or(Value::NoInteger, |end| Value::Integer(end.at.as_microsecond())),
        ]
    }

    /// The row of a run that nobody has written yet: only its time is known.
    fn lost_execution(&self, id: &str, job: &str, item: u32, run: &LostRun) -> Vec<Value> {
        vec![
            text(id, 40),
            text(job, 100),
            text("", 255),
            text("", 255),
            text(address(&run.instance), 50),
            Value::Integer(item.into()),
            text(java_source(run.source), 20),
            Value::NoText,
            Value::Integer(0),
            Value::Integer(run.scheduled_time.as_microsecond()),
            Value::NoInteger,
        ]
    }
}

impl End<'_> {
    fn cause(&self) -> Option<&str> {
        let cause = match self.outcome {
            ItemOutcome::Failed { cause } | ItemOutcome::Cancelled { cause } => cause,
            ItemOutcome::Skipped { reason } => reason,
            _ => return None,
        };
        Some(self.failure.unwrap_or(cause))
    }

    fn verdict(&self) -> Value {
        let verdict = match self.outcome {
            ItemOutcome::Succeeded => "SUCCEEDED",
            ItemOutcome::Failed { .. } => "FAILED",
            ItemOutcome::Cancelled { .. } => "CANCELLED",
            ItemOutcome::Skipped { .. } => "SKIPPED",
            _ => return Value::NoText,
        };
        text(verdict, 20)
    }
}

fn detail(id: &str, row: &Execution<'_>) -> Vec<Value> {
    let run = row.run;
    vec![
        text(id, 40),
        text(&run.run_id, 40),
        Value::Integer(run.attempt.into()),
        Value::Integer(run.retries.into()),
        Value::Integer(run.scheduled_time.as_millisecond()),
        text(source(run.source), 20),
        text(&run.instance, 100),
        row.end.as_ref().map_or(Value::NoText, End::verdict),
    ]
}

fn lost_detail(id: &str, run: &LostRun) -> Vec<Value> {
    vec![
        text(id, 40),
        text(&run.run_id, 40),
        Value::Integer(run.attempt.into()),
        // Who died had no time to say.
        Value::Integer(0),
        Value::Integer(run.scheduled_time.as_millisecond()),
        text(source(run.source), 20),
        text(&run.instance, 100),
        Value::NoText,
    ]
}

/// Says of a run that has no end that it will have none.
fn give_up(dialect: &Dialect, id: &str, cause: &str) -> [Statement; 2] {
    let mut verdict = Statement::new();
    let key = verdict.bind(dialect, text(id, 40));
    verdict.push(&format!(
        "UPDATE {} SET verdict = 'LOST' WHERE id = {key} AND verdict IS NULL",
        DETAILS.name
    ));
    let mut execution = Statement::new();
    let cause = execution.bind(dialect, text(cause, 4000));
    let key = execution.bind(dialect, text(id, 40));
    execution.push(&format!(
        "UPDATE {} SET failure_cause = {cause} WHERE id = {key} AND complete_time IS NULL AND failure_cause IS NULL",
        EXECUTIONS.name
    ));
    [verdict, execution]
}

fn status(id: &str, task: &TaskEvent, shape: Shape) -> Vec<Value> {
    let mut row = vec![
        text(id, 40),
        text(&task.job, 100),
        text("", 255),
        text(&task.task_id, 255),
        text(address(&task.instance), 50),
    ];
    if shape.has_source {
        row.push(text("LITE_EXECUTOR", 50));
    }
    row.extend([
        text("READY", 20),
        text(&items(&task.items), 100),
        text(task.state.as_str(), 20),
        text(&task.message, 4000),
        Value::Integer(task.at.as_microsecond()),
    ]);
    row
}

fn skipped(job: &str, item: u32, times: &SkippedTimes) -> Vec<Value> {
    vec![
        text(job, 100),
        Value::Integer(item.into()),
        Value::Integer(times.before.as_millisecond()),
        Value::Integer(times.after.as_millisecond()),
        Value::Integer(i64::try_from(times.count).unwrap_or(i64::MAX)),
        text(&times.reason, 1000),
    ]
}

/// Inserts rows in as few statements as there may be.
fn insert(
    statements: &mut Vec<Statement>,
    dialect: &Dialect,
    table: &Table,
    rows: Vec<Vec<Value>>,
    conflict: Conflict,
) {
    let mut rest = &rows[..];
    while !rest.is_empty() {
        let size = (1 << rest.len().ilog2()).min(ROWS);
        let (these, others) = rest.split_at(size);
        statements.push(Statement::insert(dialect, table, these, conflict));
        rest = others;
    }
}

/// Inserts a row into a table whose key nothing may keep unique, such as that of states which Java created in MySQL.
fn unless_there(dialect: &Dialect, table: &Table, row: Vec<Value>) -> Statement {
    let value_of = |name: &str| {
        let column = table.columns.iter().position(|(column, _)| *column == name);
        column.map_or(Value::NoText, |column| row[column].clone())
    };
    let known = ["task_id", "state", "id"].map(value_of);
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let mut statement = Statement::new();
    let places: Vec<String> = table
        .columns
        .iter()
        .zip(&row)
        .map(|((_, kind), value)| statement.bind_as(dialect, *kind, value.clone()))
        .collect();
    let [task, state, id] = known.map(|value| statement.bind(dialect, value));
    let (table, names, places) = (table.name, names.join(", "), places.join(", "));
    statement.push(&format!(
        "INSERT INTO {table} ({names}) SELECT {places} FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE \
         task_id = {task} AND state = {state} AND id = {id})"
    ));
    statement
}

/// Names a row after the run it tells of: whoever writes of the same run writes the same row. 40 characters at most.
fn row_id(run_id: &str, scheduled_time: Timestamp, item: u32, attempt: u32) -> String {
    let time = base36(scheduled_time.as_millisecond().unsigned_abs());
    format!("{run_id}-{time}-{item}-{attempt}")
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
    }
    digits.into_iter().rev().collect()
}

/// A text, cut to so many characters. No database takes the character 0.
fn text(text: &str, limit: usize) -> Value {
    let clean = |c: char| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c };
    if text.chars().nth(limit).is_none() {
        return Value::Text(text.chars().map(clean).collect());
    }
    Value::Text(text.chars().take(limit - 1).map(clean).chain(['…']).collect())
}

fn address(instance: &str) -> &str {
    instance.split_once("@-@").map_or(instance, |(address, _)| address)
}

/// Why an item runs, as Java can read it.
fn java_source(source: Source) -> &'static str {
    match source {
        Source::Schedule | Source::Trigger => "NORMAL_TRIGGER",
        Source::Misfire => "MISFIRE",
        Source::Failover => "FAILOVER",
    }
}

pub(super) fn source(source: Source) -> &'static str {
    match source {
        Source::Schedule => "SCHEDULE",
        Source::Trigger => "TRIGGER",
        Source::Misfire => "MISFIRE",
        Source::Failover => "FAILOVER",
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
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    format!("[{}]", ranges.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_should_be_named_after_its_run_and_fit_into_its_column() {
        let time = Timestamp::from_millisecond(1_795_286_400_123).unwrap();
        assert_eq!(row_id("k3v9x0a1b2c3", time, 7, 2), "k3v9x0a1b2c3-mwqr63y3-7-2");
        let late = Timestamp::from_millisecond(64_060_588_800_000).unwrap();
        assert!(row_id("k3v9x0a1b2c3", late, u32::MAX, 99_999).len() < 40);
    }

    #[test]
    fn texts_should_be_cut_by_characters_and_have_no_zero() {
        assert_eq!(text("订单\0同步", 5), Value::Text("订单\u{fffd}同步".to_owned()));
        assert_eq!(text("订单同步", 3), Value::Text("订单…".to_owned()));
    }

    #[test]
    fn many_items_should_be_shown_as_ranges() {
        assert_eq!(items(&[0, 1, 5]), "[0, 1, 5]");
        let many: Vec<u32> = (0..100).chain([200]).collect();
        assert_eq!(items(&many), "[0-99, 200]");
    }
}
