//! The tables: orders, what was paid out for them, and the newest run that wrote for each city.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

/// How many orders are settled at once.
const BATCH: i64 = 20;

/// What a bank would take for a batch.
const BANK: Duration = Duration::from_millis(50);

/// Writers wait for each other.
const BUSY: Duration = Duration::from_secs(30);

const CITIES: [&str; 3] = ["Beijing", "Shanghai", "Guangzhou"];

/// A SQLite database. Several processes may have it open.
pub(crate) struct Database {
    pool: SqlitePool,
}

/// An order that is not settled.
pub(crate) struct Order {
    id: i64,
    amount: i64,
}

/// Why orders were not settled. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    /// The database failed.
    #[error("cannot settle orders")]
    Database(#[from] sqlx::Error),
    /// This run was taken for dead, and another one goes on with the city.
    #[error("a newer run has written for {0}")]
    Outdated(String),
    /// Another run was faster.
    #[error("order {0} is settled already")]
    SettledAlready(i64),
}

impl Database {
    /// Opens it, and makes it if it is not there.
    pub(crate) async fn open(path: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await?;
        let tables = [
            "CREATE TABLE IF NOT EXISTS orders (
                 id INTEGER PRIMARY KEY, city TEXT NOT NULL, amount INTEGER NOT NULL, is_settled INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS payouts (order_id INTEGER NOT NULL, amount INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS fences (city TEXT PRIMARY KEY, token INTEGER NOT NULL)",
        ];
        for table in tables {
            sqlx::query(table).execute(&pool).await?;
        }
        Ok(Self { pool })
    }

    /// Adds so many orders for each city.
    pub(crate) async fn add_orders(&self, count: u32) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for number in 0..count {
            for city in CITIES {
                sqlx::query("INSERT INTO orders (city, amount, is_settled) VALUES (?, ?, 0)")
                    .bind(city)
                    .bind(i64::from(number % 100) + 1)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await
    }

    /// The next orders of a city.
    pub(crate) async fn open_orders(&self, city: &str) -> sqlx::Result<Vec<Order>> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT id, amount FROM orders WHERE city = ? AND is_settled = 0 ORDER BY id LIMIT ?")
                .bind(city)
                .bind(BATCH)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|(id, amount)| Order { id, amount }).collect())
    }

    /// Pays orders out and marks them as settled, all of them or none: a process that dies in between has changed nothing.
    ///
    /// `token` is the fencing token of the run. One that was taken for dead and comes back late is refused.
    pub(crate) async fn settle(&self, city: &str, orders: &[Order], token: i64) -> Result<(), SettleError> {
        // Dropped before the commit, as when its run is cancelled, it is rolled back.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let fence = "INSERT INTO fences (city, token) VALUES (?, ?)
                     ON CONFLICT (city) DO UPDATE SET token = excluded.token WHERE excluded.token >= fences.token";
        let fenced = sqlx::query(fence)
            .bind(city)
            .bind(token)
            .execute(&mut *transaction)
            .await?;
        if fenced.rows_affected() == 0 {
            return Err(SettleError::Outdated(city.to_owned()));
        }
        for order in orders {
            let settled = sqlx::query("UPDATE orders SET is_settled = 1 WHERE id = ? AND is_settled = 0")
                .bind(order.id)
                .execute(&mut *transaction)
                .await?;
            if settled.rows_affected() == 0 {
                return Err(SettleError::SettledAlready(order.id));
            }
            sqlx::query("INSERT INTO payouts (order_id, amount) VALUES (?, ?)")
                .bind(order.id)
                .bind(order.amount)
                .execute(&mut *transaction)
                .await?;
        }
        tokio::time::sleep(BANK).await;
        Ok(transaction.commit().await?)
    }
}
