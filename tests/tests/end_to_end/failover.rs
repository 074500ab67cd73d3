//! Items of members that die are run again elsewhere: those that were running, and not for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::operation::{CancelOutcome, Operations};
use elasticjob::starter::ItemOutcome;
use elasticjob_tests::center::Center;
use elasticjob_tests::cluster::{Cluster, SHARE, host_of};
use elasticjob_tests::history::{Run, RunEnd};
use elasticjob_tests::process::{Member, MemberSetup};
use jiff::Timestamp;

use crate::{LONG, MEMBER, NEVER, cluster};

/// Long enough to be killed at, on a busy machine too.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// Longer than a take-over takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than any test waits.
const ENDLESS: Duration = Duration::from_secs(3_600);

fn with_failover(cluster: &Cluster, host: u8, items: u32) -> MemberSetup {
    cluster
        .member(host)
        .with("ELASTICJOB_JOBS_SHARE_FAILOVER", "true")
        .with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", items)
}

/// Waits until an item is being run at this attempt, for the first time that it is or for this one.
async fn being_run(cluster: &Cluster, attempt: u32, scheduled: Option<Timestamp>) -> Run {
    cluster
        .until(&format!("attempt {attempt} is being made"), async || {
            let runs = cluster.runs()?;
            let is_it = |run: &&Run| {
                let is_its_time = scheduled.is_none_or(|time| time == run.id.scheduled);
                run.id.attempt == attempt && run.end.is_none() && is_its_time
            };
            Ok(runs.iter().find(is_it).context("it is not")?.clone())
        })
        .await
}

/// Kills the members that run the only item, one after the other; gives the attempts that it takes.
async fn kill_in_turn(
    cluster: &Cluster,
    members: &mut BTreeMap<u8, Member>,
    attempts: u32,
) -> anyhow::Result<Vec<Run>> {
    let mut killed: Vec<Run> = Vec::new();
    for attempt in 1..=attempts {
        let scheduled = killed.first().map(|run| run.id.scheduled);
        let run = being_run(cluster, attempt, scheduled).await;
        let member = members.remove(&host_of(&run.id.instance)?);
        member.context("it is one of those that live")?.kill().await?;
        killed.push(run);
    }
    Ok(killed)
}

pub(crate) async fn reruns_only_what_a_killed_member_ran(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "failover-killed")?;
    // One after the other, so that some have ended, one runs, and others wait when it is killed.
    let member = |host| {
        with_failover(&cluster, host, 8)
            .with(
                "ELASTICJOB_JOBS_SHARE_JOB_EXECUTOR_SERVICE_HANDLER_TYPE",
                "SINGLE_THREAD",
            )
            .with("ELASTICJOB_JOBS_SHARE_CRON", "0/8 * * * * ?")
            .working(LONG)
            .start()
    };
    let (_first, second) = (member(1)?, member(2)?);
    let owners = cluster.shares(8, &[1, 2]).await;
    let of_second: Vec<u32> = owners
        .iter()
        .filter(|(_, owner)| host_of(owner).is_ok_and(|host| host == 2))
        .map(|(item, _)| *item)
        .collect();
    let (time, ended) = cluster
        .until("one has ended and another runs", async || {
            let runs = cluster.runs()?;
            let there = runs.iter().filter(|run| of_second.contains(&run.id.item));
            let last = there.clone().next_back().context("nothing runs")?;
            ensure!(last.end.is_none(), "{last:?}");
            let time = last.id.scheduled;
            let ended = there.filter(|run| run.id.scheduled == time && run.end.is_some());
            let ended: Vec<u32> = ended.map(|run| run.id.item).collect();
            let item = ended.first().context("none has ended")?;
            let mark = cluster.text(&format!("/{SHARE}/sharding/{item}/running")).await?;
            ensure!(mark.is_none(), "its end is not recorded");
            Ok((time, ended))
        })
        .await;
    second.kill().await?;
    cluster.runs_at(&of_second, &[time]).await;

    for run in cluster.runs()?.iter().filter(|run| run.id.scheduled == time) {
        let host = host_of(&run.id.instance)?;
        let is_taken_over = host == 1 && of_second.contains(&run.id.item);
        assert_eq!(run.id.attempt, if is_taken_over { 2 } else { 1 }, "{run:?}");
    }
    // All that had ended but the newest: its end may not have been recorded.
    let recorded = &ended[..ended.len() - 1];
    let again = |run: &Run| run.id.attempt > 1 && recorded.contains(&run.id.item);
    assert!(!cluster.runs()?.iter().any(again), "{:?}", cluster.runs()?);
    Ok(())
}

#[tokio::test]
async fn takes_over_from_a_taker_that_dies() -> anyhow::Result<()> {
    let cluster = cluster("failover-in-turn")?;
    let mut members = BTreeMap::new();
    for host in [1, 2, 3] {
        members.insert(host, with_failover(&cluster, host, 1).working(LONG_ENOUGH).start()?);
    }
    let killed = kill_in_turn(&cluster, &mut members, 2).await?;
    let time = killed[0].id.scheduled;
    cluster.runs_at(&[0], &[time]).await;
    let runs = cluster.runs()?;
    let last = runs
        .iter()
        .find(|run| run.id.scheduled == time && run.end == Some(RunEnd::Finished));
    let last = last.context("it was run to its end")?;
    assert_eq!((last.id.attempt, &last.id.run), (3, &killed[0].id.run));
    Ok(())
}

#[tokio::test]
async fn parks_an_item_until_the_next_time() -> anyhow::Result<()> {
    let cluster = cluster("failover-parked")?;
    let mut members = BTreeMap::new();
    for host in [1, 2, 3, 4] {
        members.insert(host, with_failover(&cluster, host, 1).working(ENDLESS).start()?);
    }
    let killed = kill_in_turn(&cluster, &mut members, 3).await?;
    let time = killed[0].id.scheduled;
    let next = cluster
        .until("the item runs again", async || {
            let runs = cluster.runs()?;
            let next = runs.last().filter(|run| run.id.scheduled > time);
            Ok(next.context("it does not")?.clone())
        })
        .await;
    assert_eq!(next.id.attempt, 1);
    let log = members.values().map(Member::log).collect::<String>();
    assert!(
        log.contains("ERROR") && log.contains("given up"),
        "it is said loudly: {log}"
    );
    cluster.assert_lawful();
    Ok(())
}

#[tokio::test]
async fn reruns_what_ran_when_all_members_died() -> anyhow::Result<()> {
    let cluster = cluster("failover-all-dead")?;
    // Seldom enough for a run to end before the next time: the two members are then at the same one.
    let member = |host| {
        with_failover(&cluster, host, 2)
            .with("ELASTICJOB_JOBS_SHARE_CRON", "0/6 * * * * ?")
            .working(LONG_ENOUGH)
            .start()
    };
    let members = [member(1)?, member(2)?];
    cluster.shares(2, &[1, 2]).await;
    let time = cluster
        .until("both items run at one time", async || {
            let running: Vec<Run> = cluster.runs()?.into_iter().filter(|run| run.end.is_none()).collect();
            let [first, second] = running.as_slice() else {
                anyhow::bail!("{running:?}");
            };
            ensure!(first.id.scheduled == second.id.scheduled, "{running:?}");
            Ok(first.id.scheduled)
        })
        .await;
    for member in members {
        member.kill().await?;
    }
    let _third = member(3)?;
    cluster.runs_at(&[0, 1], &[time]).await;
    let finished = cluster
        .runs()?
        .into_iter()
        .filter(|run| run.id.scheduled == time && run.end.is_some());
    for run in finished {
        assert_eq!((run.id.attempt, host_of(&run.id.instance)?), (2, 3), "{run:?}");
    }
    Ok(())
}

#[tokio::test]
async fn takes_over_no_cancelled_run() -> anyhow::Result<()> {
    let cluster = cluster("failover-cancelled")?;
    let mut members = BTreeMap::new();
    for host in [1, 2] {
        members.insert(host, with_failover(&cluster, host, 1).working(ENDLESS).start()?);
    }
    let run = being_run(&cluster, 1, None).await;
    let owner = members
        .remove(&host_of(&run.id.instance)?)
        .context("it is one of those that live")?;
    // It hears nothing of the cancel, and dies.
    owner.pause()?;
    let operations = Operations::new(Arc::clone(cluster.registry()));
    let note = operations.note(Some("alice"), Some("文件错了"));
    let cancelled = operations.cancel(SHARE, None, Some(note)).await?;
    assert_eq!(cancelled.runs[&0].instance, run.id.instance);
    owner.kill().await?;

    let report = operations.cancelled(&cancelled, PATIENCE).await?;
    let cause = "by alice: 文件错了".to_owned();
    let end = ItemOutcome::Cancelled { cause };
    assert_eq!(report.items[&0], CancelOutcome::Ended { end });
    let runs = cluster.runs()?;
    let again = runs
        .iter()
        .filter(|other| other.id.scheduled == run.id.scheduled && other.id.attempt > 1);
    assert_eq!(again.count(), 0, "nothing of it is executed again: {runs:?}");
    let record = cluster.text(&format!("/{SHARE}/ledger/items/0")).await?;
    let record = record.context("it has a ledger")?;
    assert!(record.contains(r#""attempt":2"#), "it was taken over: {record}");
    // The next of its times comes.
    cluster
        .until("a later time is run", async || {
            let runs = cluster.runs()?;
            let is_later = |other: &Run| other.id.scheduled > run.id.scheduled;
            ensure!(runs.iter().any(is_later), "{runs:?}");
            Ok(())
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn runs_a_triggered_item_once_after_a_death() -> anyhow::Result<()> {
    let cluster = cluster("failover-by-hand")?;
    let mut members = BTreeMap::new();
    for host in [1, 2] {
        let member = with_failover(&cluster, host, 2).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
        members.insert(host, member.working(LONG).start()?);
    }
    let owners = cluster.shares(2, &[1, 2]).await;
    let owner = members
        .remove(&host_of(&owners[&0])?)
        .context("it is one of those that live")?;
    // It hears nothing of the trigger, and dies.
    owner.pause()?;
    let operations = Operations::new(Arc::clone(cluster.registry()));
    let requested = operations.trigger_item(SHARE, 0, Some("五月")).await?;
    assert_eq!(requested.instances, [owners[&0].clone()]);
    owner.kill().await?;

    let run = operations.outcome(&requested, PATIENCE).await?;
    assert!(run.is_success() && run.items.keys().eq([&0]), "{run:?}");
    let runs = cluster.runs()?;
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!((runs[0].id.item, &runs[0].id.instance), (0, &owners[&1]));
    let left = cluster.children(&format!("/{SHARE}/ledger/requests")).await?;
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}
