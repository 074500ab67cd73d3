//! Databases that go away and come back.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::prelude::*;
use elasticjob::trace::history::{Database, History, RunFilter, RunOutcome};
use elasticjob_tests::databases::{DatabaseServer, Kind, PASSWORD, USER};
use elasticjob_tests::log::Log;
use sqlx::{Connection as _, Executor as _};

use crate::application::{PATIENCE, execute, recorded, start};
use crate::place::{Place, connect, logged};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_should_be_lost_while_postgres_is_away() -> anyhow::Result<()> {
    nothing_should_be_lost_while_away(Kind::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_should_be_lost_while_mariadb_is_away() -> anyhow::Result<()> {
    nothing_should_be_lost_while_away(Kind::MariaDb).await
}

/// Jobs go on while it is away, and when it is back all is there, once.
async fn nothing_should_be_lost_while_away(kind: Kind) -> anyhow::Result<()> {
    let mut server = DatabaseServer::start(kind)?;
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber());
    let settings = [
        ("ELASTICJOB_TRACING_DATA_SOURCE_USERNAME", USER),
        ("ELASTICJOB_TRACING_DATA_SOURCE_PASSWORD", PASSWORD),
    ];
    let quick = job("quick", async |_: ShardingContext| {}).sharding(10);
    let application = start(&server.url(), &settings, [quick]).await?;
    execute(&application, "quick").await?;
    let history = application.history().context("history")?;
    let succeeded = RunFilter::default().outcome(RunOutcome::Succeeded);
    recorded(&history, &succeeded, |rows| rows.len() == 10).await?;
    server.stop()?;
    for _ in 0..20 {
        execute(&application, "quick").await?;
    }
    let noticed = async {
        while application.recording().context("recording")?.is_reachable {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, noticed)
        .await
        .context("the recorder notices that the server is gone")??;
    server.start_again()?;
    for _ in 0..5 {
        execute(&application, "quick").await?;
    }
    let runs = recorded(&history, &succeeded, |rows| rows.len() == 260).await?;
    ensure!(runs.iter().all(|run| run.detail.is_some()));
    application.shutdown(Duration::from_secs(5)).await;
    let recording = application.recording().context("recording")?;
    assert_eq!((recording.recorded, recording.dropped), (26 * 23, 0));
    let database: Database = server.full_url().parse()?;
    let all = History::open(&database)?
        .runs(&RunFilter::default(), None, 1000)
        .await?;
    assert_eq!(all.rows.len(), 260, "nothing twice");
    let log = log.text();
    ensure!(!log.contains(PASSWORD) && !log.contains("p%40ss"), "{log}");
    Ok(())
}

/// Runs would be shown without their details, and rows be written for another shape of the tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_busy_should_not_be_taken_for_one_that_is_not_there() -> anyhow::Result<()> {
    let place = Place::postgres().await?;
    let quick = job("quick", async |_: ShardingContext| {}).sharding(2);
    let application = start(&place.url, &[], [quick]).await?;
    execute(&application, "quick").await?;
    application.shutdown(Duration::from_secs(5)).await;

    let impatient: Database = format!("{}?options[lock_timeout]=100", place.url).parse()?;
    let history = History::open(&impatient)?;
    let mut other = connect(&place.url).await?;
    let mut lock = other.begin().await?;
    lock.execute("LOCK TABLE ELASTICJOB_RUN").await?;
    let refused = history.runs(&RunFilter::default(), None, 10).await;
    let refused = refused.err().context("it is unknown what is in the table")?;
    ensure!(refused.to_string().starts_with("cannot read history"), "{refused}");
    lock.rollback().await?;
    let runs = history.runs(&RunFilter::default(), None, 10).await?.rows;
    ensure!(
        runs.len() == 2 && runs.iter().all(|run| run.detail.is_some()),
        "{runs:?}"
    );
    Ok(())
}

/// A database that is never there holds up neither a job nor the stop, and what is lost is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_never_there_should_hold_up_nothing() -> anyhow::Result<()> {
    // No server listens there.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let quick = job("quick", async |_: ShardingContext| {}).sharding(2);
    let url = format!("jdbc:postgresql://127.0.0.1:{port}/jobs?user=me&password=p%40ss");
    // The log is taken from the first look on.
    logged(&url);
    let application = start(&url, &[], [quick]).await?;
    let execution = execute(&application, "quick").await?;
    ensure!(execution.is_success());
    let began = tokio::time::Instant::now();
    application.shutdown(Duration::from_secs(5)).await;
    ensure!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let recording = application.recording().context("recording")?;
    assert_eq!(
        (recording.recorded, recording.dropped, recording.is_reachable),
        (0, 7, false)
    );
    let said = logged(&format!("127.0.0.1:{port}/jobs"));
    ensure!(
        said.contains("Connection refused") && !said.contains("timed out"),
        "{said}"
    );
    Ok(())
}
