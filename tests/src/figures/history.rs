//! Questions to a history of a million runs, in SQLite, and what it costs to write one.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::prelude::*;
use elasticjob::trace::Source;
use elasticjob::trace::history::{Cursor, Database, History, RunFilter, RunOutcome};
use jiff::Timestamp;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection as _};
use tokio::time::Instant;

use super::{print, process, runtime};

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
    let size = std::fs::metadata(directory.path().join("history.db"))?.len();
    print("a million runs: the file", size / 1_000_000, "MB");

    let database: Database = url.parse()?;
    let history = History::open(&database)?;
    some_pages(&history).await?;
    all_pages(&history).await?;
    one_run(&history).await?;
    search(&history).await?;
    summaries(&history).await
}

/// What is usually asked, with its following pages.
async fn some_pages(history: &History) -> anyhow::Result<()> {
    let all = RunFilter::default;
    let questions = [
        ("the newest", all()),
        ("the oldest", all().until(after(100)?)),
        ("of one job of fifty", all().job("job_7")),
        ("of one item of one job", all().job("job_7").item(7)),
        ("of one job that failed", all().job("job_7").outcome(RunOutcome::Failed)),
        ("that failed, one of a hundred", all().outcome(RunOutcome::Failed)),
        ("of one server of five", all().instance("10.0.0.3")),
        (
            "that were taken over, one of a thousand",
            all().source(Source::Failover),
        ),
    ];
    for (name, filter) in questions {
        for limit in [50, 1000] {
            let (mut longest, mut after) = (Duration::ZERO, None);
            for _ in 0..10 {
                let (page, took) = page(history, &filter, after.as_ref(), limit).await?;
                longest = longest.max(took);
                after = page;
            }
            print(
                format!("page of {limit}, {name}: longest of ten"),
                milliseconds(longest),
                "ms",
            );
        }
    }
    Ok(())
}

/// Every combination of conditions: the first page, one in the middle, and the one behind it.
async fn all_pages(history: &History) -> anyhow::Result<()> {
    let (middle, mut filters) = (after(RUNS / 2)?, vec![RunFilter::default()]);
    let mut combine = |more: &dyn Fn(&RunFilter) -> Vec<RunFilter>| {
        let combined: Vec<_> = filters.iter().flat_map(more).collect();
        filters.extend(combined);
    };
    combine(&|filter| ["job_7", "unknown"].map(|job| filter.clone().job(job)).into());
    combine(&|filter| [7, 99].map(|item| filter.clone().item(item)).into());
    combine(&|filter| {
        let instances = ["10.0.0.3", "10.0.0.3@-@1", "10.0.0.3@-@2", "10.0.0.9"];
        instances.map(|instance| filter.clone().instance(instance)).into()
    });
    combine(&|filter| RunOutcome::ALL.map(|outcome| filter.clone().outcome(outcome)).into());
    combine(&|filter| {
        let sources = [Source::Schedule, Source::Misfire, Source::Failover, Source::Trigger];
        sources.map(|source| filter.clone().source(source)).into()
    });
    combine(&|filter| vec![filter.clone().from(middle - Duration::from_secs(100_000))]);
    combine(&|filter| vec![filter.clone().until(middle + Duration::from_secs(50))]);
    let (mut times, mut works) = (Vec::new(), Vec::new());
    let mut longest = (Duration::ZERO, String::new());
    for filter in &filters {
        let from_the_middle: Cursor = format!("{}.run", middle.as_microsecond()).parse()?;
        let mut places = vec![None, Some(from_the_middle)];
        while let Some(place) = places.pop() {
            let worked = process::processor_time();
            let (next, took) = page(history, filter, place.as_ref(), 50).await?;
            let worked = process::processor_time().saturating_sub(worked);
            times.push(took);
            works.push(worked);
            if worked > longest.0 {
                longest = (worked, format!("{filter:?} after {place:?}"));
            }
            if place.is_some_and(|place| place.to_string().ends_with(".run")) {
                places.extend(next.map(Some));
            }
        }
    }
    print("combinations of conditions", filters.len(), "");
    print("their pages of 50, first, middle and next", times.len(), "");
    for (what, mut times) in [("", times), ("processor time of a ", works)] {
        times.sort_unstable();
        let (median, last) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        let most = times.last().copied().unwrap_or_default();
        let name = format!("{what}page of 50, every combination");
        print(format!("{name}: median"), milliseconds(median), "ms");
        print(format!("{name}: 99th percentile"), milliseconds(last), "ms");
        print(format!("{name}: longest"), milliseconds(most), "ms");
    }
    eprintln!("the most work: {}", longest.1);
    Ok(())
}

/// The attempts of one run and their logs, as the page of a run reads them.
async fn one_run(history: &History) -> anyhow::Result<()> {
    let mut longest = Duration::ZERO;
    for number in (0..10).map(|tenth| tenth * RUNS / 10) {
        let (began, run) = (Instant::now(), format!("r{number:08}"));
        let attempts = history.attempts(&run).await?;
        let logs = history.logs(&run).await?;
        longest = longest.max(began.elapsed());
        ensure!(attempts.len() == 1 && logs.is_empty(), "{attempts:?}, {logs:?}");
    }
    print(
        "the attempts of a run and their logs: longest of ten",
        milliseconds(longest),
        "ms",
    );
    Ok(())
}

/// All pages of what no index serves and nothing is found of.
async fn search(history: &History) -> anyhow::Result<()> {
    let filter = RunFilter::default().item(99);
    let (began, mut after, mut pages) = (Instant::now(), None, 0);
    loop {
        let page = history.runs(&filter, after.as_ref(), 50).await?;
        pages += 1;
        ensure!(page.rows.is_empty(), "{page:?}");
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let seconds = format!("{:.1}", began.elapsed().as_secs_f64());
    print(format!("search of all runs for none, in {pages} pages"), seconds, "s");
    Ok(())
}

async fn summaries(history: &History) -> anyhow::Result<()> {
    let begin = after(RUNS / 2)?;
    let day = RunFilter::default()
        .from(begin)
        .until(begin + Duration::from_secs(86_400));
    let began = Instant::now();
    let counts = history.counts(&day, Duration::from_secs(3600)).await?;
    ensure!(counts.len() >= 24, "{counts:?}");
    print("counts per hour of one day", milliseconds(began.elapsed()), "ms");
    let began = Instant::now();
    let durations = history.durations(&day).await?.context("there are runs")?;
    ensure!(durations.count == 86_400, "{durations:?}");
    print("percentiles of one day", milliseconds(began.elapsed()), "ms");
    Ok(())
}

/// Returns where the next page begins, and how long this one took.
async fn page(
    history: &History,
    filter: &RunFilter,
    after: Option<&Cursor>,
    limit: u32,
) -> anyhow::Result<(Option<Cursor>, Duration)> {
    let began = Instant::now();
    let page = history.runs(filter, after, limit).await?;
    Ok((page.next, began.elapsed()))
}

/// Returns so many seconds after the first run.
fn after(seconds: u32) -> anyhow::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(BEGIN + i64::from(seconds) * 1000)?)
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
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
         'job_' || (n % 50), 'task', 'host', '10.0.0.' || (n % 5), n / 50 % 10, \
         CASE n % 1000 WHEN 1 THEN 'FAILOVER' WHEN 2 THEN 'MISFIRE' ELSE 'NORMAL_TRIGGER' END, \
         CASE WHEN n % 100 = 0 THEN 'no answer' END, n % 100 <> 0, {BEGIN} + n * 1000, \
         {BEGIN} + n * 1000 + n % 977 FROM numbers"
    );
    let details = format!(
        "INSERT INTO ELASTICJOB_RUN (id, run_id, attempt, retries, scheduled_time, source, instance, verdict) {numbers} \
         SELECT printf('run-%08d', n), printf('r%08d', n), 1, 0, {BEGIN} + n * 1000, \
         CASE n % 1000 WHEN 1 THEN 'FAILOVER' WHEN 2 THEN 'MISFIRE' WHEN 3 THEN 'TRIGGER' ELSE 'SCHEDULE' END, \
         '10.0.0.' || (n % 5) || '@-@1', \
         CASE WHEN n % 100 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END FROM numbers"
    );
    for statement in [executions, details] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    Ok(connection.close().await?)
}
