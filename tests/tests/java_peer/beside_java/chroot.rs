//! A path behind the servers, which Java members read from `serverLists` as we do.

use anyhow::ensure;
use elasticjob_tests::cluster::{Cluster, all_items};
use elasticjob_tests::zookeeper::Server;
use zookeeper_client as zk;

use super::{Java, Kind, MEMBER, Ours};

/// Returns a cluster below this path.
fn below(path: &str) -> anyhow::Result<Cluster> {
    Cluster::new(MEMBER, format!("{}{path}", Server::shared().address()), "shop")
}

/// An operator's client. The build of Java members holds up the thread, and a session would end meanwhile.
async fn client() -> anyhow::Result<zk::Client> {
    Ok(zk::Client::connect(&Server::shared().address().to_string()).await?)
}

async fn is_shared(path: &str, first: Kind) -> anyhow::Result<()> {
    client()
        .await?
        .mkdir(path, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all()))
        .await?;
    let cluster = below(path)?;
    let _first = first.member(&cluster, 1).start()?;
    cluster.shared_by(&[1]).await;
    let _second = first.other().member(&cluster, 2).start()?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_regularly(&all_items(), 2).await;
    let config = client().await?.check_stat(&format!("{path}/shop/share/config")).await?;
    ensure!(config.is_some());
    Ok(())
}

#[tokio::test]
async fn is_shared_with_a_java_member_that_came_first() -> anyhow::Result<()> {
    is_shared("/chroot/java", Java).await
}

#[tokio::test]
async fn is_shared_with_a_java_member_that_came_later() -> anyhow::Result<()> {
    is_shared("/chroot/ours", Ours).await
}

#[tokio::test]
async fn is_created_by_neither_kind() -> anyhow::Result<()> {
    let cluster = below("/chroot-absent")?;
    for kind in [Java, Ours] {
        let (status, log) = kind.member(&cluster, 1).start()?.ended().await?;
        ensure!(!status.success(), "{kind:?}: {log}");
        ensure!(
            log.contains("NoNode") || log.contains("there is no /chroot-absent"),
            "{kind:?}: {log}"
        );
    }
    ensure!(client().await?.check_stat("/chroot-absent").await?.is_none());
    Ok(())
}
