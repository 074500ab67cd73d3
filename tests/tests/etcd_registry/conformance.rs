//! The suite of all registries.

use std::sync::Arc;

use elasticjob::registry::conformance;
use elasticjob_tests::etcd::{Etcd, Options};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn holds_on_one_server() -> anyhow::Result<()> {
    conformance::all(Arc::new(registry(&Etcd::shared().url(), "conformance")?)).await;
    Ok(())
}

#[tokio::test]
async fn holds_within_another_namespace_and_without_compaction() -> anyhow::Result<()> {
    let url = Etcd::shared().url();
    let outer = connect(&url, "任务").await?;
    conformance::all(Arc::new(registry(&url, "任务/内")?.without_compaction())).await;
    let children = outer
        .read_at_once(vec![elasticjob::registry::Read::Children("/".into())])
        .await?;
    assert_eq!(children, [elasticjob::registry::Answer::Children(Some(vec![]))]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_on_three_servers() -> anyhow::Result<()> {
    let etcd = Etcd::start_with(3, Options::default())?;
    conformance::all(Arc::new(registry(&etcd.url(), "conformance")?)).await;
    Ok(())
}
