//! The logs of runs, beside their rows.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::prelude::*;
use elasticjob::trace::history::{Database, History, RecordedLog, RecordedRun, RunFilter};
use elasticjob_tests::programs::program;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::{debug, info};

use crate::application::{PATIENCE, builder, execute, history, recorded, start};
use crate::place::Place;

/// Waits until the logs of a run are as expected.
async fn logged(
    history: &History,
    run: &str,
    is_expected: impl Fn(&[RecordedLog]) -> bool,
) -> anyhow::Result<Vec<RecordedLog>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let logs = history.logs(run).await?;
        if is_expected(&logs) {
            return Ok(logs);
        }
        ensure!(Instant::now() < deadline, "logs: {logs:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until all runs of a job are recorded with their ends, and returns them by item.
async fn ended(history: &History, job: &str, count: usize) -> anyhow::Result<Vec<RecordedRun>> {
    let filter = RunFilter::default().job(job);
    let is_ended = |rows: &[RecordedRun]| rows.len() == count && rows.iter().all(|run| run.ended_at.is_some());
    let mut runs = recorded(history, &filter, is_ended).await?;
    runs.sort_by_key(|run| run.item);
    Ok(runs)
}

fn run_id(run: &RecordedRun) -> anyhow::Result<&str> {
    Ok(&run.detail.as_ref().context("a run of ours")?.run_id)
}

pub(crate) async fn are_kept_for_each_attempt_that_failed(place: Place) -> anyhow::Result<()> {
    let sync = job("sync", async |run: RunContext| {
        let item = run.sharding().sharding_item();
        info!(item, "备份 begins, the token is {}", run.props()["sink.token"]);
        debug!("of no interest");
        if item == 1 { Err("磁盘满了") } else { Ok(()) }
    })
    .sharding(2)
    .set("props.sink.token", "t0ps3cret");
    let line = r#"sh -c 'printf "\033[31mred\033[0m 中文\n"; echo wrong >&2; exit 3'"#;
    let builder = builder(&place.url, &[], [sync])
        .set("jobs.scripted.elastic-job-type", "SCRIPT")
        .set("jobs.scripted.sharding-total-count", "1")
        .set("jobs.scripted.props.script.command.line", line);
    let application = builder.build()?.start().await?;
    execute(&application, "sync").await?;
    execute(&application, "scripted").await?;
    let history = history(&application)?;

    let runs = ended(&history, "sync", 2).await?;
    let logs = logged(&history, run_id(&runs[1])?, |logs| !logs.is_empty()).await?;
    let [log] = &logs[..] else {
        anyhow::bail!("one attempt: {logs:#?}");
    };
    assert_eq!((&*log.job, log.item, log.attempt, log.is_over), ("sync", 1, 1, true));
    assert_eq!(log.id, runs[1].id, "the key of its row");
    ensure!(
        log.text.contains("备份 begins, the token is [provided] item=1"),
        "{}",
        log.text
    );
    ensure!(
        !log.text.contains("t0ps3cret") && !log.text.contains("of no interest"),
        "{}",
        log.text
    );
    assert_eq!(history.logs(&log.id).await?, logs, "by the key of the attempt");
    let succeeded = history.logs(run_id(&runs[0])?).await?;
    ensure!(succeeded.is_empty(), "{succeeded:?}");

    let runs = ended(&history, "scripted", 1).await?;
    let logs = logged(&history, run_id(&runs[0])?, |logs| !logs.is_empty()).await?;
    let said: Vec<&str> = logs[0]
        .messages()
        .filter_map(|message| message.split_once(' '))
        .map(|(_, said)| said)
        .collect();
    for line in ["stdout red 中文", "stderr wrong"] {
        assert_eq!(said.iter().filter(|said| **said == line).count(), 1, "{said:#?}");
    }
    application.shutdown(Duration::from_secs(5)).await;

    let database = place.url.clone();
    let shown = async |run: &str| {
        let mut command = Command::new(program("elasticjob"));
        command.args(["log", run]).env("ELASTICJOB_HISTORY_URL", &database);
        command.current_dir(std::env::temp_dir()).output().await
    };
    let output = shown(run_id(&runs[0])?).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        text.starts_with("scripted item 0, attempt 1, ") && text.contains(" stderr wrong\n"),
        "{text}"
    );
    ensure!(shown("unknown").await?.status.code() == Some(3));
    Ok(())
}

pub(crate) async fn can_be_read_while_the_run_goes_on(place: Place) -> anyhow::Result<()> {
    let (goes_on, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (go, until) = (Arc::clone(&goes_on), Arc::clone(&waits));
    let long = job("long", move || {
        let (go, until) = (Arc::clone(&go), Arc::clone(&until));
        async move {
            info!("page 1");
            go.notify_one();
            until.notified().await;
            info!("page 2");
        }
    })
    .sharding(1);
    let application = start(&place.url, &[], [long]).await?;
    application.one_off_named("long")?.execute().await?;
    tokio::time::timeout(PATIENCE, goes_on.notified()).await?;
    let history = history(&application)?;
    let runs = recorded(&history, &RunFilter::default().job("long"), |rows| rows.len() == 1).await?;
    let run = run_id(&runs[0])?;
    let logs = logged(&history, run, |logs| !logs.is_empty()).await?;
    ensure!(!logs[0].is_over && logs[0].text.contains("page 1"), "{logs:?}");
    waits.notify_one();
    // It succeeded, and logs of failures alone are kept.
    logged(&history, run, <[_]>::is_empty).await?;
    application.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

pub(crate) async fn are_added_to_a_history_without_them_and_go_with_it(place: Place) -> anyhow::Result<()> {
    let fails = || job("fails", async || Err::<(), _>("no disk")).sharding(1);
    let application = start(&place.url, &[], [fails()]).await?;
    execute(&application, "fails").await?;
    ended(&history(&application)?, "fails", 1).await?;
    application.shutdown(Duration::from_secs(5)).await;
    // As a version without logs left it.
    place.execute(&["DROP TABLE ELASTICJOB_LOG"]).await?;
    let history_before = History::open(&place.url.parse::<Database>()?)?;
    ensure!(history_before.logs("unknown").await?.is_empty(), "there is no table");

    let application = start(&place.url, &[], [fails()]).await?;
    execute(&application, "fails").await?;
    let history = history(&application)?;
    let runs = ended(&history, "fails", 2).await?;
    let newest = runs.iter().max_by_key(|run| run.started_at).context("a run")?;
    logged(&history, run_id(newest)?, |logs| !logs.is_empty()).await?;
    application.shutdown(Duration::from_secs(5)).await;

    let old = "UPDATE ELASTICJOB_LOG SET scheduled_time = 1000";
    place.execute(&[old]).await?;
    let settings = [("ELASTICJOB_TRACING_RETENTION", "30d")];
    let application = start(&place.url, &settings, [fails()]).await?;
    logged(&history_before, run_id(newest)?, <[_]>::is_empty).await?;
    application.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn are_missing_if_their_table_cannot_be_created_and_runs_are_recorded() -> anyhow::Result<()> {
    let place = Place::postgres().await?;
    let fails = || job("fails", async || Err::<(), _>("no disk")).sharding(1);
    let application = start(&place.url, &[], [fails()]).await?;
    execute(&application, "fails").await?;
    ended(&history(&application)?, "fails", 1).await?;
    application.shutdown(Duration::from_secs(5)).await;
    place
        .execute(&[
            "DROP TABLE ELASTICJOB_LOG",
            "CREATE ROLE scribe LOGIN PASSWORD 'writes'",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO scribe",
        ])
        .await?;
    let (scheme, rest) = place.url.split_once("://").context("a scheme")?;
    let (_, server) = rest.rsplit_once('@').context("a user")?;
    let application = start(&format!("{scheme}://scribe:writes@{server}"), &[], [fails()]).await?;
    execute(&application, "fails").await?;
    ended(&history(&application)?, "fails", 2).await?;
    let deadline = Instant::now() + PATIENCE;
    while !place.log().contains("no logs of runs are kept") {
        ensure!(Instant::now() < deadline, "{}", place.log());
        sleep(Duration::from_millis(50)).await;
    }
    application.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
