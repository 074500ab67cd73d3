//! A turn does not come, or does not end: another process stands still amid a transaction.

use std::fs::File;
use std::path::Path;

use elasticjob::registry::{CreateMode, Error, Registry, SessionState, WatchEvent};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, TIMEOUT, create, create_as, data, member, next, reached, ready, registry, set};

/// Returns what a process holds that was stopped amid its turn.
fn stopped_amid_a_turn(file: &Path) -> anyhow::Result<File> {
    let lock = File::options().write(true).open(file.with_extension("db-turn"))?;
    lock.lock()?;
    Ok(lock)
}

#[tokio::test]
async fn suspend_the_session_and_undo_what_was_asked() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let session = member(&file).await?;
    let mut watch = session.watch("/").await?;
    session.write(create("/a")).await?;
    assert_eq!(next(&mut watch).await?, WatchEvent::Created("/a".into()));

    let lock = stopped_amid_a_turn(&file)?;
    let start = Instant::now();
    assert_eq!(session.write(create("/b")).await, Err(Error::ConnectionLoss.into()));
    assert!(start.elapsed() < TIMEOUT, "{:?}", start.elapsed());
    assert_eq!(*session.state().borrow(), SessionState::Suspended, "before the answer");
    assert_eq!(session.sync().await, Err(Error::ConnectionLoss), "at once");
    drop(lock);
    reached(&session, SessionState::Connected).await?;
    assert_eq!(
        ready(&mut watch),
        Some(WatchEvent::Resync),
        "as soon as it is connected"
    );

    session.sync().await?;
    assert_eq!(data(&session, "/b").await?, None);
    session.write(set("/a")).await?;
    assert_eq!(ready(&mut watch), Some(WatchEvent::Changed("/a".into())));
    assert_eq!(data(&session, "/b").await?, None, "nothing was kept for later");
    Ok(())
}

#[tokio::test]
async fn that_last_for_a_timeout_end_the_session() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let (session, reader) = (member(&file).await?, member(&file).await?);
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut watch = session.watch("/").await?;
    let lock = stopped_amid_a_turn(&file)?;
    reached(&session, SessionState::Lost).await?;
    assert_eq!(next(&mut watch).await?, WatchEvent::Closed);
    assert_eq!(session.write(create("/b")).await, Err(Error::SessionExpired.into()));
    let registry = registry(&file)?.with_connection_timeout(TIMEOUT);
    let refused = registry.connect().await.err();
    let Some(Error::Unreachable(text)) = refused else {
        anyhow::bail!("{refused:?}");
    };
    assert!(
        text.contains("no session within 2s") && text.contains("jobs.db"),
        "{text}"
    );
    drop(lock);
    reached(&reader, SessionState::Lost).await?;

    // The rows of both are there until a member has seen them for a timeout.
    let next_member = member(&file).await?;
    let mut watch = next_member.watch("/e").await?;
    assert!(data(&next_member, "/e").await?.is_some());
    assert_eq!(next(&mut watch).await?, WatchEvent::Deleted("/e".into()));
    Ok(())
}

#[tokio::test]
async fn that_are_short_end_no_session() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let (a, b) = (member(&file).await?, member(&file).await?);
    for (session, path) in [(&a, "/a"), (&b, "/b")] {
        session.write(create_as(path, CreateMode::Ephemeral)).await?;
    }
    for _ in 0..2 {
        let lock = stopped_amid_a_turn(&file)?;
        reached(&a, SessionState::Suspended).await?;
        reached(&b, SessionState::Suspended).await?;
        drop(lock);
        reached(&a, SessionState::Connected).await?;
        reached(&b, SessionState::Connected).await?;
        a.sync().await?;
        assert!(data(&a, "/a").await?.is_some() && data(&a, "/b").await?.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn do_not_hold_up_the_end_of_a_session_for_ever() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let session = registry(&file)?.with_connection_timeout(TIMEOUT).connect().await?;
    let _lock = stopped_amid_a_turn(&file)?;
    timeout(PATIENCE, session.close()).await?;
    reached(&session, SessionState::Lost).await?;
    Ok(())
}
