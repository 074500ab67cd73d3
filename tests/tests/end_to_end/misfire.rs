//! Times that come while items still run.

use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;

use crate::cluster;

/// Longer than the period.
const WORK: Duration = Duration::from_secs(7);

#[tokio::test]
async fn makes_up_a_misfire_right_after() -> anyhow::Result<()> {
    let cluster = cluster("misfire")?;
    let _member = cluster
        .member(1)
        .with("ELASTICJOB_JOBS_SHARE_CRON", "0/6 * * * * ?")
        .with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", 1)
        .working(WORK)
        .start()?;
    let [first, second] = cluster
        .until("there were two runs", async || {
            let runs = cluster.runs()?;
            runs.try_into().ok().context("there were not")
        })
        .await;
    assert_eq!(
        second.id.scheduled.duration_since(first.id.scheduled),
        SignedDuration::from_secs(6)
    );
    // The next firing would be five seconds later.
    let pause = second.first.checked_sub(first.last).context("one after the other")?;
    assert!(pause < Duration::from_secs(3), "{pause:?} later");
    Ok(())
}
