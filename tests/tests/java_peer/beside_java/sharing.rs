//! Members of both kinds come, go, and die; the items go round.

use elasticjob_tests::cluster::all_items;

use super::{Java, Kind, LONG, Ours, cluster, is_led_by};

/// One of each kind, of which the first leads, and then one more of each.
async fn come_and_go(namespace: &str, first: Kind) -> anyhow::Result<()> {
    let cluster = cluster(namespace)?;
    let member = |kind: Kind, host| kind.member(&cluster, host).working(LONG).start();
    let leader = member(first, 1)?;
    cluster.shared_by(&[1]).await;
    is_led_by(&cluster, 1).await;
    let mut second = member(first.other(), 2)?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_regularly(&all_items(), 3).await;
    let third = member(first, 3)?;
    let _fourth = member(first.other(), 4)?;
    cluster.shared_by(&[1, 2, 3, 4]).await;
    cluster.runs_regularly(&all_items(), 2).await;

    second.terminate()?;
    second.ended().await?;
    cluster.shared_by(&[1, 3, 4]).await;
    cluster.runs_regularly(&all_items(), 2).await;

    cluster.run_on(3).await;
    third.kill().await?;
    cluster.shared_by(&[1, 4]).await;
    cluster.runs_regularly(&all_items(), 2).await;

    leader.kill().await?;
    cluster.shared_by(&[4]).await;
    is_led_by(&cluster, 4).await;
    cluster.runs_regularly(&all_items(), 2).await;
    Ok(())
}

#[tokio::test]
async fn items_should_be_shared_without_gap_or_overlap_where_java_leads() -> anyhow::Result<()> {
    come_and_go("java-leads", Java).await
}

#[tokio::test]
async fn items_should_be_shared_without_gap_or_overlap_where_we_lead() -> anyhow::Result<()> {
    come_and_go("we-lead", Ours).await
}
