//! Servers that are restarted, processes that stand still, networks that are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob_tests::center::Center;
use elasticjob_tests::cluster::{Cluster, SHARE, all_items, host_of};
use elasticjob_tests::history::{RunEnd, since_boot};
use elasticjob_tests::proxy::{Close, Proxy};
use elasticjob_tests::zookeeper::{Ensemble, Server};

use crate::{LONG, MEMBER, cluster, members};

/// Waits until the cron job has, on each of these hosts, an instance other than before.
async fn come_back_as_new(cluster: &Cluster, before: &BTreeMap<u8, String>) {
    cluster
        .until("each has a new instance", async || {
            let instances = cluster.instances(SHARE).await?;
            ensure!(instances.keys().eq(before.keys()), "{instances:?}");
            let old = instances
                .values()
                .find(|id| before.values().any(|before| before == *id));
            ensure!(old.is_none(), "{old:?} as before");
            Ok(())
        })
        .await;
}

/// Waits until each of these hosts has begun something after now, however long it takes them to find their way back.
async fn go_on(cluster: &Cluster, hosts: &[u8]) {
    let now = since_boot();
    cluster
        .until(&format!("the hosts {hosts:?} go on"), async || {
            let runs = cluster.runs()?;
            let after = runs.iter().filter(|run| run.first > now);
            let going: BTreeSet<u8> = after.map(|run| host_of(&run.id.instance)).collect::<Result<_, _>>()?;
            ensure!(hosts.iter().all(|host| going.contains(host)), "{going:?}");
            Ok(())
        })
        .await;
}

pub(crate) async fn survives_a_short_restart_of_the_server(center: &mut Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "outage-short")?;
    let member = |host| {
        cluster
            .member(host)
            .with_session_timeout(Duration::from_secs(40))
            .start()
    };
    let _members = (member(1)?, member(2)?);
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    let before = cluster.instances(SHARE).await?;
    cluster.run_on(1).await;
    center.restart()?;
    go_on(&cluster, &[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 3).await;
    assert_eq!(cluster.instances(SHARE).await?, before);
    let stopped = cluster.runs()?.into_iter().find(|run| run.end == Some(RunEnd::Dropped));
    assert_eq!(stopped, None, "a session that lives stops nothing");
    Ok(())
}

#[tokio::test]
async fn returns_as_new_members_after_a_long_outage() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let cluster = Cluster::new(MEMBER, server.address(), "outage-long")?;
    // Work that would outlast the session: the fence must end it.
    let member = |host| cluster.member(host).working(LONG).start();
    let members = [member(1)?, member(2)?];
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    let before = cluster.instances(SHARE).await?;
    server.kill();
    for member in &members {
        cluster
            .until("the session is lost", async || {
                ensure!(member.log().contains("registry session lost"), "it is not");
                Ok(())
            })
            .await;
    }
    server.restart()?;
    come_back_as_new(&cluster, &before).await;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 3).await;
    Ok(())
}

#[tokio::test]
async fn survives_the_death_of_an_ensemble_leader() -> anyhow::Result<()> {
    let mut ensemble = Ensemble::start(3)?;
    let cluster = Cluster::new(MEMBER, ensemble.connect_string(), "outage-ensemble")?;
    let member = |host| {
        cluster
            .member(host)
            .with_session_timeout(Duration::from_secs(10))
            .start()
    };
    let _members = [member(1)?, member(2)?, member(3)?];
    cluster.shared_by(&[1, 2, 3]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    cluster.run_on(1).await;
    let leader = ensemble.leader().context("the ensemble has a leader")?;
    ensemble.servers()[leader].kill();
    cluster
        .until("another leads", async || {
            ensure!(ensemble.leader().is_some_and(|other| other != leader), "none does");
            Ok(())
        })
        .await;
    go_on(&cluster, &[1, 2, 3]).await;
    cluster.shared_by(&[1, 2, 3]).await;
    cluster.runs_without_gap(&all_items(), 3).await;
    Ok(())
}

#[tokio::test]
async fn returns_as_a_new_member_after_a_freeze() -> anyhow::Result<()> {
    let cluster = cluster("outage-paused")?;
    let _first = cluster.member(1).start()?;
    let second = cluster.member(2).working(LONG).start()?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    let before = cluster.instances(SHARE).await?;

    let run = cluster.run_on(2).await;
    second.pause()?;
    cluster.shared_by(&[1]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    second.resume()?;
    cluster
        .until("it comes back", async || {
            let instances = cluster.instances(SHARE).await?;
            ensure!(instances.get(&2).is_some_and(|id| *id != before[&2]), "{instances:?}");
            Ok(())
        })
        .await;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 2).await;
    let end = cluster.end_of(&run)?;
    assert_eq!(end, Some(RunEnd::Dropped), "its time was over while it stood still");
    Ok(())
}

#[tokio::test]
async fn keeps_instances_over_a_short_cut() -> anyhow::Result<()> {
    let cluster = cluster("outage-cut")?;
    let proxy = Proxy::start(Server::shared().address()).await?;
    let _others = members(&cluster, &[1])?;
    let second = cluster
        .member(2)
        .with("ELASTICJOB_REG_CENTER_SERVER_LISTS", proxy.address())
        .with_session_timeout(Duration::from_secs(30))
        .start()?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    let before = cluster.instances(SHARE).await?;
    cluster.run_on(2).await;
    proxy.cut(Close::Reset);
    // Its own items wait meanwhile, those of the other do not.
    let owners = cluster.shared_by(&[1, 2]).await;
    let of_first = owners
        .iter()
        .filter(|(_, owner)| host_of(owner).is_ok_and(|host| host == 1));
    let of_first: Vec<u32> = of_first.map(|(item, _)| *item).collect();
    let cut = cluster.runs_without_gap(&of_first, 1).await;
    let begun = cluster
        .runs()?
        .into_iter()
        .find(|run| run.id.scheduled == cut[0] && run.id.instance == before[&2]);
    assert_eq!(begun, None, "nothing can be claimed without a connection");
    proxy.heal();
    go_on(&cluster, &[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 2).await;
    assert_eq!(cluster.instances(SHARE).await?, before);
    assert!(!second.log().contains("session lost"), "{}", second.log());
    Ok(())
}
