//! A real standby, which streams from its primary and takes its place.

use std::net::{Ipv4Addr, SocketAddr};

use elasticjob::registry::{CreateMode, Error, Registry as _, SessionState, WatchEvent};
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::log::Log;
use elasticjob_tests::nodes::{create, create_as, data, ready, set};
use elasticjob_tests::proxy::Proxy;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::{PATIENCE, connected, next, reached, registry};

/// What a primary says that loses nothing if it fails over.
const IN_SYNC: &str = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";

async fn administrator(server: &DatabaseServer) -> anyhow::Result<PgConnection> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match PgConnection::connect(&server.full_url()).await {
            Err(_) if Instant::now() < deadline => tokio::task::yield_now().await,
            connection => return Ok(connection?),
        }
    }
}

fn address(server: &DatabaseServer) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, server.port()).into()
}

/// Waits until a count is this.
async fn counted(connection: &mut PgConnection, query: &'static str, wanted: i64) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while connection.fetch_one(query).await?.try_get::<i64, _>(0)? != wanted {
        anyhow::ensure!(Instant::now() < deadline, "never {wanted}: {query}");
    }
    Ok(())
}

async fn has_synchronous_standby(primary: &mut PgConnection) -> anyhow::Result<()> {
    for statement in [
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
        "SELECT pg_reload_conf()",
    ] {
        primary.execute(statement).await?;
    }
    counted(primary, IN_SYNC, 1).await
}

mod a_standby {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn that_takes_over_has_all_that_was_answered_and_has_it_read_again() -> anyhow::Result<()> {
        let mut server = DatabaseServer::start(Kind::Postgres)?;
        connected(&server).await?.close().await;
        let standby = server.standby()?;
        has_synchronous_standby(&mut administrator(&server).await?).await?;
        let proxy = Proxy::start(address(&server)).await?;
        let through = server
            .full_url()
            .replace(&server.port().to_string(), &proxy.address().port().to_string());
        // Longer than the failover takes here: the session is to live on.
        let registry = registry(&through)?.with_session_timeout(PATIENCE);
        let session = registry.connect().await?;
        session.write(create("/job")).await?;
        session.write(create_as("/job/e", CreateMode::Ephemeral)).await?;
        let mut watch = session.watch("/job").await?;
        for _ in 0..10 {
            session.write(set("/job")).await?;
        }
        let (_, before) = data(&session, "/job").await?.expect("it is there");
        while ready(&mut watch).is_some() {}

        server.stop()?;
        proxy.lead_to(address(&standby));
        reached(&session, SessionState::Suspended).await?;
        // A standby takes no changes: it is waited for, and refuses no application.
        let mut promoted = administrator(&standby).await?;
        let waiting = registry.connect().await;
        assert!(
            matches!(&waiting, Err(Error::Unreachable(text)) if text.contains("the server is a standby")),
            "{waiting:?}"
        );
        assert_eq!(*session.state().borrow(), SessionState::Suspended);

        // Its own synchronous standby is nowhere.
        for statement in [
            "SELECT pg_promote()",
            "ALTER SYSTEM RESET synchronous_standby_names",
            "SELECT pg_reload_conf()",
        ] {
            promoted.execute(statement).await?;
        }
        reached(&session, SessionState::Connected).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Resync);
        let shown: String = promoted.fetch_one("SELECT elasticjob.server_v2()").await?.try_get(0)?;
        assert!(shown.starts_with("00000002 "), "another timeline: {shown}");
        let (_, after) = data(&session, "/job").await?.expect("it was answered, so it is here");
        assert_eq!(after, before);
        assert!(data(&session, "/job/e").await?.is_some());
        session.write(set("/job")).await?;
        let (_, written) = data(&session, "/job").await?.expect("it is there");
        assert!(written.modified > before.modified, "tokens grow: {written:?}");
        Ok(())
    }

    #[tokio::test]
    async fn that_may_miss_commits_is_warned_of() -> anyhow::Result<()> {
        let log = Log::default();
        let _here = tracing::subscriber::set_default(log.subscriber());
        let server = DatabaseServer::start(Kind::Postgres)?;
        connected(&server).await?.close().await;
        assert!(!log.text().contains("a failover may lose"), "{}", log.text());
        let _standby = server.standby()?;
        let mut primary = administrator(&server).await?;
        counted(
            &mut primary,
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'",
            1,
        )
        .await?;
        connected(&server).await?.close().await;
        assert!(
            log.text().contains("a failover may lose what the registry answered"),
            "{}",
            log.text()
        );
        has_synchronous_standby(&mut primary).await?;
        let before = log.text().matches("a failover may lose").count();
        connected(&server).await?.close().await;
        assert_eq!(
            log.text().matches("a failover may lose").count(),
            before,
            "{}",
            log.text()
        );
        Ok(())
    }
}
