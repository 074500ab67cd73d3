//! What operators do to a job of members of both kinds, by the Java API and by ours.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::operation::{CancelOutcome, JobStatus, Operations, Target};
use elasticjob::starter::ItemOutcome;
use elasticjob_tests::cluster::{Cluster, SHARE, all_items, host_of, ip};
use elasticjob_tests::java::Operator;
use elasticjob_tests::process::Member;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Java, Kind, NEVER, Ours, are_being_run, are_there, are_to_share, cluster, is_cleared_up, is_led_by, operations,
    runs_that, trigger,
};

/// An operator of a cluster, with a tool of one of the two kinds.
enum Console {
    Java(Box<Operator>),
    Ours(Operations),
}

/// What is done to a job, on one server or on all.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Disable,
    Enable,
    ShutDown,
    Remove,
}

impl Console {
    fn open(kind: Kind, cluster: &Cluster) -> anyhow::Result<Self> {
        Ok(match kind {
            Java => Self::Java(Box::new(Operator::start(cluster, None)?)),
            Ours => Self::Ours(operations(cluster)),
        })
    }

    async fn operate(&mut self, operation: Operation, host: Option<u8>) -> anyhow::Result<()> {
        match self {
            Self::Java(operator) => {
                let name = match operation {
                    Operation::Disable => "disable",
                    Operation::Enable => "enable",
                    Operation::ShutDown => "shutdown",
                    Operation::Remove => "remove",
                };
                operator.ask(name, SHARE, json!({ "ip": host.map(ip) })).await?;
            }
            Self::Ours(operations) => {
                let target = match host {
                    Some(host) => Target::job_on_server(SHARE, ip(host)),
                    None => Target::job(SHARE),
                };
                match operation {
                    Operation::Disable => drop(operations.disable(&target, None).await?),
                    Operation::Enable => drop(operations.enable(&target).await?),
                    Operation::ShutDown => drop(operations.shut_down(&target).await?),
                    Operation::Remove => drop(operations.remove(&target).await?),
                }
            }
        }
        Ok(())
    }

    async fn switch_item(&mut self, item: u32, on: bool) -> anyhow::Result<()> {
        match (self, on) {
            (Self::Java(operator), _) => {
                let name = if on { "enable-item" } else { "disable-item" };
                operator.ask(name, SHARE, json!({ "item": item.to_string() })).await?;
            }
            (Self::Ours(operations), true) => operations.enable_item(SHARE, item).await?,
            (Self::Ours(operations), false) => operations.disable_item(SHARE, item, None).await?,
        }
        Ok(())
    }

    async fn remove_job(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Java(operator) => drop(operator.ask("remove-job", SHARE, json!({})).await?),
            Self::Ours(operations) => drop(operations.remove_job(SHARE).await?),
        }
        Ok(())
    }

    async fn trigger(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Java(operator) => drop(operator.ask("trigger", SHARE, json!({})).await?),
            Self::Ours(operations) => drop(operations.trigger(SHARE, None).await?),
        }
        Ok(())
    }
}

/// Two members, of which the first, a Java member, or one of ours, leads.
async fn two(cluster: &Cluster, leader: Kind) -> anyhow::Result<[Member; 2]> {
    let first = leader.member(cluster, 1).start()?;
    is_led_by(cluster, 1).await;
    let second = leader.other().member(cluster, 2).start()?;
    cluster.shared_by(&[1, 2]).await;
    Ok([first, second])
}

/// No item ran on the host at a time after this one.
fn assert_idle(cluster: &Cluster, host: u8, since: Timestamp) -> anyhow::Result<()> {
    for run in cluster.runs()? {
        let is_there = host_of(&run.id.instance)? == host;
        assert!(!is_there || run.id.job != SHARE || run.id.scheduled < since, "{run:?}");
    }
    Ok(())
}

/// Servers, items and the whole job are switched off and on.
async fn switches(kind: Kind, leader: Kind) -> anyhow::Result<()> {
    let cluster = cluster(&format!("switches-{kind:?}-{leader:?}"))?;
    let _members = two(&cluster, leader).await?;
    let mut console = Console::open(kind, &cluster)?;
    for (off, other) in [(1, 2), (2, 1)] {
        console.operate(Operation::Disable, Some(off)).await?;
        cluster.shared_by(&[other]).await;
        let times = cluster.runs_regularly(&all_items(), 2).await;
        assert_idle(&cluster, off, times[0])?;
        console.operate(Operation::Enable, Some(off)).await?;
        cluster.shared_by(&[1, 2]).await;
    }

    let owners = cluster.shared_by(&[1, 2]).await;
    for host in [1, 2] {
        let of_host = |owner: &&String| host_of(owner).is_ok_and(|of| of == host);
        let (item, _) = owners
            .iter()
            .find(|(_, owner)| of_host(owner))
            .context("it has items")?;
        console.switch_item(*item, false).await?;
        let others: Vec<u32> = all_items().into_iter().filter(|other| other != item).collect();
        let times = cluster.runs_regularly(&others, 2).await;
        let ran = cluster
            .runs()?
            .into_iter()
            .find(|run| run.id.item == *item && run.id.scheduled >= times[0]);
        assert_eq!(ran, None, "it is switched off");
        console.switch_item(*item, true).await?;
        cluster.runs_regularly(&all_items(), 1).await;
    }

    console.operate(Operation::Disable, None).await?;
    // Ours pauses the whole job: a member of ours leads on, and keeps the pause.
    let keeper = match (kind, leader) {
        (Java, _) => None,
        (Ours, Ours) => Some(1),
        (Ours, Java) => Some(2),
    };
    cluster
        .until(
            "no member that could run anything leads, and nothing runs",
            async || {
                let leader = cluster.text(&format!("/{SHARE}/leader/election/instance")).await?;
                let leader = leader.map(|leader| host_of(&leader)).transpose()?;
                ensure!(leader == keeper, "{leader:?} leads");
                let running = runs_that::<false>(&cluster)?;
                ensure!(running.is_empty(), "{running:?}");
                Ok(())
            },
        )
        .await;
    let disabled_at = Timestamp::now();
    cluster
        .until("two times have passed", async || {
            ensure!(disabled_at.duration_until(Timestamp::now()).as_secs() > 4, "not yet");
            Ok(())
        })
        .await;
    let enabled_at = Timestamp::now();
    for run in cluster.runs()? {
        assert!(
            run.id.scheduled <= disabled_at || run.id.scheduled > enabled_at,
            "{run:?}"
        );
    }
    console.operate(Operation::Enable, None).await?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_regularly(&all_items(), 2).await;
    Ok(())
}

#[tokio::test]
async fn switches_of_the_java_api_should_be_obeyed_where_java_leads() -> anyhow::Result<()> {
    switches(Java, Java).await
}

#[tokio::test]
async fn switches_of_the_java_api_should_be_obeyed_where_we_lead() -> anyhow::Result<()> {
    switches(Java, Ours).await
}

#[tokio::test]
async fn our_switches_should_be_obeyed_where_java_leads() -> anyhow::Result<()> {
    switches(Ours, Java).await
}

#[tokio::test]
async fn our_switches_should_be_obeyed_where_we_lead() -> anyhow::Result<()> {
    switches(Ours, Ours).await
}

#[tokio::test]
async fn a_trigger_of_either_should_run_each_item_once() -> anyhow::Result<()> {
    for leader in [Java, Ours] {
        let cluster = cluster(&format!("trigger-{leader:?}"))?;
        let member = |kind: Kind, host| kind.member(&cluster, host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
        let _first = member(leader, 1).start()?;
        is_led_by(&cluster, 1).await;
        let _second = member(leader.other(), 2).start()?;
        are_to_share(&cluster, SHARE, &[1, 2]).await;
        for (count, kind) in [(1, Java), (2, Ours)] {
            Console::open(kind, &cluster)?.trigger().await?;
            cluster
                .until("each item has run once more", async || {
                    let mut counts = BTreeMap::new();
                    for run in runs_that::<true>(&cluster)? {
                        *counts.entry(run.id.item).or_insert(0) += 1;
                    }
                    ensure!(
                        all_items().iter().all(|item| counts.get(item) == Some(&count)),
                        "{counts:?}"
                    );
                    Ok(())
                })
                .await;
            is_cleared_up(&cluster, SHARE, &all_items()).await;
        }
        cluster.assert_lawful();
    }
    Ok(())
}

/// The job is shut down on a server and removed from it, then on all, and removed from the registry.
async fn shut_down(kind: Kind) -> anyhow::Result<()> {
    for leader in [Java, Ours] {
        let cluster = cluster(&format!("shut-down-{kind:?}-{leader:?}"))?;
        let members = two(&cluster, leader).await?;
        let mut console = Console::open(kind, &cluster)?;
        console.operate(Operation::ShutDown, Some(1)).await?;
        cluster.shared_by(&[2]).await;
        is_led_by(&cluster, 2).await;
        let times = cluster.runs_regularly(&all_items(), 2).await;
        assert_idle(&cluster, 1, times[0])?;
        console.operate(Operation::Remove, Some(1)).await?;
        let servers = cluster.children(&format!("/{SHARE}/servers")).await?;
        assert!(servers.iter().eq([&ip(2)]), "{servers:?}");

        let _third = leader.member(&cluster, 3).start()?;
        cluster.shared_by(&[2, 3]).await;
        cluster.runs_regularly(&all_items(), 1).await;
        console.operate(Operation::ShutDown, None).await?;
        are_there(&cluster, SHARE, &[]).await;
        are_there(&cluster, "rebuild", &[1, 2, 3]).await;
        cluster
            .until("all have left, and the job can be removed", async || {
                let members = cluster.children(&format!("/{SHARE}/ledger/members")).await?;
                ensure!(members.is_empty(), "{members:?}");
                Ok(())
            })
            .await;
        console.remove_job().await?;
        let node = cluster.node(&format!("/{SHARE}")).await?;
        assert_eq!(node, None, "nothing is left of it");
        drop(members);
    }
    Ok(())
}

#[tokio::test]
async fn a_shutdown_by_the_java_api_should_be_obeyed_by_both() -> anyhow::Result<()> {
    shut_down(Java).await
}

#[tokio::test]
async fn a_shutdown_by_our_api_should_be_obeyed_by_both() -> anyhow::Result<()> {
    shut_down(Ours).await
}

#[tokio::test]
async fn both_should_say_the_same_of_a_job() -> anyhow::Result<()> {
    for leader in [Java, Ours] {
        let cluster = cluster(&format!("statistics-{leader:?}"))?;
        let _members = two(&cluster, leader).await?;
        let (mut java, ours) = (Operator::start(&cluster, None)?, operations(&cluster));
        ours.disable_item(SHARE, 9, None).await?;
        cluster
            .until("both say the same", async || {
                let job = java.ask("job", SHARE, json!({})).await?;
                let brief = ours.job_brief(SHARE).await?;
                ensure!(
                    brief.status == JobStatus::Ok && job["status"] == "OK",
                    "{job} {brief:?}"
                );
                ensure!(job["instanceCount"] == brief.instance_count, "{job} {brief:?}");
                ensure!(
                    job["shardingTotalCount"] == brief.sharding_total_count,
                    "{job} {brief:?}"
                );
                ensure!(job["cron"] == json!(brief.cron), "{job} {brief:?}");
                let items = java.ask("items", SHARE, json!({})).await?;
                let reports = ours.items(SHARE).await?;
                ensure!(
                    said(&items)? == said(&serde_json::to_value(&reports)?)?,
                    "{items} {reports:?}"
                );
                Ok(())
            })
            .await;
    }
    Ok(())
}

/// Each item with its server, its instance, and whether it is switched off. Otherwise its status changes all the time.
fn said(items: &Value) -> anyhow::Result<Vec<(u64, String, String, bool)>> {
    let text = |item: &Value, key: &str| item[key].as_str().map(str::to_owned);
    let said = items.as_array().context("a list")?.iter().map(|item| {
        Some((
            item["item"].as_u64()?,
            text(item, "serverIp")?,
            text(item, "instanceId")?,
            item["status"] == "DISABLED",
        ))
    });
    said.collect::<Option<_>>().with_context(|| items.to_string())
}

#[tokio::test]
async fn a_run_of_a_java_member_should_be_said_not_to_be_cancelled() -> anyhow::Result<()> {
    let cluster = cluster("java-cancel")?;
    let endless = Duration::from_secs(3_600);
    let member = |kind: Kind, host| {
        let setup = kind.member(&cluster, host).working(endless);
        // As many as run at once.
        let setup = setup.with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", 6);
        setup.with("ELASTICJOB_JOBS_SHARE_CRON", NEVER).start()
    };
    let _members = [member(Java, 1)?, member(Ours, 2)?];
    let owners = cluster.shares(6, &[1, 2]).await;
    trigger(&cluster).await?;
    let of = |host: u8| -> Vec<u32> {
        let is_its = |owner: &String| host_of(owner).is_ok_and(|its| its == host);
        owners
            .iter()
            .filter(|(_, owner)| is_its(owner))
            .map(|(item, _)| *item)
            .collect()
    };
    are_being_run(&cluster, &[0, 1, 2, 3, 4, 5]).await;

    let operations = operations(&cluster);
    let cancelled = operations.cancel(SHARE, None, None).await?;
    assert_eq!(
        cancelled.runs.keys().copied().collect::<Vec<_>>(),
        of(2),
        "{cancelled:?}"
    );
    assert_eq!(cancelled.unreachable.keys().copied().collect::<Vec<_>>(), of(1));
    assert_eq!(cancelled.unreachable[&of(1)[0]], owners[&of(1)[0]]);
    let report = operations.cancelled(&cancelled, Duration::from_secs(60)).await?;
    let is_cancelled = |outcome: &CancelOutcome| {
        matches!(
            outcome,
            CancelOutcome::Ended {
                end: ItemOutcome::Cancelled { .. }
            }
        )
    };
    assert!(report.items.values().all(is_cancelled), "{report:?}");
    let alone = operations.cancel(SHARE, Some(of(1)[0]), None).await?;
    assert!(alone.runs.is_empty() && alone.unreachable.len() == 1, "{alone:?}");
    Ok(())
}
