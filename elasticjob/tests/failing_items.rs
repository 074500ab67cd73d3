//! Items that fail, time after time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::starter::ItemOutcome;
use elasticjob::trace::JobEvent;

#[tokio::test]
async fn a_failing_item_runs_at_each_of_its_times() -> anyhow::Result<()> {
    let work = async |shard: ShardingContext| match shard.sharding_item() {
        0 => Err("no luck today"),
        1 => panic!("worse than that"),
        _ => Ok(()),
    };
    let running = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .registry(Arc::new(MemoryRegistry::new()))
        .job(job("unlucky", work).sharding(3).cron("* * * * * ?"))
        .build()?
        .start()
        .await?;
    let mut events = running.events();
    let mut times = [const { BTreeSet::new() }; 3];
    let watching = async {
        while times.iter().any(|times| times.len() < 3) {
            let Some(event) = events.next().await? else { break };
            if let JobEvent::Ended { run, outcome, .. } = event {
                let has_failed = matches!(outcome, ItemOutcome::Failed { .. });
                assert_eq!(has_failed, run.item < 2, "{outcome:?}");
                assert!(times[run.item as usize].insert(run.scheduled_time), "{run:?} again");
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), watching).await??;
    running.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
