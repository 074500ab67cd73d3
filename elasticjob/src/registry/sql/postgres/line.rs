//! What is asked over a connection beside calls, whichever of the two it is.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::registry::sql::backend::Failure;

/// A connection that answers one statement at a time.
pub(super) trait Line: Send {
    /// Runs one message. Returns the first text that it gives, if it gives a row and not NULL there.
    fn first(&mut self, statement: String) -> impl Future<Output = Result<Option<String>, Failure>> + Send;

    /// Runs one message, and returns the one text that it gives.
    fn text(&mut self, statement: String) -> impl Future<Output = Result<String, Failure>> + Send {
        async move { self.first(statement).await?.ok_or_else(|| broken("no row")) }
    }
}

impl Line for PgConnection {
    async fn first(&mut self, statement: String) -> Result<Option<String>, Failure> {
        let rows = self.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
        match rows.first() {
            Some(row) => Ok(row.try_get_unchecked(0)?),
            None => Ok(None),
        }
    }
}

/// A listener that gives up after a while: an answer that comes later is for no statement.
pub(super) struct Listening {
    pub(super) listener: PgListener,
    pub(super) patience: Duration,
}

impl Line for Listening {
    async fn first(&mut self, statement: String) -> Result<Option<String>, Failure> {
        let answered = self.listener.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement)));
        let rows = match timeout(self.patience, answered).await {
            Ok(rows) => rows?,
            Err(_) => return Err(broken(format!("no answer within {:?}", self.patience))),
        };
        match rows.first() {
            Some(row) => Ok(row.try_get_unchecked(0)?),
            None => Ok(None),
        }
    }
}

/// Ends a session, if it still has this beat. Returns whether it did.
pub(super) async fn end(line: &mut impl Line, session: i64, beat: i64) -> Result<bool, Failure> {
    let statement =
        format!("UPDATE elasticjob.session SET dead = true WHERE id = {session} AND beat = {beat} RETURNING 'dead'");
    Ok(line.first(statement).await?.is_some())
}

/// Deletes the nodes of a session that is dead, some jobs at a time, and the session at last.
pub(super) async fn clean(line: &mut impl Line, namespace: &str, session: i64) -> Result<(), Failure> {
    let statement = format!("SELECT elasticjob.clean_v2({}, {session})::text", literal(namespace));
    // Jobs that others hold are for the next look.
    for _ in 0..1_000 {
        if line.text(statement.clone()).await? == "false" {
            break;
        }
    }
    let statement = format!(
        "DELETE FROM elasticjob.session WHERE id = {session} AND dead AND NOT EXISTS
            (SELECT 1 FROM elasticjob.node WHERE owner = {session}) RETURNING 'gone'"
    );
    line.first(statement).await?;
    Ok(())
}

/// Deletes the changes of a namespace that are older than this.
pub(super) async fn forget(line: &mut impl Line, namespace: &str, age: Duration) -> Result<(), Failure> {
    let mut behind = "NULL".to_owned();
    // A hundred jobs at a time.
    loop {
        let statement = format!(
            "SELECT elasticjob.forget_v2({}, {behind}, {})",
            literal(namespace),
            age.as_millis()
        );
        match line.first(hasty(&statement)).await? {
            Some(name) => behind = literal(&name),
            None => return Ok(()),
        }
    }
}

/// The statement that sends a hint.
pub(super) fn notify(channel: &str, text: &str) -> String {
    hasty(&format!(
        "SELECT pg_notify({}, {})::text",
        literal(channel),
        literal(text)
    ))
}

/// The message of a statement that waits neither for the disk nor for a standby, since nothing depends on it after a crash.
pub(super) fn hasty(statement: &str) -> String {
    format!("BEGIN; SET LOCAL synchronous_commit = off; {statement}; COMMIT")
}

/// Returns a text as a literal that does not depend on the settings of the server.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

pub(super) fn broken(error: impl ToString) -> Failure {
    Failure::Broken(error.to_string())
}
