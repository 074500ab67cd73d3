//! The promises of a registry, checked on all that there are.

use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::conformance;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob_tests::zookeeper::{Ensemble, Server};

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
    let registry = ZooKeeperRegistry::new(&format!("{}/root", server.address()), "a/b")?.with_digest("user:secret");
    conformance::all(Arc::new(registry)).await;
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
