//! A member dies while it runs items; members of the other kind run them again.
//!
//! The schedule is never reached: what runs was asked for, or is taken over.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, SHARE, host_of};
use elasticjob_tests::history::{Run, RunEnd};
use elasticjob_tests::process::MemberSetup;

use super::{
    Java, Kind, LONG, NEVER, Ours, are_being_run, are_there, are_to_share, cluster, is_cleared_up, is_led_by,
    runs_that, trigger,
};

/// Long enough to be killed at, on a busy machine too.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

/// Longer than any test waits.
const ENDLESS: Duration = Duration::from_secs(600);

fn member(cluster: &Cluster, kind: Kind, host: u8, items: u32) -> MemberSetup {
    kind.member(cluster, host)
        .with("ELASTICJOB_JOBS_SHARE_CRON", NEVER)
        .with("ELASTICJOB_JOBS_SHARE_FAILOVER", "true")
        .with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", items)
}

/// Waits until each item was run to its end once more than `before` times, and gives these runs.
async fn are_finished(cluster: &Cluster, items: &[u32], before: usize) -> Vec<Run> {
    cluster
        .until(&format!("{items:?} are run to their ends"), async || {
            let mut finished = runs_that::<true>(cluster)?;
            finished.retain(|run| run.end == Some(RunEnd::Finished));
            for item in items {
                let count = finished.iter().filter(|run| run.id.item == *item).count();
                ensure!(count == before + 1, "item {item}: {count} times");
            }
            Ok(finished)
        })
        .await
}

/// Two members, of which the first leads. One of them is killed, the other one runs its items.
async fn a_crash(namespace: &str, leader: Kind, victim: Kind) -> anyhow::Result<()> {
    let items = [0, 1, 2, 3];
    let cluster = cluster(namespace)?;
    let start = |kind, host| member(&cluster, kind, host, 4).working(LONG_ENOUGH).start();
    let first = start(leader, 1)?;
    is_led_by(&cluster, 1).await;
    let second = start(leader.other(), 2)?;
    are_to_share(&cluster, SHARE, &[1, 2]).await;
    trigger(&cluster).await?;
    let running = are_being_run(&cluster, &items).await;
    let (dead, killed, heir, _living) = if victim == leader {
        (1, first, 2, second)
    } else {
        (2, second, 1, first)
    };
    killed.kill().await?;
    let finished = are_finished(&cluster, &items, 0).await;
    for run in &running {
        let again: Vec<&Run> = finished.iter().filter(|other| other.id.item == run.id.item).collect();
        let was_cut_short = host_of(&run.id.instance)? == dead;
        assert_eq!(
            again[0].id.run != run.id.run || again[0].id.attempt > 1,
            was_cut_short,
            "{run:?} {again:?}"
        );
        assert_ne!(host_of(&again[0].id.instance)?, dead, "{again:?}");
    }
    let of_dead = running
        .iter()
        .filter(|run| host_of(&run.id.instance).is_ok_and(|host| host == dead));
    assert_eq!(of_dead.count(), 2);
    cluster.assert_lawful();
    is_cleared_up(&cluster, SHARE, &items).await;

    are_to_share(&cluster, SHARE, &[heir]).await;
    trigger(&cluster).await?;
    are_finished(&cluster, &items, 1).await;
    cluster.assert_lawful();
    is_cleared_up(&cluster, SHARE, &items).await;
    Ok(())
}

#[tokio::test]
async fn what_a_java_leader_ran_when_it_died_should_be_run_by_ours() -> anyhow::Result<()> {
    a_crash("java-leader-dies", Java, Java).await
}

#[tokio::test]
async fn what_a_java_member_ran_when_it_died_should_be_run_by_ours_who_lead() -> anyhow::Result<()> {
    a_crash("java-follower-dies", Ours, Java).await
}

#[tokio::test]
async fn what_a_leader_of_ours_ran_when_it_died_should_be_run_by_java() -> anyhow::Result<()> {
    a_crash("our-leader-dies", Ours, Ours).await
}

#[tokio::test]
async fn what_a_member_of_ours_ran_when_it_died_should_be_run_by_java_who_leads() -> anyhow::Result<()> {
    a_crash("our-follower-dies", Java, Ours).await
}

/// The item of a Java member that died is taken over by a member of this kind, which dies in turn. Java members alone
/// would leave its mark, and wait for its end for ever.
async fn two_crashes(namespace: &str, taker: Kind) -> anyhow::Result<()> {
    let cluster = cluster(namespace)?;
    let start = |kind, host, work| member(&cluster, kind, host, 1).working(work).start();
    let first = start(Java, 1, ENDLESS)?;
    are_to_share(&cluster, SHARE, &[1]).await;
    trigger(&cluster).await?;
    are_being_run(&cluster, &[0]).await;
    let second = start(taker, 2, ENDLESS)?;
    are_there(&cluster, SHARE, &[1, 2]).await;
    first.kill().await?;
    cluster
        .until("the second runs the item", async || {
            let running = runs_that::<false>(&cluster)?;
            let last = running.last().context("nothing runs")?;
            ensure!(host_of(&last.id.instance)? == 2, "{last:?}");
            Ok(())
        })
        .await;
    let _others = (start(Java, 3, LONG)?, start(Ours, 4, LONG)?);
    are_there(&cluster, SHARE, &[2, 3, 4]).await;
    second.kill().await?;
    are_finished(&cluster, &[0], 0).await;
    is_cleared_up(&cluster, SHARE, &[0]).await;
    are_to_share(&cluster, SHARE, &[3, 4]).await;
    trigger(&cluster).await?;
    are_finished(&cluster, &[0], 1).await;
    cluster.assert_lawful();
    Ok(())
}

#[tokio::test]
async fn an_item_should_be_run_although_its_java_taker_dies_in_turn() -> anyhow::Result<()> {
    two_crashes("java-taker-dies", Java).await
}

#[tokio::test]
async fn an_item_should_be_run_although_its_taker_of_ours_dies_in_turn() -> anyhow::Result<()> {
    two_crashes("our-taker-dies", Ours).await
}
