//! Applications that record their history.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::job::Registration;
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::starter::{Builder, Execution};
use elasticjob::trace::history::{History, RecordedRun, RunFilter};
use tokio::time::{Instant, sleep};

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Starts an application with these jobs and their history in the database at this URL.
pub(crate) async fn start(
    url: &str,
    more: &[(&str, &str)],
    jobs: impl IntoIterator<Item = Registration>,
) -> anyhow::Result<ElasticJob> {
    Ok(builder(url, more, jobs).build()?.start().await?)
}

/// Returns the same as one of several instances.
pub(crate) async fn start_on(
    registry: &Arc<MemoryRegistry>,
    url: &str,
    jobs: impl IntoIterator<Item = Registration>,
) -> anyhow::Result<ElasticJob> {
    let builder = builder(url, &[], jobs).registry(Arc::clone(registry) as _);
    Ok(builder.build()?.start().await?)
}

pub(crate) fn builder(url: &str, more: &[(&str, &str)], jobs: impl IntoIterator<Item = Registration>) -> Builder {
    let mut environment = vec![
        ("ELASTICJOB_TRACING_TYPE".to_owned(), "RDB".to_owned()),
        ("ELASTICJOB_TRACING_DATA_SOURCE_URL".to_owned(), url.to_owned()),
    ];
    environment.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let mut builder = ElasticJob::builder().without_discovery().environment(environment);
    for job in jobs {
        builder = builder.job(job);
    }
    builder
}

/// Triggers a one-off job, once.
pub(crate) async fn execute(application: &ElasticJob, job: &str) -> anyhow::Result<Execution> {
    Ok(application.one_off_named(job)?.execute_and_wait(PATIENCE).await?)
}

/// Waits until so many runs are recorded as are expected.
pub(crate) async fn recorded(
    history: &History,
    filter: &RunFilter,
    is_expected: impl Fn(&[RecordedRun]) -> bool,
) -> anyhow::Result<Vec<RecordedRun>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The tables may not be there yet.
        let found = history.runs(filter, None, 1000).await.map(|page| page.rows);
        if let Ok(rows) = &found
            && is_expected(rows)
        {
            return found.context("read");
        }
        ensure!(Instant::now() < deadline, "recorded: {found:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the history of an application.
pub(crate) fn history(application: &ElasticJob) -> anyhow::Result<History> {
    application.history().context("history is recorded")
}
