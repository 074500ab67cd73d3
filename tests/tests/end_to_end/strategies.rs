//! Who has which item, as the strategy that the configuration names wants it.

use std::collections::BTreeMap;

use anyhow::ensure;
use elasticjob_tests::cluster::{Cluster, all_items, host_of};
use elasticjob_tests::process::{Member, MemberSetup};

use crate::cluster;

/// The host of each item of the cron job.
type Hosts = BTreeMap<u32, u8>;

fn member(cluster: &Cluster, host: u8, strategy: &str) -> MemberSetup {
    cluster
        .member(host)
        .with("ELASTICJOB_JOBS_SHARE_JOB_SHARDING_STRATEGY_TYPE", strategy)
}

fn hosts(owners: &BTreeMap<u32, String>) -> anyhow::Result<Hosts> {
    let host = |(item, owner): (&u32, &String)| Ok((*item, host_of(owner)?));
    owners.iter().map(host).collect()
}

/// The items that are elsewhere now, each with its host now.
fn moved(before: &Hosts, after: &Hosts) -> Hosts {
    let moved = after.iter().filter(|(item, host)| before.get(*item) != Some(*host));
    moved.map(|(item, host)| (*item, *host)).collect()
}

#[tokio::test]
async fn sticky_items_should_stay_with_their_processes_whoever_comes_and_goes() -> anyhow::Result<()> {
    let cluster = cluster("strategy-sticky")?;
    let start = |host| member(&cluster, host, "STICKY").start();
    let mut members: BTreeMap<u8, Member> = BTreeMap::new();
    for host in [1, 2, 3] {
        members.insert(host, start(host)?);
    }
    let first = hosts(&cluster.shared_by(&[1, 2, 3]).await)?;

    // Whoever leads dies: somebody else decides.
    let leader = cluster
        .text("/share/leader/election/instance")
        .await?
        .unwrap_or_default();
    let leader = host_of(&leader)?;
    members.remove(&leader).expect("a member").kill().await?;
    let left: Vec<u8> = members.keys().copied().collect();
    let second = hosts(&cluster.shared_by(&left).await)?;
    for item in moved(&first, &second).keys() {
        assert_eq!(first[item], leader, "{first:?} {second:?}");
    }

    members.insert(4, start(4)?);
    let present: Vec<u8> = members.keys().copied().collect();
    let third = hosts(&cluster.shared_by(&present).await)?;
    let moved = moved(&second, &third);
    assert_eq!(
        moved.values().copied().collect::<Vec<_>>(),
        [4; 3],
        "{second:?} {third:?}"
    );
    cluster.runs_without_gap(&all_items(), 2).await;
    Ok(())
}

#[tokio::test]
async fn a_strategy_of_the_application_that_panics_should_stop_no_process() -> anyhow::Result<()> {
    let cluster = cluster("strategy-panics")?;
    // It knows what to do with one process, and with three.
    let start = |host| member(&cluster, host, "ODD").start();
    let is_all_on = async |host: u8| {
        let what = format!("all items on host {host}");
        cluster
            .until(&what, async || {
                let hosts = hosts(&cluster.owners("share").await?)?;
                ensure!(hosts.len() == 10 && hosts.values().all(|of| *of == host), "{hosts:?}");
                Ok(())
            })
            .await;
    };
    let first = start(1)?;
    is_all_on(1).await;
    let second = start(2)?;
    cluster
        .until("the leader says what is wrong", async || {
            let said = "the sharding strategy panicked: no idea of 2";
            ensure!(first.log().contains(said), "nothing of that");
            Ok(())
        })
        .await;
    cluster.runs_without_gap(&all_items(), 2).await;
    is_all_on(1).await;
    assert_eq!(cluster.text("/share/leader/sharding/necessary").await?, None);

    first.kill().await?;
    is_all_on(2).await;
    cluster.runs_without_gap(&all_items(), 2).await;
    drop(second);
    Ok(())
}
