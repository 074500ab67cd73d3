//! The registry centre on ZooKeeper 3.6 or later, shared with Java members of the same jobs.
//!
//! It promises what [`registry`](super) promises, on top of the `zookeeper-client` crate, which promises less:
//! its recursive watches die with the connection, an unknown outcome has several faces, calls without a
//! connection wait without bound, and an expiry is noticed late. So one task per session stands between the
//! client and us: it sets the watches again before it calls a session connected again, gives every call a
//! deadline, and gives up a session that was not served for its timeout.
//!
//! Nodes below the namespace can be read and changed by anyone, or, with a [digest](ZooKeeperRegistry::with_digest),
//! by those who know it only. The namespace and what is above it are containers, as Curator makes them.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::ZooKeeperSettings;
use tokio::time::{Instant, timeout, timeout_at};
use zookeeper_client as zk;

use self::address::Address;
use self::session::ZooKeeperSession;
use super::{BoxFuture, Error, Registry, Session};

mod address;
mod convert;
mod namespace;
mod probe;
mod session;
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
#[derive(Clone)]
pub struct ZooKeeperRegistry {
    address: Address,
    session_timeout: Duration,
    connection_timeout: Duration,
    digest: Option<String>,
}

impl ZooKeeperRegistry {
    /// A registry at these servers (`host:port,host:port/root`; port 2181 and the root may be left out), with all its nodes
    /// below `namespace`. Root and namespace are created if they are not there. The timeouts are those of a configuration that
    /// names none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming everything that is wrong with the two.
    pub fn new(servers: &str, namespace: &str) -> Result<Self, Error> {
        Ok(Self {
            address: Address::parse(servers, namespace)?,
            session_timeout: SESSION_TIMEOUT,
            connection_timeout: CONNECTION_TIMEOUT,
            digest: None,
        })
    }

    /// The registry that a configuration names.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_settings(settings: &ZooKeeperSettings) -> Result<Self, Error> {
        let registry = Self::new(&settings.connect_string(), &settings.namespace)?
            .with_session_timeout(settings.session_timeout)
            .with_connection_timeout(settings.connection_timeout);
        Ok(match &settings.digest {
            Some(digest) => registry.with_digest(digest.reveal()),
            None => registry,
        })
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
    pub fn with_digest(self, digest: impl Into<String>) -> Self {
        Self {
            digest: Some(digest.into()),
            ..self
        }
    }

    /// Opens a session, with its task.
    async fn open(&self, purpose: Purpose) -> Result<Arc<dyn Session>, Error> {
        let client = self.connected(purpose).await?;
        let namespace = namespace::Namespace {
            path: self.address.namespace.as_str().into(),
            acls: self.acls(),
        };
        Ok(Arc::new(ZooKeeperSession::start(
            client,
            namespace,
            self.connection_timeout,
        )?))
    }

    /// Connects, and makes sure of the namespace. One session is one attempt: with a deadline, and without waiting for
    /// servers that refuse.
    async fn connected(&self, purpose: Purpose) -> Result<zk::Client, Error> {
        let deadline = Instant::now() + self.connection_timeout;
        let mut attempt = pin!(timeout_at(deadline, async {
            let connected = self.connector().connect(&self.address.servers()).await;
            let client = connected.map_err(|error| self.explain(error))?;
            let namespace = &self.address.namespace;
            let usable = match purpose {
                Purpose::Join => namespace::ensure(&client, namespace, self.acls()).await,
                Purpose::Look => namespace::check(&client, namespace).await,
            };
            usable.map_err(Failed::Known)?;
            Ok(client)
        }));
        // What the servers do is asked before the time is over, while the attempt goes on.
        let patience = self.connection_timeout - self.connection_timeout / 4;
        let (result, found) = match timeout(patience, &mut attempt).await {
            Ok(result) => (result, None),
            Err(_) => {
                let found = probe::describe(self.address.list(), self.connection_timeout / 4);
                let (result, found) = tokio::join!(attempt, found);
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
            None => probe::describe(self.address.list(), self.connection_timeout / 4).await,
        };
        let waited = waited.map(|waited| format!(" within {waited:?}")).unwrap_or_default();
        Err(Error::Unreachable(format!("no session{waited}: {found}")))
    }

    /// Returns the client's settings for one attempt.
    fn connector(&self) -> zk::Connector {
        let connector = zk::Client::connector()
            .with_session_timeout(self.session_timeout)
            .with_connection_timeout(self.connection_timeout.min(self.session_timeout * 2 / 5))
            .with_fail_eagerly();
        match &self.digest {
            Some(digest) => connector.with_auth("digest", digest.as_bytes()),
            None => connector,
        }
    }

    /// Returns the access rights of nodes that are created: for everybody, or for those with the digest alone.
    fn acls(&self) -> zk::Acls<'static> {
        match self.digest {
            Some(_) => zk::Acls::creator_all(),
            None => zk::Acls::anyone_all(),
        }
    }

    /// Returns why the client did not connect, in words that name the servers.
    fn explain(&self, error: zk::Error) -> Failed {
        let servers = self.address.servers();
        match error {
            zk::Error::NoHosts => Failed::NoSession,
            zk::Error::AuthFailed => {
                Failed::Known(Error::Refused(format!("{servers} did not accept our authentication")))
            }
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

    fn describe(&self) -> String {
        format!(
            "zookeeper at {}, namespace {}",
            self.address.servers(),
            self.address.namespace
        )
    }
}

// By hand, since the digest is a secret.
impl fmt::Debug for ZooKeeperRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeperRegistry")
            .field("address", &self.address)
            .field("session_timeout", &self.session_timeout)
            .field("connection_timeout", &self.connection_timeout)
            .field("digest", &self.digest.as_ref().map(|_| "[provided]"))
            .finish()
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
