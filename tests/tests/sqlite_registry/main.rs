//! The registry in a SQLite file under what can happen to a file and to the processes that share it.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::registry::sql::SqliteRegistry;
use elasticjob::registry::{Answer, Read, Registry, Session, SessionState, Watch, WatchEvent};
use elasticjob_tests::nodes::{create, create_as, data, ready, set};
use tokio::time::timeout;

mod kills;
mod outages;
mod places;
mod rows;

/// A process that writes.
const WRITER: &str = env!("CARGO_BIN_EXE_registry_writer");

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The session timeout of a member that is hurt.
const TIMEOUT: Duration = Duration::from_secs(2);

fn registry(file: &Path) -> anyhow::Result<SqliteRegistry> {
    Ok(SqliteRegistry::new(file, "shop")?.with_session_timeout(TIMEOUT))
}

/// Returns a member with a lock of its own, as if it was in a process of its own.
async fn member(file: &Path) -> anyhow::Result<Arc<dyn Session>> {
    Ok(registry(file)?.connect().await?)
}

async fn children(session: &Arc<dyn Session>, path: &str) -> anyhow::Result<Vec<String>> {
    let answers = session.read_at_once(vec![Read::Children(path.into())]).await?;
    match <[Answer; 1]>::try_from(answers) {
        Ok([Answer::Children(Some(children))]) => Ok(children),
        other => anyhow::bail!("unexpected: {other:?}"),
    }
}

async fn reached(session: &Arc<dyn Session>, wanted: SessionState) -> anyhow::Result<()> {
    timeout(PATIENCE, session.state().wait_for(|state| *state == wanted)).await??;
    Ok(())
}

async fn next(watch: &mut Box<dyn Watch>) -> anyhow::Result<WatchEvent> {
    Ok(timeout(PATIENCE, poll_fn(|cx| watch.poll_next(cx))).await?)
}
