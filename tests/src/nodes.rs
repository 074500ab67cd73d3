//! What the tests of registries write and read.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use elasticjob::registry::{Answer, CreateMode, Read, Session, Stat, Step, Watch, WatchEvent};

/// Returns the step that creates a persistent node without data.
#[must_use]
pub fn create(path: &str) -> Vec<Step> {
    create_as(path, CreateMode::Persistent)
}

/// Returns the step that creates a node without data.
#[must_use]
pub fn create_as(path: &str, mode: CreateMode) -> Vec<Step> {
    vec![Step::Create {
        path: path.into(),
        data: vec![],
        mode,
    }]
}

/// Returns the step that sets a node at any version to no data.
#[must_use]
pub fn set(path: &str) -> Vec<Step> {
    vec![Step::Set {
        path: path.into(),
        data: vec![],
        version: None,
    }]
}

/// Reads a node; `None` if it is not there.
///
/// # Errors
/// Those of the session.
pub async fn data(session: &Arc<dyn Session>, path: &str) -> anyhow::Result<Option<(Vec<u8>, Stat)>> {
    let answers = session.read_at_once(vec![Read::Data(path.into())]).await?;
    match <[Answer; 1]>::try_from(answers) {
        Ok([Answer::Data(data)]) => Ok(data),
        other => anyhow::bail!("unexpected: {other:?}"),
    }
}

/// Returns the event that a watch has, without waiting for one.
pub fn ready(watch: &mut Box<dyn Watch>) -> Option<WatchEvent> {
    match watch.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}
