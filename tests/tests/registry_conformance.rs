//! The promises of a registry, checked on all that there are.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::conformance;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::sql::{PostgresRegistry, SqliteRegistry};
use elasticjob::registry::zookeeper::{Tls, ZooKeeperRegistry};
use elasticjob::registry::{Answer, BoxFuture, Error, Read, Registry, Session};
use elasticjob_tests::certificates::{Certificates, Validity};
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::zookeeper::{Ensemble, Security, Server};
use zookeeper_client as zk;

#[tokio::test]
async fn the_embedded_registry_should_conform() {
    conformance::all(Arc::new(MemoryRegistry::new())).await;
}

#[tokio::test]
async fn the_embedded_registry_should_conform_over_a_slow_link() {
    let link = MemoryRegistry::new().link("slow");
    link.delay(Duration::from_micros(100));
    conformance::all(Arc::new(link)).await;
}

#[tokio::test]
async fn the_embedded_registry_should_conform_where_it_counts_steps_and_carries_out_net_effects() {
    conformance::all(Arc::new(MemoryRegistry::new().with_steps(48).with_net_effects())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zookeeper_should_conform() -> anyhow::Result<()> {
    let server = Server::start()?;
    conformance::all(Arc::new(ZooKeeperRegistry::new(
        &server.address().to_string(),
        "conformance",
    )?))
    .await;
    Ok(())
}

#[tokio::test]
async fn zookeeper_should_conform_with_a_digest_and_nested_namespaces() -> anyhow::Result<()> {
    let server = Server::start()?;
    let client = zk::Client::connect(&server.address().to_string()).await?;
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    client.create("/root", b"", &options).await?;
    let registry = ZooKeeperRegistry::new(&format!("{}/root", server.address()), "a/b")?.with_digest("user:secret");
    conformance::all(Arc::new(registry)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn zookeeper_should_conform_over_tls_with_a_user_below_a_path() -> anyhow::Result<()> {
    let certificates = Certificates::make()?;
    let issue = |subject| certificates.issue(subject, "DNS:localhost", Validity::TwoDays);
    let (theirs, ours) = (issue("zookeeper")?, issue("client")?);
    let security = Security::default().over_tls(theirs, certificates.authority())?;
    let server = Server::start_demanding(&security.knowing("user", "secret"))?;
    let client = zk::Client::connect(&server.address().to_string()).await?;
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    client.create("/root", b"", &options).await?;
    let tls = Tls::new(certificates.authority()).with_identity(ours.certificate, ours.key);
    let registry = ZooKeeperRegistry::new(&format!("localhost:{}/root", server.tls_port()), "a/b")?;
    conformance::all(Arc::new(registry.with_tls(tls)?.with_sasl("user", "secret")?)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ensemble_should_conform() -> anyhow::Result<()> {
    let ensemble = Ensemble::start(3)?;
    conformance::all(Arc::new(ZooKeeperRegistry::new(
        &ensemble.connect_string(),
        "conformance",
    )?))
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_should_conform() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = SqliteRegistry::new(folder.path().join("jobs.db"), "conformance")?;
    conformance::all(Arc::new(registry)).await;
    Ok(())
}

#[tokio::test]
async fn sqlite_should_conform_beside_other_namespaces_and_with_a_lock_for_each_session() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("任务.db");
    let other = SqliteRegistry::new(&file, "a")?.connect().await?;
    conformance::all(Arc::new(OneEach { file, namespace: "a/b" })).await;
    let children = other.read_at_once(vec![Read::Children("/".into())]).await?;
    assert_eq!(children, [Answer::Children(Some(vec![]))]);
    Ok(())
}

/// Opens each session as if it was in a process of its own.
#[derive(Debug)]
struct OneEach {
    file: PathBuf,
    namespace: &'static str,
}

impl Registry for OneEach {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(async { SqliteRegistry::new(&self.file, self.namespace)?.connect().await })
    }

    fn describe(&self) -> String {
        format!("sqlite file {}", self.file.display())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_should_conform() -> anyhow::Result<()> {
    let server = DatabaseServer::start(Kind::Postgres)?;
    let registry = PostgresRegistry::new(&server.full_url(), "conformance")?;
    // It listens before it serves.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = registry.connect().await {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "{error}");
    }
    conformance::all(Arc::new(registry)).await;
    Ok(())
}
