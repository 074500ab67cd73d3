//! The registry centre on ZooKeeper 3.6 or later, shared with Java members of the same jobs.
//!
//! It promises what [`registry`](super) promises, on top of the `zookeeper-client` crate, which promises less:
//! its recursive watches die with the connection, an unknown outcome has several faces, calls without a
//! connection wait without bound, and an expiry is noticed late. So one task per session stands between the
//! client and us: it sets the watches anew before it calls a session connected again, gives every call a
//! deadline, and gives up a session that was not served for its timeout.
//!
//! Nodes below the namespace can be read and changed by anyone, or, with a [digest](ZooKeeperRegistry::with_digest),
//! by those who know it only. The namespace and what is above it are containers, as Curator makes them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::ZooKeeperSettings;
use zookeeper_client as zk;

use self::address::Address;
use self::session::ZooKeeperSession;
use super::{BoxFuture, Error, Registry, Session};

mod address;
mod convert;
mod namespace;
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

    /// Authenticates with this `user:password`, and lets nobody else touch what is created.
    #[must_use]
    pub fn with_digest(self, digest: impl Into<String>) -> Self {
        Self {
            digest: Some(digest.into()),
            ..self
        }
    }

    async fn open(&self) -> Result<Arc<dyn Session>, Error> {
        // One session is one attempt: with a deadline, and without waiting for servers that refuse.
        let attempt = tokio::time::timeout(self.connection_timeout, async {
            let client = self
                .connector()
                .connect(&self.address.servers())
                .await
                .map_err(|error| self.explain(error))?;
            namespace::ensure(&client, &self.address.namespace, self.acls()).await?;
            Ok(client)
        });
        let client = attempt.await.unwrap_or_else(|_| {
            let waited = self.connection_timeout;
            Err(Error::Unreachable(format!(
                "{} did not answer within {waited:?}",
                self.address.servers()
            )))
        })?;
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

    fn acls(&self) -> zk::Acls<'static> {
        match self.digest {
            Some(_) => zk::Acls::creator_all(),
            None => zk::Acls::anyone_all(),
        }
    }

    fn explain(&self, error: zk::Error) -> Error {
        let servers = self.address.servers();
        match error {
            zk::Error::AuthFailed => Error::Refused(format!("{servers} did not accept our authentication")),
            zk::Error::NoHosts => Error::Unreachable(format!("none of {servers} accepts connections")),
            error => Error::Unreachable(format!("{servers}: {error}")),
        }
    }
}

impl Registry for ZooKeeperRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(self.open())
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
