//! The registry centre on etcd, 3.4 or later.
//!
//! etcd has keys, leases and watches, and no tree, no sessions and no order between answers and events. These are made here:
//!
//! - **Sessions.** A session is a lease, which its task keeps alive, and a key that lives as long. Each transaction expects that key as
//!   the present connection has put it, so that the dead cannot write, nor can what a former connection has left on its way.
//!   A write is answered only if the lease is known to live long enough.
//! - **Transactions.** Steps become comparisons and changes. etcd changes each key once, so a transaction
//!   carries out what it comes to for each node.
//! - **Events before answers.** A call is answered once the events up to its revision have been handed out.
//!
//! Nodes are keys below the namespace. Java members know no such registry.

mod address;
mod calls;
mod compaction;
mod connection;
mod failure;
mod groups;
mod keys;
mod lease;
mod plan;
mod request;
mod session;
mod turns;
mod value;
mod version;
mod worker;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::EtcdSettings;
use etcd_client::{Certificate, Client, ConnectOptions, Identity as ClientCertificate, TlsOptions};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use address::Address;
use compaction::Compaction;
use connection::{Connection, OWN, Purpose};
use failure::Failure;
use keys::Keys;
use session::EtcdSession;
use worker::{Shared, Worker};

use super::{BoxFuture, Error, Registry, Session, SessionState};

const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// etcd counts the time of leases in seconds, and makes shorter ones longer.
const SHORTEST_SESSION: Duration = Duration::from_secs(2);

/// A server takes no ping of a connection more often than every five seconds. Keep-alives of the lease notice a dead one earlier.
const PING: Duration = Duration::from_secs(10);

/// A registry centre on an etcd cluster.
///
/// ```no_run
/// use elasticjob::registry::etcd::EtcdRegistry;
/// use elasticjob::registry::Registry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), elasticjob::registry::Error> {
/// let registry = EtcdRegistry::new("etcd://10.0.0.1:2379,10.0.0.2:2379", "shop")?;
/// let session = registry.connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EtcdRegistry {
    address: Address,
    session_timeout: Duration,
    connection_timeout: Duration,
    tls: Tls,
    compacts: bool,
    compacts_every: Option<Duration>,
    keep_alive: KeepAlive,
}

/// Certificates, as PEM.
#[derive(Clone, Default)]
struct Tls {
    authorities: Option<Vec<u8>>,
    /// The client's certificate and its key.
    client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Whether a session keeps its lease alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepAlive {
    Sent,
    #[cfg(feature = "testing")]
    Withheld,
}

impl EtcdRegistry {
    /// Creates a registry at `url`, `etcd://user:password@host:2379,host2:2379`, or `etcds://..` for TLS. Its keys begin with the
    /// namespace.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names all that is wrong with the URL or the namespace.
    pub fn new(url: &str, namespace: &str) -> Result<Self, Error> {
        Ok(Self {
            address: Address::parse(url, namespace)?,
            session_timeout: SESSION_TIMEOUT,
            connection_timeout: CONNECTION_TIMEOUT,
            tls: Tls::default(),
            compacts: true,
            compacts_every: None,
            keep_alive: KeepAlive::Sent,
        })
    }

    /// Creates the registry that the configuration names. Reads the files of certificates.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names all that is wrong with the URL, or the file that cannot be read.
    pub fn from_settings(settings: &EtcdSettings) -> Result<Self, Error> {
        let mut registry = Self::new(settings.url.reveal(), &settings.namespace)?
            .with_session_timeout(settings.session_timeout)
            .with_connection_timeout(settings.connection_timeout);
        if !settings.compaction {
            registry = registry.without_compaction();
        }
        if let Some(tls) = &settings.tls {
            registry = registry.with_authorities(read(&tls.ca)?);
            if let Some(identity) = &tls.identity {
                registry = registry.with_client_certificate(read(&identity.cert)?, read(&identity.key)?);
            }
        }
        Ok(registry)
    }

    /// Sets after which time etcd ends a session that it has not heard of, 10 s by default. It is rounded up to whole seconds, two at
    /// least. [`Session::timeout`] is two thirds of it, because a process that etcd does not hear has to stop its work before.
    #[must_use]
    pub fn with_session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// Sets how long an attempt to connect may take, 15 s by default.
    #[must_use]
    pub fn with_connection_timeout(mut self, timeout: Duration) -> Self {
        self.connection_timeout = timeout;
        self
    }

    /// Trusts servers whose certificates one of these authorities has signed, as PEM, instead of those that the system trusts.
    #[must_use]
    pub fn with_authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.authorities = Some(pem.into());
        self
    }

    /// Shows servers this certificate, with its key, both as PEM.
    #[must_use]
    pub fn with_client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// Never asks etcd to compact its history. Right if the servers do so by themselves, with `--auto-compaction-retention`, or if
    /// others need more than the last ten minutes of it.
    #[must_use]
    pub fn without_compaction(mut self) -> Self {
        self.compacts = false;
        self
    }

    /// Asks etcd to compact its history so often, for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_compaction_every(mut self, every: Duration) -> Self {
        self.compacts_every = Some(every);
        self
    }

    /// Has sessions send no keep-alive but the first, for tests of what follows.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn without_keep_alives(mut self) -> Self {
        self.keep_alive = KeepAlive::Withheld;
        self
    }

    fn endpoints(&self) -> Endpoints {
        let mut options = ConnectOptions::new()
            .with_keep_alive(PING, PING)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some((name, password)) = &self.address.user {
            options = options.with_user(name, password);
        }
        if self.address.is_encrypted {
            let mut tls = TlsOptions::new();
            tls = match &self.tls.authorities {
                Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
                None => tls.with_native_roots(),
            };
            if let Some((certificate, key)) = &self.tls.client {
                tls = tls.identity(ClientCertificate::from_pem(certificate, key));
            }
            options = options.with_tls(tls);
        }
        let scheme = if self.address.is_encrypted { "https" } else { "http" };
        let servers = self.address.servers.iter().map(|server| format!("{scheme}://{server}"));
        Endpoints {
            servers: servers.collect(),
            // Members spread over the servers.
            current: fastrand::usize(..self.address.servers.len()),
            options,
        }
    }

    async fn open(&self, purpose: Purpose) -> Result<Arc<dyn Session>, Error> {
        let mut endpoints = self.endpoints();
        let deadline = Instant::now() + self.connection_timeout;
        let count = u32::try_from(endpoints.servers.len()).unwrap_or(u32::MAX);
        let mut reasons = Vec::new();
        for number in 1..=count {
            let left = deadline.saturating_duration_since(Instant::now());
            let until = Instant::now() + left / (count - number + 1);
            let server = endpoints.current().to_owned();
            let error = match timeout_at(until, self.begin(&endpoints, purpose)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(failure)) => failure.of_connect(),
                Err(_) => Error::Unreachable("it gives no session in time".to_owned()),
            };
            match error {
                Error::Unreachable(reason) => reasons.push(format!("{}: {reason}", without_scheme(&server))),
                refused => return Err(refused),
            }
            endpoints.next();
        }
        Err(Error::Unreachable(reasons.join("; ")))
    }

    /// Opens a session on the server whose turn it is.
    async fn begin(&self, endpoints: &Endpoints, purpose: Purpose) -> Result<Arc<dyn Session>, Failure> {
        let keys = Arc::new(Keys::of_namespace(&self.address.namespace));
        let ttl = self.session_timeout.max(SHORTEST_SESSION);
        let ttl = Duration::from_secs(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0));
        let (client, identity, mut lease) =
            connection::begin(endpoints, endpoints.current(), keys, ttl, purpose).await?;
        warn_of_old_server(&client).await;
        let connection = Connection::open(client, &identity, &mut lease).await?;
        let ttl = lease.ttl();
        let shared = Shared {
            state: watch::Sender::new(SessionState::Connected),
            groups: groups::Groups::default(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        let compaction = (self.compacts && identity.has_key)
            .then(|| Compaction::new(identity.keys.compaction(), self.compacts_every));
        let id = identity.id;
        let worker = Worker {
            shared: shared.clone(),
            endpoints: endpoints.clone(),
            identity,
            proven_until: watch::Sender::new(lease.proves_until()),
            lease,
            ttl,
            connection_timeout: self.connection_timeout,
            keep_alive: self.keep_alive,
            compaction,
            next_number: OWN,
            waiting: Vec::new(),
        };
        let timeout = lease::timeout(ttl);
        let run = |calls| worker.run(connection, calls);
        Ok(Arc::new(EtcdSession::start(
            id,
            timeout,
            self.connection_timeout,
            shared,
            run,
        )))
    }
}

/// Warns of a server that may end leases of clients which keep them alive.
async fn warn_of_old_server(client: &Client) {
    // With access rights not all users may ask.
    let Ok(status) = client.maintenance_client().status().await else {
        return;
    };
    if version::is_before_fix(status.version()) {
        warn!(
            version = status.version(),
            "this etcd may end a session too early if its leader stands still for a while: 3.4.31, 3.5.13 or later does not"
        );
    }
}

impl Registry for EtcdRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(Purpose::Join))
    }

    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(Purpose::Look))
    }

    fn describe(&self) -> String {
        format!(
            "etcd at {}, namespace {}",
            self.address.servers.join(","),
            self.address.namespace
        )
    }
}

// By hand, since the password and the key are secrets.
impl fmt::Debug for EtcdRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdRegistry")
            .field("servers", &self.address.servers)
            .field("namespace", &self.address.namespace)
            .field("is_encrypted", &self.address.is_encrypted)
            .field("user", &self.address.user.as_ref().map(|(name, _)| name))
            .field("session_timeout", &self.session_timeout)
            .field("connection_timeout", &self.connection_timeout)
            .field("compacts", &self.compacts)
            .finish_non_exhaustive()
    }
}

/// The servers of a cluster, one of which is used at a time.
#[derive(Clone)]
struct Endpoints {
    servers: Vec<String>,
    current: usize,
    options: ConnectOptions,
}

impl Endpoints {
    fn current(&self) -> &str {
        &self.servers[self.current]
    }

    /// Has the next server be used.
    fn next(&mut self) {
        self.current = (self.current + 1) % self.servers.len();
    }

    async fn client(&self, server: &str) -> Result<Client, Failure> {
        Ok(Client::connect([server], Some(self.options.clone())).await?)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file)
        .map_err(|error| Error::InvalidArgument(format!("the file {} cannot be read: {error}", file.display())))
}

fn without_scheme(server: &str) -> &str {
    server.split_once("://").map_or(server, |(_, address)| address)
}
