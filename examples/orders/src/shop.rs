//! The tables of the shop: what is in stock, and the orders.

use sqlx::{PgPool, Postgres, Transaction};

/// What is in stock at first.
const STOCK: [(&str, i32); 2] = [("tea", 2), ("coffee", 100)];

/// A PostgreSQL database. Several processes may have it open. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Shop {
    pool: PgPool,
}

impl Shop {
    /// Opens it, and makes the tables if they are not there.
    pub(crate) async fn open(url: &str) -> sqlx::Result<Self> {
        let pool = PgPool::connect(url).await?;
        let mut transaction = pool.begin().await?;
        for statement in [
            // Processes that start at the same time wait for each other.
            "SELECT pg_advisory_xact_lock(20240229)",
            "CREATE TABLE IF NOT EXISTS stock (article text PRIMARY KEY, pieces integer NOT NULL)",
            "CREATE TABLE IF NOT EXISTS orders (
                 number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, article text NOT NULL,
                 is_shipped boolean NOT NULL DEFAULT false)",
        ] {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
        for (article, pieces) in STOCK {
            sqlx::query("INSERT INTO stock VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(article)
                .bind(pieces)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Self { pool })
    }

    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.pool.begin().await
    }

    /// Stores an order, and returns its number.
    pub(crate) async fn order(transaction: &mut Transaction<'_, Postgres>, article: &str) -> sqlx::Result<i64> {
        sqlx::query_scalar("INSERT INTO orders (article) VALUES ($1) RETURNING number")
            .bind(article)
            .fetch_one(&mut **transaction)
            .await
    }

    /// Takes a piece out of the stock. Returns whether there was one.
    pub(crate) async fn take(transaction: &mut Transaction<'_, Postgres>, article: &str) -> sqlx::Result<bool> {
        let taken = sqlx::query("UPDATE stock SET pieces = pieces - 1 WHERE article = $1 AND pieces > 0")
            .bind(article)
            .execute(&mut **transaction)
            .await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Ships an order, once: a run may be repeated. Returns the article.
    pub(crate) async fn ship(&self, order: i64) -> sqlx::Result<String> {
        sqlx::query_scalar("UPDATE orders SET is_shipped = true WHERE number = $1 RETURNING article")
            .bind(order)
            .fetch_one(&self.pool)
            .await
    }

    /// Returns all orders, with whether they were shipped.
    pub(crate) async fn orders(&self) -> sqlx::Result<Vec<(i64, String, bool)>> {
        sqlx::query_as("SELECT number, article, is_shipped FROM orders ORDER BY number")
            .fetch_all(&self.pool)
            .await
    }
}
