//! Deletes what is older than it is to be kept, a little at a time, on one instance at a time.
//!
//! A lease in the database says who deletes. It is taken by one statement that sets the holder if the lease has run
//! out, and that changes one row for exactly one instance. The lease goes by wall clocks. Two instances whose clocks
//! differ may delete at the same time, which costs time and does no harm: both delete the same rows.
//!
//! Rows go in batches of 500, the oldest first, with pauses between them: a deletion of a month at once would hold
//! locks that recorders wait for. What is too young by one table may be too old by another; a run whose details are
//! gone is shown without them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::dialect::Dialect;
use super::error::Error;
use super::schema::{DETAILS, EXECUTIONS, LEASES, LOGS, SKIPPED, STATES, STATUSES};
use super::statement::{ColumnKind, Statement, Value};
use super::store::Store;
use crate::schedule::Clock;

/// What cannot be done, as errors say it.
const DELETING: &str = "cannot delete old history";

/// How often it is looked for what is too old.
const INTERVAL: Duration = Duration::from_secs(600);

/// The pause before the first look, and after one that failed; then twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// For how long an instance may do so alone. One that died is followed by another after that.
const LEASE: Duration = Duration::from_secs(900);

/// Rows that go at once: others wait for their locks.
const BATCH: u64 = 500;

/// The pause between two batches.
const PAUSE: Duration = Duration::from_millis(50);

/// What is deleted by which time.
const AGEING: [(&str, &str, &str, ColumnKind); 6] = [
    (EXECUTIONS.name, "id", "start_time", ColumnKind::Time),
    (STATUSES.name, "id", "creation_time", ColumnKind::Time),
    (DETAILS.name, "id", "scheduled_time", ColumnKind::Long),
    (STATES.name, "id", "scheduled_time", ColumnKind::Long),
    (LOGS.name, "id", "scheduled_time", ColumnKind::Long),
    (
        SKIPPED.name,
        "job_name, sharding_item, before_time",
        "before_time",
        ColumnKind::Long,
    ),
];

/// Keeps the history no longer than this.
///
/// It begins soon after the start, and goes on every ten minutes or so.
#[derive(Debug)]
pub(super) struct Retention {
    store: Store,
    age: Duration,
    clock: Arc<dyn Clock>,
    holder: String,
    stop: CancellationToken,
}

impl Retention {
    /// Returns a retention that has not begun. Its name in the lease has a random part, since processes of two
    /// containers may have the same host name and id.
    pub(super) fn new(store: Store, age: Duration, clock: Arc<dyn Clock>, host: &str, stop: CancellationToken) -> Self {
        Self {
            store,
            age,
            clock,
            holder: format!("{host}-{}-{:08x}", std::process::id(), fastrand::u32(..)),
            stop,
        }
    }

    /// Deletes until the application stops.
    pub(super) async fn run(self) {
        // Not all instances at the same moment.
        let mut pause = FIRST_PAUSE.mul_f64(1.0 + fastrand::f64());
        let mut patience = FIRST_PAUSE;
        while self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            pause = INTERVAL.mul_f64(1.0 + fastrand::f64() / 10.0);
            let Some(result) = self.stop.run_until_cancelled(self.delete_old()).await else {
                return;
            };
            match result {
                Ok(rows) => {
                    patience = FIRST_PAUSE;
                    match rows {
                        0 => debug!("no history is too old"),
                        rows => info!(rows, older_than = ?self.age, "history deleted"),
                    }
                }
                Err(error) => {
                    // At the start the tables may not be there yet.
                    debug!(error = %error.chain(), "cannot delete old history now");
                    pause = patience;
                    patience = (patience * 2).min(INTERVAL);
                    if patience == INTERVAL {
                        warn!(error = %error.chain(), "cannot delete old history");
                    }
                }
            }
        }
    }

    /// Deletes old rows, unless another instance does, and returns their number.
    async fn delete_old(&self) -> Result<u64, Error> {
        let now = self.clock.now();
        if !self.is_ours(now).await? {
            return Ok(0);
        }
        let before = now.saturating_sub(self.age).unwrap_or(Timestamp::MIN);
        let mut deleted = 0;
        for (table, key, column, kind) in AGEING {
            // No log may have been kept so far.
            if table == LOGS.name && !self.store.has(DELETING, table, "1").await? {
                continue;
            }
            loop {
                let dialect = self.store.dialect();
                let statement = delete(dialect, table, key, (column, kind), before);
                let rows = self.store.execute(DELETING, &statement).await?;
                deleted += rows;
                if rows < BATCH {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(deleted)
    }

    /// Returns whether this instance may delete: no other instance has the lease.
    async fn is_ours(&self, now: Timestamp) -> Result<bool, Error> {
        let (dialect, leases) = (self.store.dialect(), LEASES.name);
        let asked = "cannot take the lease of the retention";
        let mut create = Statement::new();
        let select = match dialect {
            Dialect::MySql => "SELECT 'retention', '', 0 FROM DUAL",
            _ => "SELECT 'retention', '', 0",
        };
        create.push(&format!(
            "INSERT INTO {leases} (name, holder, until_time) {select} \
             WHERE NOT EXISTS (SELECT 1 FROM {leases} WHERE name = 'retention')"
        ));
        // Two may do this at once; the row is there then.
        if let Err(error) = self.store.execute(asked, &create).await {
            debug!(error = %error.chain(), "the lease was not created");
        }
        let now_ms = now.as_millisecond();
        let until = now_ms.saturating_add(i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX));
        let mut take = Statement::new();
        let holder = take.bind(dialect, Value::Text(self.holder.clone()));
        let until = take.bind(dialect, Value::Integer(until));
        let expired = take.bind(dialect, Value::Integer(now_ms));
        let same = take.bind(dialect, Value::Text(self.holder.clone()));
        take.push(&format!(
            "UPDATE {leases} SET holder = {holder}, until_time = {until} \
             WHERE name = 'retention' AND (until_time < {expired} OR holder = {same})"
        ));
        Ok(self.store.execute(asked, &take).await? == 1)
    }
}

/// Deletes a batch of rows before a time.
fn delete(
    dialect: &Dialect,
    table: &str,
    key: &str,
    (column, kind): (&str, ColumnKind),
    before: Timestamp,
) -> Statement {
    let time = match kind {
        ColumnKind::Time => before.as_microsecond(),
        _ => before.as_millisecond(),
    };
    let mut statement = Statement::new();
    let before = statement.bind_as(dialect, kind, Value::Integer(time));
    let oldest = format!("WHERE {column} < {before} ORDER BY {column} LIMIT {BATCH}");
    statement.push(&match dialect {
        Dialect::MySql => format!("DELETE FROM {table} {oldest}"),
        _ => format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} {oldest})"),
    });
    statement
}

#[cfg(test)]
#[cfg(feature = "history-sqlite")]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::schedule::ManualClock;
    use crate::trace::history::query::{History, RunFilter};
    use crate::trace::history::store::Access;

    const AGE: Duration = Duration::from_secs(30 * 86_400);

    fn retention(store: &Store, clock: &Arc<ManualClock>) -> Retention {
        let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
        Retention::new(store.clone(), AGE, clock, "host", CancellationToken::new())
    }

    #[tokio::test]
    async fn deletes_old_rows_by_one_instance_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/history.db", directory.path().display());
        let store = Store::new(&url.parse().unwrap(), Access::Write).unwrap();
        store.prepare().await.unwrap();
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        // More than a batch, one a minute.
        let mut insert = Statement::new();
        insert.push(&format!(
            "INSERT INTO JOB_EXECUTION_LOG WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers \
             WHERE n < 699) SELECT 'run-' || n, 'job', 'task', 'host', '10.0.0.1', 0, 'NORMAL_TRIGGER', NULL, 1, \
             {} + n * 60000, NULL FROM numbers",
            begin.as_millisecond()
        ));
        store.execute("cannot fill", &insert).await.unwrap();
        let clock = Arc::new(ManualClock::starting_at(begin + AGE));
        let (one, other) = (retention(&store, &clock), retention(&store, &clock));
        assert_eq!(one.delete_old().await.unwrap(), 0);
        clock.shift(SignedDuration::from_mins(600));
        // The first one has the lease no longer, and the other takes it; not both.
        assert_eq!(other.delete_old().await.unwrap(), 601);
        clock.shift(SignedDuration::from_mins(10));
        assert_eq!(one.delete_old().await.unwrap(), 0);
        assert_eq!(other.delete_old().await.unwrap(), 10);
        let left = History::of(store)
            .runs(&RunFilter::default(), None, 1000)
            .await
            .unwrap();
        assert_eq!(left.rows.len(), 89);
    }
}
