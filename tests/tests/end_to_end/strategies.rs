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

/// Returns the items that are elsewhere now, each with its host now.
fn moved(before: &Hosts, after: &Hosts) -> Hosts {
    let moved = after.iter().filter(|(item, host)| before.get(*item) != Some(*host));
    moved.map(|(item, host)| (*item, *host)).collect()
}

#[tokio::test]
async fn keeps_sticky_items_on_their_processes() -> anyhow::Result<()> {
    let cluster = cluster("strategy-sticky")?;
    let start = |host| member(&cluster, host, "STICKY").start();
    let mut members: BTreeMap<u8, Member> = BTreeMap::new();
    for host in [1, 2, 3] {
        members.insert(host, start(host)?);
    }
    let first = hosts(&cluster.shared_by(&[1, 2, 3]).await)?;

    // The leader dies: another member assigns the items.
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
async fn survives_a_strategy_that_panics() -> anyhow::Result<()> {
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

/// Returns a process that says it can run these.
fn labelled(cluster: &Cluster, host: u8, labels: &str) -> anyhow::Result<Member> {
    let section = "elasticjob:\n  jobs:\n    share:\n      job-sharding-strategy-type: LABEL\n      props:\n        \
                   label.items: 0=gpu,1=gpu,2=eu,3=tape&gpu\n";
    member(cluster, host, "LABEL")
        .with("ELASTICJOB_LABELS", labels)
        .configured(section)
        .start()
}

#[tokio::test]
async fn runs_items_only_on_their_labels() -> anyhow::Result<()> {
    let cluster = cluster("strategy-label")?;
    let placed = async |what: &str, is_so: &dyn Fn(&Hosts) -> bool| {
        cluster
            .until(what, async || {
                let hosts = hosts(&cluster.owners("share").await?)?;
                ensure!(is_so(&hosts), "{hosts:?}");
                Ok(hosts)
            })
            .await
    };
    let leader = labelled(&cluster, 1, "")?;
    placed("the others are on the only process", &|hosts| hosts.len() == 6).await;
    let said = "items without an instance";
    cluster
        .until("the leader says so", async || {
            ensure!(leader.log().contains(said), "nothing of that");
            Ok(())
        })
        .await;

    let able = labelled(&cluster, 2, "gpu, large")?;
    let _european = labelled(&cluster, 3, "eu")?;
    let on = |item: u32, host: u8| move |hosts: &Hosts| hosts.get(&item) == Some(&host);
    // Items that run move after their end, so an even share may take a while.
    let is_even = |hosts: &Hosts| (1..=3).all(|host| hosts.values().filter(|of| **of == host).count() == 3);
    placed("all but one have a process, each process has three", &|hosts| {
        hosts.len() == 9 && on(0, 2)(hosts) && on(1, 2)(hosts) && on(2, 3)(hosts) && is_even(hosts)
    })
    .await;

    able.kill().await?;
    placed("two wait for another such process", &|hosts| {
        hosts.len() == 7 && !hosts.values().any(|host| *host == 2)
    })
    .await;
    let _able = labelled(&cluster, 4, "tape,gpu")?;
    placed("all have a process", &|hosts| {
        hosts.len() == 10 && [0, 1, 3].iter().all(|item| on(*item, 4)(hosts))
    })
    .await;
    cluster.runs_without_gap(&all_items(), 2).await;
    for run in cluster.runs()? {
        let host = host_of(&run.id.instance)?;
        let is_able = match run.id.item {
            0 | 1 => [2, 4].contains(&host),
            2 => host == 3,
            3 => host == 4,
            _ => true,
        };
        assert!(is_able, "{run:?}");
    }
    Ok(())
}
