//! What members write is what Java members write, to the byte; nodes live as long as Java's do.

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, SHARE, all_items};
use elasticjob_tests::zookeeper::Server;

use crate::{LONG, MEMBER, NEVER, cluster};

const SHARE_CONFIG: &str = "\
cron: 0/2 * * * * ?
description: ''
disabled: false
failover: false
jobName: share
jobParameter: ''
maxTimeDiffSeconds: -1
misfire: true
monitorExecution: true
overwrite: false
reconcileIntervalMinutes: 10
shardingItemParameters: ''
shardingTotalCount: 10
staticSharding: false
timeZone: GMT
";

const REBUILD_CONFIG: &str = "\
description: ''
disabled: false
failover: false
jobName: rebuild
jobParameter: ''
maxTimeDiffSeconds: -1
misfire: true
monitorExecution: true
overwrite: false
reconcileIntervalMinutes: 10
shardingItemParameters: ''
shardingTotalCount: 6
staticSharding: false
";

/// How long a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Persistent,
    Ephemeral,
}

async fn check(cluster: &Cluster, path: &str, text: &str, life: Life) -> anyhow::Result<()> {
    let (data, stat) = cluster
        .node(path)
        .await?
        .with_context(|| format!("there is no {path}"))?;
    assert_eq!(String::from_utf8_lossy(&data), text, "{path}");
    let found = match stat.ephemeral_owner {
        0 => Life::Persistent,
        _ => Life::Ephemeral,
    };
    assert_eq!(found, life, "{path}");
    Ok(())
}

#[tokio::test]
async fn stores_a_working_member_as_java_does() -> anyhow::Result<()> {
    let cluster = cluster("layout")?;
    let member = cluster.member(7).working(LONG).start()?;
    cluster.shared_by(&[7]).await;
    let id = cluster.instances(SHARE).await?[&7].clone();
    let pid = member.pid().as_raw_nonzero();
    let suffix = id
        .strip_prefix(&format!("127.0.0.7@-@{pid}-"))
        .context("address and process")?;
    assert!(
        suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
        "{id}"
    );

    cluster
        .until("all items run", async || {
            for item in all_items() {
                let mark = cluster.text(&format!("/{SHARE}/sharding/{item}/running")).await?;
                ensure!(mark.as_ref() == Some(&id), "{item}: {mark:?}");
            }
            // The first, so that there is time for the rest.
            check(&cluster, "/share/sharding/0/running", &id, Life::Ephemeral).await
        })
        .await;
    check(&cluster, "/share", "", Life::Persistent).await?;
    check(&cluster, "/share/config", SHARE_CONFIG, Life::Persistent).await?;
    check(&cluster, "/rebuild/config", REBUILD_CONFIG, Life::Persistent).await?;
    check(&cluster, "/share/servers", "", Life::Persistent).await?;
    check(&cluster, "/share/servers/127.0.0.7", "ENABLED", Life::Persistent).await?;
    check(&cluster, "/share/instances", "", Life::Persistent).await?;
    let instance = format!("jobInstanceId: {id}\nserverIp: 127.0.0.7\n");
    check(&cluster, &format!("/share/instances/{id}"), &instance, Life::Ephemeral).await?;
    check(&cluster, "/share/leader/election/instance", &id, Life::Ephemeral).await?;
    check(&cluster, "/share/sharding", "", Life::Persistent).await?;
    for item in all_items() {
        check(&cluster, &format!("/share/sharding/{item}"), "", Life::Persistent).await?;
        check(
            &cluster,
            &format!("/share/sharding/{item}/instance"),
            &id,
            Life::Persistent,
        )
        .await?;
    }
    let flags = cluster.children("/share/leader/sharding").await?;
    assert!(flags.is_empty(), "nothing is to be shared out: {flags:?}");
    // Java ignores what it does not know, but only beside what it does.
    let known = ["config", "instances", "leader", "ledger", "servers", "sharding"];
    assert!(cluster.children("/share").await?.iter().eq(known));
    Ok(())
}

#[tokio::test]
async fn keeps_marks_of_dead_instances_for_failover() -> anyhow::Result<()> {
    let cluster = cluster("layout-failover")?;
    let _member = cluster
        .member(1)
        .working(LONG)
        .with("ELASTICJOB_JOBS_SHARE_FAILOVER", "true")
        .start()?;
    cluster.shared_by(&[1]).await;
    let id = cluster.instances(SHARE).await?[&1].clone();
    cluster
        .until("the first item runs", async || {
            let mark = cluster.text("/share/sharding/0/running").await?;
            ensure!(mark.as_ref() == Some(&id), "{mark:?}");
            check(&cluster, "/share/sharding/0/running", &id, Life::Persistent).await
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn leaves_only_what_java_leaves() -> anyhow::Result<()> {
    let cluster = cluster("layout-left")?;
    let mut member = cluster.member(1).start()?;
    cluster.shared_by(&[1]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    member.terminate()?;
    member.ended().await?;
    assert!(cluster.children("/share/instances").await?.is_empty());
    assert_eq!(cluster.text("/share/leader/election/instance").await?, None);
    assert_eq!(
        cluster.text("/share/servers/127.0.0.1").await?.as_deref(),
        Some("ENABLED")
    );
    for item in all_items() {
        let left = cluster.children(&format!("/share/sharding/{item}")).await?;
        assert!(left.iter().eq(["instance"]), "{item}: {left:?}");
    }
    Ok(())
}

#[tokio::test]
async fn creates_namespace_and_latch_as_containers() -> anyhow::Result<()> {
    let server = Server::start_clearing_containers()?;
    let cluster = Cluster::new(MEMBER, server.address(), "layout/containers")?;
    let mut member = cluster.member(1).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER).start()?;
    cluster.shared_by(&[1]).await;
    cluster
        .until("the latch is cleared, the leader stays", async || {
            let election = cluster.children("/share/leader/election").await?;
            ensure!(election.iter().eq(["instance"]), "{election:?}");
            Ok(())
        })
        .await;
    let second = cluster.member(2).start()?;
    cluster.shared_by(&[1, 2]).await;
    // The members that are left elect in a latch that is created again.
    member.terminate()?;
    member.ended().await?;
    cluster.shared_by(&[2]).await;
    drop(second);
    Ok(())
}
