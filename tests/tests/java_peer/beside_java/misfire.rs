//! Times that come while items still run. Java runs an item twice at the next time, we run it right after.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, SHARE, host_of};
use elasticjob_tests::history::Run;
use elasticjob_tests::process::MemberSetup;

use super::{Java, Kind, Ours, are_there, cluster, runs_that};

/// Longer than the period.
const WORK: Duration = Duration::from_secs(5);

fn member(cluster: &Cluster, kind: Kind, host: u8) -> MemberSetup {
    kind.member(cluster, host)
        .with("ELASTICJOB_JOBS_SHARE_CRON", "0/4 * * * * ?")
        .with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", 2)
        .working(WORK)
}

/// Returns the first run of two that follow each other at once, on a host.
fn made_up(runs: &[Run], host: u8) -> anyhow::Result<&Run> {
    let there: Vec<&Run> = runs
        .iter()
        .filter(|run| host_of(&run.id.instance).is_ok_and(|of| of == host))
        .collect();
    let at_once = |pair: &&[&Run]| pair[1].first.saturating_sub(pair[0].last) < Duration::from_secs(1);
    let pair = there.windows(2).find(at_once).with_context(|| format!("{there:?}"))?;
    Ok(pair[0])
}

#[tokio::test]
async fn each_should_make_up_its_own_in_its_way() -> anyhow::Result<()> {
    let cluster = cluster("misfire-each")?;
    let _members = (member(&cluster, Java, 1).start()?, member(&cluster, Ours, 2).start()?);
    are_there(&cluster, SHARE, &[1, 2]).await;
    cluster
        .until("each has made up for a time", async || {
            let runs = runs_that::<true>(&cluster)?;
            made_up(&runs, 1)?;
            made_up(&runs, 2)?;
            Ok(())
        })
        .await;
    cluster.assert_lawful();
    Ok(())
}

#[tokio::test]
async fn what_a_java_member_missed_should_be_made_up_by_ours_that_follows_it() -> anyhow::Result<()> {
    let cluster = cluster("misfire-followed")?;
    let mut java = member(&cluster, Java, 1).start()?;
    cluster
        .until("it has marked what it missed", async || {
            for item in [0, 1] {
                let mark = cluster.node(&format!("/{SHARE}/sharding/{item}/misfire")).await?;
                ensure!(mark.is_some(), "item {item} is not marked");
            }
            Ok(())
        })
        .await;
    java.terminate()?;
    java.ended().await?;
    let _ours = member(&cluster, Ours, 2).start()?;
    cluster
        .until("it is made up", async || {
            let runs = runs_that::<true>(&cluster)?;
            made_up(&runs, 2)?;
            let mark = cluster.node(&format!("/{SHARE}/sharding/0/misfire")).await?;
            ensure!(mark.is_none(), "the mark is there still");
            Ok(())
        })
        .await;
    cluster.assert_lawful();
    Ok(())
}
