//! What a session on ZooKeeper does when the network or the servers fail: each way in which the client crate
//! is known to fall short of the contract, made to happen.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{
    Answer, CreateMode, Error, Read, Registry, Session, SessionState, Step, Watch, WatchEvent, Written,
};
use elasticjob_tests::nodes::{create, create_as, ready, set};
use elasticjob_tests::proxy::{Close, Direction, Proxy};
use elasticjob_tests::zookeeper::{Ensemble, Server, free_port};
use tokio::time::{Instant, timeout};

/// The session timeout of a client that is hurt. Silence is noticed after 2/5 of it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a busy machine may take for anything that takes no time.
const SLACK: Duration = Duration::from_millis(1_500);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client behind a proxy, and one beside it that nothing happens to.
struct Fixture {
    proxy: Proxy,
    registry: ZooKeeperRegistry,
    session: Arc<dyn Session>,
    observer: Arc<dyn Session>,
}

impl Fixture {
    async fn new(server: &Server, namespace: &str) -> anyhow::Result<Self> {
        let proxy = Proxy::start(server.address()).await?;
        let registry = hurt(&proxy.address().to_string(), namespace)?;
        let session = registry.connect().await?;
        let observer = ZooKeeperRegistry::new(&server.address().to_string(), namespace)?
            .connect()
            .await?;
        Ok(Self {
            proxy,
            registry,
            session,
            observer,
        })
    }

    async fn shared(namespace: &str) -> anyhow::Result<Self> {
        Self::new(Server::shared(), namespace).await
    }
}

fn hurt(servers: &str, namespace: &str) -> anyhow::Result<ZooKeeperRegistry> {
    Ok(ZooKeeperRegistry::new(servers, namespace)?
        .with_session_timeout(TIMEOUT)
        .with_connection_timeout(TIMEOUT))
}

/// Returns whether the node is there, by a server that is up to date. A lost connection is waited out: an attempt to
/// connect that was held up can cost a later connection its life when it arrives.
async fn exists(session: &Arc<dyn Session>, path: &str) -> anyhow::Result<bool> {
    let ask = async || {
        session.sync().await?;
        session.read(vec![Read::Data(path.into())]).await
    };
    timeout(PATIENCE, async {
        loop {
            match ask().await {
                Err(Error::ConnectionLoss) => reached(session, SessionState::Connected).await?,
                answers => return Ok(answers? != [Answer::Data(None)]),
            }
            tokio::task::yield_now().await;
        }
    })
    .await?
}

async fn reached(session: &Arc<dyn Session>, wanted: SessionState) -> anyhow::Result<()> {
    timeout(PATIENCE, session.state().wait_for(|state| *state == wanted)).await??;
    Ok(())
}

async fn next(watch: &mut Box<dyn Watch>) -> anyhow::Result<WatchEvent> {
    Ok(timeout(PATIENCE, poll_fn(|cx| watch.poll_next(cx))).await?)
}

/// Repeats what may end with an unknown outcome, as it does around a reconnect.
async fn until_answered(session: &Arc<dyn Session>, steps: Vec<Step>) -> anyhow::Result<Vec<Written>> {
    timeout(PATIENCE, async {
        loop {
            match session.write(steps.clone()).await {
                Err(error) if error.error == Error::ConnectionLoss => reached(session, SessionState::Connected).await?,
                result => return Ok(result?),
            }
            tokio::task::yield_now().await;
        }
    })
    .await?
}

#[tokio::test]
async fn a_watch_should_survive_each_kind_of_disconnection_with_a_resync() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared("watch-survives").await?;
    let (mut watch, mut nested) = (session.watch("/").await?, session.watch("/a").await?);
    let (id, mut name) = (session.id(), 0);
    let faults: [fn(&Proxy); 4] = [
        |proxy| proxy.cut(Close::Finish),
        |proxy| proxy.cut(Close::Reset),
        |proxy| proxy.stall(Direction::Answers),
        |proxy| proxy.stall(Direction::Requests),
    ];
    for fault in faults {
        fault(&proxy);
        reached(&session, SessionState::Suspended).await?;
        observer.write(create(&format!("/missed-{name}"))).await?;
        proxy.heal();
        reached(&session, SessionState::Connected).await?;

        while next(&mut watch).await? != WatchEvent::Resync {}
        while next(&mut nested).await? != WatchEvent::Resync {}
        let path = format!("/seen-{name}");
        observer.write(create(&path)).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Created(path));
        assert_eq!(ready(&mut nested), None);
        name += 1;
    }
    observer.write(create("/a")).await?;
    assert_eq!(next(&mut nested).await?, WatchEvent::Created("/a".into()));
    assert_eq!(session.id(), id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_of_a_new_connection_should_come_after_the_resync() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared("order").await?;
    observer.write(create("/a")).await?;
    let mut watch = session.watch("/a").await?;
    for round in 0..20 {
        while ready(&mut watch).is_some() {}
        proxy.interrupt(if round % 2 == 0 { Close::Finish } else { Close::Reset });
        // Some of these go over the old connection, which has not noticed, and prove nothing.
        let mut connected = session.state();
        connected.mark_unchanged();
        while !connected.has_changed()? {
            // An unknown outcome is what there is to provoke.
            let _ = session.write(set("/a")).await;
        }
        observer.write(set("/a")).await?;
        until_answered(&session, set("/a")).await?;
        let mut events = Vec::new();
        while let Some(event) = ready(&mut watch) {
            events.push(event);
        }
        assert!(events.contains(&WatchEvent::Resync), "round {round}: {events:?}");
        assert_eq!(
            events.last(),
            Some(&WatchEvent::Changed("/a".into())),
            "round {round}: {events:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn sets_thousands_of_watches_again() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared("many-watches").await?;
    let mut watches = Vec::new();
    for i in 0..2_000 {
        observer.write(create(&format!("/job-{i}"))).await?;
        watches.push(session.watch(&format!("/job-{i}")).await?);
    }
    proxy.interrupt(Close::Reset);
    reached(&session, SessionState::Suspended).await?;
    reached(&session, SessionState::Connected).await?;
    for (i, watch) in watches.iter_mut().enumerate() {
        assert_eq!(
            ready(watch),
            Some(WatchEvent::Resync),
            "as soon as the session is connected"
        );
        observer.write(set(&format!("/job-{i}"))).await?;
        assert_eq!(next(watch).await?, WatchEvent::Changed(format!("/job-{i}")));
    }
    Ok(())
}

#[tokio::test]
async fn each_face_of_an_unknown_outcome_should_be_a_connection_loss() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared("unknown").await?;
    for (path, direction, close) in [
        ("/applied-then-finish", Direction::Answers, Some(Close::Finish)),
        ("/applied-then-reset", Direction::Answers, Some(Close::Reset)),
        ("/applied-then-silence", Direction::Answers, None),
        ("/dropped-by-finish", Direction::Requests, Some(Close::Finish)),
        ("/dropped-by-reset", Direction::Requests, Some(Close::Reset)),
    ] {
        let start = Instant::now();
        let mut watch = observer.watch(path).await?;
        proxy.stall(direction);
        let (write, read) = (
            session.write(create(path)),
            session.read_at_once(vec![Read::Data("/".into())]),
        );
        if direction == Direction::Answers {
            assert_eq!(next(&mut watch).await?, WatchEvent::Created(path.into()));
        } else {
            // Nothing tells that a request was sent: give it the time.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if let Some(close) = close {
            proxy.cut(close);
        }
        assert_eq!(write.await, Err(Error::ConnectionLoss.into()), "{path}");
        assert_eq!(read.await, Err(Error::ConnectionLoss), "{path}");
        assert!(start.elapsed() < TIMEOUT, "{path}: {:?}", start.elapsed());
        proxy.heal();
        reached(&session, SessionState::Connected).await?;
        assert_eq!(exists(&session, path).await?, direction == Direction::Answers, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn calls_without_a_connection_should_fail_at_once() -> anyhow::Result<()> {
    let Fixture { proxy, session, .. } = Fixture::shared("suspended").await?;
    proxy.cut(Close::Reset);
    reached(&session, SessionState::Suspended).await?;
    let start = Instant::now();
    assert_eq!(session.write(create("/a")).await, Err(Error::ConnectionLoss.into()));
    assert_eq!(
        session.read(vec![Read::Data("/a".into())]).await,
        Err(Error::ConnectionLoss)
    );
    assert_eq!(session.sync().await, Err(Error::ConnectionLoss));
    assert_eq!(session.watch("/a").await.err(), Some(Error::ConnectionLoss));
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    proxy.heal();
    reached(&session, SessionState::Connected).await?;
    assert!(!exists(&session, "/a").await?, "nothing was kept for later");
    session.watch("/a").await?;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_calls_should_be_bounded_and_end() -> anyhow::Result<()> {
    let Fixture { proxy, session, .. } = Fixture::shared("flood").await?;
    session.write(create("/a")).await?;
    let answered = futures_util::future::join_all((0..5_000).map(|_| session.write(set("/a")))).await;
    assert!(answered.iter().all(Result::is_ok));

    proxy.stall(Direction::Answers);
    let calls = (0..5_000).map(|_| session.write(set("/a")));
    let failed = timeout(TIMEOUT + SLACK, futures_util::future::join_all(calls)).await?;
    assert!(failed.iter().all(|result| *result == Err(Error::ConnectionLoss.into())));
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_cut_off_should_be_lost_when_its_timeout_has_passed() -> anyhow::Result<()> {
    for (namespace, silence) in [("expiry-cut", false), ("expiry-silence", true)] {
        let Fixture {
            proxy,
            session,
            observer,
            registry,
        } = Fixture::shared(namespace).await?;
        session.write(create_as("/e", CreateMode::Ephemeral)).await?;
        let (mut watch, mut own) = (observer.watch("/e").await?, session.watch("/e").await?);
        let start = Instant::now();
        if silence {
            proxy.stall(Direction::Requests);
            proxy.stall(Direction::Answers);
        } else {
            proxy.cut(Close::Reset);
        }
        reached(&session, SessionState::Suspended).await?;
        assert!(start.elapsed() < TIMEOUT / 2 + SLACK, "{:?}", start.elapsed());
        let suspended_after = start.elapsed();

        assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/e".into()));
        reached(&session, SessionState::Lost).await?;
        assert!(
            start.elapsed() < suspended_after + TIMEOUT + SLACK,
            "{:?}",
            start.elapsed()
        );
        assert_eq!(next(&mut own).await?, WatchEvent::Closed);
        assert_eq!(next(&mut own).await?, WatchEvent::Closed, "and no panic");
        assert_eq!(session.write(create("/late")).await, Err(Error::SessionExpired.into()));
        assert!(matches!(registry.connect().await, Err(Error::Unreachable(_))));

        proxy.heal();
        let session = registry.connect().await?;
        session.write(create_as("/e", CreateMode::Ephemeral)).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Created("/e".into()));
        let mut own = session.watch("/e").await?;
        session.write(set("/e")).await?;
        assert_eq!(ready(&mut own), Some(WatchEvent::Changed("/e".into())));
    }
    Ok(())
}

#[tokio::test]
async fn an_expiry_should_be_learnt_from_a_server_that_had_forgotten_the_session() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared("forgotten").await?;
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

#[tokio::test]
async fn a_delay_should_change_nothing_but_the_time() -> anyhow::Result<()> {
    let Fixture { proxy, session, .. } = Fixture::shared("delay").await?;
    let mut watch = session.watch("/").await?;
    proxy.delay(Duration::from_millis(100));
    let start = Instant::now();
    let writes = (0..10).map(|i| session.write(create(&format!("/{i}"))));
    for result in futures_util::future::join_all(writes).await {
        result?;
    }
    assert!(start.elapsed() >= Duration::from_millis(200), "there and back");
    for i in 0..10 {
        assert_eq!(
            ready(&mut watch),
            Some(WatchEvent::Created(format!("/{i}"))),
            "calls are sent in order"
        );
    }
    assert_eq!(*session.state().borrow(), SessionState::Connected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_within_the_timeout_should_keep_the_session() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let registry =
        ZooKeeperRegistry::new(&server.address().to_string(), "restart")?.with_session_timeout(Duration::from_secs(15));
    let session = registry.connect().await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut watch = session.watch("/").await?;
    server.kill();
    reached(&session, SessionState::Suspended).await?;
    server.restart()?;
    reached(&session, SessionState::Connected).await?;
    assert_eq!(next(&mut watch).await?, WatchEvent::Resync);
    assert!(exists(&session, "/e").await?);
    session.write(set("/e")).await?;
    assert_eq!(ready(&mut watch), Some(WatchEvent::Changed("/e".into())));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_should_cost_the_session_but_not_the_registry() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let registry = hurt(&server.address().to_string(), "away")?;
    let session = registry.connect().await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    server.kill();
    reached(&session, SessionState::Lost).await?;
    assert!(matches!(registry.connect().await, Err(Error::Unreachable(_))));

    server.restart()?;
    let successor = registry.connect().await?;
    assert_ne!(successor.id(), session.id());
    let mut watch = successor.watch("/e").await?;
    if exists(&successor, "/e").await? {
        assert_eq!(
            next(&mut watch).await?,
            WatchEvent::Deleted("/e".into()),
            "the dead session's timeout ran a second time"
        );
    }
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
async fn a_close_without_a_connection_should_end_in_time_and_leave_the_rest_to_the_timeout() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared("close-cut").await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut watch = observer.watch("/e").await?;
    proxy.stall(Direction::Requests);
    let start = Instant::now();
    session.close().await;
    assert!(start.elapsed() < TIMEOUT + SLACK, "{:?}", start.elapsed());
    assert_eq!(*session.state().borrow(), SessionState::Lost);
    assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/e".into()));
    Ok(())
}

#[tokio::test]
async fn closes_without_waiting_for_unpolled_calls() -> anyhow::Result<()> {
    let Fixture {
        session,
        observer,
        proxy: _proxy,
        ..
    } = Fixture::shared("close-parked").await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut parked = session.sync();
    let _ = parked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    session.close().await;
    assert!(!exists(&observer, "/e").await?);
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
    let reason = "/secret/a: not authorized: its access rights are for others, such as those with another digest";
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
    } = Fixture::shared("vanishing/deep").await?;
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
