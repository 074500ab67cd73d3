//! The registry in PostgreSQL on a real server: at the start, and when the network or the server fails.

mod command_line;
mod failover;
mod hints;
mod inbox;
mod poolers;
mod rules;
mod servers;
mod size;
mod start;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::sql::PostgresRegistry;
use elasticjob::registry::{CreateMode, Error, Registry, Session, SessionState, Watch, WatchEvent};
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::nodes::{create, create_as, data, ready, set};
use elasticjob_tests::proxy::{Close, Direction, Proxy};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::{Instant, timeout};

/// The session timeout of a member that is hurt. Silence is noticed after 2/5 of it.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A member behind a proxy, and one beside it that nothing happens to.
struct Fixture {
    server: DatabaseServer,
    proxy: Proxy,
    session: Arc<dyn Session>,
    observer: Arc<dyn Session>,
}

impl Fixture {
    async fn new() -> anyhow::Result<Self> {
        let server = DatabaseServer::start(Kind::Postgres)?;
        let observer = connected(&server).await?;
        let url = server.full_url();
        let port: u16 = url.rsplit([':', '/']).nth(1).expect("a port").parse()?;
        let proxy = Proxy::start(([127, 0, 0, 1], port).into()).await?;
        let through_proxy = url.replace(&port.to_string(), &proxy.address().port().to_string());
        let session = registry(&through_proxy)?.connect().await?;
        Ok(Self {
            server,
            proxy,
            session,
            observer,
        })
    }
}

fn registry(url: &str) -> anyhow::Result<PostgresRegistry> {
    Ok(PostgresRegistry::new(url, "shop")?
        .with_session_timeout(TIMEOUT)
        .with_connection_timeout(TIMEOUT))
}

/// A session on a server that has just been started, which listens before it serves.
async fn connected(server: &DatabaseServer) -> anyhow::Result<Arc<dyn Session>> {
    let registry = registry(&server.full_url())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match registry.connect().await {
            Err(Error::Unreachable(_)) if Instant::now() < deadline => tokio::task::yield_now().await,
            session => return Ok(session?),
        }
    }
}

async fn reached(session: &Arc<dyn Session>, wanted: SessionState) -> anyhow::Result<()> {
    timeout(PATIENCE, session.state().wait_for(|state| *state == wanted)).await??;
    Ok(())
}

async fn next(watch: &mut Box<dyn Watch>) -> anyhow::Result<WatchEvent> {
    Ok(timeout(PATIENCE, poll_fn(|cx| watch.poll_next(cx))).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_face_of_an_unknown_outcome_is_a_connection_loss() -> anyhow::Result<()> {
    let Fixture {
        server,
        proxy,
        session,
        observer,
    } = Fixture::new().await?;
    observer.write(create("/job")).await?;
    let mut watch = observer.watch("/job").await?;
    for (path, close) in [
        ("/job/applied-then-finish", Some(Close::Finish)),
        ("/job/applied-then-reset", Some(Close::Reset)),
        ("/job/applied-then-silence", None),
    ] {
        let held = held(&server).await?;
        let write = session.write(create(path));
        waiting(&server, |count| count == 1).await?;
        proxy.stall(Direction::Answers);
        drop(held);
        assert_eq!(next(&mut watch).await?, WatchEvent::Created(path.into()));
        if let Some(close) = close {
            proxy.cut(close);
        }
        assert_eq!(write.await, Err(Error::ConnectionLoss.into()), "{path}");
        proxy.heal();
        reached(&session, SessionState::Connected).await?;
        session.sync().await?;
        assert!(data(&session, path).await?.is_some(), "{path}");
    }
    Ok(())
}

/// The lock of the job `job`, held until the connection ends.
async fn held(server: &DatabaseServer) -> anyhow::Result<PgConnection> {
    let mut connection = PgConnection::connect(&server.full_url()).await?;
    connection.execute("BEGIN").await?;
    let lock = "SELECT 1 FROM elasticjob.job WHERE name = 'job' FOR UPDATE";
    connection.execute(lock).await?;
    Ok(connection)
}

/// Waits until so many calls wait for a lock.
async fn waiting(server: &DatabaseServer, is_reached: impl Fn(i64) -> bool) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&server.full_url()).await?;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%call_v2%'";
    let deadline = Instant::now() + PATIENCE;
    while !is_reached(connection.fetch_one(count).await?.try_get(0)?) {
        anyhow::ensure!(Instant::now() < deadline, "the calls do not wait as they should");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_given_up_is_not_done_later() -> anyhow::Result<()> {
    let Fixture {
        server,
        proxy,
        session,
        observer,
    } = Fixture::new().await?;
    observer.write(create("/job")).await?;
    let held = held(&server).await?;
    // It waits for the lock, at the server; its member knows nothing of it any more.
    let write = session.write(create("/job/late"));
    waiting(&server, |count| count == 1).await?;
    proxy.interrupt(Close::Reset);
    assert_eq!(write.await, Err(Error::ConnectionLoss.into()));
    reached(&session, SessionState::Connected).await?;
    session.sync().await?;
    assert_eq!(data(&session, "/job/late").await?, None);
    drop(held);
    waiting(&server, |count| count == 0).await?;
    session.write(set("/job")).await?;
    assert_eq!(
        data(&session, "/job/late").await?,
        None,
        "what a read did not show never happens"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_another_member_ended_can_write_nothing() -> anyhow::Result<()> {
    let Fixture {
        server,
        session,
        observer,
        proxy: _proxy,
    } = Fixture::new().await?;
    let mut other = PgConnection::connect(&server.full_url()).await?;
    let id = session.id();
    sqlx::query("UPDATE elasticjob.session SET dead = true WHERE id = $1")
        .bind(id)
        .execute(&mut other)
        .await?;
    let refused = session.write(create("/late")).await;
    assert_eq!(refused, Err(Error::SessionExpired.into()));
    reached(&session, SessionState::Lost).await?;
    assert_eq!(data(&observer, "/late").await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_a_server_that_is_killed_and_started_again() -> anyhow::Result<()> {
    let mut server = DatabaseServer::start(Kind::Postgres)?;
    let first = connected(&server).await?;
    let second = connected(&server).await?;
    first.write(create("/job")).await?;
    first.write(create_as("/job/e", CreateMode::Ephemeral)).await?;
    let before = data(&first, "/job").await?.expect("it was created").1.modified;
    let mut watch = second.watch("/job").await?;
    for _ in 0..2 {
        server.stop()?;
        reached(&first, SessionState::Suspended).await?;
        reached(&second, SessionState::Suspended).await?;
        server.start_again()?;
        reached(&first, SessionState::Connected).await?;
        reached(&second, SessionState::Connected).await?;
        while ready(&mut watch).is_some_and(|event| event != WatchEvent::Resync) {}
        first.write(set("/job")).await?;
        second.sync().await?;
        assert!(data(&second, "/job").await?.expect("it is there").1.modified > before);
        assert!(
            data(&second, "/job/e").await?.is_some(),
            "an outage of the database ends no session"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_start_at_once_make_the_tables_once() -> anyhow::Result<()> {
    let server = DatabaseServer::start(Kind::Postgres)?;
    let deadline = Instant::now() + PATIENCE;
    while PgConnection::connect(&server.full_url()).await.is_err() {
        assert!(Instant::now() < deadline);
    }
    let registry = registry(&server.full_url())?.with_connection_timeout(PATIENCE);
    let sessions = futures_util::future::join_all((0..8).map(|_| registry.connect())).await;
    for session in sessions {
        session?.sync().await?;
    }
    let mut connection = PgConnection::connect(&server.full_url()).await?;
    let versions = "SELECT count(*) FROM elasticjob.schema_version";
    assert_eq!(connection.fetch_one(versions).await?.try_get::<i64, _>(0)?, 1);

    // A newer program whose tables this one cannot use.
    connection
        .execute("INSERT INTO elasticjob.schema_version VALUES (5, 4)")
        .await?;
    let refused = registry.connect().await;
    assert!(
        matches!(&refused, Err(Error::Refused(text)) if text.contains("version 4 or later")),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn old_changes_are_removed_and_a_reader_that_is_far_behind_reads_again() -> anyhow::Result<()> {
    let server = DatabaseServer::start(Kind::Postgres)?;
    let session = connected(&server).await?;
    session.write(create("/job")).await?;
    let mut watch = session.watch("/job").await?;
    for _ in 0..4 {
        let steps = std::iter::repeat_n(set("/job"), 1_000).flatten().collect();
        session.write(steps).await?;
    }
    let mut connection = PgConnection::connect(&server.full_url()).await?;
    let rows = connection
        .fetch_one("SELECT count(*), max(number) FROM elasticjob.change WHERE job = 'job'")
        .await?;
    let (count, last): (i64, i64) = (rows.try_get(0)?, rows.try_get(1)?);
    assert_eq!(last, 4_001);
    assert!((1_024..2_400).contains(&count), "{count}");
    let mut events = Vec::new();
    while let Some(event) = ready(&mut watch) {
        events.push(event);
    }
    assert!(
        events.len() == 4_000 || events.contains(&WatchEvent::Resync),
        "{}",
        events.len()
    );
    // The counter was set back, as by a restored table.
    connection
        .execute("UPDATE elasticjob.job SET counter = 7 WHERE name = 'job'")
        .await?;
    while next(&mut watch).await? != WatchEvent::Resync {}
    Ok(())
}

#[test]
fn the_password_is_never_shown() {
    let registry = PostgresRegistry::new("postgres://lion:tiger@db:5433/shop", "orders").expect("a URL");
    let shown = format!("{registry:?} {}", registry.describe());
    assert!(
        shown.contains("postgresql at db:5433/shop, namespace /orders") && !shown.contains("tiger"),
        "{shown}"
    );
    let refused = PostgresRegistry::new("postgres://lion:tiger@db:port/shop", "orders").expect_err("no port");
    assert!(!refused.to_string().contains("tiger"), "{refused}");
}
