//! Members behind a real PgBouncer in transaction mode.

use std::sync::Arc;

use anyhow::Context as _;
use elasticjob::registry::sql::PostgresRegistry;
use elasticjob::registry::{CreateMode, Error, Registry as _, Session, SessionState, WatchEvent, Written, conformance};
use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::log::Log;
use elasticjob_tests::nodes::{create, create_as, data, set};
use elasticjob_tests::pooler::Pooler;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, TIMEOUT, connected, next, reached};

/// Fewer than there are members.
const CONNECTIONS: u32 = 3;

/// A server that serves, with a pooler before it.
async fn pooler() -> anyhow::Result<(DatabaseServer, Pooler)> {
    let server = DatabaseServer::start(Kind::Postgres)?;
    connected(&server).await?.close().await;
    let pooler = Pooler::start(&server, CONNECTIONS)?;
    Ok((server, pooler))
}

async fn behind(pooler: &Pooler) -> anyhow::Result<Arc<dyn Session>> {
    let registry = PostgresRegistry::new(&pooler.url(), "shop")?;
    Ok(registry.with_session_timeout(TIMEOUT).connect().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_should_break_no_promise() -> anyhow::Result<()> {
    let (_server, pooler) = pooler().await?;
    let registry = PostgresRegistry::new(&pooler.url(), "conformance")?;
    conformance::all(Arc::new(registry)).await;
    Ok(())
}

#[tokio::test]
async fn a_member_should_find_out_that_it_hears_nothing_and_ask() -> anyhow::Result<()> {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.subscriber());
    let (server, pooler) = pooler().await?;
    let member = behind(&pooler).await?;
    let other = connected(&server).await?;
    other.write(create("/job")).await?;
    let mut watch = member.watch("/job").await?;
    let deadline = Instant::now() + PATIENCE;
    while !log.text().contains("there is a pooler between") {
        anyhow::ensure!(Instant::now() < deadline, "{}", log.text());
        other.write(set("/job")).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Changed("/job".into()));
    }
    // What listens would hear in the name of the client that has the connection then.
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let options: PgConnectOptions = pooler.url().parse()?;
        let mut client = options.extra_float_digits(None::<i8>).connect().await?;
        client.execute(sqlx::raw_sql("BEGIN")).await?;
        let rows = client
            .fetch_all(sqlx::raw_sql("SELECT pg_listening_channels()"))
            .await?;
        assert_eq!(rows.len(), 0);
        clients.push(client);
    }
    drop(clients);
    // The other is before the pooler, and is not deaf.
    assert_eq!(
        log.text().matches("there is a pooler between").count(),
        1,
        "{}",
        log.text()
    );
    Ok(())
}

/// Sets a node that no other session sets. Returns its version then: that of the answer, or if the connection was lost, what is there.
async fn written(session: &Arc<dyn Session>, path: &str) -> anyhow::Result<i32> {
    match session.write(set(path)).await {
        Ok(answers) => match &answers[..] {
            [Written::Set(stat)] => Ok(stat.version),
            others => anyhow::bail!("{path}: the answer of another: {others:?}"),
        },
        Err(refused) if refused.error == Error::ConnectionLoss => {
            let deadline = Instant::now() + PATIENCE;
            while let Err(error) = session.sync().await {
                anyhow::ensure!(
                    error == Error::ConnectionLoss && Instant::now() < deadline,
                    "{path}: {error}"
                );
                reached(session, SessionState::Connected).await?;
            }
            let (_, stat) = data(session, path).await?.context("it is there")?;
            Ok(stat.version)
        }
        Err(refused) => Err(refused.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_share_connections_should_not_get_answers_of_others() -> anyhow::Result<()> {
    let (_server, pooler) = pooler().await?;
    let first = behind(&pooler).await?;
    first.write(create("/job")).await?;
    let mut sessions = Vec::new();
    for number in 0..12 {
        let session = behind(&pooler).await?;
        session
            .write(create_as(&format!("/job/{number}"), CreateMode::Ephemeral))
            .await?;
        sessions.push(session);
    }
    let writes = sessions.iter().enumerate().map(async |(number, session)| {
        let path = format!("/job/{number}");
        for version in 1..=50 {
            while written(session, &path).await? != version {}
        }
        anyhow::Ok(())
    });
    timeout(PATIENCE, futures_util::future::try_join_all(writes)).await??;
    Ok(())
}
