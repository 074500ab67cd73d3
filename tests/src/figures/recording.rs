//! 100,000 runs of five instances, recorded in each kind of database.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::trace::history::{Database, History, RunFilter, RunOutcome};
use tokio::time::{Instant, sleep, timeout};

use super::{print, runtime};
use crate::databases::{DatabaseServer, Kind};

const INSTANCES: usize = 5;
const ITEMS: u32 = 1000;
const FIRINGS: u32 = 100;

const RUNS: u32 = ITEMS * FIRINGS;

/// How long writing may go on after the work.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite:{}/history.db", directory.path().display());
    let (postgres, maria_db) = (
        DatabaseServer::start(Kind::Postgres)?,
        DatabaseServer::start(Kind::MariaDb)?,
    );
    runtime()?.block_on(async {
        work(None).await?;
        work(Some(("SQLite", &url))).await?;
        work(Some(("PostgreSQL", &postgres.full_url()))).await?;
        work(Some(("MariaDB", &maria_db.full_url()))).await
    })
}

/// Runs the job, and records its history in the given place, if there is one.
async fn work(place: Option<(&str, &str)>) -> anyhow::Result<()> {
    let mut environment = Vec::new();
    if let Some((_, url)) = place {
        environment.push(("ELASTICJOB_TRACING_TYPE".to_owned(), "RDB".to_owned()));
        environment.push(("ELASTICJOB_TRACING_DATA_SOURCE_URL".to_owned(), url.to_owned()));
    }
    let registry = Arc::new(MemoryRegistry::new());
    let mut instances = Vec::with_capacity(INSTANCES);
    for _ in 0..INSTANCES {
        let quick = job("quick", async |_: ShardingContext| {}).sharding(ITEMS);
        let builder = ElasticJob::builder()
            .without_discovery()
            .environment(environment.clone())
            .registry(Arc::clone(&registry) as _)
            .job(quick);
        instances.push(builder.build()?.start().await?);
    }
    let once = instances[0].one_off_named("quick")?;
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    for _ in 0..FIRINGS {
        let firing = Instant::now();
        let execution = once.execute_and_wait(Duration::from_secs(60)).await?;
        ensure!(execution.is_success(), "{execution:?}");
        longest = longest.max(firing.elapsed());
    }
    let worked = began.elapsed();
    if let Some((_, url)) = place {
        let database: Database = url.parse()?;
        let written = written(History::open(&database)?, &instances);
        timeout(PATIENCE, written).await.context("not all was written")??;
    }
    let wrote = began.elapsed();
    for instance in &instances {
        instance.shutdown(Duration::from_secs(30)).await;
    }
    let name = place.map_or("nowhere", |(name, _)| name);
    let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
    print(format!("{RUNS} runs recorded {name}: the work"), seconds(worked), "s");
    print(
        format!("{RUNS} runs recorded {name}: the longest of {FIRINGS} firings"),
        format!("{:.0}", longest.as_secs_f64() * 1000.0),
        "ms",
    );
    if place.is_some() {
        print(
            format!("{RUNS} runs recorded {name}: until all is written"),
            seconds(wrote),
            "s",
        );
    }
    Ok(())
}

/// Waits until every run is there. How it ended is the last of it.
async fn written(history: History, instances: &[ElasticJob]) -> anyhow::Result<()> {
    let succeeded = RunFilter::default().outcome(RunOutcome::Succeeded);
    loop {
        let recordings = instances.iter().filter_map(ElasticJob::recording);
        // A question that is not worth asking before: it takes a while.
        let events: u64 = recordings.map(|recording| recording.recorded).sum();
        if events >= u64::from(RUNS) * 2 {
            let counts = history.counts(&succeeded, Duration::from_secs(86_400)).await?;
            let found: u64 = counts.iter().flat_map(|counts| counts.counts.values()).sum();
            ensure!(found <= u64::from(RUNS), "{found} runs are there");
            if found == u64::from(RUNS) {
                return Ok(());
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
