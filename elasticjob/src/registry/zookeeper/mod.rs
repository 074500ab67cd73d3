//! The registry centre on ZooKeeper 3.6 or later, shared with Java members of the same jobs.
//!
//! It promises what [`registry`](super) promises, on top of the `zookeeper-client` crate, which promises less:
//! its recursive watches die with the connection, an unknown outcome has several faces, calls without a
//! connection wait without bound, and an expiry is noticed late. So one task per session stands between the
//! client and us: it sets the watches again before it calls a session connected again, gives every call a
//! deadline, and gives up a session that was not served for its timeout.
//!
//! Nodes below the namespace can be read and changed by anyone, or, with a [digest](ZooKeeperRegistry::with_digest) or a user of
//! SASL, by clients with the same one only. The namespace is a container, as Curator makes it. A path behind the servers, the
//! chroot, has to be there: a Java member does not create it either, and a misspelt one would begin a second cluster.
//!
//! The name of a server is resolved again for each connection.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::Secret;
use elasticjob_config::sources::ZooKeeperSettings;
use tokio::time::{Instant, timeout, timeout_at};
use zookeeper_client as zk;

use self::address::Address;
pub(crate) use self::fault::{Fault, Faults};
use self::namespace::Namespace;
use self::security::Security;
use self::session::ZooKeeperSession;
#[cfg(feature = "zookeeper-tls")]
pub use self::tls::Tls;
use super::inspection::Finding;
use super::{BoxFuture, Error, Registry, Session};

mod address;
mod convert;
mod fault;
mod inspection;
mod namespace;
mod probe;
#[cfg(feature = "zookeeper-sasl")]
mod sasl;
mod security;
mod session;
#[cfg(feature = "zookeeper-tls")]
mod tls;
mod watch;
mod worker;

/// The same as `reg-center.session-timeout` has by default, a sixth of Curator's: an instance that dies is missed sooner.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// The same as `reg-center.connection-timeout` has by default, and Curator.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// A ZooKeeper ensemble and a namespace on it.
///
/// ```
/// use std::time::Duration;
/// use elasticjob::registry::Registry;
/// use elasticjob::registry::zookeeper::ZooKeeperRegistry;
///
/// let registry = ZooKeeperRegistry::new("10.0.0.1:2181, 10.0.0.2", "shop")?
///     .with_session_timeout(Duration::from_secs(10))
///     .with_digest("shop:secret");
/// assert_eq!(registry.describe(), "zookeeper at 10.0.0.1:2181,10.0.0.2:2181, namespace /shop");
/// # Ok::<_, elasticjob::registry::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ZooKeeperRegistry {
    address: Address,
    session_timeout: Duration,
    connection_timeout: Duration,
    security: Security,
}

impl ZooKeeperRegistry {
    /// A registry at these servers (`host:port,host:port/root`; port 2181 and the root may be left out), with all its nodes
    /// below `namespace`, which is created if it is not there. The root has to be there. The timeouts are those of a configuration that
    /// names none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming everything that is wrong with the two.
    pub fn new(servers: &str, namespace: &str) -> Result<Self, Error> {
        Ok(Self {
            address: Address::parse(servers, namespace)?,
            session_timeout: SESSION_TIMEOUT,
            connection_timeout: CONNECTION_TIMEOUT,
            security: Security::default(),
        })
    }

    /// The registry that a configuration names. Reads the files of TLS.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming everything that is wrong.
    pub fn from_settings(settings: &ZooKeeperSettings) -> Result<Self, Error> {
        Ok(Self::checked(settings)?)
    }

    /// As [`from_settings`](Self::from_settings), with each fault by its setting.
    pub(crate) fn checked(settings: &ZooKeeperSettings) -> Result<Self, Faults> {
        let registry = match Self::new(&settings.connect_string(), &settings.namespace) {
            Ok(registry) => registry,
            Err(error) => return Err(Fault::new("reg-center.server-lists", None, error.to_string()).into()),
        };
        let security = Security::from_settings(settings, registry.address.list())?;
        Ok(Self { security, ..registry }
            .with_session_timeout(settings.session_timeout)
            .with_connection_timeout(settings.connection_timeout))
    }

    /// Asks for this session timeout, 10 s unless set; the servers may grant another.
    #[must_use]
    pub fn with_session_timeout(self, session_timeout: Duration) -> Self {
        Self {
            session_timeout,
            ..self
        }
    }

    /// How long connecting and closing may take, 15 s unless set. A server that is silent for as long, or
    /// for 2/5 of the session timeout, counts as lost.
    #[must_use]
    pub fn with_connection_timeout(self, connection_timeout: Duration) -> Self {
        Self {
            connection_timeout,
            ..self
        }
    }

    /// Authenticates with this `user:password`. Only clients with the same one can read or change the nodes that are created.
    #[must_use]
    pub fn with_digest(mut self, digest: impl Into<String>) -> Self {
        self.security.digest = Some(Secret::new(digest));
        self
    }

    /// Logs in as this user by SASL (DIGEST-MD5). Only clients of the same user can read or change the nodes that are created.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the user or the password has letters that do not reach Java's servers as they are.
    #[cfg(feature = "zookeeper-sasl")]
    pub fn with_sasl(mut self, user: impl Into<String>, password: impl Into<String>) -> Result<Self, Error> {
        self.security.sasl = Some(sasl::Sasl::new(user.into(), Secret::new(password))?);
        Ok(self)
    }

    /// Connects over TLS alone, to servers that these files trust. The files are read now, and for each new session.
    ///
    /// The client takes rustls' provider of the process. If the application has installed none, this installs ring.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming everything that is wrong with the files.
    #[cfg(feature = "zookeeper-tls")]
    pub fn with_tls(mut self, tls: Tls) -> Result<Self, Error> {
        self.security.tls = Some(tls);
        self.security.check(self.address.list())?;
        Ok(self)
    }

    /// Opens a session, with its task.
    async fn open(&self, purpose: Purpose) -> Result<Arc<dyn Session>, Error> {
        let client = self.connected(purpose).await?;
        let (namespace, patience) = (self.namespace(), self.connection_timeout);
        Ok(Arc::new(ZooKeeperSession::start(client, namespace, patience)?))
    }

    /// Connects, and makes sure of the namespace. One session is one attempt: with a deadline, and without waiting for
    /// servers that refuse.
    async fn connected(&self, purpose: Purpose) -> Result<zk::Client, Error> {
        let deadline = Instant::now() + self.connection_timeout;
        let attempt = self.security.attempt(self.connector())?;
        let probe = &attempt.probe;
        let mut connecting = pin!(timeout_at(deadline, async {
            let connected = attempt.connect(self.address.list()).await;
            let client = connected.map_err(|error| self.explain(error))?;
            self.security.check_login(&client).await.map_err(Failed::Known)?;
            let namespace = self.namespace();
            let usable = match purpose {
                Purpose::Join => namespace.ensure(&client).await,
                Purpose::Look => namespace.check(&client).await,
            };
            usable.map_err(Failed::Known)?;
            Ok(client)
        }));
        // What the servers do is asked before the time is over, while the attempt goes on.
        let patience = self.connection_timeout - self.connection_timeout / 4;
        let (result, found) = match timeout(patience, &mut connecting).await {
            Ok(result) => (result, None),
            Err(_) => {
                let found = probe.describe(self.address.list(), self.connection_timeout / 4);
                let (result, found) = tokio::join!(connecting, found);
                (result, Some(found))
            }
        };
        let waited = match result {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(Failed::Known(error))) => return Err(error),
            Ok(Err(Failed::NoSession)) => None,
            Err(_) => Some(self.connection_timeout),
        };
        let found = match found {
            Some(found) => found,
            None => probe.describe(self.address.list(), self.connection_timeout / 4).await,
        };
        let waited = waited.map(|waited| format!(" within {waited:?}")).unwrap_or_default();
        Err(Error::Unreachable(format!("no session{waited}: {found}")))
    }

    /// Returns the client's settings for one attempt.
    fn connector(&self) -> zk::Connector {
        zk::Client::connector()
            .with_session_timeout(self.session_timeout)
            .with_connection_timeout(self.connection_timeout.min(self.session_timeout * 2 / 5))
            .with_fail_eagerly()
    }

    fn namespace(&self) -> Namespace {
        Namespace {
            chroot: self.address.chroot.as_str().into(),
            path: self.address.namespace.as_str().into(),
            acls: self.security.acls(),
        }
    }

    /// Returns why the client did not connect, in words that name the servers.
    fn explain(&self, error: zk::Error) -> Failed {
        let servers = self.address.servers();
        match error {
            zk::Error::NoHosts => Failed::NoSession,
            zk::Error::AuthFailed => Failed::Known(Error::Refused(format!(
                "{servers} did not accept our authentication: a wrong user or password, or the servers want a login by SASL"
            ))),
            error => Failed::Known(Error::Unreachable(format!("{servers}: {error}"))),
        }
    }
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To work in the namespace, which is created if it is not there.
    Join,
    /// To look at what is there.
    Look,
}

/// Why an attempt to connect failed.
enum Failed {
    /// All servers were tried.
    NoSession,
    Known(Error),
}

impl Registry for ZooKeeperRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(Purpose::Join))
    }

    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open(Purpose::Look))
    }

    fn inspect(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(inspection::inspect(self))
    }

    fn describe(&self) -> String {
        format!(
            "zookeeper at {}, namespace {}",
            self.address.servers(),
            self.address.namespace
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    /// Why there is no session.
    async fn error(servers: &str) -> String {
        let registry = ZooKeeperRegistry::new(servers, "shop").unwrap();
        let registry = registry.with_connection_timeout(Duration::from_secs(2));
        let error = registry.connect().await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
        error.to_string()
    }

    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    #[tokio::test]
    async fn what_each_server_does_should_be_said() {
        let (silent, accepting) = listener().await;
        let (closed, refusing) = listener().await;
        drop(closed);
        let unresolvable = "no-such-host.invalid:2181";
        let text = error(&accepting).await;
        assert!(
            text.contains(&format!("{accepting} accepts connections and gives no session")),
            "{text}"
        );
        drop(silent);
        let text = error(&refusing).await;
        assert!(
            text.ends_with(&format!("no session: {refusing} refuses connections")),
            "{text}"
        );
        let text = error(unresolvable).await;
        assert!(text.contains(&format!("{unresolvable} cannot be resolved: ")), "{text}");
        let text = error(&format!("{refusing},{unresolvable}")).await;
        assert!(
            text.contains("refuses connections; ") && text.contains("cannot be resolved"),
            "each of several: {text}"
        );
    }
}
