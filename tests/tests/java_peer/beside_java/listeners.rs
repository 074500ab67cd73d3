//! A distribute-once listener, in members of both kinds.

use std::collections::BTreeSet;

use anyhow::ensure;
use elasticjob_tests::cluster::{Cluster, SHARE, all_items, host_of};
use elasticjob_tests::hearing::Hearing;
use elasticjob_tests::history::Run;
use elasticjob_tests::java;
use elasticjob_tests::process::MemberSetup;
use jiff::Timestamp;

use super::{Java, Kind, LONG, Ours, cluster, is_led_by};

fn listening(kind: Kind, cluster: &Cluster, host: u8) -> MemberSetup {
    kind.member(cluster, host)
        .with("ELASTICJOB_JOBS_SHARE_JOB_LISTENER_TYPES", "ONCE")
        .with("ELASTICJOB_JOBS_SHARE_CRON", "0/4 * * * * ?")
        .working(LONG)
}

/// Returns the calls at a moment of a firing.
fn calls_at<'a>(hearings: &'a [Hearing], moment: &str, time: Timestamp) -> Vec<&'a Hearing> {
    let is_it = |hearing: &&Hearing| hearing.scheduled == time && hearing.moment == moment;
    hearings.iter().filter(is_it).collect()
}

/// Returns whether these items, and no others, have run to their ends at that time, on all three hosts, and the listener was called.
fn is_whole(time: Timestamp, items: &[u32], runs: &[Run], hearings: &[Hearing]) -> bool {
    let runs: Vec<&Run> = runs.iter().filter(|run| run.id.scheduled == time).collect();
    let ran: BTreeSet<u32> = runs
        .iter()
        .filter(|run| run.end.is_some())
        .map(|run| run.id.item)
        .collect();
    let hosts: BTreeSet<Option<u8>> = runs.iter().map(|run| host_of(&run.id.instance).ok()).collect();
    let is_called = |moment| {
        calls_at(hearings, moment, time)
            .iter()
            .any(|hearing| hearing.ended.is_some())
    };
    ran.iter().eq(items) && hosts.len() == 3 && is_called("before") && is_called("after")
}

/// Returns how many members may call one hook of a firing. Java members choose a caller from 3.0.3 on; before that each
/// calls it that sees all items registered, beside the one of ours that is chosen.
fn most_calls() -> usize {
    match java::version().as_str() {
        "3.0.1" | "3.0.2" => 3,
        _ => 1,
    }
}

/// Waits for so many firings of these items after this time. Checks that the listener was called once for each moment of each.
async fn are_called_once_in_the_cluster(
    cluster: &Cluster,
    items: &[u32],
    after: Timestamp,
    count: usize,
) -> anyhow::Result<()> {
    let whole = cluster
        .until(
            &format!("the listener was called for {count} firings of {items:?}"),
            async || {
                let (runs, hearings) = (cluster.runs()?, cluster.heard()?);
                let times: BTreeSet<Timestamp> = runs.iter().map(|run| run.id.scheduled).collect();
                let is_it = |time: &Timestamp| *time > after && is_whole(*time, items, &runs, &hearings);
                let whole: BTreeSet<Timestamp> = times.into_iter().filter(is_it).collect();
                ensure!(whole.len() >= count, "{whole:?}: {hearings:?}");
                Ok(whole)
            },
        )
        .await;
    let (runs, hearings) = (cluster.runs()?, cluster.heard()?);
    for time in whole {
        let (before, after) = (calls_at(&hearings, "before", time), calls_at(&hearings, "after", time));
        for calls in [&before, &after] {
            let members: BTreeSet<&str> = calls.iter().map(|call| call.instance.as_str()).collect();
            assert!((1..=most_calls()).contains(&calls.len()), "{before:?} {after:?}");
            assert_eq!(members.len(), calls.len(), "none calls it twice: {before:?} {after:?}");
        }
        for run in runs.iter().filter(|run| run.id.scheduled == time) {
            let is_before = |call: &&Hearing| call.ended.is_some_and(|ended| ended <= run.first);
            assert!(before.iter().any(is_before), "{before:?} {run:?}");
            assert!(after.iter().all(|call| run.last <= call.began), "{after:?} {run:?}");
        }
    }
    cluster.assert_lawful();
    Ok(())
}

/// Two of this kind and one of the other, the first of which leads; with an item switched off in the end.
async fn come_together(namespace: &str, first: Kind) -> anyhow::Result<()> {
    let cluster = cluster(namespace)?;
    let _first = listening(first, &cluster, 1).start()?;
    cluster.shared_by(&[1]).await;
    is_led_by(&cluster, 1).await;
    let _second = listening(first.other(), &cluster, 2).start()?;
    let _third = listening(first, &cluster, 3).start()?;
    cluster.shared_by(&[1, 2, 3]).await;
    are_called_once_in_the_cluster(&cluster, &all_items(), Timestamp::now(), 3).await?;

    // Java members alone would wait for it until their limit, of each firing.
    cluster.create(&format!("/{SHARE}/sharding/4/disabled"), "").await?;
    let mut others = all_items();
    others.retain(|item| *item != 4);
    are_called_once_in_the_cluster(&cluster, &others, Timestamp::now(), 3).await
}

#[tokio::test]
async fn a_hook_should_be_called_once_where_java_leads() -> anyhow::Result<()> {
    come_together("listeners-java-leads", Java).await
}

#[tokio::test]
async fn a_hook_should_be_called_once_where_we_lead() -> anyhow::Result<()> {
    come_together("listeners-we-lead", Ours).await
}
