//! Where registries are: servers that a test can hurt.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::Registry;
use elasticjob::registry::etcd::EtcdRegistry;
use elasticjob::registry::sql::PostgresRegistry;
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob_tests::databases::{DatabaseServer, Kind, PASSWORD, USER};
use elasticjob_tests::etcd::Etcd;
use elasticjob_tests::zookeeper::Server;

/// A server with a registry on it.
pub(super) trait Place: Sized + Sync + 'static {
    /// The session timeout of a member that is hurt. Silence is noticed after 2/5 of it.
    const TIMEOUT: Duration;

    /// Whether calls on different jobs are made in their order.
    const IS_ONE_ROW: bool = true;

    /// Starts a server of its own.
    fn start() -> anyhow::Result<Self>;

    /// Returns the server that tests share, each with a namespace of its own.
    fn shared() -> anyhow::Result<&'static Self>;

    fn address(&self) -> SocketAddr;

    /// Kills it in mid-air.
    fn kill(&mut self) -> anyhow::Result<()>;

    /// Starts it again with what it had.
    fn restart(&mut self) -> anyhow::Result<()>;

    /// Returns the registry that is reached at this address, the server's own or that of a proxy before it.
    fn registry(at: SocketAddr, namespace: &str, timeout: Duration) -> anyhow::Result<Arc<dyn Registry>>;
}

impl Place for Server {
    const TIMEOUT: Duration = Duration::from_secs(2);

    fn start() -> anyhow::Result<Self> {
        Self::start()
    }

    fn shared() -> anyhow::Result<&'static Self> {
        Ok(Self::shared())
    }

    fn address(&self) -> SocketAddr {
        self.address()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.kill();
        Ok(())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.restart()
    }

    fn registry(at: SocketAddr, namespace: &str, timeout: Duration) -> anyhow::Result<Arc<dyn Registry>> {
        let registry = ZooKeeperRegistry::new(&at.to_string(), namespace)?;
        Ok(Arc::new(
            registry
                .with_session_timeout(timeout)
                .with_connection_timeout(Self::TIMEOUT),
        ))
    }
}

impl Place for DatabaseServer {
    /// Members renew their sessions themselves, so that a busy machine needs more.
    const TIMEOUT: Duration = Duration::from_secs(6);

    fn start() -> anyhow::Result<Self> {
        Self::start(Kind::Postgres)
    }

    fn shared() -> anyhow::Result<&'static Self> {
        Self::shared(Kind::Postgres)
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.stop()
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.start_again()
    }

    fn registry(at: SocketAddr, namespace: &str, timeout: Duration) -> anyhow::Result<Arc<dyn Registry>> {
        let password = PASSWORD.replace('@', "%40").replace('/', "%2F");
        let registry = PostgresRegistry::new(&format!("postgres://{USER}:{password}@{at}/postgres"), namespace)?;
        Ok(Arc::new(
            registry
                .with_session_timeout(timeout)
                .with_connection_timeout(Self::TIMEOUT),
        ))
    }
}

impl Place for Etcd {
    /// A member counts as silent after 2/5 of two thirds of it.
    const TIMEOUT: Duration = Duration::from_secs(6);

    const IS_ONE_ROW: bool = false;

    fn start() -> anyhow::Result<Self> {
        Self::start()
    }

    fn shared() -> anyhow::Result<&'static Self> {
        Ok(Self::shared())
    }

    fn address(&self) -> SocketAddr {
        self.address()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.kill(0);
        Ok(())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.start_again(0)
    }

    fn registry(at: SocketAddr, namespace: &str, timeout: Duration) -> anyhow::Result<Arc<dyn Registry>> {
        let registry = EtcdRegistry::new(&format!("etcd://{at}"), namespace)?;
        Ok(Arc::new(
            registry
                .with_session_timeout(timeout)
                .with_connection_timeout(Self::TIMEOUT),
        ))
    }
}
