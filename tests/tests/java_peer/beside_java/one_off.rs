//! A job that runs when it is asked to, by either.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use elasticjob_tests::cluster::{Cluster, host_of};
use elasticjob_tests::command::{Answer, Command};

use super::{Java, Kind, NEVER, Ours, are_there, are_to_share, cluster, is_cleared_up};

const REBUILD: &str = "rebuild";

/// Its items.
const ITEMS: u32 = 6;

/// Waits until each item has run so often, on both hosts.
async fn ran(cluster: &Cluster, times: usize) {
    cluster
        .until(&format!("all items have run {times} times"), async || {
            let mut runs = cluster.runs()?;
            runs.retain(|run| run.id.job == REBUILD && run.end.is_some());
            for item in 0..ITEMS {
                let count = runs.iter().filter(|run| run.id.item == item).count();
                ensure!(count == times, "item {item}: {count} times");
            }
            let hosts: BTreeSet<u8> = runs
                .iter()
                .map(|run| host_of(&run.id.instance))
                .collect::<Result<_, _>>()?;
            ensure!(hosts.len() == 2, "on {hosts:?}");
            Ok(())
        })
        .await;
}

async fn asked_by_either(namespace: &str, leader: Kind) -> anyhow::Result<()> {
    let cluster = cluster(namespace)?;
    let member = |kind: Kind, host| {
        let member = kind.member(&cluster, host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
        member.obeying().start()
    };
    let mut first = member(leader, 1)?;
    are_there(&cluster, REBUILD, &[1]).await;
    let mut second = member(leader.other(), 2)?;
    are_to_share(&cluster, REBUILD, &[1, 2]).await;
    let execute = Command::Execute {
        job: REBUILD.to_owned(),
        timeout: Duration::from_secs(20),
    };
    for (times, member) in [(1, &mut first), (2, &mut second)] {
        let answer = member.ask(&execute).await?;
        assert!(matches!(answer, Answer::Executed(_)), "{answer:?}");
        ran(&cluster, times).await;
        is_cleared_up(&cluster, REBUILD, &(0..ITEMS).collect::<Vec<u32>>()).await;
    }
    cluster.assert_lawful();
    Ok(())
}

#[tokio::test]
async fn a_one_off_job_should_run_everywhere_where_java_leads() -> anyhow::Result<()> {
    asked_by_either("one-off-java", Java).await
}

#[tokio::test]
async fn a_one_off_job_should_run_everywhere_where_we_lead() -> anyhow::Result<()> {
    asked_by_either("one-off-ours", Ours).await
}
