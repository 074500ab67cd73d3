//! The registries that histories are played on, and what can be done to their clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::ensure;
use elasticjob::registry::memory::{self, Fate, Link, MemoryRegistry};
use elasticjob::registry::sql::{PostgresRegistry, SqliteRegistry};
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{BoxFuture, Error, Registry, Session};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::databases::{DatabaseServer, Kind};
use crate::proxy::{Close, Direction, Proxy};
use crate::zookeeper::Server;

/// A session timeout that nothing in a history waits for.
const LASTING: Duration = Duration::from_secs(60);

/// A registry that histories are played on.
pub trait Subject: Send + Sync {
    /// Returns a namespace of its own for a history of so many clients.
    fn namespace<'a>(&'a self, name: &'a str, clients: usize) -> BoxFuture<'a, anyhow::Result<Namespace>>;
}

/// What the sessions of one history share.
pub struct Namespace {
    /// For the session that nothing is done to.
    pub observer: Arc<dyn Registry>,
    /// For each of the others.
    pub clients: Vec<Box<dyn Client>>,
    /// What has to be there meanwhile.
    pub keep: Option<TempDir>,
}

/// A client of a registry, to which something can be done.
pub trait Client: Send + Sync {
    /// Returns the registry as the client reaches it.
    fn registry(&self) -> Arc<dyn Registry>;

    /// Returns what can be done.
    fn faults(&self) -> &'static [Fault];

    /// Does something, until [`heal`](Self::heal).
    fn hurt(&self, fault: Fault);

    /// Ends what was done. A process that was killed is another one from here on.
    fn heal(&self);
}

/// Something that is done to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its connections are closed, and no other can be made.
    Cut,
    /// As [`Cut`](Self::Cut), by a reset.
    Reset,
    /// What it sends does not arrive.
    SilentRequests,
    /// What it is sent does not arrive.
    SilentAnswers,
    /// All that it sends and is sent is late.
    Delay,
    /// The connection is lost with the next transaction, which has happened.
    LostAnswer,
    /// The connection is lost with the next transaction, which has not happened.
    LostRequest,
    /// Its server does not see what others write.
    Lag,
    /// Its server is cut off from the others.
    Isolated,
    /// The registry ends its session.
    Expired,
    /// Its process stands still.
    Frozen,
    /// Its process is killed.
    Killed,
}

/// How a client notices a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Its session is suspended or lost.
    Disconnects,
    /// Not at all: calls are answered.
    None,
    /// It can notice nothing before it is over.
    Stops,
    /// It is no more.
    Kills,
}

impl Fault {
    /// Returns what a client notices of it.
    #[must_use]
    pub fn effect(self) -> Effect {
        match self {
            Self::Cut
            | Self::Reset
            | Self::SilentRequests
            | Self::SilentAnswers
            | Self::LostAnswer
            | Self::LostRequest
            | Self::Isolated => Effect::Disconnects,
            Self::Delay | Self::Lag | Self::Expired => Effect::None,
            Self::Frozen => Effect::Stops,
            Self::Killed => Effect::Kills,
        }
    }
}

/// The embedded registry, in virtual time.
#[derive(Debug)]
pub struct Embedded;

impl Subject for Embedded {
    fn namespace<'a>(&'a self, _: &'a str, clients: usize) -> BoxFuture<'a, anyhow::Result<Namespace>> {
        let registry = MemoryRegistry::new().with_session_timeout(Duration::from_secs(6));
        let clients = (0..clients).map(|number| Box::new(registry.link(&number.to_string())) as Box<dyn Client>);
        let namespace = Namespace {
            clients: clients.collect(),
            observer: Arc::new(registry),
            keep: None,
        };
        Box::pin(async { Ok(namespace) })
    }
}

impl Client for Link {
    fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(self.clone())
    }

    fn faults(&self) -> &'static [Fault] {
        &[
            Fault::Cut,
            Fault::SilentRequests,
            Fault::SilentAnswers,
            Fault::Delay,
            Fault::LostAnswer,
            Fault::LostRequest,
            Fault::Lag,
            Fault::Isolated,
            Fault::Expired,
        ]
    }

    fn hurt(&self, fault: Fault) {
        match fault {
            Fault::SilentRequests => self.stall(memory::Direction::Requests),
            Fault::SilentAnswers => self.stall(memory::Direction::Answers),
            Fault::Delay => self.delay(Duration::from_millis(30)),
            Fault::LostAnswer => self.cut_at_next_write(Fate::Applied),
            Fault::LostRequest => self.cut_at_next_write(Fate::Dropped),
            Fault::Lag => self.lag(),
            Fault::Isolated => self.isolate(),
            Fault::Expired => self.expire(),
            Fault::Cut | Fault::Reset | Fault::Frozen | Fault::Killed => self.cut(),
        }
    }

    fn heal(&self) {
        Link::heal(self);
        self.catch_up();
    }
}

/// A client behind a proxy.
struct Proxied<R> {
    registry: R,
    proxy: Proxy,
}

impl<R: Registry + Clone> Client for Proxied<R> {
    fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(self.registry.clone())
    }

    fn faults(&self) -> &'static [Fault] {
        &[
            Fault::Cut,
            Fault::Reset,
            Fault::SilentRequests,
            Fault::SilentAnswers,
            Fault::Delay,
        ]
    }

    fn hurt(&self, fault: Fault) {
        match fault {
            Fault::SilentRequests => self.proxy.stall(Direction::Requests),
            Fault::SilentAnswers => self.proxy.stall(Direction::Answers),
            Fault::Delay => self.proxy.delay(Duration::from_millis(20)),
            Fault::Reset => self.proxy.cut(Close::Reset),
            _ => self.proxy.cut(Close::Finish),
        }
    }

    fn heal(&self) {
        self.proxy.heal();
    }
}

/// ZooKeeper.
#[derive(Debug)]
pub struct ZooKeeper(Server);

impl ZooKeeper {
    /// Starts a server.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start() -> anyhow::Result<Self> {
        Server::start().map(Self)
    }

    async fn client(&self, namespace: &str) -> anyhow::Result<Box<dyn Client>> {
        let timeout = Duration::from_secs(2);
        let proxy = Proxy::start(self.0.address()).await?;
        let registry = ZooKeeperRegistry::new(&proxy.address().to_string(), namespace)?;
        let registry = registry.with_session_timeout(timeout).with_connection_timeout(timeout);
        Ok(Box::new(Proxied { registry, proxy }))
    }
}

impl Subject for ZooKeeper {
    fn namespace<'a>(&'a self, name: &'a str, clients: usize) -> BoxFuture<'a, anyhow::Result<Namespace>> {
        Box::pin(async move {
            let registry = ZooKeeperRegistry::new(&self.0.address().to_string(), name)?;
            let mut all = Vec::new();
            for _ in 0..clients {
                all.push(self.client(name).await?);
            }
            Ok(Namespace {
                observer: Arc::new(registry.with_session_timeout(LASTING)),
                clients: all,
                keep: None,
            })
        })
    }
}

/// PostgreSQL.
#[derive(Debug)]
pub struct Postgres(DatabaseServer);

impl Postgres {
    /// Starts a server, and waits until it serves: it listens before.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start() -> anyhow::Result<Self> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let registry = PostgresRegistry::new(&server.full_url(), "first")?;
        let deadline = Instant::now() + LASTING;
        while let Err(error) = registry.connect().await {
            ensure!(Instant::now() < deadline, "{error}");
        }
        Ok(Self(server))
    }

    async fn client(&self, namespace: &str) -> anyhow::Result<Box<dyn Client>> {
        let timeout = Duration::from_secs(2);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.0.port()));
        let proxy = Proxy::start(address).await?;
        let url = self
            .0
            .full_url()
            .replace(&address.to_string(), &proxy.address().to_string());
        let registry = PostgresRegistry::new(&url, namespace)?;
        // A password is checked for tens of milliseconds in a program that is not optimized.
        let registry = registry.with_session_timeout(timeout).with_connection_timeout(LASTING);
        Ok(Box::new(Proxied { registry, proxy }))
    }
}

impl Subject for Postgres {
    fn namespace<'a>(&'a self, name: &'a str, clients: usize) -> BoxFuture<'a, anyhow::Result<Namespace>> {
        Box::pin(async move {
            let registry = PostgresRegistry::new(&self.0.full_url(), name)?;
            let mut all = Vec::new();
            for _ in 0..clients {
                all.push(self.client(name).await?);
            }
            Ok(Namespace {
                observer: Arc::new(registry.with_session_timeout(LASTING).with_connection_timeout(LASTING)),
                clients: all,
                keep: None,
            })
        })
    }
}

/// SQLite, a file for each history.
#[derive(Debug)]
pub struct Sqlite;

impl Subject for Sqlite {
    fn namespace<'a>(&'a self, name: &'a str, clients: usize) -> BoxFuture<'a, anyhow::Result<Namespace>> {
        Box::pin(async move {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("jobs.db");
            let client = |_| Box::new(OwnProcess::start(file.clone(), name.to_owned())) as Box<dyn Client>;
            Ok(Namespace {
                clients: (0..clients).map(client).collect(),
                observer: Arc::new(SqliteRegistry::new(&file, name)?.with_session_timeout(LASTING)),
                keep: Some(folder),
            })
        })
    }
}

/// A client whose sessions live on a thread of their own, as in a process of its own: with a lock file of its own, and with
/// tasks that stand still or end without a farewell.
struct OwnProcess {
    file: PathBuf,
    namespace: String,
    // std mutex: held for moments.
    process: Mutex<Process>,
}

struct Process {
    handle: Handle,
    /// Dropped to let a process go on that stands still.
    frozen: Option<mpsc::Sender<()>>,
    /// Dropped to kill it.
    life: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OwnProcess {
    fn start(file: PathBuf, namespace: String) -> Self {
        Self {
            file,
            namespace,
            process: Mutex::new(Process::start()),
        }
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    fn start() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let handle = runtime.handle().clone();
        let (life, end) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // It ends when the other half is dropped.
            let _ = runtime.block_on(end);
            runtime.shutdown_background();
        });
        Self {
            handle,
            frozen: None,
            life: Some(life),
            thread: Some(thread),
        }
    }

    fn freeze(&mut self) {
        let (frozen, gate) = mpsc::channel::<()>();
        // The only thread waits, and with it all tasks.
        let _runs_on = self.handle.spawn(async move {
            // It ends when the other half is dropped.
            let _ = gate.recv();
        });
        self.frozen = Some(frozen);
    }

    fn kill(&mut self) {
        (self.frozen, self.life) = (None, None);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it only runs tasks");
        }
    }
}

impl Client for OwnProcess {
    fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(InProcess {
            handle: self.process().handle.clone(),
            file: self.file.clone(),
            namespace: self.namespace.clone(),
        })
    }

    fn faults(&self) -> &'static [Fault] {
        &[Fault::Killed, Fault::Frozen]
    }

    fn hurt(&self, fault: Fault) {
        match fault {
            Fault::Frozen => self.process().freeze(),
            _ => self.process().kill(),
        }
    }

    fn heal(&self) {
        let mut process = self.process();
        process.frozen = None;
        if process.life.is_none() {
            *process = Process::start();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A registry that opens its sessions in a process.
#[derive(Debug)]
struct InProcess {
    handle: Handle,
    file: PathBuf,
    namespace: String,
}

impl Registry for InProcess {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        let (file, namespace) = (self.file.clone(), self.namespace.clone());
        let connect = async move {
            let registry = SqliteRegistry::new(&file, &namespace)?.with_session_timeout(Duration::from_secs(1));
            registry.connect().await
        };
        let connecting = self.handle.spawn(connect);
        Box::pin(async {
            let killed = |error: tokio::task::JoinError| Err(Error::Unreachable(error.to_string()));
            connecting.await.unwrap_or_else(killed)
        })
    }

    fn describe(&self) -> String {
        format!("sqlite file {}", self.file.display())
    }
}
