//! Listeners are called around the items of each firing: on each member, and once in the cluster.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, all_items, host_of};
use elasticjob_tests::hearing::Hearing;
use elasticjob_tests::history::Run;
use elasticjob_tests::process::MemberSetup;
use jiff::Timestamp;

use crate::cluster;

/// Long enough to be killed in.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

fn listening(cluster: &Cluster, host: u8, listeners: &str, pause: Duration) -> MemberSetup {
    cluster
        .member(host)
        .with("ELASTICJOB_JOBS_SHARE_JOB_LISTENER_TYPES", listeners)
        .with("MEMBER_LISTENS", pause.as_millis())
}

/// Returns the calls of a listener at one moment of one firing.
fn at_moment(hearings: &[Hearing], listener: &str, moment: &str, time: Timestamp) -> Vec<Hearing> {
    let is_it = |hearing: &&Hearing| {
        let is_this = hearing.listener == listener && hearing.moment == moment;
        is_this && hearing.scheduled == time
    };
    hearings.iter().filter(is_it).cloned().collect()
}

/// Waits until all listeners of a firing have returned. Returns its runs and all calls of listeners.
async fn calls_of(cluster: &Cluster, time: Timestamp, listener: &str, count: usize) -> (Vec<Run>, Vec<Hearing>) {
    cluster
        .until(&format!("the listeners of {time} have returned"), async || {
            let hearings = cluster.heard()?;
            let after = at_moment(&hearings, listener, "after", time);
            let is_over = after.len() >= count && after.iter().all(|hearing| hearing.ended.is_some());
            ensure!(is_over, "{after:?}");
            let runs = cluster.runs()?.into_iter().filter(|run| run.id.scheduled == time);
            Ok((runs.collect(), hearings))
        })
        .await
}

#[tokio::test]
async fn are_called_on_each_member_and_once() -> anyhow::Result<()> {
    let cluster = cluster("listeners-called")?;
    let member = |host| listening(&cluster, host, "EACH,ONCE", Duration::from_millis(50)).start();
    let _members = [member(1)?, member(2)?, member(3)?];
    cluster.shared_by(&[1, 2, 3]).await;
    for time in cluster.runs_without_gap(&all_items(), 3).await {
        calls_of(&cluster, time, "EACH", 3).await;
        let (runs, hearings) = calls_of(&cluster, time, "ONCE", 1).await;
        let once = |moment| at_moment(&hearings, "ONCE", moment, time);
        let (before, after) = (once("before"), once("after"));
        assert_eq!((before.len(), after.len()), (1, 1), "{before:?} {after:?}");
        assert_eq!(runs.len(), all_items().len());
        for run in &runs {
            assert!(
                before[0].ended.is_some_and(|ended| ended <= run.first),
                "{before:?} {run:?}"
            );
            assert!(run.last <= after[0].began, "{after:?} {run:?}");
        }
        for moment in ["before", "after"] {
            let each = at_moment(&hearings, "EACH", moment, time);
            let mut items: Vec<u32> = each.iter().flat_map(|hearing| hearing.items.clone()).collect();
            items.sort_unstable();
            assert_eq!((each.len(), items), (3, all_items()), "{each:?}");
            for hearing in each {
                let mut own = runs.iter().filter(|run| run.id.instance == hearing.instance);
                let is_around = |run: &Run| match moment {
                    "before" => hearing.ended.is_some_and(|ended| ended <= run.first),
                    _ => run.last <= hearing.began,
                };
                assert!(own.all(is_around), "{hearing:?}");
            }
        }
    }
    for name in ["started", "completed"] {
        cluster
            .until("the barrier is passed", async || {
                let left = cluster.children(&format!("/share/guarantee/{name}")).await?;
                ensure!(left.is_empty(), "{left:?}");
                Ok(())
            })
            .await;
    }
    Ok(())
}

#[tokio::test]
async fn are_called_by_another_if_the_caller_is_killed() -> anyhow::Result<()> {
    let cluster = cluster("listeners-killed")?;
    let member = |host| {
        listening(&cluster, host, "ONCE", LONG_ENOUGH)
            .with("ELASTICJOB_JOBS_SHARE_CRON", "0/10 * * * * ?")
            .start()
    };
    let mut members = vec![(1, member(1)?), (2, member(2)?)];
    cluster.shared_by(&[1, 2]).await;
    let called = cluster
        .until("a hook is being called with both there", async || {
            let hearings = cluster.heard()?;
            let newest = hearings.last().context("none was")?;
            ensure!(newest.ended.is_none() && newest.moment == "before", "{newest:?}");
            ensure!(newest.items.len() == 5, "{newest:?}");
            Ok(newest.clone())
        })
        .await;
    let host = host_of(&called.instance)?;
    let index = members
        .iter()
        .position(|(of, _)| *of == host)
        .context("it is one of them")?;
    members.remove(index).1.kill().await?;
    let (runs, hearings) = calls_of(&cluster, called.scheduled, "ONCE", 1).await;
    let before = at_moment(&hearings, "ONCE", "before", called.scheduled);
    let by: Vec<u8> = before
        .iter()
        .map(|hearing| host_of(&hearing.instance))
        .collect::<Result<_, _>>()?;
    let survivor = 3 - host;
    assert_eq!(by, [host, survivor], "{before:?}");
    assert!(before[0].ended.is_none(), "{before:?}");
    assert_eq!(at_moment(&hearings, "ONCE", "after", called.scheduled).len(), 1);
    let ran: Vec<u8> = runs
        .iter()
        .map(|run| host_of(&run.id.instance))
        .collect::<Result<_, _>>()?;
    assert_eq!(ran, vec![survivor; 5], "what the other had claimed is lost");
    cluster.assert_lawful();
    Ok(())
}
