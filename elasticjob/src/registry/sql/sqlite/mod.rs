//! The registry centre in a SQLite file, which the processes of one machine share.
//!
//! It promises what [`registry`](crate::registry) promises, without a server: also if processes are killed at any moment. What
//! was answered is in the file, so it is there after a restart of the machine.
//!
//! - One member writes at a time. Members [queue for their turn](turn) by a lock on the file `<file>-turn`, which the
//!   system frees if a process dies. A process that is stopped amid a transaction stops all others until it goes on or dies.
//! - Members look every 50 ms whether the file has changed, which is a matter of microseconds.
//! - If another file takes the place of the database, sessions on the removed one are [`Lost`](crate::registry::SessionState)
//!   within this time: two files would be two clusters.
//! - Locks do not hold across machines, nor across the mounts of a virtual machine. [`SqliteRegistry`] refuses network file
//!   systems that it knows. If a file is restored from a backup, stop all members first.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::{DatabaseSettings, RegistryDatabase};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;
use tracing::warn;

use self::file::{Identity, Place};
use self::member::Member;
use self::store::Store;
use self::turn::Turns;
use super::session::{Shared, SqlSession};
use super::worker::Worker;
use crate::registry::inspection::Finding;
use crate::registry::{BoxFuture, Error, Registry, Session, path};
use crate::uptime::uptime;

mod file;
mod inspection;
mod member;
mod schema;
mod store;
mod turn;

/// The same as with ZooKeeper.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// The shortest timeout that leaves time for a few looks at a busy machine.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// A file and a namespace in it. Clones queue together for their turn.
///
/// It suits several processes of one machine, and a single process that has to keep its state over a restart. For
/// members on several machines take `PostgresRegistry` or ZooKeeper.
///
/// Beside the file there are `-wal` and `-shm`, which SQLite makes, and `-turn`, in which members queue. All of them
/// belong together: a copy of the first alone, while members run, may lack the newest changes.
///
/// ```
/// use elasticjob::registry::sql::SqliteRegistry;
/// use elasticjob::registry::{CreateMode, Read, Registry, Answer, Step};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("elasticjob-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let file = folder.join("jobs.db");
/// let registry = SqliteRegistry::new(&file, "shop")?;
/// let session = registry.connect().await?;
/// let mode = CreateMode::Persistent;
/// session.write(vec![Step::Create { path: "/my_job".into(), data: vec![], mode }]).await?;
///
/// // In another process, or after a restart.
/// let session = SqliteRegistry::new(&file, "shop")?.connect().await?;
/// let answers = session.read(vec![Read::Children("/".into())]).await?;
/// assert_eq!(answers, [Answer::Children(Some(vec!["my_job".into()]))]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteRegistry {
    path: PathBuf,
    namespace: String,
    session_timeout: Duration,
    connection_timeout: Duration,
    turns: Turns,
}

impl SqliteRegistry {
    /// A registry in this file, which is created if it is not there; its folder has to be there. Several namespaces can share
    /// a file. Sessions last 10 s without renewal, and 15 s is the limit for connecting and closing.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming everything that is wrong with the two.
    pub fn new(file: impl AsRef<Path>, namespace: &str) -> Result<Self, Error> {
        let file = file.as_ref();
        let mut faults = Vec::new();
        if file.file_name().is_none() || file.to_string_lossy().contains(":memory:") {
            faults.push(format!("file `{}`: expected the path of a file", file.display()));
        }
        let namespace = path::namespace(namespace);
        faults.extend(path::faults_of_namespace(&namespace, usize::MAX));
        let path = std::path::absolute(file).unwrap_or_else(|error| {
            faults.push(format!("file `{}`: {error}", file.display()));
            file.to_owned()
        });
        if !faults.is_empty() {
            return Err(Error::InvalidArgument(faults.join("; ")));
        }
        Ok(Self {
            turns: Turns::at(&path),
            path,
            namespace,
            session_timeout: SESSION_TIMEOUT,
            connection_timeout: CONNECTION_TIMEOUT,
        })
    }

    /// The registry that a configuration names.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if it names another kind of database.
    pub fn from_settings(settings: &DatabaseSettings) -> Result<Self, Error> {
        let RegistryDatabase::Sqlite(file) = &settings.database else {
            return Err(Error::InvalidArgument("the URL of a file is expected".to_owned()));
        };
        Ok(Self::new(file, &settings.namespace)?
            .with_session_timeout(settings.session_timeout)
            .with_connection_timeout(settings.connection_timeout))
    }

    /// Sets how long a session lasts without renewal; at least a second.
    ///
    /// A process that is killed keeps its items for that long, so that a shorter time has them taken over sooner. A
    /// machine that is so busy that a member is not served for that long ends its session.
    #[must_use]
    pub fn with_session_timeout(self, session_timeout: Duration) -> Self {
        Self {
            session_timeout: session_timeout.max(SHORTEST_TIMEOUT),
            ..self
        }
    }

    /// Sets how long connecting and closing may take.
    ///
    /// The wait for a turn counts. A process that is stopped amid a write therefore makes others fail to connect after
    /// that time.
    #[must_use]
    pub fn with_connection_timeout(self, connection_timeout: Duration) -> Self {
        Self {
            connection_timeout,
            ..self
        }
    }

    /// Begins a session within the limit. `create` says whether the file is made if it is not there.
    async fn open(&self, create: bool) -> Result<Arc<dyn Session>, Error> {
        match timeout(self.connection_timeout, self.join(create)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Unreachable(format!(
                "no session within {:?}: another process holds {} without writing, it may be stopped",
                self.connection_timeout,
                self.path.display()
            ))),
        }
    }

    /// Begins a session: waits for a turn, opens the file, makes its tables ready and writes the row of the session.
    ///
    /// The turn is held over all of that, because opening may recover what a dead process has left, and two of those
    /// would be in each other's way.
    async fn join(&self, create: bool) -> Result<Arc<dyn Session>, Error> {
        self.check_place(create)?;
        let joined_at = uptime();
        let id = fastrand::i64(1..);
        let turn = self.turns.take().await;
        let turn = turn.map_err(|error| self.of_system(&error, "its lock file, with `-turn` behind the name"))?;
        let opened = store::options(&self.path, create).connect().await;
        let mut connection = opened.map_err(|error| self.explained(&error))?;
        let identity = Identity::of(&self.path).map_err(|error| self.of_system(&error, "its metadata"))?;
        schema::prepare(&mut connection).await.map_err(|error| match error {
            schema::Unusable::Newer { .. } => self.refused(&error),
            schema::Unusable::Database(error) => self.explained(&error),
        })?;
        let joined = store::join(&mut connection, &self.namespace, id, self.session_timeout).await;
        let namespace = match joined {
            Ok(namespace) => namespace,
            Err(error) => {
                // Its error would say nothing that this one does not.
                let _ = connection.close().await;
                return Err(self.explained(&error));
            }
        };
        drop(turn);
        let shared = Shared::new(id, self.session_timeout, self.connection_timeout);
        let store = Store::new(self.path.clone(), identity, self.turns.clone(), namespace, connection);
        let member = Member::new(store, id, self.session_timeout, joined_at);
        let worker = Worker::new(shared.clone(), member);
        Ok(Arc::new(SqlSession::start(shared, |calls| worker.run(calls))))
    }

    /// Checks what SQLite would not say, or would say in its own words.
    fn check_place(&self, create: bool) -> Result<(), Error> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let place = Place::of(folder).map_err(|error| self.of_system(&error, "its folder"))?;
        match place {
            Place::Local => {}
            Place::Network(kind) => {
                let problem = format!("it is on a network file system ({kind}), on which locks do not hold");
                return Err(self.refused(&problem));
            }
            Place::Unknown(kind) => warn!(
                file = %self.path.display(), kind,
                "the file of the registry is on a file system on which locks may not hold"
            ),
        }
        if !create && !self.path.exists() {
            return Err(self.refused(&"there is no such file"));
        }
        Ok(())
    }

    /// Returns an error that trying again does not mend.
    fn refused(&self, problem: &dyn fmt::Display) -> Error {
        Error::Refused(format!("file {}: {problem}", self.path.display()))
    }

    /// Trying again does not give rights, nor make a folder.
    fn of_system(&self, error: &io::Error, part: &str) -> Error {
        let problem = format!("{part}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                self.refused(&problem)
            }
            _ => Error::Unreachable(format!("file {}: {problem}", self.path.display())),
        }
    }

    /// Whether trying again may help is for the code of SQLite to say.
    fn explained(&self, error: &sqlx::Error) -> Error {
        let code = error.as_database_error().and_then(|error| error.code());
        let code = code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff);
        match code {
            // PERM, READONLY, CORRUPT, CANTOPEN, AUTH, NOTADB.
            Some(3 | 8 | 11 | 14 | 23 | 26) => self.refused(error),
            _ => Error::Unreachable(format!("file {}: {error}", self.path.display())),
        }
    }
}

impl Registry for SqliteRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(true))
    }

    /// Refuses a file that is not there.
    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(false))
    }

    fn inspect(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(inspection::inspect(&self.path))
    }

    fn describe(&self) -> String {
        format!("sqlite file {}, namespace {}", self.path.display(), self.namespace)
    }
}

impl fmt::Debug for SqliteRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRegistry")
            .field("path", &self.path)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
