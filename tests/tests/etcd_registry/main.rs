//! The registry on etcd, on real servers: what holds without faults, and what happens when servers, connections and leases fail.

mod cluster;
mod conformance;
mod lease;
mod outages;
mod rights;
mod start;
mod watches;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::etcd::EtcdRegistry;
use elasticjob::registry::{CreateMode, Error, Registry as _, Session, SessionState, Step, Watch, WatchEvent, Written};
use tokio::time::timeout;

/// How long etcd keeps a session that it does not hear of.
const TTL: Duration = Duration::from_secs(3);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn registry(url: &str, namespace: &str) -> anyhow::Result<EtcdRegistry> {
    Ok(EtcdRegistry::new(url, namespace)?
        .with_session_timeout(TTL)
        .with_connection_timeout(Duration::from_secs(10)))
}

async fn connect(url: &str, namespace: &str) -> anyhow::Result<Arc<dyn Session>> {
    Ok(registry(url, namespace)?.connect().await?)
}

async fn reached(session: &Arc<dyn Session>, wanted: SessionState) -> anyhow::Result<()> {
    timeout(PATIENCE, session.state().wait_for(|state| *state == wanted)).await??;
    Ok(())
}

async fn next(watch: &mut Box<dyn Watch>) -> anyhow::Result<WatchEvent> {
    Ok(timeout(PATIENCE, poll_fn(|cx| watch.poll_next(cx))).await?)
}

/// Waits for an event behind others.
async fn until(watch: &mut Box<dyn Watch>, event: &WatchEvent) -> anyhow::Result<()> {
    while next(watch).await? != *event {}
    Ok(())
}

fn set_to(path: &str, data: &[u8]) -> Vec<Step> {
    vec![Step::Set {
        path: path.into(),
        data: data.into(),
        version: None,
    }]
}

fn create_with(path: &str, data: &[u8], mode: CreateMode) -> Vec<Step> {
    vec![Step::Create {
        path: path.into(),
        data: data.into(),
        mode,
    }]
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
