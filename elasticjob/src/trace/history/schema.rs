//! The tables: those that Java members have, and ours beside them.
//!
//! Java's tables are used as they are, created by either kind of member, and keep their columns: a Java member has to go on reading
//! and writing them. What it does not know goes into tables of our own, by the same keys. Indexes are added to Java's
//! tables, because its own serve none of our questions; a database that refuses them makes questions slow and nothing
//! else.

use std::borrow::Cow;

use super::dialect::Dialect;
use super::fit::LONGEST;
use super::statement::{ColumnKind, Table};

/// Java's: a row a run, from its start on.
pub(super) const EXECUTIONS: Table = Table {
    name: "JOB_EXECUTION_LOG",
    columns: &[
        ("id", ColumnKind::Key),
        ("job_name", ColumnKind::Text(100)),
        ("task_id", ColumnKind::Text(255)),
        ("hostname", ColumnKind::Text(255)),
        ("ip", ColumnKind::Text(50)),
        ("sharding_item", ColumnKind::Integer),
        ("execution_source", ColumnKind::Text(20)),
        ("failure_cause", ColumnKind::Account(LONGEST)),
        ("is_success", ColumnKind::Flag),
        ("start_time", ColumnKind::Time),
        ("complete_time", ColumnKind::Time),
    ],
    key: &["id"],
};

/// Java's: a row for each step of a firing on an instance. The tables of Java 3.0.5 have no source.
pub(super) const STATUSES: Table = Table {
    name: "JOB_STATUS_TRACE_LOG",
    columns: &[
        ("id", ColumnKind::Key),
        ("job_name", ColumnKind::Text(100)),
        ("original_task_id", ColumnKind::Text(255)),
        ("task_id", ColumnKind::Text(255)),
        ("slave_id", ColumnKind::Text(50)),
        ("source", ColumnKind::Text(50)),
        ("execution_type", ColumnKind::Text(20)),
        ("sharding_item", ColumnKind::Text(100)),
        ("state", ColumnKind::Text(20)),
        ("message", ColumnKind::Account(LONGEST)),
        ("creation_time", ColumnKind::Time),
    ],
    key: &["id"],
};

/// Ours: what Java's table of runs has no columns for.
pub(super) const DETAILS: Table = Table {
    name: "ELASTICJOB_RUN",
    columns: &[
        ("id", ColumnKind::Key),
        ("run_id", ColumnKind::Key),
        ("attempt", ColumnKind::Integer),
        ("retries", ColumnKind::Integer),
        ("scheduled_time", ColumnKind::Long),
        ("source", ColumnKind::Text(20)),
        ("instance", ColumnKind::Text(100)),
        ("verdict", ColumnKind::Text(20)),
    ],
    key: &["id"],
};

/// Ours: what Java's table of states has no columns for. Task ids are the same for all firings of the same items.
pub(super) const STATES: Table = Table {
    name: "ELASTICJOB_STATE",
    columns: &[
        ("id", ColumnKind::Key),
        ("run_id", ColumnKind::Key),
        ("attempt", ColumnKind::Integer),
        ("scheduled_time", ColumnKind::Long),
        ("instance", ColumnKind::Text(100)),
    ],
    key: &["id"],
};

/// Ours: scheduled times that were not run.
pub(super) const SKIPPED: Table = Table {
    name: "ELASTICJOB_SKIPPED",
    columns: &[
        ("job_name", ColumnKind::Text(100)),
        ("sharding_item", ColumnKind::Integer),
        ("before_time", ColumnKind::Long),
        ("after_time", ColumnKind::Long),
        ("times", ColumnKind::Long),
        ("reason", ColumnKind::Text(1000)),
    ],
    key: &["job_name", "sharding_item", "before_time"],
};

/// Ours: the log of each attempt, by the key of its run. It is apart from the others, because a database where tables cannot be created
/// any more records its history all the same.
pub(super) const LOGS: Table = Table {
    name: "ELASTICJOB_LOG",
    columns: &[
        ("id", ColumnKind::Key),
        ("run_id", ColumnKind::Key),
        ("attempt", ColumnKind::Integer),
        ("job_name", ColumnKind::Text(100)),
        ("sharding_item", ColumnKind::Integer),
        ("scheduled_time", ColumnKind::Long),
        ("is_over", ColumnKind::Integer),
        ("log_text", ColumnKind::Document),
    ],
    key: &["id"],
};

/// Ours: which instance does what only one should do, and until when.
pub(super) const LEASES: Table = Table {
    name: "ELASTICJOB_LEASE",
    columns: &[
        ("name", ColumnKind::Key),
        ("holder", ColumnKind::Text(100)),
        ("until_time", ColumnKind::Long),
    ],
    key: &["name"],
};

/// A table, and what creates it.
pub(super) struct Definition {
    pub(super) table: &'static str,
    pub(super) create: String,
    /// By their names. Created with the table, or added to one that Java created.
    pub(super) indexes: Vec<(String, String)>,
}

/// All tables but that of [logs], as they are created where they are absent.
pub(super) fn definitions(dialect: &Dialect) -> Vec<Definition> {
    let task_id_and_state = match dialect {
        // An index of MySQL may not be as wide as the column.
        Dialect::MySql => "task_id(128), state",
        Dialect::Sqlite | Dialect::Postgres { .. } => "task_id, state",
    };
    vec![
        define(
            dialect,
            &EXECUTIONS,
            &[
                ("ELASTICJOB_RUNS_BY_TIME", "start_time, id"),
                // Wider than it need be: of two indexes that SQLite expects as much of it takes the narrower one, and that
                // is to be the one by more conditions. What else is asked of a job's runs is seen without reading them.
                (
                    "ELASTICJOB_RUNS_BY_JOB",
                    "job_name, start_time, id, sharding_item, ip, execution_source",
                ),
                ("ELASTICJOB_RUNS_BY_ITEM", "job_name, sharding_item, start_time, id"),
                ("ELASTICJOB_RUNS_BY_JOB_SUCCESS", "job_name, is_success, start_time, id"),
                ("ELASTICJOB_RUNS_BY_SUCCESS", "is_success, start_time, id"),
                ("ELASTICJOB_RUNS_BY_IP", "ip, start_time, id"),
                ("ELASTICJOB_RUNS_BY_SOURCE", "execution_source, start_time, id"),
            ],
        ),
        define(
            dialect,
            &STATUSES,
            &[
                ("TASK_ID_STATE_INDEX", task_id_and_state),
                ("ELASTICJOB_STATES_BY_TIME", "creation_time"),
            ],
        ),
        define(
            dialect,
            &DETAILS,
            &[
                ("ELASTICJOB_RUN_BY_SCHEDULE", "scheduled_time"),
                ("ELASTICJOB_RUN_BY_RUN", "run_id"),
            ],
        ),
        define(
            dialect,
            &STATES,
            &[
                ("ELASTICJOB_STATE_BY_RUN", "run_id"),
                ("ELASTICJOB_STATE_BY_SCHEDULE", "scheduled_time"),
            ],
        ),
        define(
            dialect,
            &SKIPPED,
            &[
                ("ELASTICJOB_SKIPPED_BY_TIME", "before_time"),
                ("ELASTICJOB_SKIPPED_BY_JOB", "job_name, before_time"),
            ],
        ),
        define(dialect, &LEASES, &[]),
    ]
}

/// The table of the logs of runs.
pub(super) fn logs(dialect: &Dialect) -> Definition {
    let indexes = [
        ("ELASTICJOB_LOG_BY_RUN", "run_id"),
        ("ELASTICJOB_LOG_BY_SCHEDULE", "scheduled_time"),
    ];
    define(dialect, &LOGS, &indexes)
}

/// Defines a table by its columns, and its indexes by their names and columns.
fn define(dialect: &Dialect, table: &Table, indexes: &[(&str, &str)]) -> Definition {
    let index = |(name, columns): &(&str, &str)| ((*name).to_owned(), create_index(dialect, name, table.name, columns));
    Definition {
        table: table.name,
        create: create_table(dialect, table),
        indexes: indexes.iter().map(index).collect(),
    }
}

/// Returns the statement that creates a table if it is not there.
fn create_table(dialect: &Dialect, table: &Table) -> String {
    let name = table.name;
    let rest = match dialect {
        // Ours are found by their key alone, which saves a second look. Java's are as it makes them.
        Dialect::Sqlite if name == DETAILS.name => " WITHOUT ROWID",
        Dialect::Sqlite | Dialect::Postgres { .. } => "",
        Dialect::MySql => " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4",
    };
    let column = |(column, kind): &(&str, ColumnKind)| {
        format!(
            "{column} {} {}",
            sql_type(dialect, *kind),
            constraint(name, column, *kind)
        )
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let (columns, key) = (columns.join(", "), table.key.join(", "));
    format!("CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({key})){rest}")
}

/// Returns the type of a column in this database.
fn sql_type(dialect: &Dialect, kind: ColumnKind) -> Cow<'static, str> {
    Cow::Borrowed(match (kind, dialect) {
        (ColumnKind::Key, _) => "VARCHAR(40)",
        (ColumnKind::Text(length) | ColumnKind::Account(length), _) => return Cow::Owned(format!("VARCHAR({length})")),
        (ColumnKind::Integer, _) | (ColumnKind::Flag, Dialect::Sqlite | Dialect::MySql) => "INT",
        (ColumnKind::Flag, Dialect::Postgres { .. }) => "BOOLEAN",
        (ColumnKind::Long, _) => "BIGINT",
        (ColumnKind::Document, Dialect::Sqlite | Dialect::Postgres { .. }) => "TEXT",
        (ColumnKind::Document, Dialect::MySql) => "MEDIUMTEXT",
        // Java's has whole seconds.
        (ColumnKind::Time, Dialect::MySql) => "TIMESTAMP(3)",
        (ColumnKind::Time, Dialect::Sqlite | Dialect::Postgres { .. }) => "TIMESTAMP",
    })
}

/// Returns whether a column may be empty, and what it has if nothing is written.
fn constraint(table: &str, column: &str, kind: ColumnKind) -> &'static str {
    match kind {
        // Java members from 3.0.5 on write no source, and older ones read it.
        ColumnKind::Text(_) if (table, column) == (STATUSES.name, "source") => "NOT NULL DEFAULT 'LITE_EXECUTOR'",
        // A run that goes on has none.
        ColumnKind::Text(_) if (table, column) == (DETAILS.name, "verdict") => "NULL",
        ColumnKind::Key
        | ColumnKind::Text(_)
        | ColumnKind::Document
        | ColumnKind::Integer
        | ColumnKind::Long
        | ColumnKind::Flag => "NOT NULL",
        ColumnKind::Account(_) | ColumnKind::Time => "NULL",
    }
}

/// Returns the statement that creates an index if it is not there.
fn create_index(dialect: &Dialect, name: &str, table: &str, columns: &str) -> String {
    let unless_there = match dialect {
        Dialect::Sqlite | Dialect::Postgres { .. } => "IF NOT EXISTS ",
        // It knows no such words; that the index is there is its answer then.
        Dialect::MySql => "",
    };
    format!("CREATE INDEX {unless_there}{name} ON {table} ({columns})")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statements that create the tables of this database.
    fn created(dialect: &Dialect) -> Vec<String> {
        let definitions = definitions(dialect).into_iter();
        definitions.map(|definition| definition.create).collect()
    }

    #[test]
    fn tables_of_java_are_created_as_java_creates_them() {
        let [executions, statuses, ..] = &created(&Dialect::MySql)[..] else {
            panic!("Java has two tables");
        };
        assert_eq!(
            executions,
            "CREATE TABLE IF NOT EXISTS JOB_EXECUTION_LOG (id VARCHAR(40) NOT NULL, job_name VARCHAR(100) NOT NULL, \
             task_id VARCHAR(255) NOT NULL, hostname VARCHAR(255) NOT NULL, ip VARCHAR(50) NOT NULL, \
             sharding_item INT NOT NULL, execution_source VARCHAR(20) NOT NULL, failure_cause VARCHAR(4000) NULL, \
             is_success INT NOT NULL, start_time TIMESTAMP(3) NULL, complete_time TIMESTAMP(3) NULL, \
             PRIMARY KEY (id)) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"
        );
        assert_eq!(
            statuses,
            "CREATE TABLE IF NOT EXISTS JOB_STATUS_TRACE_LOG (id VARCHAR(40) NOT NULL, job_name VARCHAR(100) NOT NULL, \
             original_task_id VARCHAR(255) NOT NULL, task_id VARCHAR(255) NOT NULL, slave_id VARCHAR(50) NOT NULL, \
             source VARCHAR(50) NOT NULL DEFAULT 'LITE_EXECUTOR', execution_type VARCHAR(20) NOT NULL, \
             sharding_item VARCHAR(100) NOT NULL, state VARCHAR(20) NOT NULL, message VARCHAR(4000) NULL, \
             creation_time TIMESTAMP(3) NULL, PRIMARY KEY (id)) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"
        );
    }

    #[test]
    fn tables_of_ours_have_a_key_and_numbers_of_64_bits() {
        let [_, _, details, states, skipped, leases] = &created(&Dialect::Sqlite)[..] else {
            panic!("there are six tables");
        };
        assert_eq!(
            details,
            "CREATE TABLE IF NOT EXISTS ELASTICJOB_RUN (id VARCHAR(40) NOT NULL, run_id VARCHAR(40) NOT NULL, \
             attempt INT NOT NULL, retries INT NOT NULL, scheduled_time BIGINT NOT NULL, source VARCHAR(20) NOT NULL, \
             instance VARCHAR(100) NOT NULL, verdict VARCHAR(20) NULL, PRIMARY KEY (id)) WITHOUT ROWID"
        );
        assert_eq!(
            states,
            "CREATE TABLE IF NOT EXISTS ELASTICJOB_STATE (id VARCHAR(40) NOT NULL, run_id VARCHAR(40) NOT NULL, \
             attempt INT NOT NULL, scheduled_time BIGINT NOT NULL, instance VARCHAR(100) NOT NULL, PRIMARY KEY (id))"
        );
        assert_eq!(
            skipped,
            "CREATE TABLE IF NOT EXISTS ELASTICJOB_SKIPPED (job_name VARCHAR(100) NOT NULL, sharding_item INT NOT NULL, \
             before_time BIGINT NOT NULL, after_time BIGINT NOT NULL, times BIGINT NOT NULL, reason VARCHAR(1000) NOT NULL, \
             PRIMARY KEY (job_name, sharding_item, before_time))"
        );
        assert_eq!(
            leases,
            "CREATE TABLE IF NOT EXISTS ELASTICJOB_LEASE (name VARCHAR(40) NOT NULL, holder VARCHAR(100) NOT NULL, \
             until_time BIGINT NOT NULL, PRIMARY KEY (name))"
        );
    }
}
