//! The registry centre in PostgreSQL.
//!
//! It promises what [`registry`](crate::registry) promises, to members on any number of machines, without another
//! server beside the database.
//!
//! - Sessions, nodes and changes are rows in the schema `elasticjob`. Functions there execute transactions. The tables say
//!   which version a program has to have at least, so that an older one is refused instead of misreading them.
//! - Nothing depends on the connection: no prepared statement, no setting, no lock outlives a transaction. So a pooler
//!   in front of the database may give each transaction another connection.
//! - A member has two connections: one for [calls](member), and one for [heartbeats and hints](pulse). Members ask for changes
//!   of others every second, more often while there is something to do, and after hints at once.
//! - The time limit of a session is counted by the members, and never by the clock of the database.
//! - What an application asks for by [a transaction of its own](inbox) is a row until the next poll of any member.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use elasticjob_config::sources::{DatabaseSettings, RegistryDatabase};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use self::failing::{explained, is_password};
use self::hint::Hints;
pub(crate) use self::inbox::Entry;
pub use self::inbox::Inbox;
use self::line::literal;
use self::member::Member;
use self::message::Caller;
use self::pulse::Pulse;
use self::schema::{Purpose, Unusable};
use super::session::{Shared, SqlSession};
use super::worker::Worker;
use crate::registry::inspection::Finding;
use crate::registry::{BoxFuture, Error, Registry, Session, path};
use crate::uptime::uptime;

mod failing;
mod hint;
mod inbox;
mod inspection;
mod line;
mod member;
mod message;
mod pulse;
mod schema;
mod warnings;

/// The same as with ZooKeeper.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// Whether characters of the URL are written as their numbers, such as those of a password that holds a `%` by itself.
    has_escapes: bool,
    /// Whether there has been a session: then a database that takes no changes may be one that takes them again.
    was_joined: Arc<AtomicBool>,
    inbox: Inbox,
}

impl PostgresRegistry {
    /// A registry at this URL, `postgres://user:password@host/database`, with its tables in the schema `elasticjob`, which is
    /// created if it is not there. TLS is as the parameters `sslmode` and `sslrootcert` ask for it. What the URL leaves out
    /// comes from the variables of PostgreSQL's own programs, such as `PGPASSWORD`.
    ///
    /// Nothing is connected yet. Spaces and slashes around the namespace do not count. Sessions last 10 s without
    /// renewal, and 15 s is the limit for connecting and closing, until other times are set.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming everything that is wrong with the two, without user and password.
    pub fn new(url: &str, namespace: &str) -> Result<Self, Error> {
        let mut faults = Vec::new();
        match RegistryDatabase::parse(url) {
            Ok(RegistryDatabase::Postgres(_)) => {}
            Ok(_) => faults.push("URL: `postgres://USER:PASSWORD@HOST/DATABASE` is expected".to_owned()),
            Err(problems) => faults.extend(problems.into_iter().map(|problem| format!("URL: {problem}"))),
        }
        let namespace = path::namespace(namespace);
        faults.extend(path::faults_of_namespace(&namespace, usize::MAX));
        if !faults.is_empty() {
            return Err(Error::InvalidArgument(faults.join("; ")));
        }
        let has_escapes = url.contains('%');
        // The error may quote the URL.
        let options = url.trim().parse::<PgConnectOptions>();
        let options = options.map_err(|_| Error::InvalidArgument("URL: it cannot be read".to_owned()))?;
        // A pooler refuses parameters of a connection that it cannot keep apart.
        let mut options = options.extra_float_digits(None::<i8>).disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("elasticjob");
        }
        Ok(Self {
            options,
            inbox: Inbox::new(namespace.clone()),
            namespace,
            session_timeout: SESSION_TIMEOUT,
            connection_timeout: CONNECTION_TIMEOUT,
            has_escapes,
            was_joined: Arc::default(),
        })
    }

    /// The registry that a configuration names.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if it names another kind of database.
    pub fn from_settings(settings: &DatabaseSettings) -> Result<Self, Error> {
        let RegistryDatabase::Postgres(url) = &settings.database else {
            return Err(Error::InvalidArgument(
                "the URL of a PostgreSQL database is expected".to_owned(),
            ));
        };
        Ok(Self::new(url.reveal(), &settings.namespace)?
            .with_session_timeout(settings.session_timeout)
            .with_connection_timeout(settings.connection_timeout))
    }

    /// Returns the statements that create the tables and functions in the schema `elasticjob`, or upgrade them, for a role
    /// that may do so; and that let another role use them, if one is named. They can be run again.
    ///
    /// ```
    /// use elasticjob::registry::sql::PostgresRegistry;
    ///
    /// let statements = PostgresRegistry::ddl(Some("shop"));
    /// assert!(statements.starts_with("BEGIN;"));
    /// assert!(statements.contains("GRANT USAGE ON SCHEMA elasticjob TO \"shop\";"));
    /// ```
    #[must_use]
    pub fn ddl(role: Option<&str>) -> String {
        schema::ddl(role)
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

    async fn open(&self, purpose: Purpose) -> Result<Arc<dyn Session>, Error> {
        let joined = timeout(self.connection_timeout, self.join(purpose)).await;
        joined.unwrap_or_else(|_| {
            Err(Error::Unreachable(format!(
                "no session within {:?}",
                self.connection_timeout
            )))
        })
    }

    /// Connects, makes what is absent if that is the purpose, and begins a session.
    async fn join(&self, purpose: Purpose) -> Result<Arc<dyn Session>, Error> {
        let session = fastrand::i64(1..);
        let timeout_millis = i64::try_from(self.session_timeout.as_millis()).unwrap_or(i64::MAX);
        let connected = self.options.connect().await;
        let mut connection = connected.map_err(|error| match explained(&error) {
            Error::Refused(problem) if self.has_escapes && is_password(&error) => {
                Error::Refused(format!("{problem}; a `%` in the password is written `%25` in the URL"))
            }
            other => other,
        })?;
        schema::prepare(&mut connection, purpose)
            .await
            .map_err(|unusable| match unusable {
                Unusable::ReadOnly(problem) if self.was_joined.load(Ordering::Relaxed) => Error::Unreachable(problem),
                Unusable::ReadOnly(problem) => Error::Refused(problem),
                Unusable::Otherwise(error) => error,
            })?;
        let namespace = literal(&self.namespace);
        let statement = format!(
            "BEGIN; INSERT INTO elasticjob.job VALUES ({namespace}, '', 0, 0) ON CONFLICT DO NOTHING;
             INSERT INTO elasticjob.node VALUES ({namespace}, '', '', '', 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING;
             INSERT INTO elasticjob.session VALUES ({session}, {namespace}, 0, 0, false, {timeout_millis});
             SELECT pg_backend_pid()::text; COMMIT"
        );
        let joined_at = uptime();
        let process = joined_by(&mut connection, statement).await?;
        self.was_joined.store(true, Ordering::Relaxed);
        let caller = Caller {
            namespace: self.namespace.clone(),
            session,
            connection: 0,
            timeout_millis,
        };
        let shared = Shared::new(session, self.session_timeout, self.connection_timeout);
        let hints = Hints::default();
        hints.renewed(joined_at);
        hints.answered(joined_at);
        hints.served_by(process);
        self.inbox.learn(&mut connection, &hints).await;
        let pulse = Pulse::new(
            self.options.clone(),
            self.namespace.clone(),
            session,
            self.session_timeout,
            hints.clone(),
        );
        let member = Member::new(
            self.options.clone(),
            connection,
            caller,
            self.session_timeout,
            hints,
            self.inbox.clone(),
        );
        let worker = Worker::new(shared.clone(), member);
        Ok(Arc::new(SqlSession::start(shared, |calls| async move {
            tokio::select! {
                () = worker.run(calls) => {}
                never = pulse.run() => match never {}
            }
        })))
    }
}

/// Runs the statements that begin a session. Returns which process of the server did.
async fn joined_by(connection: &mut PgConnection, statement: String) -> Result<i64, Error> {
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement))).await;
    let rows = rows.map_err(|error| explained(&error))?;
    let process = rows.first().and_then(|row| row.try_get_unchecked::<String, _>(0).ok());
    let process = process.and_then(|process| process.parse().ok());
    process.ok_or_else(|| Error::Unreachable("the database gave no answer".to_owned()))
}

impl Registry for PostgresRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(Purpose::Join))
    }

    /// Refuses a database without the tables of a registry.
    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(Purpose::Look))
    }

    fn inspect(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async {
            match timeout(self.connection_timeout, inspection::inspect(&self.options)).await {
                Ok(Ok(findings)) => findings,
                Ok(Err(error)) => vec![inspection::unknown(&explained(&error))],
                Err(_) => vec![inspection::unknown(&"it does not answer in time")],
            }
        })
    }

    fn inbox(&self) -> Option<Inbox> {
        Some(self.inbox.clone())
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
