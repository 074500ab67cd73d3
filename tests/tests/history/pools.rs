//! History in a pool that the application has.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::configuration::sources::TracedJobs;
use elasticjob::prelude::*;
use elasticjob::starter::Builder;
use elasticjob::trace::history::{Database, RunFilter, Storage};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{MySqlPool, PgPool, SqlitePool};

use crate::application::{execute, history, recorded};
use crate::place::Place;

/// A pool as applications have it.
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

impl Pool {
    /// Returns one of a single connection, so that one which is kept is missed at once.
    fn new(place: &Place) -> anyhow::Result<Self> {
        let url = &place.url;
        Ok(match place.kind {
            "sqlite" => Self::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(1)
                    .connect_lazy(&format!("{url}?mode=rwc"))?,
            ),
            "postgres" => Self::Postgres(PgPoolOptions::new().max_connections(1).connect_lazy(url)?),
            _ => Self::MySql(MySqlPoolOptions::new().max_connections(1).connect_lazy(url)?),
        })
    }

    fn storage(&self) -> Storage {
        match self {
            Self::Sqlite(pool) => pool.clone().into(),
            Self::Postgres(pool) => pool.clone().into(),
            Self::MySql(pool) => pool.clone().into(),
        }
    }

    /// Returns the application's own query.
    async fn jobs(&self) -> anyhow::Result<Vec<String>> {
        let sql = "SELECT DISTINCT job_name FROM JOB_EXECUTION_LOG";
        Ok(match self {
            Self::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await?,
            Self::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await?,
            Self::MySql(pool) => sqlx::query_scalar(sql).fetch_all(pool).await?,
        })
    }
}

fn builder(environment: &[(&str, &str)]) -> Builder {
    let environment = environment.iter();
    let environment = environment.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let builder = ElasticJob::builder().without_discovery().without_files();
    let fail = async |shard: ShardingContext| match shard.sharding_item() {
        0 => Ok(()),
        _ => Err("磁盘满了"),
    };
    let builder = builder.environment(environment).job(job("订单", fail).sharding(2));
    builder.job(job("charge", async || ()).sharding(1))
}

pub(crate) async fn what_becomes_of_jobs_is_recorded_there(place: Place) -> anyhow::Result<()> {
    let pool = Pool::new(&place)?;
    // What Spring names is that of the application, which it hands in here.
    let environment = [
        ("ELASTICJOB_TRACING_TYPE", "RDB"),
        ("ELASTICJOB_TRACING_EXCLUDE_JOB_NAMES", "charge"),
        ("ELASTICJOB_TRACING_RETENTION", "30d"),
        ("SPRING_DATASOURCE_URL", "jdbc:mysql://no-such-host.invalid/jobs"),
    ];
    let application = builder(&environment).history(pool.storage()).build()?.start().await?;
    execute(&application, "订单").await?;
    execute(&application, "charge").await?;
    let history = history(&application)?;
    let is_ended = |rows: &[elasticjob::trace::history::RecordedRun]| {
        rows.len() == 2 && rows.iter().all(|run| run.ended_at.is_some())
    };
    let mut runs = recorded(&history, &RunFilter::default(), is_ended).await?;
    runs.sort_by_key(|run| run.item);
    assert_eq!(runs[1].failure.as_deref(), Some("磁盘满了"));
    ensure!(
        history
            .durations(&RunFilter::default())
            .await?
            .is_some_and(|took| took.count == 2)
    );
    let counts = history.counts(&RunFilter::default(), Duration::from_secs(3600)).await?;
    ensure!(!counts.is_empty(), "they are asked by numbers and times");
    application.shutdown(Duration::from_secs(5)).await;
    let recording = application.recording().context("it is recorded")?;
    assert_eq!((recording.dropped, recording.is_reachable), (0, true));
    // The application goes on to use it.
    assert_eq!(pool.jobs().await?, ["订单"]);
    Ok(())
}

pub(crate) async fn each_place_has_the_history_of_its_jobs(place: Place) -> anyhow::Result<()> {
    let pool = Pool::new(&place)?;
    let directory = tempfile::tempdir()?;
    let database: Database = format!("sqlite:{}/charges.db", directory.path().display()).parse()?;
    let only = |name: &str| TracedJobs::Only(vec![name.to_owned()]);
    let builder = builder(&[]).history(pool.storage().jobs(only("订单")));
    let builder = builder.history(Storage::from(database).jobs(only("charge")));
    let application = builder.build()?.start().await?;
    execute(&application, "订单").await?;
    execute(&application, "charge").await?;
    for (job, runs) in [("订单", 2), ("charge", 1)] {
        let history = application.history_of(job).context("it is recorded")?;
        let rows = recorded(&history, &RunFilter::default(), |rows| rows.len() == runs).await?;
        ensure!(rows.iter().all(|run| run.job == job), "{rows:?}");
        let recording = application.recording_of(job).context("it is recorded")?;
        ensure!(recording.is_reachable, "{recording:?}");
    }
    assert!(application.history_of("other").is_none());
    application.shutdown(Duration::from_secs(5)).await;
    assert_eq!(pool.jobs().await?, ["订单"]);
    Ok(())
}

mod refused {
    use super::*;

    fn refusal(builder: Builder) -> String {
        builder.build().map(drop).expect_err("it is refused").to_string()
    }

    async fn in_memory() -> anyhow::Result<SqlitePool> {
        Ok(SqlitePoolOptions::new().connect("sqlite::memory:").await?)
    }

    #[tokio::test]
    async fn is_a_job_in_two_places() -> anyhow::Result<()> {
        let place = Place::sqlite()?;
        let (pool, database): (_, Database) = (Pool::new(&place)?, "sqlite:elsewhere.db".parse()?);
        let error = refusal(builder(&[]).history(pool.storage()).history(database.clone()));
        for job in ["charge", "订单"] {
            let expected = format!("job {job}: its history would be recorded in several places, sqlite:");
            assert!(error.contains(&expected), "{error}");
        }
        let of_configuration = [
            ("ELASTICJOB_TRACING_TYPE", "RDB"),
            ("ELASTICJOB_TRACING_DATA_SOURCE_URL", "sqlite:configured.db"),
        ];
        let error = refusal(builder(&of_configuration).history(database));
        assert!(
            error.contains("sqlite:configured.db and sqlite:elsewhere.db"),
            "{error}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn are_pools_in_memory_and_closed_ones() -> anyhow::Result<()> {
        let error = refusal(builder(&[]).history(in_memory().await?));
        assert!(
            error.contains("is in memory, where each connection has a database of its own"),
            "{error}"
        );
        let place = Place::sqlite()?;
        let pool = SqlitePoolOptions::new()
            .connect(&format!("{}?mode=rwc", place.url))
            .await?;
        pool.close().await;
        let error = refusal(builder(&[]).history(pool));
        assert!(error.contains("a history.db is closed"), "{error}");
        Ok(())
    }
}
