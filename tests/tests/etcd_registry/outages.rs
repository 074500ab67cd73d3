//! Servers that are killed, stopped, or behind a connection that is cut.

use elasticjob_tests::etcd::Etcd;
use elasticjob_tests::nodes::{create, create_as, data, set};
use elasticjob_tests::proxy::{Close, Direction, Proxy};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_killed_server_keep_sessions_and_watches() -> anyhow::Result<()> {
    let mut etcd = Etcd::start()?;
    let session = EtcdRegistry::new(&etcd.url(), "killed")?.connect().await?;
    session.write(create("/job")).await?;
    session.write(create_as("/job/instance", CreateMode::Ephemeral)).await?;
    let mut watch = session.watch("/job").await?;
    for round in 0..3 {
        etcd.kill(0);
        reached(&session, SessionState::Suspended).await?;
        assert_eq!(
            session.write(set("/job")).await.unwrap_err().error,
            Error::ConnectionLoss
        );
        etcd.start_again(0)?;
        reached(&session, SessionState::Connected).await?;
        session.sync().await?;
        assert_eq!(
            data(&session, "/job/instance").await?.unwrap().1.ephemeral_owner,
            session.id()
        );
        let path = format!("/job/{round}");
        until_answered(&session, create(&path)).await?;
        until(&mut watch, &WatchEvent::Resync).await?;
        until(&mut watch, &WatchEvent::Created(path)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_server_that_stands_still_are_noticed() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    let session = EtcdRegistry::new(&etcd.url(), "stopped")?.connect().await?;
    session.write(create("/job")).await?;
    etcd.pause(0)?;
    let refused = timeout(session.timeout(), session.write(set("/job"))).await?;
    assert_eq!(refused.unwrap_err().error, Error::ConnectionLoss);
    assert_eq!(*session.state().borrow(), SessionState::Suspended);
    etcd.resume(0)?;
    reached(&session, SessionState::Connected).await?;
    until_answered(&session, set("/job")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_connections_keep_watches_and_let_nothing_happen_later() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    let proxy = Proxy::start(etcd.address()).await?;
    let session = EtcdRegistry::new(&format!("etcd://{}", proxy.address()), "cut")?
        .connect()
        .await?;
    let observer = EtcdRegistry::new(&etcd.url(), "cut")?.connect().await?;
    observer.write(create("/job")).await?;
    let mut watch = session.watch("/job").await?;
    let faults: [fn(&Proxy); 4] = [
        |proxy| proxy.cut(Close::Finish),
        |proxy| proxy.cut(Close::Reset),
        |proxy| proxy.stall(Direction::Answers),
        |proxy| proxy.stall(Direction::Requests),
    ];
    for (round, fault) in faults.into_iter().enumerate() {
        let (own, other) = (format!("/job/own-{round}"), format!("/job/other-{round}"));
        fault(&proxy);
        assert_eq!(
            session.write(create(&own)).await.unwrap_err().error,
            Error::ConnectionLoss
        );
        reached(&session, SessionState::Suspended).await?;
        observer.write(create(&other)).await?;
        proxy.heal();
        reached(&session, SessionState::Connected).await?;
        session.sync().await?;
        let has_happened = data(&session, &own).await?.is_some();
        until(&mut watch, &WatchEvent::Resync).await?;
        assert!(data(&session, &other).await?.is_some());
        let after = format!("/job/after-{round}");
        observer.write(create(&after)).await?;
        until(&mut watch, &WatchEvent::Created(after)).await?;
        observer.sync().await?;
        assert_eq!(data(&observer, &own).await?.is_some(), has_happened, "round {round}");
    }
    Ok(())
}

/// The session has two ways to the server, and a write is held up on the one that it leaves.
#[tokio::test(flavor = "multi_thread")]
async fn do_not_let_a_write_happen_that_was_seen_not_to_have() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    let ways = [Proxy::start(etcd.address()).await?, Proxy::start(etcd.address()).await?];
    let url = format!("etcd://{},{}", ways[0].address(), ways[1].address());
    let session = EtcdRegistry::new(&url, "ways")?
        .with_session_timeout(TTL)
        .connect()
        .await?;
    let observer = EtcdRegistry::new(&etcd.url(), "ways")?.connect().await?;
    observer.write(create("/job")).await?;
    let mut held_up = 0;
    for round in 0..12 {
        let (way, path) = (&ways[round % 2], format!("/job/{round}"));
        way.stall(Direction::Requests);
        // Unless it goes the other way.
        if session.write(create(&path)).await.is_err() {
            held_up += 1;
            reached(&session, SessionState::Connected).await?;
            session.sync().await?;
            let has_happened = data(&session, &path).await?.is_some();
            way.heal();
            // What was held back arrives, before or behind these.
            for _ in 0..20 {
                observer.sync().await?;
                assert_eq!(data(&observer, &path).await?.is_some(), has_happened, "round {round}");
            }
        }
        way.heal();
    }
    assert!(held_up > 0, "the session takes one of the ways");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn longer_than_a_session_end_it() -> anyhow::Result<()> {
    let etcd = Etcd::start()?;
    let proxy = Proxy::start(etcd.address()).await?;
    let session = connect(&format!("etcd://{}", proxy.address()), "long").await?;
    let observer = connect(&etcd.url(), "long").await?;
    session.write(create("/job")).await?;
    session.write(create_as("/job/instance", CreateMode::Ephemeral)).await?;
    let mut watch = observer.watch("/job/instance").await?;
    proxy.cut(Close::Reset);
    assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/job/instance".into()));
    reached(&session, SessionState::Lost).await?;
    assert_eq!(session.sync().await, Err(Error::SessionExpired));
    Ok(())
}

#[tokio::test]
async fn at_the_start_are_said_with_each_server() -> anyhow::Result<()> {
    let port = elasticjob_tests::zookeeper::free_port()?;
    let error = connect(&format!("etcd://127.0.0.1:{port},no-such-host.invalid"), "none")
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{port}: ")) && text.contains("no-such-host.invalid:2379: "),
        "{text}"
    );
    Ok(())
}
