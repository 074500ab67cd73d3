//! The registry centre in PostgreSQL.
//!
//! It promises what [`registry`](crate::registry) promises, to members on any number of machines, without another
//! server beside the database.
//!
//! - Sessions, nodes and changes are rows in the schema `elasticjob`. Functions there execute transactions. The tables say
//!   which version a program has to have at least, so that an older one is refused instead of misreading them.
//! - Nothing depends on the connection: no prepared statement, no setting, no lock outlives a transaction. So a pooler
//!   in front of the database may give each transaction another connection.
//! - Members poll for changes of others ten times a second.
//! - The time limit of a session is counted by the members, and never by the clock of the database.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use self::member::{Member, literal};
use self::message::Caller;
use super::session::{Shared, SqlSession};
use super::worker::Worker;
use crate::registry::{BoxFuture, Error, Registry, Session, path};

mod member;
mod message;

/// The same as with ZooKeeper.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// The version of the tables that this program makes.
const VERSION: i32 = 1;

/// Held while tables are made: an arbitrary number, which is ours.
const SCHEMA_LOCK: i64 = 0x656c_6173_7469_6a31;

const SCHEMA: &str = include_str!("schema.sql");

/// A database and a namespace in it.
///
/// Several namespaces, each a cluster of its own, can share a database. A clone is an independent registry with the
/// same settings.
///
/// The user needs the right to create the schema at the first start; later the right to use it, its tables and its functions
/// is enough.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use elasticjob::ElasticJob;
/// use elasticjob::registry::Registry;
/// use elasticjob::registry::sql::PostgresRegistry;
///
/// // Nothing is connected before the application starts.
/// let registry = PostgresRegistry::new("postgres://shop:secret@db.example.com/shop", "orders")?
///     .with_session_timeout(Duration::from_secs(20));
/// assert!(!registry.describe().contains("secret"));
/// let builder = ElasticJob::builder().registry(Arc::new(registry));
/// # let _ = builder;
/// # Ok::<_, elasticjob::registry::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresRegistry {
    options: PgConnectOptions,
    namespace: String,
    session_timeout: Duration,
    connection_timeout: Duration,
}

impl PostgresRegistry {
    /// A registry at this URL, `postgres://user:password@host/database`, with its tables in the schema `elasticjob`, which is
    /// created if it is not there.
    ///
    /// Nothing is connected yet. Spaces and slashes around the namespace do not count. Sessions last 10 s without
    /// renewal, and 15 s is the limit for connecting and closing, until other times are set.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if one of the two is not what it should be.
    pub fn new(url: &str, namespace: &str) -> Result<Self, Error> {
        let options: PgConnectOptions = url
            .parse()
            .map_err(|_| Error::InvalidArgument("the URL of a PostgreSQL database is expected".to_owned()))?;
        let namespace = format!("/{}", namespace.trim().trim_matches('/'));
        path::validate(&namespace)?;
        Ok(Self {
            options: options.disable_statement_logging().application_name("elasticjob"),
            namespace,
            session_timeout: SESSION_TIMEOUT,
            connection_timeout: CONNECTION_TIMEOUT,
        })
    }

    /// Sets how long a session lasts without renewal; at least a second.
    ///
    /// The shorter it is, the sooner the items of a member that died are taken over, and the shorter an absence of the
    /// database is survived: work of a member that cannot renew is stopped before another may do it.
    #[must_use]
    pub fn with_session_timeout(self, session_timeout: Duration) -> Self {
        let session_timeout = session_timeout.max(SHORTEST_TIMEOUT);
        Self {
            session_timeout,
            ..self
        }
    }

    /// Sets how long connecting and closing may take.
    ///
    /// A registry that has not connected by then is taken to be away for now, and is tried again.
    #[must_use]
    pub fn with_connection_timeout(self, connection_timeout: Duration) -> Self {
        Self {
            connection_timeout,
            ..self
        }
    }

    /// Connects, creates what is absent, and begins a session.
    async fn join(&self) -> Result<Arc<dyn Session>, Error> {
        let session = fastrand::i64(1..);
        let timeout_millis = i64::try_from(self.session_timeout.as_millis()).unwrap_or(i64::MAX);
        let mut connection = self.options.connect().await.map_err(|error| explained(&error))?;
        prepare(&mut connection).await?;
        let namespace = literal(&self.namespace);
        let statement = format!(
            "BEGIN; INSERT INTO elasticjob.job VALUES ({namespace}, '', 0, 0) ON CONFLICT DO NOTHING;
             INSERT INTO elasticjob.node VALUES ({namespace}, '', '', '', 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING;
             INSERT INTO elasticjob.session VALUES ({session}, {namespace}, 0, 0, false, {timeout_millis}); COMMIT"
        );
        run(&mut connection, statement).await?;
        let caller = Caller {
            namespace: self.namespace.clone(),
            session,
            connection: 0,
            timeout_millis,
        };
        let shared = Shared::new(session, self.session_timeout, self.connection_timeout);
        let member = Member::new(self.options.clone(), connection, caller, self.session_timeout);
        let worker = Worker::new(shared.clone(), member);
        Ok(Arc::new(SqlSession::start(shared, |calls| worker.run(calls))))
    }
}

/// Creates the tables and functions if they are not there, one process at a time, and makes sure that this program can use them.
async fn prepare(connection: &mut PgConnection) -> Result<(), Error> {
    let found = "SELECT (to_regclass('elasticjob.schema_version') IS NOT NULL)::text";
    if text(connection, found).await? == "false" {
        let statement = format!(
            "BEGIN; SELECT pg_advisory_xact_lock({SCHEMA_LOCK}); CREATE SCHEMA IF NOT EXISTS elasticjob; {SCHEMA}
             INSERT INTO elasticjob.schema_version SELECT {VERSION}, {VERSION}
             WHERE NOT EXISTS (SELECT 1 FROM elasticjob.schema_version WHERE version = {VERSION}); COMMIT"
        );
        run(connection, statement).await?;
    }
    let needed = "SELECT coalesce(max(oldest_program), 0)::text FROM elasticjob.schema_version";
    let needed = text(connection, needed).await?;
    if needed.parse::<i32>().is_ok_and(|needed| needed > VERSION) {
        return Err(Error::Refused(format!(
            "the tables in the schema `elasticjob` need a program for version {needed} or later: this one is for version {VERSION}"
        )));
    }
    Ok(())
}

/// Returns the one text that a query gives.
async fn text(connection: &mut PgConnection, query: &'static str) -> Result<String, Error> {
    let rows = connection.fetch_all(sqlx::raw_sql(query)).await;
    let rows = rows.map_err(|error| explained(&error))?;
    let text = rows.first().and_then(|row| row.try_get_unchecked(0).ok());
    text.ok_or_else(|| Error::Unreachable("the database gave no answer".to_owned()))
}

/// Runs statements that give nothing.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), Error> {
    let result = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement))).await;
    result.map(drop).map_err(|error| explained(&error))
}

/// Whether trying again may help: rights do not come by themselves.
fn explained(error: &sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some(code) if code.starts_with("28") || code == "42501" || code == "3D000" => Error::Refused(error.to_string()),
        _ => Error::Unreachable(error.to_string()),
    }
}

impl Registry for PostgresRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(async {
            let joined = timeout(self.connection_timeout, self.join()).await;
            joined.unwrap_or_else(|_| {
                Err(Error::Unreachable(format!(
                    "no session within {:?}",
                    self.connection_timeout
                )))
            })
        })
    }

    fn describe(&self) -> String {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        let database = self.options.get_database().unwrap_or_default();
        format!("postgresql at {host}:{port}/{database}, namespace {}", self.namespace)
    }
}

// By hand, since the options hold the password.
impl fmt::Debug for PostgresRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRegistry")
            .field("registry", &self.describe())
            .finish_non_exhaustive()
    }
}
