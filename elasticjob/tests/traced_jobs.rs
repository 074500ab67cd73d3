//! Lists of the jobs with events that are recorded or delivered.

mod log;

use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::configuration::sources::TracedJobs;
use elasticjob::job::job;
use elasticjob::prelude::*;
use elasticjob::trace::TraceListenerKind;

use self::log::Log;

struct Deaf;

impl TraceListener for Deaf {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test]
async fn unknown_traced_jobs_are_logged_with_their_place() -> anyhow::Result<()> {
    // All runs on this thread.
    let (log, _here) = Log::record();

    let directory = tempfile::tempdir()?;
    let database = directory.path().join("history.db");
    let file = format!(
        "elasticjob:\n  tracing:\n    type: RDB\n    exclude-job-names: [heartbeats, orders]\n    data-source.url: 'sqlite:{}'\n",
        database.display()
    );
    std::fs::write(directory.path().join("application.yaml"), file)?;
    let names = TracedJobs::Only(vec!["settle".to_owned()]);
    let running = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .directory(directory.path())
        .trace_listener_kind("AUDIT", TraceListenerKind::new(Deaf).jobs(names))
        .job(job("heartbeat", async || ()).sharding(1))
        .job(job("orders", async || ()).sharding(1))
        .build()?
        .start()
        .await?;
    running.shutdown(Duration::from_secs(5)).await;

    let text = log.text();
    let said: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("no job has the name"))
        .collect();
    assert_eq!(said.len(), 2, "{text}");
    assert!(
        said[0].contains("recipient=\"AUDIT\"") && said[0].contains("name=\"settle\""),
        "{}",
        said[0]
    );
    assert!(
        said[1].contains("application.yaml:4") && said[1].ends_with("name=\"heartbeats\" did_you_mean=\"heartbeat\""),
        "{}",
        said[1]
    );
    Ok(())
}
