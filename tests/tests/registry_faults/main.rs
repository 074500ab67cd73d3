//! What a session does when the network or the servers fail: each way in which clients of registries are known to fall short of
//! the contract, made to happen on each registry.

mod faults;
mod place;
mod zookeeper;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::{Answer, Error, Read, Registry, Session, SessionState, Step, Watch, WatchEvent, Written};
use elasticjob_tests::databases::DatabaseServer;
use elasticjob_tests::etcd::Etcd;
use elasticjob_tests::proxy::Proxy;
use elasticjob_tests::zookeeper::Server;
use tokio::time::{Instant, timeout};

use self::place::Place;

/// What a busy machine may take for anything that takes no time.
const SLACK: Duration = Duration::from_millis(1_500);

/// The session timeout of a member that nothing happens to.
const OBSERVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client behind a proxy, and one beside it that nothing happens to.
struct Fixture {
    proxy: Proxy,
    registry: Arc<dyn Registry>,
    session: Arc<dyn Session>,
    observer: Arc<dyn Session>,
}

impl Fixture {
    async fn shared<P: Place>(namespace: &str) -> anyhow::Result<Self> {
        let address = P::shared()?.address();
        let proxy = Proxy::start(address).await?;
        let observer = connected(&*P::registry(address, namespace, OBSERVER_TIMEOUT)?).await?;
        let registry = P::registry(proxy.address(), namespace, P::TIMEOUT)?;
        let session = registry.connect().await?;
        Ok(Self {
            proxy,
            registry,
            session,
            observer,
        })
    }
}

/// A session on a server that may have been started just now, so that it listens before it serves.
async fn connected(registry: &dyn Registry) -> anyhow::Result<Arc<dyn Session>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match registry.connect().await {
            Err(Error::Unreachable(_)) if Instant::now() < deadline => tokio::task::yield_now().await,
            session => return Ok(session?),
        }
    }
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

/// Runs each of these on each registry.
macro_rules! on_each_registry {
    ($($fault:ident,)*) => {
        mod on_zookeeper {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $fault() -> anyhow::Result<()> {
                    faults::$fault::<Server>().await
                }
            )*
        }

        mod on_etcd {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $fault() -> anyhow::Result<()> {
                    faults::$fault::<Etcd>().await
                }
            )*
        }

        mod on_postgresql {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $fault() -> anyhow::Result<()> {
                    faults::$fault::<DatabaseServer>().await
                }
            )*
        }
    };
}

on_each_registry! {
    a_watch_should_survive_each_kind_of_disconnection_with_a_resync,
    the_first_answer_of_a_new_connection_should_come_after_the_resync,
    sets_thousands_of_watches_again,
    each_face_of_an_unknown_outcome_should_be_a_connection_loss,
    calls_without_a_connection_should_fail_at_once,
    a_flood_of_calls_should_be_bounded_and_end,
    a_session_that_is_cut_off_should_be_lost_when_its_timeout_has_passed,
    a_delay_should_change_nothing_but_the_time,
    a_server_that_restarts_within_the_timeout_should_keep_the_session,
    a_server_that_stays_away_should_cost_the_session_but_not_the_registry,
    a_close_without_a_connection_should_end_in_time_and_leave_the_rest_to_the_timeout,
    closes_without_waiting_for_unpolled_calls,
}
