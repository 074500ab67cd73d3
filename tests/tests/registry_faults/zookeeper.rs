//! What happens to ZooKeeper alone: servers that take over from each other, digests, namespaces that it deletes.

use std::time::Duration;

use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{CreateMode, Error, Read, Registry as _, SessionState, Step, WatchEvent, Written};
use elasticjob_tests::nodes::{create, create_as, set};
use elasticjob_tests::proxy::{Close, Direction, Proxy};
use elasticjob_tests::zookeeper::{Ensemble, Server, free_port};
use tokio::time::Instant;

use super::place::Place as _;
use super::{Fixture, SLACK, exists, next, reached, until_answered};

/// The session timeout of a client that is hurt.
const TIMEOUT: Duration = Server::TIMEOUT;

fn hurt(servers: &str, namespace: &str) -> anyhow::Result<ZooKeeperRegistry> {
    Ok(ZooKeeperRegistry::new(servers, namespace)?
        .with_session_timeout(TIMEOUT)
        .with_connection_timeout(TIMEOUT))
}

#[tokio::test]
async fn an_expiry_should_be_learnt_from_a_server_that_had_forgotten_the_session() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared::<Server>("forgotten").await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut watch = observer.watch("/e").await?;
    // The server hears nothing, while the client hears as much as is needed to stay in good faith.
    proxy.stall(Direction::Requests);
    assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/e".into()));
    proxy.heal();
    reached(&session, SessionState::Lost).await?;
    assert_eq!(session.sync().await, Err(Error::SessionExpired));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_should_cost_the_connection_but_not_the_session() -> anyhow::Result<()> {
    let server = Server::start()?;
    let session = hurt(&server.address().to_string(), "paused")?.connect().await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    server.pause()?;
    let start = Instant::now();
    assert_eq!(session.write(set("/e")).await, Err(Error::ConnectionLoss.into()));
    assert!(start.elapsed() < TIMEOUT / 2 + SLACK, "{:?}", start.elapsed());
    server.resume()?;
    reached(&session, SessionState::Connected).await?;
    // The first write may have happened after all, or not: both were seen.
    let answers = until_answered(&session, set("/e")).await?;
    assert!(
        matches!(&answers[..], [Written::Set(stat)] if (1..=2).contains(&stat.version)),
        "{answers:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_unknown_write_should_not_happen_any_more_once_the_session_is_connected_again() -> anyhow::Result<()> {
    let server = Server::shared();
    let (old, new) = (
        Proxy::start(server.address()).await?,
        Proxy::start(server.address()).await?,
    );
    new.cut(Close::Reset);
    let session = hurt(&format!("{},{}", old.address(), new.address()), "settled")?
        .connect()
        .await?;
    new.heal();
    old.stall(Direction::Requests);
    assert_eq!(session.write(create("/late")).await, Err(Error::ConnectionLoss.into()));
    reached(&session, SessionState::Connected).await?;
    assert!(!exists(&session, "/late").await?);
    old.heal();
    for _ in 0..200 {
        assert!(
            !exists(&session, "/late").await?,
            "it was held up on the old connection, which is closed"
        );
    }
    Ok(())
}

#[tokio::test]
async fn another_server_should_take_a_session_over() -> anyhow::Result<()> {
    let server = Server::shared();
    let proxies = [
        Proxy::start(server.address()).await?,
        Proxy::start(server.address()).await?,
    ];
    let servers = format!(
        "127.0.0.1:{},{},{}",
        free_port()?,
        proxies[0].address(),
        proxies[1].address()
    );
    let session = hurt(&servers, "several")?.connect().await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    for round in 0..4 {
        proxies[round % 2].cut(Close::Reset);
        until_answered(&session, set("/e")).await?;
        proxies[round % 2].heal();
    }
    assert!(exists(&session, "/e").await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_should_outlive_the_leader_of_an_ensemble() -> anyhow::Result<()> {
    let mut ensemble = Ensemble::start(3)?;
    let registry =
        ZooKeeperRegistry::new(&ensemble.connect_string(), "leader")?.with_session_timeout(Duration::from_secs(15));
    let session = registry.connect().await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let leader = ensemble.leader().expect("it was elected");
    ensemble.servers()[leader].kill();
    until_answered(&session, set("/e")).await?;
    assert!(exists(&session, "/e").await?);
    Ok(())
}

#[tokio::test]
async fn another_digest_should_be_refused_with_a_word_on_why() -> anyhow::Result<()> {
    let server = Server::shared().address().to_string();
    let registry = ZooKeeperRegistry::new(&server, "secret")?;
    let owner = registry.clone().with_digest("owner:right").connect().await?;
    owner.write(create("/a")).await?;
    for stranger in [registry.clone().with_digest("owner:wrong"), registry.clone()] {
        let error = stranger.connect().await.expect_err("it is a secret");
        assert!(matches!(&error, Error::Refused(reason) if reason.contains("/secret") && reason.contains("digest")));
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    assert!(!format!("{:?}", registry.with_digest("owner:right")).contains("right"));

    let open = ZooKeeperRegistry::new(&server, "/")?.connect().await?;
    let error = open.write(set("/secret/a")).await.expect_err("it is a secret");
    assert_eq!(error.step, Some(0));
    let reason =
        "/secret/a: not authorized: its access rights are for others, such as those with another digest or user";
    assert_eq!(error.error, Error::Refused(reason.into()));
    assert!(matches!(
        open.read(vec![Read::Data("/secret/a".into())]).await,
        Err(Error::Refused(_))
    ));
    Ok(())
}

#[tokio::test]
async fn servers_that_are_not_there_should_be_named() -> anyhow::Result<()> {
    let dead = format!("127.0.0.1:{}", free_port()?);
    let unknown = "no-such-host.invalid:2181";
    let silent = Proxy::start(Server::shared().address()).await?;
    silent.stall(Direction::Requests);
    for (servers, patience) in [
        (dead.clone(), SLACK),
        (unknown.to_owned(), TIMEOUT + SLACK),
        (format!("{dead},{unknown}"), TIMEOUT + SLACK),
        (silent.address().to_string(), TIMEOUT + SLACK),
    ] {
        let start = Instant::now();
        let error = hurt(&servers, "nowhere")?
            .connect()
            .await
            .expect_err("there is nothing");
        let is_named = |reason: &str| servers.split(',').all(|server| reason.contains(server));
        assert!(
            matches!(&error, Error::Unreachable(reason) if is_named(reason)),
            "{error}"
        );
        assert!(start.elapsed() < patience, "{servers}: {:?}", start.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_the_server_deleted_should_be_made_again() -> anyhow::Result<()> {
    let Fixture {
        session, proxy: _proxy, ..
    } = Fixture::shared::<Server>("vanishing/deep").await?;
    session.write(create("/job")).await?;
    session
        .write(vec![Step::Delete {
            path: "/job".into(),
            version: None,
        }])
        .await?;
    let root = ZooKeeperRegistry::new(&Server::shared().address().to_string(), "/")?
        .connect()
        .await?;
    for path in ["/vanishing/deep", "/vanishing"] {
        // As the server itself does with an empty container, once a minute: it may have been first.
        let _ = root
            .write(vec![Step::Delete {
                path: path.into(),
                version: None,
            }])
            .await;
    }
    assert!(!exists(&root, "/vanishing").await?);
    session.sync().await?;
    session.write(create("/job")).await?;
    assert!(exists(&root, "/vanishing/deep/job").await?);
    Ok(())
}

#[tokio::test]
async fn a_server_should_count_what_was_asked_of_it() -> anyhow::Result<()> {
    let server = Server::start()?;
    let session = ZooKeeperRegistry::new(&server.address().to_string(), "counted")?
        .connect()
        .await?;
    let before = server.counters()?;
    let _watch = session.watch("/").await?;
    for i in 0..10 {
        session
            .write(
                [
                    create(&format!("/{i}")),
                    create_as(&format!("/e{i}"), CreateMode::Ephemeral),
                ]
                .concat(),
            )
            .await?;
    }
    let counted = server.counters()? - before;
    assert_eq!(
        (counted.transactions, counted.nodes, counted.ephemerals, counted.watches),
        (10, 20, 10, 2)
    );
    assert!(
        counted.packets_received >= 11 && counted.packets_sent >= 31,
        "{counted:?}"
    );
    Ok(())
}
