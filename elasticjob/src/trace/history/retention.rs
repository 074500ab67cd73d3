//! Deletes what is older than it is to be kept, a little at a time, on one instance at a time.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::dialect::Dialect;
use super::error::Error;
use super::schema::{DETAILS, EXECUTIONS, LEASES, SKIPPED, STATUSES};
use super::statement::{Kind, Statement, Value};
use super::store::Store;

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
const AGEING: [(&str, &str, &str, Kind); 4] = [
    (EXECUTIONS.name, "id", "start_time", Kind::Time),
    (STATUSES.name, "id", "creation_time", Kind::Time),
    (DETAILS.name, "id", "scheduled_time", Kind::Integer),
    (
        SKIPPED.name,
        "job_name, sharding_item, before_time",
        "before_time",
        Kind::Integer,
    ),
];

/// Keeps the history no longer than this.
#[derive(Debug)]
pub(super) struct Retention {
    store: Store,
    age: Duration,
    holder: String,
    stop: CancellationToken,
}

impl Retention {
    pub(super) fn new(store: Store, age: Duration, host: &str, stop: CancellationToken) -> Self {
        Self {
            store,
            age,
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
            let Some(result) = self.stop.run_until_cancelled(self.delete_old(Timestamp::now())).await else {
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

    /// Deletes what was too old at this time, unless somebody else does; how many rows.
    async fn delete_old(&self, now: Timestamp) -> Result<u64, Error> {
        if !self.is_ours(now).await? {
            return Ok(0);
        }
        let before = now.saturating_sub(self.age).unwrap_or(Timestamp::MIN);
        let mut deleted = 0;
        for (table, key, column, kind) in AGEING {
            loop {
                let dialect = self.store.dialect();
                let statement = delete(dialect, table, key, (column, kind), before);
                let rows = self.store.execute("cannot delete old history", &statement).await?;
                deleted += rows;
                if rows < BATCH {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(deleted)
    }

    /// Whether it is for us to delete: nobody else has the lease.
    async fn is_ours(&self, now: Timestamp) -> Result<bool, Error> {
        let dialect = self.store.dialect();
        let asked = "cannot take the lease of the retention";
        let mut create = Statement::new();
        let select = match dialect {
            Dialect::MySql => "SELECT 'retention', '', 0 FROM DUAL",
            _ => "SELECT 'retention', '', 0",
        };
        create.push(&format!(
            "INSERT INTO {LEASES} (name, holder, until_time) {select} \
             WHERE NOT EXISTS (SELECT 1 FROM {LEASES} WHERE name = 'retention')"
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
            "UPDATE {LEASES} SET holder = {holder}, until_time = {until} \
             WHERE name = 'retention' AND (until_time < {expired} OR holder = {same})"
        ));
        Ok(self.store.execute(asked, &take).await? == 1)
    }
}

/// Deletes a batch of rows before a time.
fn delete(dialect: &Dialect, table: &str, key: &str, (column, kind): (&str, Kind), before: Timestamp) -> Statement {
    let time = match kind {
        Kind::Time => before.as_microsecond(),
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
