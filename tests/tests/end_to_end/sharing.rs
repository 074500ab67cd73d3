//! Members come, go, and die; the items go round.

use anyhow::ensure;
use elasticjob_tests::center::Center;
use elasticjob_tests::cluster::{Cluster, LASTING_SESSION, SHARE, all_items, host_of, ip};
use elasticjob_tests::history::{Run, RunEnd};
use jiff::Timestamp;

use crate::{LONG, MEMBER, cluster, members};

pub(crate) async fn assigns_all_items_as_members_come_and_go(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "share-come-and-go")?;
    let member = |host| {
        cluster
            .member(host)
            .with_session_timeout(LASTING_SESSION)
            .working(LONG)
            .start()
    };
    let (_first, _second, mut third) = (member(1)?, member(2)?, member(3)?);
    cluster.shared_by(&[1, 2, 3]).await;
    cluster.runs_without_gap(&all_items(), 3).await;

    let _fourth = member(4)?;
    cluster.shared_by(&[1, 2, 3, 4]).await;
    cluster.runs_without_gap(&all_items(), 2).await;

    let run = cluster.run_on(3).await;
    third.terminate()?;
    let (status, log) = third.ended().await?;
    assert!(status.success(), "{status}: {log}");
    assert!(!cluster.instances(SHARE).await?.contains_key(&3), "it left by itself");
    assert_eq!(cluster.end_of(&run)?, Some(RunEnd::Finished), "within the grace period");
    cluster.shared_by(&[1, 2, 4]).await;
    cluster.runs_without_gap(&all_items(), 3).await;
    Ok(())
}

pub(crate) async fn moves_items_of_a_killed_member(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "share-killed")?;
    let member = |host| cluster.member(host).working(LONG).start();
    let (_first, _second, third) = (member(1)?, member(2)?, member(3)?);
    cluster.shared_by(&[1, 2, 3]).await;
    cluster.run_on(3).await;
    third.kill().await?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 3).await;
    Ok(())
}

pub(crate) async fn assigns_nothing_to_a_disabled_member(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "share-disabled")?;
    let _members = members(&cluster, &[1, 2, 3])?;
    cluster.shared_by(&[1, 2, 3]).await;
    let server = format!("/{SHARE}/servers/{}", ip(4));
    cluster.create(&server, "DISABLED").await?;
    let _fourth = cluster.member(4).start()?;
    cluster
        .until("the fourth is there", async || {
            let instances = cluster.instances(SHARE).await?;
            ensure!(instances.contains_key(&4), "{instances:?}");
            Ok(())
        })
        .await;
    cluster.runs_without_gap(&all_items(), 3).await;
    cluster.shared_by(&[1, 2, 3]).await;
    let by_fourth = |run: &&Run| host_of(&run.id.instance).is_ok_and(|host| host == 4);
    assert_eq!(cluster.runs()?.iter().find(by_fourth), None);
    assert_eq!(cluster.text(&server).await?.as_deref(), Some("DISABLED"));

    cluster.set(&server, "ENABLED").await?;
    cluster.shared_by(&[1, 2, 3, 4]).await;
    cluster.runs_without_gap(&all_items(), 2).await;
    Ok(())
}

#[tokio::test]
async fn runs_no_disabled_job() -> anyhow::Result<()> {
    let cluster = cluster("share-configured-disabled")?;
    let _member = cluster
        .member(1)
        .with("ELASTICJOB_JOBS_SHARE_DISABLED", "true")
        .start()?;
    let server = format!("/{SHARE}/servers/{}", ip(1));
    cluster
        .until("the member is there, disabled", async || {
            let (server, instances) = (cluster.text(&server).await?, cluster.instances(SHARE).await?);
            ensure!(
                server.as_deref() == Some("DISABLED") && instances.len() == 1,
                "{server:?} {instances:?}"
            );
            Ok(())
        })
        .await;
    let enabled_at = Timestamp::now();
    cluster.set(&server, "ENABLED").await?;
    cluster.runs_without_gap(&all_items(), 2).await;
    assert!(cluster.runs()?.iter().all(|run| run.id.scheduled > enabled_at));
    Ok(())
}
