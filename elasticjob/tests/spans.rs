//! The logs of a job have the firing and the item.

mod log;

use std::sync::Arc;
use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::trace::JobEvent;

use self::log::Log;

#[tokio::test]
async fn logs_of_a_job_stand_in_its_spans() -> anyhow::Result<()> {
    // All runs on this thread.
    let (log, _here) = Log::record();

    let work = async |_shard: ShardingContext| tracing::info!("at work");
    let running = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .registry(Arc::new(MemoryRegistry::new()))
        .job(job("talk", work).sharding(2).cron("* * * * * ?"))
        .build()?
        .start()
        .await?;
    let mut events = running.events();
    let mut ended = Vec::new();
    let watching = async {
        while ended.len() < 2 {
            let Some(event) = events.next().await? else { break };
            if let JobEvent::Ended { run, .. } = event {
                ended.push(run);
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), watching).await??;
    running.shutdown(Duration::from_secs(5)).await;

    let text = log.text();
    for run in ended {
        let scheduled = run.scheduled_time;
        let firing = format!("firing{{job=\"talk\" source=Schedule scheduled={scheduled}}}");
        let item = format!("item{{job=\"talk\" item={} run=\"{}\"}}", run.item, run.run_id);
        let spans = format!("{firing}:{item}");
        let line = text
            .lines()
            .find(|line| line.contains(&spans) && line.ends_with("at work"));
        assert!(line.is_some(), "nothing in `{spans}`:\n{text}");
    }
    Ok(())
}
