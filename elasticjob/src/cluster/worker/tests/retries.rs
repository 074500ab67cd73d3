//! What is said of runs that fail and are not tried again. They are run by the real executor.

use super::*;
use crate::executor::Work as ExecutorWork;
use crate::job::{Components, job};
use crate::run::ItemOutcome;

/// Every 20 seconds from the fifth on; an item may take 10 seconds, and has three retries.
fn retrying(total: u32) -> JobConfig {
    let config = JobConfig::builder("job")
        .cron("5/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total)
        .prop("elasticjob.timeout", "10s")
        .prop("elasticjob.retry", "3");
    config.build().unwrap()
}

/// Returns a job that never ends by itself.
fn hanging() -> ExecutorWork {
    let job = job("job", std::future::pending::<()>);
    ExecutorWork::Declared {
        kind: job.kind(),
        job: job.build(&Components::default()).unwrap().into(),
    }
}

#[tokio::test(start_paused = true)]
async fn end_with_the_reason_if_the_item_is_to_move() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join_executing("10.0.0.1", retrying(2), hanging());
    cluster.until(7.5).await;
    let mut events = first.events();
    let _second = cluster.join_executing("10.0.0.2", retrying(2), hanging());
    let cause = first_event(&mut events, |event| match event {
        JobEvent::Ended { outcome, .. } => Some(outcome),
        _ => None,
    });
    let expected = "not tried again, since the item is to move: timed out after 10s";
    assert_eq!(
        cause.await,
        ItemOutcome::Failed {
            cause: expected.to_owned()
        }
    );
}
