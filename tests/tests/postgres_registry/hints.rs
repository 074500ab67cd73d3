//! The second connection of a member: hints, and heartbeats.

use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::{CreateMode, Registry as _, Session, SessionState, WatchEvent};
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::nodes::{create, create_as, data, set};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::{PATIENCE, TIMEOUT, connected, next, reached, registry};

/// A poll comes each 250 ms while there is something to do.
const ROUNDS: u32 = 40;

mod events {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn come_long_before_the_next_poll() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let (session, observer) = (connected(&server).await?, connected(&server).await?);
        session.write(create("/job")).await?;
        let mut watch = observer.watch("/job").await?;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            session.write(set("/job")).await?;
            assert_eq!(next(&mut watch).await?, WatchEvent::Changed("/job".into()));
        }
        // By polls alone each round takes a whole pause, since it begins with the event of the last.
        let by_polls = Duration::from_millis(250) * ROUNDS;
        assert!(start.elapsed() < by_polls / 2, "{:?}", start.elapsed());
        Ok(())
    }
}

mod a_second_connection {
    use super::*;

    const BEATS: &str = "FROM pg_stat_activity WHERE application_name = 'elasticjob beats'";

    async fn count(administrator: &mut PgConnection) -> anyhow::Result<i64> {
        let count = format!("SELECT count(*) {BEATS}");
        let rows = administrator
            .fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(count)))
            .await?;
        Ok(rows[0].try_get(0)?)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_dies_costs_neither_session_nor_events() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let (session, observer) = (connected(&server).await?, connected(&server).await?);
        session.write(create_as("/e", CreateMode::Ephemeral)).await?;
        let mut watch = observer.watch("/e").await?;
        let mut states = [session.state(), observer.state()];
        states.iter_mut().for_each(|state| state.mark_unchanged());
        let mut administrator = PgConnection::connect(&server.full_url()).await?;
        for _ in 0..3 {
            let deadline = Instant::now() + PATIENCE;
            while count(&mut administrator).await? < 2 {
                anyhow::ensure!(Instant::now() < deadline, "there are no second connections");
            }
            let end = format!("SELECT pg_terminate_backend(pid) {BEATS}");
            administrator.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(end))).await?;
            session.write(set("/e")).await?;
            assert_eq!(next(&mut watch).await?, WatchEvent::Changed("/e".into()));
        }
        for state in &states {
            assert!(!state.has_changed()?);
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_an_idle_session_alive() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let (session, observer) = (connected(&server).await?, connected(&server).await?);
        session.write(create_as("/e", CreateMode::Ephemeral)).await?;
        let mut administrator = PgConnection::connect(&server.full_url()).await?;
        let beat = format!("SELECT beat FROM elasticjob.session WHERE id = {}", session.id());
        let beat = async |administrator: &mut PgConnection| -> anyhow::Result<i64> {
            let rows = administrator
                .fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(beat.clone())))
                .await?;
            Ok(rows[0].try_get(0)?)
        };
        let first = beat(&mut administrator).await?;
        let start = Instant::now();
        while beat(&mut administrator).await? < first + 6 {
            anyhow::ensure!(start.elapsed() < PATIENCE, "there are no beats");
        }
        assert!(
            start.elapsed() > TIMEOUT,
            "three beats a timeout: {:?}",
            start.elapsed()
        );
        assert!(data(&observer, "/e").await?.is_some());
        reached(&session, SessionState::Connected).await?;
        Ok(())
    }
}

mod beats {
    use super::*;

    /// Returns a session whose connections are called by this name, and `.. beats`.
    async fn named(server: &DatabaseServer, name: &str) -> anyhow::Result<Arc<dyn Session>> {
        let url = format!("{}?application_name={name}", server.full_url());
        Ok(registry(&url)?.connect().await?)
    }

    async fn is_there(administrator: &mut PgConnection, name: &str) -> anyhow::Result<bool> {
        let count = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = $1)";
        let row = sqlx::query(count).bind(name).fetch_one(administrator).await?;
        Ok(row.try_get(0)?)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keep_no_session_alive_whose_calls_are_not_served() -> anyhow::Result<()> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let observer = connected(&server).await?;
        let session = named(&server, "hurt").await?;
        session.write(create_as("/e", CreateMode::Ephemeral)).await?;
        let mut watch = observer.watch("/e").await?;
        let mut administrator = PgConnection::connect(&server.full_url_of("template1")).await?;
        let deadline = Instant::now() + PATIENCE;
        while !is_there(&mut administrator, "hurt beats").await? {
            anyhow::ensure!(Instant::now() < deadline, "there is no second connection");
        }
        // As if the server had no connection left.
        administrator
            .execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
            .await?;
        let start = Instant::now();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hurt'";
        administrator.execute(end).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/e".into()));
        let elapsed = start.elapsed();
        reached(&session, SessionState::Lost).await?;
        // Else beats go on until the member gives up, a timeout after its last answer, and others wait for a timeout from then.
        assert!(elapsed < TIMEOUT * 19 / 10, "{elapsed:?}");
        assert!(elapsed > TIMEOUT * 2 / 3, "the fence has passed by then: {elapsed:?}");
        Ok(())
    }
}
