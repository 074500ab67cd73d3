//! Members that are stopped while their items run.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, LASTING_SESSION, PERIOD, SHARE, all_items, host_of, times_after};
use elasticjob_tests::history::RunEnd;
use elasticjob_tests::process::{Member, MemberSetup};
use jiff::{Timestamp, Unit};

use crate::{cluster, members};

/// Work that lasts longer than what the test does meanwhile.
const VERY_LONG: Duration = Duration::from_secs(5);

/// Longer than any test waits.
const ENDLESS: Duration = Duration::from_secs(3_600);

fn at_work(cluster: &Cluster, host: u8, work: Duration) -> MemberSetup {
    cluster.member(host).working(work).with_session_timeout(LASTING_SESSION)
}

#[tokio::test]
async fn moves_idle_items_while_others_still_run() -> anyhow::Result<()> {
    let cluster = cluster("leaving-announced")?;
    let _others = members(&cluster, &[1, 2])?;
    let mut third = at_work(&cluster, 3, VERY_LONG).start()?;
    let owners = cluster.shared_by(&[1, 2, 3]).await;
    let item = owners
        .iter()
        .find(|(_, owner)| host_of(owner).is_ok_and(|host| host == 3));
    let (item, third_id) = item.context("the third has items")?;
    // One that does not run, beside others that do.
    let disabled = format!("/{SHARE}/sharding/{item}/disabled");
    cluster.create(&disabled, "").await?;
    let run = cluster
        .until("the other items run", async || {
            let run = cluster.run_on(3).await;
            let mark = cluster.text(&format!("/{SHARE}/sharding/{item}/running")).await?;
            ensure!(mark.is_none() && run.id.item != *item, "{mark:?} {run:?}");
            Ok(run)
        })
        .await;
    third.terminate()?;
    cluster
        .until("the item is given away", async || {
            let owner = cluster.owners(SHARE).await?.remove(item).context("it has no owner")?;
            ensure!(owner != *third_id, "it is the third's");
            Ok(())
        })
        .await;
    assert_eq!(cluster.end_of(&run)?, None, "what runs was not waited for");

    let (status, log) = third.ended().await?;
    assert!(status.success(), "{status}: {log}");
    assert_eq!(cluster.end_of(&run)?, Some(RunEnd::Finished));
    cluster.shared_by(&[1, 2]).await;
    cluster.delete(&disabled).await?;
    cluster.runs_without_gap(&all_items(), 2).await;
    Ok(())
}

/// Stops a member with work that does not end: the work is cancelled when the grace period is over, and the member leaves.
async fn check_stop(namespace: &str, stop: fn(&Member) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let cluster = cluster(namespace)?;
    let mut member = at_work(&cluster, 1, ENDLESS)
        .with("ELASTICJOB_SHUTDOWN_GRACE_PERIOD", "500ms")
        .start()?;
    cluster.shared_by(&[1]).await;
    let run = cluster.run_on(1).await;
    stop(&member)?;
    let (status, log) = member.ended().await?;
    assert!(status.success(), "{status}: {log}");
    assert_eq!(cluster.end_of(&run)?, Some(RunEnd::Dropped));
    assert!(cluster.children(&format!("/{SHARE}/instances")).await?.is_empty());
    let item = run.id.item;
    assert_eq!(cluster.text(&format!("/{SHARE}/sharding/{item}/running")).await?, None);

    let _successor = cluster.member(2).start()?;
    cluster.shared_by(&[2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    Ok(())
}

#[tokio::test]
async fn stops_overrunning_work_on_sigterm() -> anyhow::Result<()> {
    check_stop("leaving-sigterm", Member::terminate).await
}

#[tokio::test]
async fn stops_overrunning_work_on_ctrl_c() -> anyhow::Result<()> {
    check_stop("leaving-ctrl-c", Member::interrupt).await
}

#[tokio::test]
async fn runs_each_time_once_over_a_rolling_restart() -> anyhow::Result<()> {
    let cluster = cluster("leaving-rolling")?;
    let hosts = [1, 2, 3];
    let member = |host| cluster.member(host).with_session_timeout(LASTING_SESSION).start();
    let mut members = hosts.map(&member).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    cluster.shared_by(&hosts).await;
    let before = Timestamp::now();
    for (member_then, host) in members.iter_mut().zip(hosts) {
        // While its items run, so that they are handed over and not only given away.
        cluster.run_on(host).await;
        member_then.terminate()?;
        let (status, log) = member_then.ended().await?;
        assert!(status.success(), "{status}: {log}");
        *member_then = member(host)?;
        cluster.shared_by(&hosts).await;
    }
    let periods = (Timestamp::now() - before).total(Unit::Second)? / PERIOD.as_secs_f64();
    let times = times_after(before, periods.ceil() as i32);
    assert!(times.len() > 2, "it took a while: {times:?}");
    cluster.runs_at(&all_items(), &times).await;
    assert!(
        cluster.runs()?.iter().all(|run| run.end == Some(RunEnd::Finished)),
        "none was stopped"
    );
    Ok(())
}

mod a_process_with_an_item_that_never_ends {
    use std::process::ExitStatus;

    use tokio::time::Instant;

    use super::*;

    /// How a stopped member ended.
    struct Ended {
        status: ExitStatus,
        log: String,
        took: Duration,
    }

    /// Starts a member with an item that is stuck like this, and tells it to stop.
    async fn stopped(namespace: &str, how: &str, has_one_thread: bool) -> anyhow::Result<Ended> {
        let cluster = cluster(namespace)?;
        let yaml = format!(
            "elasticjob:\n  jobs:\n    jammed:\n      elastic-job-type: STUCK\n      cron: '* * * * * ?'\n      \
             sharding-total-count: 1\n      props:\n        stuck.how: {how}\n"
        );
        let mut member = at_work(&cluster, 1, Duration::from_millis(10))
            .with("ELASTICJOB_SHUTDOWN_GRACE_PERIOD", "500ms")
            .configured(&yaml);
        if has_one_thread {
            member = member.with("MEMBER_HAS_ONE_THREAD", "1");
        }
        let mut member = member.start()?;
        cluster
            .until("the item runs", async || {
                let mark = cluster.text("/jammed/sharding/0/running").await?;
                ensure!(mark.is_some(), "no mark");
                Ok(())
            })
            .await;
        let asked = Instant::now();
        member.terminate()?;
        let (status, log) = member.ended().await?;
        Ok(Ended {
            status,
            log,
            took: asked.elapsed(),
        })
    }

    /// Returns whether the log names the item, and what it holds.
    fn names(log: &str, holds: &str) -> bool {
        let mut errors = log.lines().filter(|line| line.contains("ERROR"));
        errors.any(|line| line.contains("job=\"jammed\" item=0") && line.contains(holds))
    }

    #[tokio::test]
    async fn ends_by_itself_although_a_thread_blocks() -> anyhow::Result<()> {
        let Ended { status, log, took } = stopped("leaving-blocked", "blocking", false).await?;
        assert!(status.success(), "{status}: {log}");
        assert!(names(&log, "a thread for blocking work"), "{log}");
        assert!(took < Duration::from_secs(35), "{took:?}");
        Ok(())
    }

    #[tokio::test]
    async fn is_ended_if_it_blocks_a_thread_of_its_runtime() -> anyhow::Result<()> {
        for has_one_thread in [false, true] {
            let namespace = format!("leaving-jammed-{has_one_thread}");
            let Ended { status, log, took } = stopped(&namespace, "polling", has_one_thread).await?;
            assert_eq!(status.code(), Some(70), "{log}");
            assert!(names(&log, "a thread of the runtime"), "{log}");
            assert!(log.contains("the application cannot stop by itself"), "{log}");
            assert!(took < Duration::from_secs(50), "{took:?}");
        }
        Ok(())
    }
}
