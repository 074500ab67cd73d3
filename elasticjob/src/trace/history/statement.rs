//! Statements that are put together: their text, and what is bound to it.
//!
//! Everything that comes from a job, a user or a database is bound and never a part of the text. The text has only
//! names of ours and fragments of the dialect; sqlx asks for a word on that, which `query` gives.

use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Encode, Type, query};

use super::dialect::Dialect;

/// A value that is bound.
///
/// Absent values have their type too, because a database wants to know the type of a parameter before it knows its
/// value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    NoText,
    Integer(i64),
    NoInteger,
}

/// How a column is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// A text that tells rows apart, and is written as it is or not at all.
    Key,
    /// A text, and how many characters our own tables hold of it.
    Text(usize),
    /// The same of why something happened, which may be absent.
    Account(usize),
    /// A text of any length.
    Document,
    Integer,
    /// A number of 64 bits, such as milliseconds since 1970.
    Long,
    /// Microseconds since 1970, which the database keeps as a time.
    Time,
    Flag,
}

/// Some columns of a table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, ColumnKind)],
    /// What tells its rows apart.
    pub(super) key: &'static [&'static str],
}

/// What is done with a row that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// It stays.
    Keep,
    /// These of its columns are set.
    Replace(Vec<&'static str>),
}

/// A statement and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    values: Vec<Value>,
}

impl Statement {
    pub(super) fn new() -> Self {
        Self {
            sql: String::new(),
            values: Vec::new(),
        }
    }

    /// Adds text, which must not come from outside.
    pub(super) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Binds a value; the parameter that stands for it.
    pub(super) fn bind(&mut self, dialect: &Dialect, value: Value) -> String {
        self.values.push(value);
        dialect.parameter(self.values.len())
    }

    /// Binds a value for a column of this kind.
    pub(super) fn bind_as(&mut self, dialect: &Dialect, kind: ColumnKind, value: Value) -> String {
        let parameter = self.bind(dialect, value);
        match kind {
            ColumnKind::Key
            | ColumnKind::Text(_)
            | ColumnKind::Account(_)
            | ColumnKind::Document
            | ColumnKind::Integer
            | ColumnKind::Long => parameter,
            ColumnKind::Time => dialect.time_in(&parameter),
            ColumnKind::Flag => dialect.flag_in(&parameter),
        }
    }

    /// Inserts rows, each with a value for each of these columns of the table.
    pub(super) fn insert(
        dialect: &Dialect,
        table: &Table,
        columns: &[(&'static str, ColumnKind)],
        rows: &[Vec<Value>],
        conflict: &Conflict,
    ) -> Self {
        let mut statement = Self::new();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        statement.push(&format!("INSERT INTO {} ({}) VALUES ", table.name, names.join(", ")));
        for (number, row) in rows.iter().enumerate() {
            let places = statement.bind_row(dialect, columns, row);
            let separator = if number == 0 { "" } else { ", " };
            statement.push(&format!("{separator}({places})"));
        }
        statement.push(&on_conflict(dialect, table, conflict));
        statement
    }

    /// Binds a value for each of these columns; the parameters that stand for them.
    pub(super) fn bind_row(
        &mut self,
        dialect: &Dialect,
        columns: &[(&'static str, ColumnKind)],
        row: &[Value],
    ) -> String {
        let places: Vec<String> = columns
            .iter()
            .zip(row)
            .map(|((_, kind), value)| self.bind_as(dialect, *kind, value.clone()))
            .collect();
        places.join(", ")
    }

    /// A statement without parameters.
    pub(super) fn of(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            values: Vec::new(),
        }
    }

    /// Ready to be run on a database of this kind, which takes texts and whole numbers.
    pub(super) fn query<DB: Database>(&self) -> Query<'_, DB, DB::Arguments>
    where
        String: for<'q> Encode<'q, DB> + Type<DB>,
        Option<String>: for<'q> Encode<'q, DB>,
        i64: for<'q> Encode<'q, DB> + Type<DB>,
        Option<i64>: for<'q> Encode<'q, DB>,
    {
        let mut prepared = query(AssertSqlSafe(self.sql.clone()));
        for value in &self.values {
            prepared = match value {
                Value::Text(text) => prepared.bind(text.clone()),
                Value::NoText => prepared.bind(None::<String>),
                Value::Integer(number) => prepared.bind(*number),
                Value::NoInteger => prepared.bind(None::<i64>),
            };
        }
        prepared
    }
}

/// Returns what follows an insertion, for rows that are there.
fn on_conflict(dialect: &Dialect, table: &Table, conflict: &Conflict) -> String {
    let key = table.key.join(", ");
    let assignments = |columns: &[&str], new: fn(&str) -> String| {
        let set: Vec<String> = columns.iter().map(|name| format!("{name} = {}", new(name))).collect();
        set.join(", ")
    };
    match (dialect, conflict) {
        (Dialect::MySql, Conflict::Keep) => format!(" ON DUPLICATE KEY UPDATE {0} = {0}", table.key[0]),
        (Dialect::MySql, Conflict::Replace(columns)) => {
            let set = assignments(columns, |name| format!("VALUES({name})"));
            format!(" ON DUPLICATE KEY UPDATE {set}")
        }
        (_, Conflict::Keep) => format!(" ON CONFLICT ({key}) DO NOTHING"),
        (_, Conflict::Replace(columns)) => {
            let set = assignments(columns, |name| format!("EXCLUDED.{name}"));
            format!(" ON CONFLICT ({key}) DO UPDATE SET {set}")
        }
    }
}
