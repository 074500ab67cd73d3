//! What the functions of the database promise, whichever member calls them: the order of locks, the size of answers, and tokens.

use std::sync::Arc;

use elasticjob::registry::{Error, Session, Step, WatchEvent, Written};
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::nodes::{create, set};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use super::{PATIENCE, connected, next};

/// Sets both nodes, in this order, so many times.
async fn set_often(session: &Arc<dyn Session>, paths: [&str; 2], times: usize) -> Result<(), Error> {
    for _ in 0..times {
        let steps = paths.into_iter().flat_map(set).collect();
        session.write(steps).await.map_err(|refused| refused.error)?;
    }
    Ok(())
}

fn token(written: &[Written]) -> i64 {
    match written {
        [Written::Set(stat)] => stat.modified,
        others => panic!("one node was set: {others:?}"),
    }
}

mod locks {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn of_several_jobs_are_taken_in_one_order() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let mut sessions = Vec::new();
        for _ in 0..4 {
            sessions.push(connected(&server).await?);
        }
        for path in ["/a", "/b"] {
            sessions[0].write(create(path)).await?;
        }
        let orders = [["/a", "/b"], ["/b", "/a"], ["/a", "/b"], ["/b", "/a"]];
        let writing = sessions
            .iter()
            .zip(orders)
            .map(|(session, paths)| set_often(session, paths, 100));
        timeout(PATIENCE, futures_util::future::try_join_all(writing)).await??;
        let mut client = PgConnection::connect(&server.full_url()).await?;
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(client.fetch_one(deadlocks).await?.try_get::<i64, _>(0)?, 0);
        Ok(())
    }
}

mod the_root {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn that_is_checked_is_no_lock_of_all() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        session.write(create("/job")).await?;
        let mut client = PgConnection::connect(&server.full_url()).await?;
        let mut held = client.begin().await?;
        held.execute("SELECT 1 FROM elasticjob.job WHERE name = '' FOR UPDATE")
            .await?;
        let (path, version) = ("/".to_owned(), None);
        let mut steps = vec![Step::Check { path, version }];
        steps.extend(set("/job"));
        session.write(steps).await?;
        held.rollback().await?;
        Ok(())
    }
}

mod an_answer {
    use super::*;

    /// A frozen reader of a large answer would hold the locks of its transaction.
    #[tokio::test(flavor = "multi_thread")]
    async fn of_more_changes_than_it_may_have_is_a_resync() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let (writer, reader) = (connected(&server).await?, connected(&server).await?);
        writer.write(create("/job")).await?;
        let mut watch = reader.watch("/job").await?;
        // Few enough to be sent as events one by one, but for their size.
        let paths = (0..400).map(|number| format!("/job/{number:0200}"));
        let steps: Vec<Step> = paths.flat_map(|path| create(&path)).collect();
        writer.write(steps).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Resync);
        writer.write(set("/job")).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Changed("/job".into()));
        Ok(())
    }
}

mod tokens {
    use super::*;

    /// As after the clock of the server was set back.
    #[tokio::test(flavor = "multi_thread")]
    async fn grow_although_the_clock_is_behind_them() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let session = connected(&server).await?;
        session.write(create("/job")).await?;
        let now = token(&session.write(set("/job")).await?);
        let ahead = now + (3_600_000 << 20);
        let mut client = PgConnection::connect(&server.full_url()).await?;
        sqlx::query("UPDATE elasticjob.job SET token = $1 WHERE name = 'job'")
            .bind(ahead)
            .execute(&mut client)
            .await?;
        let next = token(&session.write(set("/job")).await?);
        assert!(next > ahead, "{next} after {ahead}");
        let path = "/job".to_owned();
        session.write(vec![Step::Delete { path, version: None }]).await?;
        session.write(create("/job")).await?;
        let again = token(&session.write(set("/job")).await?);
        assert!(
            again > next,
            "a job that is created again goes on: {again} after {next}"
        );
        Ok(())
    }
}
