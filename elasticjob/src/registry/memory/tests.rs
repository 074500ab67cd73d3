//! Faults, each as ordered and as seen by both ends. What holds without faults is the conformance suite's.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};

use super::*;
use crate::registry::{Answer, CreateMode, Read, SessionState, Step, Watch, WatchEvent};

const TIMEOUT: Duration = Duration::from_secs(10);

fn registry() -> MemoryRegistry {
    MemoryRegistry::with_clock(|| 1_000).with_session_timeout(TIMEOUT)
}

async fn connect(registry: &dyn Registry) -> Arc<dyn Session> {
    registry.connect().await.unwrap()
}

fn create(path: &str, mode: CreateMode) -> Vec<Step> {
    vec![Step::Create {
        path: path.into(),
        data: vec![],
        mode,
    }]
}

async fn exists(session: &Arc<dyn Session>, path: &str) -> bool {
    let answers = session.read(vec![Read::Data(path.into())]).await.unwrap();
    !matches!(answers[..], [Answer::Data(None)])
}

fn known(session: &Arc<dyn Session>) -> SessionState {
    *session.state().borrow()
}

async fn next(watch: &mut Box<dyn Watch>) -> WatchEvent {
    poll_fn(|cx| watch.poll_next(cx)).await
}

fn has_event(watch: &mut Box<dyn Watch>) -> Option<WatchEvent> {
    match watch.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

mod like_etcd {
    use super::*;

    fn registry() -> MemoryRegistry {
        super::registry().with_steps(48).with_net_effects()
    }

    #[tokio::test]
    async fn conforms() {
        crate::registry::conformance::all(Arc::new(registry())).await;
    }

    #[tokio::test]
    async fn refuses_more_steps_than_it_takes() {
        let session = connect(&registry()).await;
        let step = Step::Check {
            path: "/".into(),
            version: None,
        };
        session.write(vec![step.clone(); 48]).await.unwrap();
        let refused = session.write(vec![step; 49]).await.unwrap_err();
        assert_eq!(refused, Error::TooManySteps { steps: 49, limit: 48 }.into());
    }
}

#[tokio::test]
async fn answers_at_the_first_poll_without_a_fault() {
    let session = connect(&registry()).await;
    let mut watch = session.watch("/").now_or_never().unwrap().unwrap();
    session
        .write(create("/a", CreateMode::Persistent))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Created("/a".into())));
    session.sync().now_or_never().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn resumes_with_a_resync_after_a_short_cut() {
    let registry = registry();
    let (link, observer) = (registry.link("a"), connect(&registry).await);
    let session = connect(&link).await;
    session.write(create("/e", CreateMode::Ephemeral)).await.unwrap();
    let mut watch = session.watch("/").await.unwrap();

    link.cut();
    assert_eq!(known(&session), SessionState::Suspended);
    assert_eq!(session.sync().await, Err(Error::ConnectionLoss));
    assert!(matches!(link.connect().await, Err(Error::Unreachable(_))));
    observer.write(create("/missed", CreateMode::Persistent)).await.unwrap();
    sleep(TIMEOUT - Duration::from_secs(1)).await;
    link.heal();

    assert_eq!(known(&session), SessionState::Connected);
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Resync));
    observer.write(create("/seen", CreateMode::Persistent)).await.unwrap();
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Created("/seen".into())));
    sleep(TIMEOUT * 2).await;
    assert!(exists(&observer, "/e").await, "a healed session does not time out");
}

#[tokio::test(start_paused = true)]
async fn ends_a_cut_session_before_its_client_does() {
    let registry = registry();
    let (link, observer) = (registry.link("a"), connect(&registry).await);
    let session = connect(&link).await;
    session.write(create("/e", CreateMode::Ephemeral)).await.unwrap();
    let (mut watch, mut own) = (observer.watch("/e").await.unwrap(), session.watch("/e").await.unwrap());
    let start = Instant::now();

    link.cut();
    assert_eq!(next(&mut watch).await, WatchEvent::Deleted("/e".into()));
    assert_eq!(start.elapsed(), TIMEOUT);
    assert_eq!(known(&session), SessionState::Suspended);

    assert_eq!(next(&mut own).await, WatchEvent::Closed);
    assert_eq!(start.elapsed(), TIMEOUT * 7 / 5);
    assert_eq!(known(&session), SessionState::Lost);
    assert_eq!(session.sync().await, Err(Error::SessionExpired));
    assert_eq!(next(&mut own).await, WatchEvent::Closed, "for ever");
    assert!(link.sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn serves_a_stalled_request_after_a_late_heal() {
    let registry = registry();
    let link = registry.link("a");
    let session = connect(&link).await;
    let start = Instant::now();

    link.stall(Direction::Requests);
    let write = session.write(create("/late", CreateMode::Persistent));
    assert_eq!(write.await.unwrap_err(), Error::ConnectionLoss.into());
    assert_eq!(start.elapsed(), TIMEOUT * 2 / 5, "silence is noticed late");
    assert_eq!(known(&session), SessionState::Suspended);
    assert!(!exists(&connect(&registry).await, "/late").await);

    link.heal();
    assert!(exists(&session, "/late").await);
    assert_eq!(known(&session), SessionState::Connected);
}

#[tokio::test(start_paused = true)]
async fn drops_a_stalled_request_at_a_cut() {
    let registry = registry();
    let link = registry.link("a");
    let session = connect(&link).await;

    link.stall(Direction::Requests);
    let write = session.write(create("/dropped", CreateMode::Persistent));
    link.cut();
    assert_eq!(write.await.unwrap_err(), Error::ConnectionLoss.into());
    link.heal();
    assert!(!exists(&session, "/dropped").await);

    link.stall(Direction::Requests);
    let write = session.write(create("/slow", CreateMode::Persistent));
    link.heal();
    assert!(write.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn loses_a_stalled_answer_at_a_cut() {
    let registry = registry();
    let link = registry.link("a");
    let session = connect(&link).await;

    link.stall(Direction::Answers);
    let write = session.write(create("/a", CreateMode::Persistent));
    let watch = session.watch("/");
    link.cut();
    assert_eq!(write.await.unwrap_err(), Error::ConnectionLoss.into());
    assert_eq!(watch.await.unwrap_err(), Error::ConnectionLoss);
    assert!(exists(&connect(&registry).await, "/a").await);
    link.heal();
    session
        .watch("/")
        .await
        .expect("a watch does not linger if its answer was lost");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_cut_should_end_as_ordered() {
    let registry = registry();
    let (link, observer) = (registry.link("a"), connect(&registry).await);
    let session = connect(&link).await;
    for (fate, path) in [(Fate::Applied, "/applied"), (Fate::Dropped, "/dropped")] {
        link.cut_at_next_write(fate);
        session.sync().await.expect("only writes break the link");
        assert_eq!(
            session.write(create(path, CreateMode::Persistent)).await.unwrap_err(),
            Error::ConnectionLoss.into()
        );
        assert_eq!(known(&session), SessionState::Suspended);
        assert_eq!(exists(&observer, path).await, fate == Fate::Applied);
        link.heal();
    }
    link.cut_at_next_write(Fate::Dropped);
    session.write(create("/x", CreateMode::Persistent)).await.unwrap_err();
    sleep(TIMEOUT * 2).await;
    assert_eq!(
        known(&session),
        SessionState::Lost,
        "time acts on a link that a write has cut"
    );
}

#[tokio::test(start_paused = true)]
async fn lags_until_its_client_writes_or_syncs() {
    let registry = registry();
    let (link, ahead) = (registry.link("a"), connect(&registry).await);
    let session = connect(&link).await;
    let mut watch = session.watch("/").await.unwrap();

    link.lag();
    for path in ["/1", "/2", "/3"] {
        ahead.write(create(path, CreateMode::Persistent)).await.unwrap();
    }
    assert!(!exists(&session, "/1").await);
    assert_eq!(has_event(&mut watch), None);

    link.advance(1);
    assert!(exists(&session, "/1").await && !exists(&session, "/2").await);
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Created("/1".into())));

    session.write(create("/1", CreateMode::Persistent)).await.unwrap_err();
    assert!(
        exists(&session, "/3").await,
        "even a refused write is answered by a server that has caught up"
    );
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Created("/2".into())));
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Created("/3".into())));

    ahead.write(create("/4", CreateMode::Persistent)).await.unwrap();
    assert!(!exists(&session, "/4").await, "it goes on lagging");
    session.sync().await.unwrap();
    assert!(exists(&session, "/4").await);

    ahead.write(create("/5", CreateMode::Persistent)).await.unwrap();
    link.catch_up();
    assert!(exists(&session, "/5").await);
}

#[tokio::test(start_paused = true)]
async fn keeps_the_order_of_delayed_answers_and_events() {
    let registry = registry();
    let (link, other) = (registry.link("slow"), connect(&registry).await);
    let session = connect(&link).await;
    let (mut watch, mut prompt) = (session.watch("/").await.unwrap(), other.watch("/").await.unwrap());
    let start = Instant::now();

    link.delay(Duration::from_millis(300));
    other.write(create("/before", CreateMode::Persistent)).await.unwrap();
    let sync = session.sync();
    link.delay(Duration::ZERO);
    let read = session.read_at_once(vec![Read::Data("/after".into())]);
    other.write(create("/after", CreateMode::Persistent)).await.unwrap();
    assert_eq!(
        has_event(&mut prompt),
        Some(WatchEvent::Created("/before".into())),
        "other links are not delayed"
    );

    assert_eq!(
        read.await,
        Ok(vec![Answer::Data(None)]),
        "it was answered before the node was there"
    );
    assert_eq!(
        start.elapsed(),
        Duration::from_millis(300),
        "nothing overtakes what was sent before it"
    );
    assert_eq!(sync.now_or_never(), Some(Ok(())));
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Created("/before".into())));
    assert_eq!(next(&mut watch).await, WatchEvent::Created("/after".into()));
}

#[tokio::test(start_paused = true)]
async fn shows_an_expiry_late_on_a_stalled_link() {
    let registry = registry();
    let (link, observer) = (registry.link("a"), connect(&registry).await);
    let session = connect(&link).await;
    session.write(create("/e", CreateMode::Ephemeral)).await.unwrap();

    link.stall(Direction::Requests);
    link.stall(Direction::Answers);
    link.expire();
    assert!(!exists(&observer, "/e").await);
    assert_eq!(known(&session), SessionState::Connected);
    let late = session.write(create("/ghost", CreateMode::Ephemeral));
    link.heal();
    assert_eq!(late.await.unwrap_err(), Error::SessionExpired.into());
    assert_eq!(known(&session), SessionState::Lost);
    assert!(
        !exists(&observer, "/ghost").await,
        "nothing is written in a session that is over"
    );

    let session = connect(&link).await;
    link.expire();
    assert_eq!(known(&session), SessionState::Lost);
}

#[tokio::test(start_paused = true)]
async fn ends_a_session_that_its_client_gave_up() {
    let registry = registry();
    let (link, observer) = (registry.link("a"), connect(&registry).await);
    let session = connect(&link).await;
    session.write(create("/e", CreateMode::Ephemeral)).await.unwrap();
    link.stall(Direction::Answers);
    sleep(TIMEOUT / 2).await;
    assert_eq!(known(&session), SessionState::Suspended);
    link.freeze();
    sleep(TIMEOUT / 10).await;
    link.thaw();
    sleep(TIMEOUT).await;
    assert_eq!(known(&session), SessionState::Lost);
    assert!(!exists(&observer, "/e").await);
}

#[tokio::test(start_paused = true)]
async fn closes_a_session_only_over_a_whole_link() {
    let registry = registry();
    let (link, observer) = (registry.link("a"), connect(&registry).await);
    for (path, is_cut) in [("/closed", false), ("/crashed", true)] {
        let session = connect(&link).await;
        session.write(create(path, CreateMode::Ephemeral)).await.unwrap();
        if is_cut {
            link.cut();
        }
        drop(session);
        assert_eq!(exists(&observer, path).await, is_cut);
    }
    let mut watch = observer.watch("/crashed").await.unwrap();
    assert_eq!(
        next(&mut watch).await,
        WatchEvent::Deleted("/crashed".into()),
        "by timeout"
    );

    link.heal();
    let session = connect(&link).await;
    session.write(create("/stalled", CreateMode::Ephemeral)).await.unwrap();
    link.stall(Direction::Requests);
    session.close().await;
    assert!(exists(&observer, "/stalled").await);
    link.heal();
    assert!(!exists(&observer, "/stalled").await);
}

#[tokio::test(start_paused = true)]
async fn ends_a_session_closed_during_a_cut_by_timeout() {
    let registry = registry();
    let (link, observer) = (registry.link("a"), connect(&registry).await);
    let session = connect(&link).await;
    session.write(create("/left", CreateMode::Ephemeral)).await.unwrap();
    let mut watch = observer.watch("/left").await.unwrap();
    link.cut();
    session.close().await;
    sleep(TIMEOUT / 2).await;
    link.heal();
    let began = Instant::now();
    let event = tokio::time::timeout(TIMEOUT, next(&mut watch)).await;
    assert_eq!(event, Ok(WatchEvent::Deleted("/left".into())));
    assert_eq!(began.elapsed(), TIMEOUT / 2);
}

#[tokio::test]
async fn refuses_an_overtaken_write_once() {
    let registry = registry();
    let link = registry.link("a");
    let session = connect(&link).await;
    session.write(create("/a", CreateMode::Persistent)).await.unwrap();
    let check = |version| Step::Check {
        path: "/a".into(),
        version: Some(version),
    };
    link.overtake_next_write_that(|steps| steps.len() == 2);
    session.write(vec![check(0)]).await.unwrap();
    let error = session.write(vec![check(0), check(0)]).await.unwrap_err();
    assert_eq!(error.error, Error::BadVersion);
    session.write(vec![check(1), check(1)]).await.unwrap();
}

#[tokio::test]
async fn is_busy_for_as_many_writes_as_it_is_set_for() {
    let registry = registry();
    let link = registry.link("a");
    let session = connect(&link).await;
    link.be_busy_for("/a", 2);
    session.write(create("/b", CreateMode::Persistent)).await.unwrap();
    for _ in 0..2 {
        let refused = session.write(create("/a", CreateMode::Persistent)).await.unwrap_err();
        assert!(matches!(refused.error, Error::Busy(_)), "{refused:?}");
        assert!(!exists(&session, "/a").await);
    }
    session.write(create("/a", CreateMode::Persistent)).await.unwrap();
}

#[tokio::test]
async fn cuts_at_the_write_that_it_is_set_for() {
    let registry = registry();
    let link = registry.link("a");
    let (session, observer) = (connect(&link).await, connect(&registry).await);
    link.cut_at_next_write_to("/b", Fate::Applied);
    session.write(create("/a", CreateMode::Persistent)).await.unwrap();
    assert_eq!(link.cuts_at_writes(), 0);
    let error = session.write(create("/b", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.error, Error::ConnectionLoss);
    assert!(exists(&observer, "/b").await);
    assert_eq!((link.cuts_at_writes(), known(&session)), (1, SessionState::Suspended));
}

#[tokio::test(start_paused = true)]
async fn answers_reads_of_an_ended_session_when_isolated() {
    let registry = registry();
    let link = registry.link("a");
    let (session, observer) = (connect(&link).await, connect(&registry).await);
    session.write(create("/here", CreateMode::Ephemeral)).await.unwrap();
    link.isolate();
    let write = session.write(create("/late", CreateMode::Persistent));
    let mut sync = session.sync();
    sleep(TIMEOUT + Duration::from_secs(1)).await;
    assert!(!exists(&observer, "/here").await, "the others ended the session");
    assert!(exists(&session, "/here").await, "of which its server knows nothing");
    assert_eq!(known(&session), SessionState::Connected);
    assert!(futures_util::poll!(&mut sync).is_pending());
    assert!(matches!(link.connect().await, Err(Error::Unreachable(_))));

    link.heal();
    assert_eq!(write.await.unwrap_err().error, Error::SessionExpired);
    assert_eq!(known(&session), SessionState::Lost);
    assert!(!exists(&observer, "/late").await);
}

#[tokio::test(start_paused = true)]
async fn keeps_the_session_over_a_short_isolation() {
    let registry = registry();
    let link = registry.link("a");
    let (session, observer) = (connect(&link).await, connect(&registry).await);
    let mut watch = session.watch("/").await.unwrap();
    link.isolate();
    let write = session.write(create("/late", CreateMode::Persistent));
    observer.write(create("/other", CreateMode::Persistent)).await.unwrap();
    assert!(!exists(&session, "/other").await);
    assert_eq!(has_event(&mut watch), None);
    sleep(TIMEOUT / 2).await;
    link.heal();
    write.await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Created("/other".into()));
    assert_eq!(next(&mut watch).await, WatchEvent::Created("/late".into()));
    sleep(TIMEOUT * 2).await;
    assert_eq!(known(&session), SessionState::Connected);
}

#[tokio::test]
async fn counts_the_transactions_that_a_lagging_server_saw() {
    let registry = registry();
    let link = registry.link("a");
    let (session, observer) = (connect(&link).await, connect(&registry).await);
    link.lag();
    for path in ["/a", "/b"] {
        observer.write(create(path, CreateMode::Persistent)).await.unwrap();
    }
    assert_eq!(link.advance(1), 1);
    assert!(exists(&session, "/a").await && !exists(&session, "/b").await);
    assert_eq!((link.advance(5), link.advance(5)), (1, 0));
}

#[tokio::test]
async fn containers_should_go_only_when_collected() {
    let registry = registry();
    let session = connect(&registry).await;
    let mut watch = session.watch("/").await.unwrap();
    for steps in [
        create("/c", CreateMode::Container),
        create("/c/d", CreateMode::Container),
        create("/c/d/n-", CreateMode::EphemeralSequential),
        vec![Step::Delete {
            path: "/c/d/n-0000000000".into(),
            version: None,
        }],
    ] {
        session.write(steps).await.unwrap();
    }
    for _ in 0..4 {
        has_event(&mut watch).unwrap();
    }
    assert_eq!(
        [
            registry.collect_containers(),
            registry.collect_containers(),
            registry.collect_containers()
        ],
        [1, 1, 0]
    );
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Deleted("/c/d".into())));
    assert_eq!(has_event(&mut watch), Some(WatchEvent::Deleted("/c".into())));
}

#[tokio::test]
async fn transaction_numbers_should_start_at_the_clock() {
    let session = connect(&registry()).await;
    session.write(create("/a", CreateMode::Persistent)).await.unwrap();
    let answers = session.read(vec![Read::Data("/a".into())]).await.unwrap();
    let [Answer::Data(Some((_, stat)))] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(
        (stat.created, stat.modified, stat.modified_at),
        ((1_000 << 20) + 1, (1_000 << 20) + 1, 1_000)
    );
}
