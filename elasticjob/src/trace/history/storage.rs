//! Where a program has its history recorded, beside what configuration says.

use std::fmt;
use std::time::Duration;

use elasticjob_config::sources::TracedJobs;
use elasticjob_config::zone::Zone;

use super::connections::Connections;
use super::database::{Database, DatabaseKind};
use super::dialect::Dialect;
use super::error::Error;
use super::store::{Access, Store};

/// A place for history that a program hands to [`Builder::history`](crate::starter::Builder::history): a pool of sqlx that the
/// application has, or a [`Database`], and the jobs with their history there.
///
/// Tables are created in it, and used as they are, in the same way as in a database of the configuration. Connections of a pool are
/// taken for one statement or one transaction at a time, and the pool is never closed.
///
/// Several places have the histories of different jobs. The same job in two of them is refused at the start.
///
/// A pool in memory, a pool that is closed and a retention of zero are refused as well. That the database is away is no reason:
/// events wait for it.
///
/// ```
/// use std::time::Duration;
/// use elasticjob::configuration::sources::TracedJobs;
/// use elasticjob::trace::history::{Database, Storage};
///
/// let database: Database = "sqlite:/var/lib/shop/payments.db".parse()?;
/// let payments = Storage::from(database)
///     .jobs(TracedJobs::Only(vec!["charge".to_owned()]))
///     .retention(Duration::from_secs(90 * 24 * 60 * 60));
/// # let _ = payments;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is recorded before it is given to a builder"]
#[derive(Clone, Debug)]
pub struct Storage {
    target: Target,
    /// `None` if the program does not say.
    pub(super) jobs: Option<TracedJobs>,
    pub(super) retention: Option<Duration>,
    zone: Zone,
}

#[derive(Clone, Debug)]
enum Target {
    #[cfg_attr(
        not(any(feature = "history-sqlite", feature = "history-postgres", feature = "history-mysql")),
        expect(dead_code, reason = "pools are those of drivers")
    )]
    Pool {
        connections: Connections,
        /// Without user and password.
        shown: String,
    },
    Database(Database),
}

impl Storage {
    fn new(target: Target) -> Self {
        Self {
            target,
            jobs: None,
            retention: None,
            zone: Zone::system(),
        }
    }

    /// Records the history of these jobs alone. By default it is that of all jobs, or of those that `tracing` of the configuration names.
    pub fn jobs(mut self, jobs: TracedJobs) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Deletes what is older. By default nothing is, unless `tracing.retention` says so.
    ///
    /// One instance at a time deletes, about every ten minutes, a few hundred rows at once. The age of a run counts
    /// from its start, and that of times without a run from the end of their range.
    pub fn retention(mut self, age: Duration) -> Self {
        self.retention = Some(age);
        self
    }

    /// Sets the zone of times in PostgreSQL, which has none in Java's tables. By default it is the machine's. A [`Database`] of a
    /// configuration has one already.
    pub fn time_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Returns what makes it impossible to record here, if that can be known before anything is connected.
    pub(super) fn fault(&self) -> Option<String> {
        let shown = match &self.target {
            Target::Database(database) => database.to_string(),
            Target::Pool { connections, shown } => {
                if connections.is_closed() {
                    return Some(format!("the pool of {shown} is closed"));
                }
                if connections.kind() == Some(DatabaseKind::Sqlite) && is_in_memory(shown) {
                    return Some(format!(
                        "the pool of {shown} is in memory, where each connection has a database of its own that ends with it: expected a file"
                    ));
                }
                shown.clone()
            }
        };
        // All that is recorded would be deleted within minutes.
        self.retention
            .filter(Duration::is_zero)
            .map(|_| format!("the retention of {shown} is zero: expected a time above zero"))
    }

    /// Returns the connections to it. Nothing is connected yet.
    pub(super) fn open(&self) -> Result<Store, Error> {
        match &self.target {
            Target::Database(database) => Store::new(database, Access::Write),
            Target::Pool { connections, shown } => {
                let kind = connections.kind().expect("a pool of the application has its kind");
                Ok(Store::of_pool(
                    connections.clone(),
                    kind,
                    shown,
                    Dialect::new(kind, &self.zone),
                ))
            }
        }
    }
}

/// How sqlx names files that are none.
fn is_in_memory(shown: &str) -> bool {
    shown.contains(":memory:") || shown.contains("file:sqlx-in-memory-")
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Database(database) => database.fmt(f),
            Target::Pool { shown, .. } => f.write_str(shown),
        }
    }
}

impl From<Database> for Storage {
    fn from(database: Database) -> Self {
        Self::new(Target::Database(database))
    }
}

#[cfg(feature = "history-sqlite")]
impl From<sqlx::SqlitePool> for Storage {
    fn from(pool: sqlx::SqlitePool) -> Self {
        let shown = format!("sqlite:{}", pool.connect_options().get_filename().display());
        let connections = Connections::Sqlite(pool);
        Self::new(Target::Pool { connections, shown })
    }
}

#[cfg(feature = "history-postgres")]
impl From<sqlx::PgPool> for Storage {
    fn from(pool: sqlx::PgPool) -> Self {
        let options = pool.connect_options();
        let socket = options.get_socket().map(|socket| socket.display().to_string());
        let shown = shown(
            "postgres",
            socket,
            options.get_host(),
            options.get_port(),
            options.get_database(),
        );
        let connections = Connections::Postgres(pool);
        Self::new(Target::Pool { connections, shown })
    }
}

#[cfg(feature = "history-mysql")]
impl From<sqlx::MySqlPool> for Storage {
    fn from(pool: sqlx::MySqlPool) -> Self {
        let options = pool.connect_options();
        let socket = options.get_socket().map(|socket| socket.display().to_string());
        let shown = shown(
            "mysql",
            socket,
            options.get_host(),
            options.get_port(),
            options.get_database(),
        );
        let connections = Connections::MySql(pool);
        Self::new(Target::Pool { connections, shown })
    }
}

/// Returns how a server is shown: by its socket if it has one, and without user and password.
#[cfg(any(feature = "history-postgres", feature = "history-mysql"))]
fn shown(scheme: &str, socket: Option<String>, host: &str, port: u16, database: Option<&str>) -> String {
    let place = socket.unwrap_or_else(|| format!("{host}:{port}"));
    format!("{scheme}://{place}/{}", database.unwrap_or_default())
}

#[cfg(all(test, feature = "history-sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn refuses_to_keep_nothing() {
        let storage = |age| {
            let database: Database = "sqlite:/tmp/history.db".parse().expect("a URL");
            Storage::from(database).retention(age)
        };
        let fault = storage(Duration::ZERO).fault().expect("it is refused");
        assert!(fault.starts_with("the retention of sqlite:"), "{fault}");
        assert!(fault.ends_with(" is zero: expected a time above zero"), "{fault}");
        assert_eq!(storage(Duration::from_secs(1)).fault(), None);
    }
}
