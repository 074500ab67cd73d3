//! Questions to a history of a million runs, in SQLite.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::prelude::*;
use elasticjob::trace::Source;
use elasticjob::trace::history::{Database, History, RunFilter, RunOutcome};
use jiff::Timestamp;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection as _};
use tokio::time::Instant;

use super::{print, runtime};

const RUNS: u32 = 1_000_000;

/// When the first of the runs started: one follows the other each second, in milliseconds since 1970.
const BEGIN: i64 = 1_767_225_600_000;

pub(super) fn measure() -> anyhow::Result<()> {
    runtime()?.block_on(ask())
}

async fn ask() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite:{}/history.db", directory.path().display());
    create(&url).await?;
    let began = Instant::now();
    fill(&url).await?;
    print(
        "a million runs: written by SQL in",
        format!("{:.1}", began.elapsed().as_secs_f64()),
        "s",
    );

    let database: Database = url.parse()?;
    let history = History::open(&database)?;
    let middle = Timestamp::from_millisecond(BEGIN + i64::from(RUNS / 2) * 1000)?;
    let all = RunFilter::default;
    let hour = (middle, middle + Duration::from_secs(3600));
    let questions = [
        ("the newest", all()),
        ("from the middle on", all().until(middle)),
        ("the oldest", all().until(Timestamp::from_millisecond(BEGIN + 100_000)?)),
        ("of one job of fifty", all().job("job_7")),
        ("of one item of one job", all().job("job_7").item(7)),
        ("that failed, one of a hundred", all().outcome(RunOutcome::Failed)),
        ("that were lost, none", all().outcome(RunOutcome::Lost)),
        ("of one server of five", all().instance("10.0.0.3")),
        (
            "made up, none, in one hour",
            all().source(Source::Misfire).from(hour.0).until(hour.1),
        ),
    ];
    for (name, filter) in questions {
        let (mut longest, mut after) = (Duration::ZERO, None);
        for _ in 0..10 {
            let began = Instant::now();
            let page = history.runs(&filter, after.as_ref(), 50).await?;
            longest = longest.max(began.elapsed());
            after = page.next;
        }
        let milliseconds = format!("{:.1}", longest.as_secs_f64() * 1000.0);
        print(format!("page of 50, {name}: longest of ten"), milliseconds, "ms");
    }
    let day = all().from(middle).until(middle + Duration::from_secs(86_400));
    let began = Instant::now();
    let counts = history.counts(&day, Duration::from_secs(3600)).await?;
    ensure!(counts.len() >= 24, "{counts:?}");
    print(
        "counts per hour of one day",
        format!("{:.0}", began.elapsed().as_secs_f64() * 1000.0),
        "ms",
    );
    let began = Instant::now();
    let durations = history.durations(&day).await?.context("there are runs")?;
    ensure!(durations.count == 86_400, "{durations:?}");
    print(
        "percentiles of one day",
        format!("{:.0}", began.elapsed().as_secs_f64() * 1000.0),
        "ms",
    );
    Ok(())
}

/// Has an application create the tables.
async fn create(url: &str) -> anyhow::Result<()> {
    let environment = [
        ("ELASTICJOB_TRACING_TYPE".to_owned(), "RDB".to_owned()),
        ("ELASTICJOB_TRACING_DATA_SOURCE_URL".to_owned(), url.to_owned()),
    ];
    let once = job("once", async |_: ShardingContext| {}).sharding(1);
    let builder = ElasticJob::builder()
        .without_discovery()
        .environment(environment)
        .job(once);
    let application = builder.build()?.start().await?;
    let execution = application
        .one_off_named("once")?
        .execute_and_wait(Duration::from_secs(60))
        .await?;
    ensure!(execution.is_success(), "{execution:?}");
    application.shutdown(Duration::from_secs(5)).await;
    let recording = application.recording().context("history is recorded")?;
    ensure!(recording.dropped == 0, "{recording:?}");
    Ok(())
}

async fn fill(url: &str) -> anyhow::Result<()> {
    install_default_drivers();
    let mut connection = AnyConnection::connect(url).await?;
    let numbers =
        format!("WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {RUNS})");
    let executions = format!(
        "INSERT INTO JOB_EXECUTION_LOG (id, job_name, task_id, hostname, ip, sharding_item, execution_source, \
         failure_cause, is_success, start_time, complete_time) {numbers} SELECT printf('run-%08d', n), \
         'job_' || (n % 50), 'task', 'host', '10.0.0.' || (n % 5), n / 50 % 10, 'NORMAL_TRIGGER', \
         CASE WHEN n % 100 = 0 THEN 'no answer' END, n % 100 <> 0, {BEGIN} + n * 1000, \
         {BEGIN} + n * 1000 + n % 977 FROM numbers"
    );
    let details = format!(
        "INSERT INTO ELASTICJOB_RUN (id, run_id, attempt, scheduled_time, source, instance, verdict) {numbers} \
         SELECT printf('run-%08d', n), 'run', 1, {BEGIN} + n * 1000, 'SCHEDULE', '10.0.0.' || (n % 5) || '@-@1', \
         CASE WHEN n % 100 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END FROM numbers"
    );
    for statement in [executions, details] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    Ok(connection.close().await?)
}
