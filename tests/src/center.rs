//! The registry centres that tests and figures run on, by one parameter.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use elasticjob::registry::etcd::EtcdRegistry;
use elasticjob::registry::inspection::Finding;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::sql::{Inbox, PostgresRegistry, SqliteRegistry};
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{BoxFuture, Error, Registry, Session};
use tempfile::TempDir;

use crate::databases::{self, DatabaseServer};
use crate::etcd::Etcd;
use crate::zookeeper::Server;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In this process.
    Embedded,
    /// A server.
    ZooKeeper,
    /// A server.
    Postgres,
    /// A file.
    Sqlite,
    /// A server.
    Etcd,
}

/// A registry centre. Dropping it ends its server, if it has one of its own.
#[derive(Debug)]
pub struct Center {
    kind: Kind,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// By namespace. A std mutex: held for a look.
    Embedded(Mutex<BTreeMap<String, MemoryRegistry>>),
    ZooKeeper {
        address: SocketAddr,
        server: Option<Server>,
    },
    Postgres {
        url: String,
        server: Option<DatabaseServer>,
    },
    Sqlite(TempDir),
    Etcd(Etcd),
}

impl Center {
    /// Starts one. Blocks the thread for as long as that takes.
    ///
    /// # Errors
    /// If a server cannot be started, or there is no place for a file.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        let place = match kind {
            Kind::Embedded => Place::Embedded(Mutex::default()),
            Kind::ZooKeeper => {
                let server = Server::start()?;
                Place::ZooKeeper {
                    address: server.address(),
                    server: Some(server),
                }
            }
            Kind::Postgres => {
                let server = DatabaseServer::start(databases::Kind::Postgres)?;
                Place::Postgres {
                    url: server.full_url(),
                    server: Some(server),
                }
            }
            Kind::Sqlite => Place::Sqlite(tempfile::tempdir()?),
            Kind::Etcd => Place::Etcd(Etcd::start()?),
        };
        Ok(Self { kind, place })
    }

    /// As [`start`](Self::start), on the server that the tests of a process share if there is one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn shared(kind: Kind) -> anyhow::Result<Self> {
        let place = match kind {
            Kind::ZooKeeper => Place::ZooKeeper {
                address: Server::shared().address(),
                server: None,
            },
            Kind::Postgres => {
                let url = DatabaseServer::shared(databases::Kind::Postgres)?.full_url();
                return Ok(Self::at_postgres(url));
            }
            Kind::Embedded | Kind::Sqlite | Kind::Etcd => return Self::start(kind),
        };
        Ok(Self { kind, place })
    }

    /// Returns the one in a PostgreSQL database that runs elsewhere.
    #[must_use]
    pub fn at_postgres(url: String) -> Self {
        Self {
            kind: Kind::Postgres,
            place: Place::Postgres { url, server: None },
        }
    }

    /// Returns which one it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns a namespace of it, with sessions of this timeout.
    ///
    /// # Errors
    /// If the namespace is none.
    pub fn registry(&self, namespace: &str, session_timeout: Duration) -> anyhow::Result<Arc<dyn Registry>> {
        Ok(match &self.place {
            Place::Embedded(registries) => {
                let mut registries = registries.lock().unwrap_or_else(PoisonError::into_inner);
                let registry = registries.entry(namespace.to_owned()).or_default();
                Arc::new(registry.clone())
            }
            Place::ZooKeeper { address, .. } => {
                Arc::new(ZooKeeperRegistry::new(&address.to_string(), namespace)?.with_session_timeout(session_timeout))
            }
            Place::Postgres { url, .. } => {
                Arc::new(PostgresRegistry::new(url, namespace)?.with_session_timeout(session_timeout))
            }
            Place::Sqlite(folder) => {
                let file = folder.path().join("jobs.db");
                Arc::new(SqliteRegistry::new(file, namespace)?.with_session_timeout(session_timeout))
            }
            Place::Etcd(etcd) => {
                Arc::new(EtcdRegistry::new(&etcd.url(), namespace)?.with_session_timeout(session_timeout))
            }
        })
    }

    /// Returns the setting by which another process finds it, as a variable of the environment and its value.
    ///
    /// # Panics
    /// If it is in this process.
    #[must_use]
    pub fn setting(&self) -> (&'static str, String) {
        const URL: &str = "ELASTICJOB_REG_CENTER_URL";
        match &self.place {
            Place::Embedded(_) => panic!("no other process can find it"),
            Place::ZooKeeper { address, .. } => ("ELASTICJOB_REG_CENTER_SERVER_LISTS", address.to_string()),
            Place::Postgres { url, .. } => (URL, url.clone()),
            Place::Etcd(etcd) => (URL, etcd.url()),
            Place::Sqlite(folder) => (URL, format!("sqlite:{}", folder.path().join("jobs.db").display())),
        }
    }

    /// Returns the ZooKeeper server, if it is one of its own.
    #[must_use]
    pub fn zookeeper(&self) -> Option<&Server> {
        match &self.place {
            Place::ZooKeeper { server, .. } => server.as_ref(),
            _ => None,
        }
    }

    /// Returns the PostgreSQL server, if it is one of its own.
    #[must_use]
    pub fn postgres(&self) -> Option<&DatabaseServer> {
        match &self.place {
            Place::Postgres { server, .. } => server.as_ref(),
            _ => None,
        }
    }

    /// Kills the server in mid-air and starts it again with what it had. Blocks the thread for as long as that takes.
    ///
    /// # Errors
    /// If it does not start again, or there is no server of its own.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        match &mut self.place {
            Place::ZooKeeper {
                server: Some(server), ..
            } => server.restart(),
            Place::Postgres {
                server: Some(server), ..
            } => {
                server.stop()?;
                server.start_again()
            }
            Place::Etcd(etcd) => {
                etcd.kill(0);
                etcd.start_again(0)
            }
            _ => bail!("{:?} has no server of its own here", self.kind),
        }
    }

    /// Returns the folder of the SQLite file.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Sqlite(folder) => Some(folder.path()),
            _ => None,
        }
    }
}

/// Any of them, as a type of its own. Clones are the same.
#[derive(Clone, Debug)]
pub struct AnyRegistry(pub Arc<dyn Registry>);

impl Registry for AnyRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        self.0.connect()
    }

    fn connect_to_look(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        self.0.connect_to_look()
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn inspect(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.0.inspect()
    }

    fn inbox(&self) -> Option<Inbox> {
        self.0.inbox()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}
