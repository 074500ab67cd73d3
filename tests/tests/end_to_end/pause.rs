//! A pause of a whole job is obeyed by processes that come later, on addresses that were unknown.

use std::sync::Arc;

use anyhow::ensure;
use elasticjob::operation::{JobStatus, Operations, PauseChange, Target};
use elasticjob_tests::cluster::{SHARE, all_items, times_after};
use jiff::{SignedDuration, Timestamp};

use crate::{cluster, members};

#[tokio::test]
async fn outlasts_all_processes_and_their_addresses() -> anyhow::Result<()> {
    let cluster = cluster("pause-rollout")?;
    let first = members(&cluster, &[1, 2])?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    let operations = Operations::new(Arc::clone(cluster.registry()));
    let note = operations.note(Some("alice"), Some("month end freeze"));
    let target = Target::job(SHARE);
    let paused = operations.disable(&target, Some(note)).await?;
    assert_eq!(paused[0].pause, Some(PauseChange::Begun));
    // What is claimed by now may still run; what is claimed later has a later time.
    let paused_at = Timestamp::now();
    for member in first {
        member.kill().await?;
    }
    let _second = members(&cluster, &[3, 4])?;
    cluster.shared_by(&[3, 4]).await;
    assert_eq!(operations.job_brief(SHARE).await?.status, JobStatus::Paused);
    let shared_at = Timestamp::now();
    cluster
        .until("some times have passed", async || {
            ensure!(
                shared_at.duration_until(Timestamp::now()) > SignedDuration::from_secs(4),
                "not yet"
            );
            Ok(())
        })
        .await;
    let during = cluster.runs()?.into_iter().find(|run| run.id.scheduled > paused_at);
    assert_eq!(during, None);

    let ended = operations.enable(&target).await?;
    assert_eq!(ended[0].pause, Some(PauseChange::Ended));
    let ended_at = Timestamp::now();
    cluster.runs_at(&all_items(), &times_after(ended_at, 2)).await;
    let made_up = cluster
        .runs()?
        .into_iter()
        .find(|run| run.id.scheduled > paused_at && run.id.scheduled < ended_at);
    assert_eq!(made_up, None, "no time of the pause is made up");
    let gap = operations.items(SHARE).await?[0].skipped.clone().expect("times passed");
    assert_eq!(gap.reason, "the job is paused");
    Ok(())
}
