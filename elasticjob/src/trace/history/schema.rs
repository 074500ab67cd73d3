//! The tables: those that Java members have, and ours beside them.

use super::dialect::Dialect;
use super::fit::LONGEST;
use super::statement::{Kind, Table};

/// Java's: a row a run, from its start on.
pub(super) const EXECUTIONS: Table = Table {
    name: "JOB_EXECUTION_LOG",
    columns: &[
        ("id", Kind::Key),
        ("job_name", Kind::Text(100)),
        ("task_id", Kind::Text(255)),
        ("hostname", Kind::Text(255)),
        ("ip", Kind::Text(50)),
        ("sharding_item", Kind::Integer),
        ("execution_source", Kind::Text(20)),
        ("failure_cause", Kind::Account(LONGEST)),
        ("is_success", Kind::Flag),
        ("start_time", Kind::Time),
        ("complete_time", Kind::Time),
    ],
    key: &["id"],
};

/// Java's: a row for each step of a firing on an instance. The tables of Java 3.0.5 have no source.
pub(super) const STATUSES: Table = Table {
    name: "JOB_STATUS_TRACE_LOG",
    columns: &[
        ("id", Kind::Key),
        ("job_name", Kind::Text(100)),
        ("original_task_id", Kind::Text(255)),
        ("task_id", Kind::Text(255)),
        ("slave_id", Kind::Text(50)),
        ("source", Kind::Text(50)),
        ("execution_type", Kind::Text(20)),
        ("sharding_item", Kind::Text(100)),
        ("state", Kind::Text(20)),
        ("message", Kind::Account(LONGEST)),
        ("creation_time", Kind::Time),
    ],
    key: &["id"],
};

/// Ours: what Java's table of runs has no columns for.
pub(super) const DETAILS: Table = Table {
    name: "ELASTICJOB_RUN",
    columns: &[
        ("id", Kind::Key),
        ("run_id", Kind::Key),
        ("attempt", Kind::Integer),
        ("retries", Kind::Integer),
        ("scheduled_time", Kind::Integer),
        ("source", Kind::Text(20)),
        ("instance", Kind::Text(100)),
        ("verdict", Kind::Text(20)),
    ],
    key: &["id"],
};

/// Ours: what Java's table of states has no columns for. Task ids are the same for all firings of the same items.
pub(super) const STATES: Table = Table {
    name: "ELASTICJOB_STATE",
    columns: &[
        ("id", Kind::Key),
        ("run_id", Kind::Key),
        ("attempt", Kind::Integer),
        ("scheduled_time", Kind::Integer),
        ("instance", Kind::Text(100)),
    ],
    key: &["id"],
};

/// Ours: scheduled times that were not run.
pub(super) const SKIPPED: Table = Table {
    name: "ELASTICJOB_SKIPPED",
    columns: &[
        ("job_name", Kind::Text(100)),
        ("sharding_item", Kind::Integer),
        ("before_time", Kind::Integer),
        ("after_time", Kind::Integer),
        ("times", Kind::Integer),
        ("reason", Kind::Text(1000)),
    ],
    key: &["job_name", "sharding_item", "before_time"],
};

/// Ours: who does what only one is to do.
pub(super) const LEASES: &str = "ELASTICJOB_LEASE";

/// A table, and what creates it.
pub(super) struct Definition {
    pub(super) table: &'static str,
    pub(super) create: String,
    /// By their names. Created with the table, or added to one that Java created.
    pub(super) indexes: Vec<(String, String)>,
}

/// All tables, as they are created where they are absent.
pub(super) fn definitions(dialect: &Dialect) -> Vec<Definition> {
    let moment = match dialect {
        Dialect::Sqlite | Dialect::Postgres { .. } => "TIMESTAMP",
        // Java's has whole seconds.
        Dialect::MySql => "TIMESTAMP(3)",
    };
    let flag = match dialect {
        Dialect::Sqlite | Dialect::MySql => "INT",
        Dialect::Postgres { .. } => "BOOLEAN",
    };
    let executions = format!(
        "id VARCHAR(40) NOT NULL, job_name VARCHAR(100) NOT NULL, task_id VARCHAR(255) NOT NULL, \
         hostname VARCHAR(255) NOT NULL, ip VARCHAR(50) NOT NULL, sharding_item INT NOT NULL, \
         execution_source VARCHAR(20) NOT NULL, failure_cause VARCHAR(4000) NULL, is_success {flag} NOT NULL, \
         start_time {moment} NULL, complete_time {moment} NULL, PRIMARY KEY (id)"
    );
    // Java members from 3.0.5 on write no source, and older ones read it.
    let statuses = format!(
        "id VARCHAR(40) NOT NULL, job_name VARCHAR(100) NOT NULL, original_task_id VARCHAR(255) NOT NULL, \
         task_id VARCHAR(255) NOT NULL, slave_id VARCHAR(50) NOT NULL, source VARCHAR(50) NOT NULL DEFAULT 'LITE_EXECUTOR', \
         execution_type VARCHAR(20) NOT NULL, sharding_item VARCHAR(100) NOT NULL, state VARCHAR(20) NOT NULL, \
         message VARCHAR(4000) NULL, creation_time {moment} NULL, PRIMARY KEY (id)"
    );
    let details = "id VARCHAR(40) NOT NULL, run_id VARCHAR(40) NOT NULL, attempt INT NOT NULL, \
                   retries INT NOT NULL, scheduled_time BIGINT NOT NULL, source VARCHAR(20) NOT NULL, instance VARCHAR(100) NOT NULL, \
                   verdict VARCHAR(20) NULL, PRIMARY KEY (id)";
    let states = "id VARCHAR(40) NOT NULL, run_id VARCHAR(40) NOT NULL, attempt INT NOT NULL, \
                  scheduled_time BIGINT NOT NULL, instance VARCHAR(100) NOT NULL, PRIMARY KEY (id)";
    let skipped = "job_name VARCHAR(100) NOT NULL, sharding_item INT NOT NULL, before_time BIGINT NOT NULL, \
                   after_time BIGINT NOT NULL, times BIGINT NOT NULL, reason VARCHAR(1000) NOT NULL, \
                   PRIMARY KEY (job_name, sharding_item, before_time)";
    let leases = "name VARCHAR(40) NOT NULL, holder VARCHAR(100) NOT NULL, until_time BIGINT NOT NULL, \
                  PRIMARY KEY (name)";
    let task_id = match dialect {
        // An index of MySQL may not be as wide as the column.
        Dialect::MySql => "task_id(128)",
        Dialect::Sqlite | Dialect::Postgres { .. } => "task_id",
    };
    let index = |name: &str, table: &str, columns: &str| (name.to_owned(), create_index(dialect, name, table, columns));
    vec![
        Definition {
            table: EXECUTIONS.name,
            create: create_table(dialect, EXECUTIONS.name, &executions),
            indexes: vec![
                index("ELASTICJOB_RUNS_BY_TIME", EXECUTIONS.name, "start_time, id"),
                // Wider than it need be: of two indexes that SQLite expects as much of it takes the narrower one, and that
                // is to be the one by more conditions. What else is asked of a job's runs is seen without reading them.
                index(
                    "ELASTICJOB_RUNS_BY_JOB",
                    EXECUTIONS.name,
                    "job_name, start_time, id, sharding_item, ip, execution_source",
                ),
                index(
                    "ELASTICJOB_RUNS_BY_ITEM",
                    EXECUTIONS.name,
                    "job_name, sharding_item, start_time, id",
                ),
                index(
                    "ELASTICJOB_RUNS_BY_JOB_SUCCESS",
                    EXECUTIONS.name,
                    "job_name, is_success, start_time, id",
                ),
                index(
                    "ELASTICJOB_RUNS_BY_SUCCESS",
                    EXECUTIONS.name,
                    "is_success, start_time, id",
                ),
                index("ELASTICJOB_RUNS_BY_IP", EXECUTIONS.name, "ip, start_time, id"),
                index(
                    "ELASTICJOB_RUNS_BY_SOURCE",
                    EXECUTIONS.name,
                    "execution_source, start_time, id",
                ),
            ],
        },
        Definition {
            table: STATUSES.name,
            create: create_table(dialect, STATUSES.name, &statuses),
            indexes: vec![
                index("TASK_ID_STATE_INDEX", STATUSES.name, &format!("{task_id}, state")),
                index("ELASTICJOB_STATES_BY_TIME", STATUSES.name, "creation_time"),
            ],
        },
        Definition {
            table: DETAILS.name,
            create: create_table(dialect, DETAILS.name, details),
            indexes: vec![index("ELASTICJOB_RUN_BY_SCHEDULE", DETAILS.name, "scheduled_time")],
        },
        Definition {
            table: STATES.name,
            create: create_table(dialect, STATES.name, states),
            indexes: vec![
                index("ELASTICJOB_STATE_BY_RUN", STATES.name, "run_id"),
                index("ELASTICJOB_STATE_BY_SCHEDULE", STATES.name, "scheduled_time"),
            ],
        },
        Definition {
            table: SKIPPED.name,
            create: create_table(dialect, SKIPPED.name, skipped),
            indexes: vec![
                index("ELASTICJOB_SKIPPED_BY_TIME", SKIPPED.name, "before_time"),
                index("ELASTICJOB_SKIPPED_BY_JOB", SKIPPED.name, "job_name, before_time"),
            ],
        },
        Definition {
            table: LEASES,
            create: create_table(dialect, LEASES, leases),
            indexes: Vec::new(),
        },
    ]
}

fn create_table(dialect: &Dialect, name: &str, columns: &str) -> String {
    let rest = match dialect {
        // Ours are found by their key alone, which saves a second look. Java's are as it makes them.
        Dialect::Sqlite if name == DETAILS.name => " WITHOUT ROWID",
        Dialect::Sqlite | Dialect::Postgres { .. } => "",
        Dialect::MySql => " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4",
    };
    format!("CREATE TABLE IF NOT EXISTS {name} ({columns}){rest}")
}

fn create_index(dialect: &Dialect, name: &str, table: &str, columns: &str) -> String {
    let unless_there = match dialect {
        Dialect::Sqlite | Dialect::Postgres { .. } => "IF NOT EXISTS ",
        // It knows no such words; that the index is there is its answer then.
        Dialect::MySql => "",
    };
    format!("CREATE INDEX {unless_there}{name} ON {table} ({columns})")
}
