//! The connections that a store uses: its own, or those of a pool that the application has.
//!
//! Both are asked the same statements and answer with the same rows, so that nothing else here knows which of them it is.
//!
//! A statement takes a connection for itself alone and gives it back, and a transaction keeps one until it is
//! committed. A future that is dropped amid a transaction rolls it back.

use std::fmt;

use sqlx::any::{Any, AnyRow};
use sqlx::{AnyPool, ConnectOptions as _, Connection as _};

use super::database::DatabaseKind;
use super::statement::Statement;

/// A pool of connections. Clones share it.
///
/// One variant for each kind of pool, because the application hands in a typed one, while a URL of a configuration is
/// known only at run time.
#[derive(Clone)]
pub(super) enum Connections {
    /// Made for the history, and closed with it.
    Own(AnyPool),
    /// The application's, which closes it.
    #[cfg(feature = "history-sqlite")]
    Sqlite(sqlx::SqlitePool),
    #[cfg(feature = "history-postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "history-mysql")]
    MySql(sqlx::MySqlPool),
}

/// Does the same with a pool of any kind; `$database` is the kind of its database there.
macro_rules! with_pool {
    ($connections:expr, |$pool:ident, $database:ident| $body:expr) => {
        match $connections {
            Connections::Own($pool) => {
                type $database = Any;
                $body
            }
            #[cfg(feature = "history-sqlite")]
            Connections::Sqlite($pool) => {
                type $database = sqlx::Sqlite;
                $body
            }
            #[cfg(feature = "history-postgres")]
            Connections::Postgres($pool) => {
                type $database = sqlx::Postgres;
                $body
            }
            #[cfg(feature = "history-mysql")]
            Connections::MySql($pool) => {
                type $database = sqlx::MySql;
                $body
            }
        }
    };
}

impl Connections {
    /// Returns what a query finds.
    pub(super) async fn rows(&self, statement: &Statement) -> Result<Vec<AnyRow>, sqlx::Error> {
        with_pool!(self, |pool, Database| {
            let rows = statement.query::<Database>().fetch_all(pool).await?;
            rows.into_iter().map(ToAny::to_any).collect()
        })
    }

    /// Runs one statement, and returns how many rows it changed.
    pub(super) async fn execute(&self, statement: &Statement) -> Result<u64, sqlx::Error> {
        with_pool!(self, |pool, Database| {
            let result = statement.query::<Database>().execute(pool).await?;
            Ok(result.rows_affected())
        })
    }

    /// Runs statements in one transaction.
    pub(super) async fn execute_together(&self, statements: &[Statement]) -> Result<(), sqlx::Error> {
        with_pool!(self, |pool, Database| {
            let mut transaction = pool.begin().await?;
            for statement in statements {
                statement.query::<Database>().execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
    }

    /// Opens a connection beside the pool and closes it.
    pub(super) async fn try_to_connect(&self) -> Result<(), sqlx::Error> {
        with_pool!(self, |pool, _Database| {
            let connection = pool.connect_options().connect().await?;
            connection.close().await
        })
    }

    /// Returns how many connections there are at most.
    pub(super) fn limit(&self) -> u32 {
        with_pool!(self, |pool, _Database| pool.options().get_max_connections())
    }

    /// Returns whether the application has closed its pool.
    pub(super) fn is_closed(&self) -> bool {
        with_pool!(self, |pool, _Database| pool.is_closed())
    }

    /// Closes connections of our own. A pool of the application's is left as it is.
    pub(super) async fn close(&self) {
        match self {
            Self::Own(pool) => pool.close().await,
            #[cfg(any(feature = "history-sqlite", feature = "history-postgres", feature = "history-mysql"))]
            _ => {}
        }
    }

    /// Returns the kind of the application's pool. `None` for our own: what its URL says is known elsewhere.
    pub(super) fn kind(&self) -> Option<DatabaseKind> {
        match self {
            Self::Own(_) => None,
            #[cfg(feature = "history-sqlite")]
            Self::Sqlite(_) => Some(DatabaseKind::Sqlite),
            #[cfg(feature = "history-postgres")]
            Self::Postgres(_) => Some(DatabaseKind::Postgres),
            #[cfg(feature = "history-mysql")]
            Self::MySql(_) => Some(DatabaseKind::MySql),
        }
    }
}

/// A row of any kind of database.
trait ToAny {
    /// Turns a row into one that is read without knowing the database.
    ///
    /// # Errors
    /// A column is of a type that the general row does not have.
    fn to_any(self) -> Result<AnyRow, sqlx::Error>;
}

impl ToAny for AnyRow {
    fn to_any(self) -> Result<AnyRow, sqlx::Error> {
        Ok(self)
    }
}

#[cfg(feature = "history-sqlite")]
impl ToAny for sqlx::sqlite::SqliteRow {
    fn to_any(self) -> Result<AnyRow, sqlx::Error> {
        AnyRow::try_from(&self)
    }
}

#[cfg(feature = "history-postgres")]
impl ToAny for sqlx::postgres::PgRow {
    fn to_any(self) -> Result<AnyRow, sqlx::Error> {
        AnyRow::try_from(&self)
    }
}

#[cfg(feature = "history-mysql")]
impl ToAny for sqlx::mysql::MySqlRow {
    fn to_any(self) -> Result<AnyRow, sqlx::Error> {
        AnyRow::try_from(&self)
    }
}

/// Shows no options: there may be a password among them.
impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}
