//! How a registry shows who it is, and knows who the servers are: digest, SASL and TLS.

use elasticjob_config::Secret;
use elasticjob_config::sources::ZooKeeperSettings;
use zookeeper_client as zk;

#[cfg(not(all(feature = "zookeeper-sasl", feature = "zookeeper-tls")))]
use super::fault::Fault;
use super::fault::Faults;
use super::probe::Probe;
#[cfg(feature = "zookeeper-sasl")]
use super::sasl::Sasl;
#[cfg(feature = "zookeeper-tls")]
use super::tls::{self, Tls};
use crate::registry::Error;

/// What a registry was given. Nodes are open to everybody unless a user is.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    pub(super) digest: Option<Secret>,
    #[cfg(feature = "zookeeper-tls")]
    pub(super) tls: Option<Tls>,
    #[cfg(feature = "zookeeper-sasl")]
    pub(super) sasl: Option<Sasl>,
}

/// What one attempt to connect takes: the files of TLS are read for each.
pub(super) struct Attempt<'a> {
    connector: zk::Connector,
    scheme: Scheme,
    security: &'a Security,
    pub(super) probe: Probe,
}

/// What is spoken over the connection, as it stands before each server in the client's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Plain,
    #[cfg(feature = "zookeeper-tls")]
    Tls,
}

impl Security {
    /// Takes over what a configuration says, and reads its files. Returns all that is wrong.
    pub(super) fn from_settings(settings: &ZooKeeperSettings, servers: &[String]) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let security = Self {
            digest: settings.digest.clone(),
            #[cfg(feature = "zookeeper-tls")]
            tls: settings.tls.as_ref().map(Tls::from_settings),
            #[cfg(feature = "zookeeper-sasl")]
            sasl: settings
                .sasl
                .as_ref()
                .and_then(|sasl| faults.take(Sasl::new(sasl.user.clone(), sasl.password.clone()))),
        };
        #[cfg(not(feature = "zookeeper-tls"))]
        if let Some(tls) = &settings.tls {
            let ca = Some(tls.ca.display().to_string());
            let problem = "this program was built without the feature `zookeeper-tls`";
            faults.push(Fault::new("reg-center.tls.ca", ca, problem));
        }
        #[cfg(not(feature = "zookeeper-sasl"))]
        if let Some(sasl) = &settings.sasl {
            let problem = "this program was built without the feature `zookeeper-sasl`";
            faults.push(Fault::new("reg-center.sasl.user", Some(sasl.user.clone()), problem));
        }
        faults.take(security.check(servers));
        faults.check()?;
        Ok(security)
    }

    /// Reads the files, and looks at the names of the servers. Returns all that is wrong.
    pub(super) fn check(&self, servers: &[String]) -> Result<(), Faults> {
        #[cfg(feature = "zookeeper-tls")]
        if let Some(tls) = &self.tls {
            let mut faults = tls::faults_of_names(servers);
            faults.take(tls.read().map(drop));
            return faults.check();
        }
        #[cfg(not(feature = "zookeeper-tls"))]
        let _ = servers;
        Ok(())
    }

    /// Adds to the client's settings what is needed for one attempt.
    pub(super) fn attempt(&self, connector: zk::Connector) -> Result<Attempt<'_>, Error> {
        #[cfg(feature = "zookeeper-tls")]
        if let Some(tls) = &self.tls {
            // A file may be half renewed: the next attempt reads it again.
            let material = tls.read().map_err(|faults| Error::Unreachable(faults.to_string()))?;
            return Ok(Attempt {
                connector: connector.with_tls(material.options),
                scheme: Scheme::Tls,
                security: self,
                probe: Probe::over_tls(material.handshake),
            });
        }
        Ok(Attempt {
            connector,
            scheme: Scheme::Plain,
            security: self,
            probe: Probe::plain(),
        })
    }

    /// Makes sure that the servers know the user.
    pub(super) async fn check_login(&self, client: &zk::Client) -> Result<(), Error> {
        #[cfg(feature = "zookeeper-sasl")]
        if let Some(sasl) = &self.sasl {
            return sasl.check(client).await;
        }
        #[cfg(not(feature = "zookeeper-sasl"))]
        let _ = client;
        Ok(())
    }

    /// Returns the access rights of nodes that are created: for everybody, or for the user alone.
    pub(super) fn acls(&self) -> zk::Acls<'static> {
        if self.has_login() {
            zk::Acls::creator_all()
        } else {
            zk::Acls::anyone_all()
        }
    }

    /// Returns whether there is a user.
    pub(super) fn has_login(&self) -> bool {
        #[cfg(feature = "zookeeper-sasl")]
        if self.sasl.is_some() {
            return true;
        }
        self.digest.is_some()
    }
}

/// How often a server is asked for a session that is made with a login.
#[cfg(feature = "zookeeper-sasl")]
const LOGINS: usize = 8;

impl Attempt<'_> {
    /// Opens a session of the client, and logs in.
    ///
    /// Of its own accord the client sends a login right behind the request for a session. A server with Netty, which TLS
    /// needs, may answer the login first: if it has made the session while it still reads. The client takes that for nonsense, and
    /// leaves the server. So the session is made first; a server that knows the session answers in order.
    pub(super) async fn connect(&self, servers: &[String]) -> Result<zk::Client, zk::Error> {
        let servers = self.scheme.of(servers);
        #[cfg(feature = "zookeeper-sasl")]
        let client = match &self.security.sasl {
            Some(sasl) => self.log_in(sasl, &servers).await?,
            None => self.connector.clone().connect(&servers).await?,
        };
        #[cfg(not(feature = "zookeeper-sasl"))]
        let client = self.connector.clone().connect(&servers).await?;
        if let Some(digest) = &self.security.digest {
            client.auth("digest", digest.reveal().as_bytes()).await?;
        }
        Ok(client)
    }

    #[cfg(feature = "zookeeper-sasl")]
    async fn log_in(&self, sasl: &Sasl, servers: &str) -> Result<zk::Client, zk::Error> {
        let with_login = self.connector.clone().with_sasl(sasl.options());
        match self.connector.clone().with_detached().connect(servers).await {
            Ok(client) => return with_login.with_session(client.into_session()).connect(servers).await,
            // The servers give a session with a login alone.
            Err(zk::Error::AuthFailed) => {}
            Err(error) => return Err(error),
        }
        for _ in 1..LOGINS {
            match with_login.clone().connect(servers).await {
                Err(zk::Error::NoHosts) => {}
                result => return result,
            }
        }
        with_login.connect(servers).await
    }
}

impl Scheme {
    /// Returns the servers as the client wants them.
    fn of(self, servers: &[String]) -> String {
        let scheme = match self {
            Self::Plain => "tcp",
            #[cfg(feature = "zookeeper-tls")]
            Self::Tls => "tcp+tls",
        };
        let servers: Vec<String> = servers.iter().map(|server| format!("{scheme}://{server}")).collect();
        servers.join(",")
    }
}
