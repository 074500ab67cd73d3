//! The tables of the registry in a file, and their version.
//!
//! Two numbers are kept: the version of the tables, and the oldest program that may use them. A later version that only
//! adds something keeps the second number, so that older programs go on; one that changes the meaning of a column
//! raises it, and they refuse the file.

use sqlx::{Connection as _, Row as _, SqliteConnection};

/// The version of the tables that this program makes.
const VERSION: i64 = 1;

/// One statement for each table: a node is found by its parent and name, which is also the order of children.
const TABLES: &[&str] = &[
    // What a program has to know at least, to use these tables.
    "CREATE TABLE registry_schema (version INTEGER NOT NULL, oldest_program INTEGER NOT NULL)",
    // `counter` numbers the changes, `token` the transactions.
    "CREATE TABLE registry_namespace (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, counter INTEGER NOT NULL, token INTEGER NOT NULL)",
    "CREATE TABLE registry_session (
        id INTEGER PRIMARY KEY, namespace INTEGER NOT NULL, connection INTEGER NOT NULL, beat INTEGER NOT NULL,
        timeout_millis INTEGER NOT NULL)",
    "CREATE INDEX registry_session_namespace ON registry_session (namespace)",
    "CREATE TABLE registry_node (
        namespace INTEGER NOT NULL, parent TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, version INTEGER NOT NULL,
        created INTEGER NOT NULL, modified INTEGER NOT NULL, modified_at INTEGER NOT NULL, owner INTEGER NOT NULL,
        next_number INTEGER NOT NULL, PRIMARY KEY (namespace, parent, name))",
    "CREATE INDEX registry_node_owner ON registry_node (owner) WHERE owner <> 0",
    "CREATE TABLE registry_change (
        namespace INTEGER NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL, path TEXT NOT NULL,
        PRIMARY KEY (namespace, number)) WITHOUT ROWID",
];

/// Why the tables cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// A newer program made them.
    #[error(
        "its tables are of version {found}, which needs a program for version {needed} or later: this one is for version \
         {VERSION}"
    )]
    Newer { found: i64, needed: i64 },
    /// What the database says.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Creates the tables if they are not there, and makes sure that this program can use them.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), Unusable> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'registry_schema'");
    if there.fetch_all(&mut *transaction).await?.is_empty() {
        for table in TABLES {
            sqlx::query(*table).execute(&mut *transaction).await?;
        }
        let version = sqlx::query("INSERT INTO registry_schema (version, oldest_program) VALUES (?1, ?1)");
        version.bind(VERSION).execute(&mut *transaction).await?;
    }
    let row = sqlx::query("SELECT max(version), max(oldest_program) FROM registry_schema")
        .fetch_one(&mut *transaction)
        .await?;
    let (found, needed) = (row.try_get(0)?, row.try_get(1)?);
    if needed > VERSION {
        return Err(Unusable::Newer { found, needed });
    }
    transaction.commit().await?;
    Ok(())
}
