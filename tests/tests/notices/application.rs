//! An application with a job that fails.

use std::io;
use std::time::Duration;

use anyhow::ensure;
use elasticjob::prelude::*;
use elasticjob::starter::ItemOutcome;
use elasticjob_tests::log::Log;
use tokio::time::{Instant, sleep};
use tracing::subscriber::DefaultGuard;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An application in a process of its own registry, with the job `failing` of two items.
pub(crate) struct Application {
    running: ElasticJob,
    log: Log,
    /// The runtime of a test has one thread, so all of it is logged here.
    _guard: DefaultGuard,
}

impl Application {
    /// Starts one with this error handler, and these props.
    pub(crate) async fn start(handler: &str, props: &[(&str, &str)]) -> anyhow::Result<Self> {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.subscriber());
        let mut failing = job("failing", async |shard: ShardingContext| {
            let disk = io::Error::other("disk <full>");
            Err::<(), _>(anyhow::Error::new(disk).context(format!("cannot sync {}", shard.sharding_item())))
        });
        failing = failing.sharding(2).set("job-error-handler-type", handler);
        for (key, value) in props {
            failing = failing.set(format!("props.{key}"), value);
        }
        let builder = ElasticJob::builder().without_discovery().environment([]).job(failing);
        let running = builder.build()?.start().await?;
        Ok(Self {
            running,
            log,
            _guard: guard,
        })
    }

    /// Has both items fail, once.
    pub(crate) async fn fail(&self) -> anyhow::Result<()> {
        let job = self.running.one_off_named("failing")?;
        let execution = job.execute_and_wait(PATIENCE).await?;
        for (item, outcome) in &execution.items {
            ensure!(
                matches!(outcome, ItemOutcome::Failed { cause } if *cause == format!("cannot sync {item}: disk <full>")),
                "item {item}: {outcome:?}"
            );
        }
        Ok(())
    }

    /// Stops the application, which first sends all notifications that wait.
    pub(crate) async fn stop(self) -> String {
        self.running.shutdown(Duration::ZERO).await;
        self.log.text()
    }

    /// Waits until all of these are in the log.
    pub(crate) async fn logs(&self, texts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log.text();
            let missing: Vec<_> = texts.iter().filter(|text| !log.contains(**text)).collect();
            if missing.is_empty() {
                return log;
            }
            assert!(Instant::now() < deadline, "nothing of {missing:?} in:\n{log}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}
