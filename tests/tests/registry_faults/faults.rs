//! What happens to each registry, with the place that has it as the parameter.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use elasticjob::registry::{CreateMode, Error, Read, Session, SessionState, Watch, WatchEvent};
use elasticjob_tests::nodes::{create, create_as, ready, set};
use elasticjob_tests::proxy::{Close, Direction, Proxy};
use tokio::time::{Instant, timeout};

use super::place::Place;
use super::{Fixture, PATIENCE, SLACK, connected, exists, next, reached, until_answered};

pub(super) async fn a_watch_should_survive_each_kind_of_disconnection_with_a_resync<P: Place>() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared::<P>("watch-survives").await?;
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

pub(super) async fn the_first_answer_of_a_new_connection_should_come_after_the_resync<P: Place>() -> anyhow::Result<()>
{
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared::<P>("order").await?;
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

pub(super) async fn sets_thousands_of_watches_again<P: Place>() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared::<P>("many-watches").await?;
    let mut watches = Vec::new();
    for i in 0..2_000 {
        observer.write(create(&format!("/job-{i}"))).await?;
        watches.push(session.watch(&format!("/job-{i}")).await?);
    }
    proxy.interrupt(Close::Reset);
    reached(&session, SessionState::Suspended).await?;
    reached(&session, SessionState::Connected).await?;
    for watch in &mut watches {
        assert_eq!(
            ready(watch),
            Some(WatchEvent::Resync),
            "as soon as the session is connected"
        );
    }
    for i in 0..watches.len() {
        observer.write(set(&format!("/job-{i}"))).await?;
    }
    for (i, watch) in watches.iter_mut().enumerate() {
        assert_eq!(next(watch).await?, WatchEvent::Changed(format!("/job-{i}")));
    }
    Ok(())
}

pub(super) async fn each_face_of_an_unknown_outcome_should_be_a_connection_loss<P: Place>() -> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared::<P>("unknown").await?;
    for (path, direction, close) in [
        ("/applied-then-finish", Direction::Answers, Some(Close::Finish)),
        ("/applied-then-reset", Direction::Answers, Some(Close::Reset)),
        ("/applied-then-silence", Direction::Answers, None),
        ("/dropped-by-finish", Direction::Requests, Some(Close::Finish)),
        ("/dropped-by-reset", Direction::Requests, Some(Close::Reset)),
    ] {
        let mut watch = observer.watch(path).await?;
        let deadline = Instant::now() + PATIENCE;
        while !is_unknown::<P>(&proxy, &session, &mut watch, path, direction, close).await? {
            anyhow::ensure!(Instant::now() < deadline, "{path}: no write is sent");
        }
        assert_eq!(exists(&session, path).await?, direction == Direction::Answers, "{path}");
    }
    Ok(())
}

/// Has a write and a read end with an unknown outcome. Returns whether the write was sent, if it is to be: a registry that sends one
/// request at a time may have waited for the answer to one of its own when answers fell silent.
async fn is_unknown<P: Place>(
    proxy: &Proxy,
    session: &Arc<dyn Session>,
    watch: &mut Box<dyn Watch>,
    path: &str,
    direction: Direction,
    close: Option<Close>,
) -> anyhow::Result<bool> {
    let start = Instant::now();
    proxy.stall(direction);
    let (mut write, read) = (
        session.write(create(path)),
        session.read_at_once(vec![Read::Data("/".into())]),
    );
    let mut is_sent = true;
    let mut written = None;
    if direction == Direction::Answers {
        tokio::select! {
            biased;
            event = next(watch) => assert_eq!(event?, WatchEvent::Created(path.into())),
            result = &mut write => {
                is_sent = false;
                written = Some(result);
            }
        }
    } else {
        // Nothing tells that a request was sent: give it the time.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if let Some(close) = close {
        proxy.cut(close);
    }
    let written = match written {
        Some(result) => result,
        None => write.await,
    };
    assert_eq!(written, Err(Error::ConnectionLoss.into()), "{path}");
    assert_eq!(read.await, Err(Error::ConnectionLoss), "{path}");
    assert!(start.elapsed() < P::TIMEOUT, "{path}: {:?}", start.elapsed());
    proxy.heal();
    reached(session, SessionState::Connected).await?;
    Ok(is_sent)
}

pub(super) async fn calls_without_a_connection_should_fail_at_once<P: Place>() -> anyhow::Result<()> {
    let Fixture { proxy, session, .. } = Fixture::shared::<P>("suspended").await?;
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

pub(super) async fn a_flood_of_calls_should_be_bounded_and_end<P: Place>() -> anyhow::Result<()> {
    let Fixture { proxy, session, .. } = Fixture::shared::<P>("flood").await?;
    session.write(create("/a")).await?;
    let answered = futures_util::future::join_all((0..5_000).map(|_| session.write(set("/a")))).await;
    assert!(answered.iter().all(Result::is_ok));

    proxy.stall(Direction::Answers);
    let calls = (0..5_000).map(|_| session.write(set("/a")));
    let failed = timeout(P::TIMEOUT + SLACK, futures_util::future::join_all(calls)).await?;
    assert!(failed.iter().all(|result| *result == Err(Error::ConnectionLoss.into())));
    Ok(())
}

pub(super) async fn a_session_that_is_cut_off_should_be_lost_when_its_timeout_has_passed<P: Place>()
-> anyhow::Result<()> {
    for (namespace, silence) in [("expiry-cut", false), ("expiry-silence", true)] {
        let Fixture {
            proxy,
            session,
            observer,
            registry,
        } = Fixture::shared::<P>(namespace).await?;
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
        assert!(start.elapsed() < P::TIMEOUT / 2 + SLACK, "{:?}", start.elapsed());
        let suspended_after = start.elapsed();

        assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/e".into()));
        reached(&session, SessionState::Lost).await?;
        assert!(
            start.elapsed() < suspended_after + P::TIMEOUT + SLACK,
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

pub(super) async fn a_delay_should_change_nothing_but_the_time<P: Place>() -> anyhow::Result<()> {
    let Fixture { proxy, session, .. } = Fixture::shared::<P>("delay").await?;
    let mut watch = session.watch("/").await?;
    proxy.delay(Duration::from_millis(100));
    let start = Instant::now();
    let writes = (0..10).map(|i| session.write(create(&format!("/{i}"))));
    for result in futures_util::future::join_all(writes).await {
        result?;
    }
    assert!(start.elapsed() >= Duration::from_millis(200), "there and back");
    let mut events: Vec<WatchEvent> = std::iter::from_fn(|| ready(&mut watch)).collect();
    if !P::IS_ONE_ROW {
        events.sort_by_key(|event| format!("{event:?}"));
    }
    let expected: Vec<WatchEvent> = (0..10).map(|i| WatchEvent::Created(format!("/{i}"))).collect();
    assert_eq!(events, expected, "calls are sent in order");
    assert_eq!(*session.state().borrow(), SessionState::Connected);
    Ok(())
}

pub(super) async fn a_server_that_restarts_within_the_timeout_should_keep_the_session<P: Place>() -> anyhow::Result<()>
{
    let mut server = P::start()?;
    let registry = P::registry(server.address(), "restart", Duration::from_secs(15))?;
    let session = connected(&*registry).await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut watch = session.watch("/").await?;
    server.kill()?;
    reached(&session, SessionState::Suspended).await?;
    server.restart()?;
    reached(&session, SessionState::Connected).await?;
    assert_eq!(next(&mut watch).await?, WatchEvent::Resync);
    assert!(exists(&session, "/e").await?);
    session.write(set("/e")).await?;
    assert_eq!(ready(&mut watch), Some(WatchEvent::Changed("/e".into())));
    Ok(())
}

pub(super) async fn a_server_that_stays_away_should_cost_the_session_but_not_the_registry<P: Place>()
-> anyhow::Result<()> {
    let mut server = P::start()?;
    let registry = P::registry(server.address(), "away", P::TIMEOUT)?;
    let session = connected(&*registry).await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    server.kill()?;
    reached(&session, SessionState::Lost).await?;
    assert!(matches!(registry.connect().await, Err(Error::Unreachable(_))));

    server.restart()?;
    let successor = connected(&*registry).await?;
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

pub(super) async fn a_close_without_a_connection_should_end_in_time_and_leave_the_rest_to_the_timeout<P: Place>()
-> anyhow::Result<()> {
    let Fixture {
        proxy,
        session,
        observer,
        ..
    } = Fixture::shared::<P>("close-cut").await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut watch = observer.watch("/e").await?;
    proxy.stall(Direction::Requests);
    let start = Instant::now();
    session.close().await;
    assert!(start.elapsed() < P::TIMEOUT + SLACK, "{:?}", start.elapsed());
    assert_eq!(*session.state().borrow(), SessionState::Lost);
    assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/e".into()));
    Ok(())
}

pub(super) async fn closes_without_waiting_for_unpolled_calls<P: Place>() -> anyhow::Result<()> {
    let Fixture {
        session,
        observer,
        proxy: _proxy,
        ..
    } = Fixture::shared::<P>("close-parked").await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut parked = session.sync();
    let _ = parked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    session.close().await;
    assert!(!exists(&observer, "/e").await?);
    Ok(())
}
