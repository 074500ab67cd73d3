//! Tables as they exist out there, and texts of every size and script: each run has its end, with as much of its cause as
//! the table holds.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::job::Registration;
use elasticjob::prelude::*;
use elasticjob::trace::history::{RecordedRun, RunFilter, RunOutcome};

use crate::application::{execute, history, recorded, start};
use crate::java;
use crate::place::Place;

/// Returns a one-off job with items that fail with these texts; an item without a text succeeds.
fn failing(name: &str, texts: Vec<Option<String>>) -> Registration {
    let count = u32::try_from(texts.len()).expect("few");
    job(name, move |shard: ShardingContext| {
        let text = texts[shard.sharding_item() as usize].clone();
        async move { text.map_or(Ok(()), Err) }
    })
    .sharding(count)
}

/// Runs the job once; what is recorded of its items, and how the recording went.
async fn record(place: &Place, texts: &[Option<&str>]) -> anyhow::Result<Vec<RecordedRun>> {
    let texts: Vec<_> = texts.iter().map(|text| text.map(str::to_owned)).collect();
    let count = texts.len();
    let application = start(&place.url, &[], [failing("fails", texts)]).await?;
    execute(&application, "fails").await?;
    let history = history(&application)?;
    let has_ended = |run: &RecordedRun| run.ended_at.is_some();
    let is_there = |rows: &[RecordedRun]| rows.len() == count && rows.iter().all(has_ended);
    let mut runs = recorded(&history, &RunFilter::default(), is_there).await?;
    application.shutdown(Duration::from_secs(5)).await;
    let recording = application.recording().context("recorded")?;
    // A start and an end of each, and three steps of the firing.
    assert_eq!((recording.recorded, recording.dropped), (2 * count as u64 + 3, 0));
    runs.sort_by_key(|run| run.item);
    Ok(runs)
}

/// Makes the tables of the manual, changed so, for all letters.
async fn make(place: &Place, change: impl Fn(String) -> String) -> anyhow::Result<()> {
    if place.kind == "mariadb" {
        place.execute(&["ALTER DATABASE CHARACTER SET utf8mb4"]).await?;
    }
    let tables = java::tables_of_manual(place.kind).map(change);
    place.execute(&tables.each_ref().map(String::as_str)).await
}

fn causes(runs: &[RecordedRun]) -> Vec<&str> {
    runs.iter()
        .map(|run| run.failure.as_deref().unwrap_or_default())
        .collect()
}

/// 64 KB and 10 MB, three and four bytes a letter, characters that no database takes, and a success between them.
pub(crate) async fn the_manuals_tables_get_each_end(place: Place) -> anyhow::Result<()> {
    make(&place, |table| table).await?;
    let (chinese, emoji) = ("磁盘满了".repeat(5400), "😀".repeat(2_500_000));
    let nul = format!("nul \0 {}", "\0".repeat(3000));
    let runs = record(&place, &[Some(&chinese), None, Some(&emoji), Some(&nul), Some("short")]).await?;
    let room = if place.kind == "sqlite" { 4000 } else { 2000 };
    let outcomes: Vec<_> = runs.iter().map(|run| run.outcome).collect();
    let (failed, succeeded) = (RunOutcome::Failed, RunOutcome::Succeeded);
    assert_eq!(outcomes, [failed, succeeded, failed, failed, failed]);
    for (run, text) in runs
        .iter()
        .zip([&chinese, "", &emoji])
        .filter(|(_, text)| !text.is_empty())
    {
        let cut: String = text.chars().take(room - 1).chain(['…']).collect();
        assert_eq!(run.failure.as_deref(), Some(cut.as_str()), "item {}", run.item);
    }
    let nul = causes(&runs)[3];
    ensure!(
        nul.starts_with("nul \u{fffd} \u{fffd}") && nul.chars().count() <= room,
        "{nul}"
    );
    assert_eq!(causes(&runs)[4], "short");
    let states = place
        .texts("SELECT state FROM JOB_STATUS_TRACE_LOG ORDER BY state")
        .await?;
    assert_eq!(states, ["TASK_ERROR", "TASK_RUNNING", "TASK_STAGING"]);
    Ok(())
}

/// Java 3.0.5 writes no source, whichever member made the table; older Java members read it.
pub(crate) async fn steps_of_java_without_source_fit_into_our_tables(place: Place) -> anyhow::Result<()> {
    record(&place, &[None]).await?;
    place.execute(&[&java::status_without_source("one")]).await?;
    let sources = place.texts("SELECT DISTINCT source FROM JOB_STATUS_TRACE_LOG").await?;
    assert_eq!(sources, ["LITE_EXECUTOR"]);
    Ok(())
}

/// If an operator drops a column, its values are lost, and no run is.
pub(crate) async fn a_missing_column_costs_its_values_alone(place: Place) -> anyhow::Result<()> {
    let dropped = [
        "hostname VARCHAR(255) NOT NULL, ",
        "failure_cause VARCHAR(2000) NULL, ",
        "message VARCHAR(2000) NULL, ",
    ];
    make(&place, |table| {
        dropped.iter().fold(table, |table, column| table.replace(column, ""))
    })
    .await?;
    let runs = record(&place, &[Some("lost"), None]).await?;
    assert_eq!(causes(&runs), ["", ""]);
    assert_eq!((&*runs[0].host, runs[0].outcome), ("", RunOutcome::Failed));
    let log = place.log();
    for column in [
        "JOB_EXECUTION_LOG.hostname",
        "JOB_EXECUTION_LOG.failure_cause",
        "JOB_STATUS_TRACE_LOG.message",
    ] {
        ensure!(log.contains(&format!("{column} is missing")), "{log}");
    }
    Ok(())
}

/// What the database refuses for reasons of its own: the text of one run, and another job altogether.
pub(crate) async fn a_refused_row_drops_no_other(place: Place) -> anyhow::Result<()> {
    let checked = "complete_time TIMESTAMP NULL, CHECK (failure_cause <> 'poison'), CHECK (job_name <> 'unwanted'))";
    make(&place, |table| table.replace("complete_time TIMESTAMP NULL)", checked)).await?;
    let texts = |count: usize| vec![None; count];
    let mut some = texts(200);
    some[77] = Some("poison".to_owned());
    some[78] = Some("毒".to_owned());
    let jobs = [failing("wanted", some), failing("unwanted", texts(3))];
    let application = start(&place.url, &[], jobs).await?;
    execute(&application, "unwanted").await?;
    execute(&application, "wanted").await?;
    let history = history(&application)?;
    let has_ended = |rows: &[RecordedRun]| rows.len() == 200 && rows.iter().all(|run| run.ended_at.is_some());
    let runs = recorded(&history, &RunFilter::default(), has_ended).await?;
    application.shutdown(Duration::from_secs(5)).await;
    let failed: Vec<_> = runs.iter().filter(|run| run.outcome == RunOutcome::Failed).collect();
    let mut failed: Vec<_> = failed.iter().map(|run| (run.item, run.failure.as_deref())).collect();
    failed.sort_unstable();
    assert_eq!(failed, [(77, None), (78, Some("毒"))]);
    let recording = application.recording().context("recorded")?;
    // Three starts and three ends of the other.
    assert_eq!((recording.recorded, recording.dropped), (400 + 3 + 3, 6));
    Ok(())
}

const TEXT: &str = "磁盘满了 é 😀 full";

async fn is_recorded_as(place: Place, expected: &str) -> anyhow::Result<()> {
    let [executions, statuses] = java::tables_of_manual(place.kind);
    place.execute(&[&executions, &statuses]).await?;
    let long = format!("{}{TEXT}", "x".repeat(1990));
    let runs = record(&place, &[Some(TEXT), None, Some(&long)]).await?;
    assert_eq!(causes(&runs)[0], expected);
    ensure!(causes(&runs)[2].starts_with("xxx"), "{runs:?}");
    let log = place.log();
    ensure!(!log.contains("were refused"), "{log}");
    Ok(())
}

on_all!(tables:
    the_manuals_tables_get_each_end,
    steps_of_java_without_source_fit_into_our_tables,
    a_missing_column_costs_its_values_alone,
    a_refused_row_drops_no_other,
);

mod of_mariadb {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn letters_of_four_bytes_are_replaced_in_utf8mb3() -> anyhow::Result<()> {
        is_recorded_as(Place::mariadb_in("utf8mb3").await?, "磁盘满了 é \u{fffd} full").await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn letters_of_the_table_are_kept_in_latin1_and_gbk() -> anyhow::Result<()> {
        is_recorded_as(Place::mariadb_in("latin1").await?, "???? é ? full").await?;
        is_recorded_as(Place::mariadb_in("gbk").await?, "磁盘满了 é ? full").await
    }

    /// The encoding that is asked for the letters has more than the set has: the database refuses `é`.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_text_that_does_not_fit_after_all_is_recorded_in_ascii() -> anyhow::Result<()> {
        let place = Place::mariadb_in("gb2312").await?;
        let tables = java::tables_of_manual(place.kind);
        place.execute(&tables.each_ref().map(String::as_str)).await?;
        let runs = record(&place, &[Some("磁盘 裏"), Some("磁盘")]).await?;
        assert_eq!(causes(&runs), ["?? ?", "磁盘"]);
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn columns_of_unlimited_and_of_tiny_texts_are_kept_to() -> anyhow::Result<()> {
        for (kind, characters) in [("LONGTEXT", 4000), ("TINYTEXT", 84)] {
            let place = Place::mariadb().await?;
            make(&place, |table| table.replace("VARCHAR(2000)", kind)).await?;
            let runs = record(&place, &[Some(&"盘".repeat(20_000))]).await?;
            let cause = causes(&runs)[0];
            assert_eq!(cause.chars().count(), characters + usize::from(kind == "TINYTEXT"));
            ensure!(cause.ends_with('…'), "{cause}");
        }
        Ok(())
    }
}

mod of_postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn letters_of_the_database_are_kept_in_latin1() -> anyhow::Result<()> {
        is_recorded_as(Place::postgres_in("LATIN1").await?, "???? é ? full").await
    }

    /// A column of so many characters holds so many bytes there.
    #[tokio::test(flavor = "multi_thread")]
    async fn texts_are_cut_by_bytes_in_sql_ascii() -> anyhow::Result<()> {
        is_recorded_as(Place::postgres_in("SQL_ASCII").await?, TEXT).await?;
        let place = Place::postgres_in("SQL_ASCII").await?;
        let runs = record(&place, &[Some(&"盘".repeat(20_000))]).await?;
        let cause = causes(&runs)[0];
        ensure!(
            cause.len() <= 4000 && cause.len() > 3990 && cause.ends_with("盘…"),
            "{}",
            cause.len()
        );
        Ok(())
    }

    /// It says so once, not with each attempt, and what waited is written when the database may be written to.
    #[tokio::test(flavor = "multi_thread")]
    async fn events_wait_while_the_database_is_read_only() -> anyhow::Result<()> {
        let place = Place::postgres().await?;
        record(&place, &[None]).await?;
        let name = place.url.rsplit('/').next().context("a name")?;
        let read_only = |value| format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
        place.execute(&[&read_only("on")]).await?;
        let application = start(&place.url, &[], [failing("waits", vec![None])]).await?;
        execute(&application, "waits").await?;
        let history = history(&application)?;
        while place.log().matches("history still waits").count() < 3 {
            tokio::task::yield_now().await;
        }
        let said = place.log();
        assert_eq!(
            said.matches("history waits: the database does not take it").count(),
            1,
            "{said}"
        );
        assert_eq!(said.matches("indexes cannot be made").count(), 1, "{said}");
        ensure!(said.contains("read-only transaction"), "{said}");
        place
            .execute(&["SET default_transaction_read_only = off", &read_only("off")])
            .await?;
        // Connections that were made before keep the setting.
        place
            .execute(&[&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
            )])
            .await?;
        let job = RunFilter::default().job("waits");
        recorded(&history, &job, |rows| rows.len() == 1 && rows[0].ended_at.is_some()).await?;
        application.shutdown(Duration::from_secs(5)).await;
        assert_eq!(application.recording().context("recorded")?.dropped, 0);
        Ok(())
    }
}
