//! A registry centre that lets in those with the digest only.

use anyhow::ensure;
use elasticjob_tests::cluster::{SHARE, all_items};
use elasticjob_tests::java::Operator;
use elasticjob_tests::zookeeper::Server;
use serde_json::json;
use zookeeper_client as zk;

use super::{Java, Kind, Ours, cluster};

const DIGEST: &str = "shop:open sesame";

async fn let_in(namespace: &str, leader: Kind) -> anyhow::Result<()> {
    let cluster = cluster(namespace)?.seen_with_digest(DIGEST)?;
    let member = |kind: Kind, host| kind.member(&cluster, host).with("ELASTICJOB_REG_CENTER_DIGEST", DIGEST);
    let _first = member(leader, 1).start()?;
    cluster.shared_by(&[1]).await;
    let _second = member(leader.other(), 2).start()?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_regularly(&all_items(), 2).await;

    let everybody = zk::Client::connect(&Server::shared().address().to_string()).await?;
    for node in ["config", "instances", "sharding/0/instance", "sharding/9/instance"] {
        let path = format!("/{namespace}/{SHARE}/{node}");
        assert_eq!(everybody.get_data(&path).await.err(), Some(zk::Error::NoAuth), "{path}");
    }
    let mut operator = Operator::start(&cluster, Some(DIGEST))?;
    let job = operator.ask("job", SHARE, json!({})).await?;
    ensure!(job["instanceCount"] == 2, "{job}");
    Ok(())
}

#[tokio::test]
async fn members_with_the_digest_should_share_what_java_made() -> anyhow::Result<()> {
    let_in("digest-java", Java).await
}

#[tokio::test]
async fn members_with_the_digest_should_share_what_we_made() -> anyhow::Result<()> {
    let_in("digest-ours", Ours).await
}
