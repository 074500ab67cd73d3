//! What the rows say that no member of ours has written: restored files, purged changes, sessions that were ended.

use std::path::Path;

use elasticjob::registry::{CreateMode, Error, SessionState, WatchEvent};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::{create, create_as, data, member, next, reached, ready, set};

async fn connection(file: &Path) -> anyhow::Result<SqliteConnection> {
    Ok(sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .connect()
        .await?)
}

#[tokio::test]
async fn changes_that_are_missing_give_a_resync() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let session = member(&file).await?;
    session.write(create("/a")).await?;
    let mut watch = session.watch("/").await?;
    let mut connection = connection(&file).await?;
    for statements in [
        // Purged before it was read.
        "BEGIN IMMEDIATE; UPDATE registry_namespace SET counter = counter + 2;
         INSERT INTO registry_change SELECT id, counter, 2, '/a' FROM registry_namespace; COMMIT",
        // Restored: the counter is behind.
        "UPDATE registry_namespace SET counter = 1",
        // Far ahead, beyond what a watch holds.
        "UPDATE registry_namespace SET counter = counter + 1000000",
    ] {
        sqlx::raw_sql(statements).execute(&mut connection).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Resync, "{statements}");
        session.write(set("/a")).await?;
        assert_eq!(
            next(&mut watch).await?,
            WatchEvent::Changed("/a".into()),
            "{statements}"
        );
        assert_eq!(ready(&mut watch), None);
    }
    Ok(())
}

#[tokio::test]
async fn tokens_grow_although_the_file_or_the_clock_forgets_them() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let session = member(&file).await?;
    session.write(create("/a")).await?;
    let mut newest = data(&session, "/a").await?.expect("it was created").1.modified;
    let mut connection = connection(&file).await?;
    // The file is restored; then the clock is ten years behind what was given.
    for token in [0, newest + ((10 * 365 * 24 * 3_600_000) << 20)] {
        sqlx::query("UPDATE registry_namespace SET token = ?1")
            .bind(token)
            .execute(&mut connection)
            .await?;
        session.write(set("/a")).await?;
        let modified = data(&session, "/a").await?.expect("it was created").1.modified;
        assert!(
            modified > newest && modified > token,
            "{modified} after {newest}, {token}"
        );
        newest = modified;
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_another_member_ended_can_write_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let session = member(&file).await?;
    session.write(create_as("/e", CreateMode::Ephemeral)).await?;
    let mut watch = session.watch("/").await?;
    let mut connection = connection(&file).await?;
    sqlx::query("DELETE FROM registry_session")
        .execute(&mut connection)
        .await?;
    let refused = session.write(create("/late")).await;
    assert_eq!(refused, Err(Error::SessionExpired.into()), "the dead cannot write");
    reached(&session, SessionState::Lost).await?;
    assert_eq!(next(&mut watch).await?, WatchEvent::Closed);
    assert_eq!(data(&member(&file).await?, "/late").await?, None);
    Ok(())
}

#[tokio::test]
async fn old_changes_are_removed() -> anyhow::Result<()> {
    use sqlx::Row as _;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let session = member(&file).await?;
    session.write(create("/a")).await?;
    let mut connection = connection(&file).await?;
    for _ in 0..40 {
        let steps = std::iter::repeat_n(set("/a"), 1_024).flatten();
        session.write(steps.collect()).await?;
    }
    let rows = sqlx::query("SELECT count(*), max(number) FROM registry_change")
        .fetch_all(&mut connection)
        .await?;
    let (count, last): (i64, i64) = (rows[0].try_get(0)?, rows[0].try_get(1)?);
    assert_eq!(last, 40 * 1_024 + 1);
    assert!((32 * 1_024..=33 * 1_024).contains(&count), "{count}");
    Ok(())
}
