//! An application without a line of job code.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context as _;
use elasticjob::prelude::*;
use elasticjob::starter::{Builder, ItemOutcome};
use elasticjob_tests::log::Log;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What all tests log, from whichever thread: so each has a job of another name.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    // No other code sets one.
    let _ = tracing::subscriber::set_global_default(log.subscriber());
    log
});

/// An application in a process of its own registry, with one one-off job.
pub(crate) struct Application {
    pub(crate) running: ElasticJob,
    pub(crate) job: &'static str,
}

/// Returns an application with a section of this name, and these keys in it: `props.http.uri`.
fn builder(job: &str, settings: &[(&str, &str)]) -> Builder {
    let mut builder = ElasticJob::builder().without_discovery().environment([]);
    for (key, value) in settings {
        builder = builder.set(format!("jobs.{job}.{key}"), *value);
    }
    builder
}

/// Returns what keeps a job called `tidy` from starting.
pub(crate) fn faults(settings: &[(&str, &str)]) -> String {
    let error = builder("tidy", settings).build().err();
    error.map(|error| error.to_string()).unwrap_or_default()
}

impl Application {
    pub(crate) async fn start(job: &'static str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        LazyLock::force(&LOG);
        let running = builder(job, settings).build()?.start().await?;
        Ok(Self { running, job })
    }

    /// Runs the job once: for each item nothing, or why it failed.
    pub(crate) async fn run(&self) -> anyhow::Result<BTreeMap<u32, Option<String>>> {
        let job = self.running.one_off_named(self.job)?;
        let execution = job.execute_and_wait(PATIENCE).await?;
        let outcomes = execution.items.into_iter().map(|(item, outcome)| match outcome {
            ItemOutcome::Succeeded => Ok((item, None)),
            ItemOutcome::Failed { cause } => Ok((item, Some(cause))),
            other => anyhow::bail!("item {item}: {other:?}"),
        });
        outcomes.collect()
    }

    /// Runs a job of one item that has to fail: why it does.
    pub(crate) async fn failure(&self) -> anyhow::Result<String> {
        let mut outcomes = self.run().await?;
        outcomes.remove(&0).flatten().context("the item succeeds")
    }

    /// Stops it; what was logged about its job.
    pub(crate) async fn stop(self) -> String {
        self.running.shutdown(Duration::ZERO).await;
        self.log()
    }

    /// Returns what was logged about its job so far.
    pub(crate) fn log(&self) -> String {
        let name = format!("job=\"{}\"", self.job);
        let text = LOG.text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(&name)).collect();
        lines.join("\n")
    }
}
