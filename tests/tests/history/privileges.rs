//! Who may read the tables that Java's members know, and no others.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::prelude::*;
use elasticjob::trace::history::{Database, History, RecordedRun, RunFilter};

use crate::application::{execute, start};
use crate::place::Place;

const READ_JAVAS: &str = "GRANT SELECT ON JOB_EXECUTION_LOG TO";

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_javas_tables_should_see_the_runs_in_postgres() -> anyhow::Result<()> {
    let create = "CREATE ROLE reader LOGIN PASSWORD 'reads'".to_owned();
    runs_should_be_seen(Place::postgres().await?, [create, format!("{READ_JAVAS} reader")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_javas_tables_should_see_the_runs_in_mariadb() -> anyhow::Result<()> {
    let create = "CREATE USER reader@'%' IDENTIFIED BY 'reads'".to_owned();
    runs_should_be_seen(Place::mariadb().await?, [create, format!("{READ_JAVAS} reader@'%'")]).await
}

async fn runs_should_be_seen(place: Place, statements: [String; 2]) -> anyhow::Result<()> {
    let quick = job("quick", async |_: ShardingContext| {}).sharding(2);
    let application = start(&place.url, &[], [quick]).await?;
    execute(&application, "quick").await?;
    application.shutdown(Duration::from_secs(5)).await;
    place.execute(&statements.each_ref().map(String::as_str)).await?;

    let (scheme, rest) = place.url.split_once("://").context("a scheme")?;
    let (_, server) = rest.rsplit_once('@').context("a user")?;
    let reader: Database = format!("{scheme}://reader:reads@{server}").parse()?;
    let runs = History::open(&reader)?.runs(&RunFilter::default(), None, 10).await?;
    let is_seen = |rows: &[_]| rows.len() == 2 && rows.iter().all(|run: &RecordedRun| run.detail.is_none());
    ensure!(is_seen(&runs.rows), "{runs:?}");
    Ok(())
}
