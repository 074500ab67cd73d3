//! Files that cannot be used, and files that are not what they were.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use elasticjob::registry::{CreateMode, Error, Registry, SessionState, WatchEvent};
use sqlx::ConnectOptions as _;

use super::{WRITER, create, create_as, data, member, next, reached, registry};

/// Why there is no session on the file, for good.
async fn refused(file: &Path) -> anyhow::Result<String> {
    match registry(file)?.connect().await {
        Err(Error::Refused(text)) => Ok(text),
        other => anyhow::bail!("unexpected: {other:?}"),
    }
}

#[tokio::test]
async fn that_cannot_be_used_are_refused_with_the_reason() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let missing = folder.path().join("missing/jobs.db");
    let text = refused(&missing).await?;
    assert!(
        text.contains("missing/jobs.db") && text.contains("its folder"),
        "{text}"
    );

    let text_file = folder.path().join("notes.txt");
    fs::write(
        &text_file,
        "no database, and longer than the header of one would be. ".repeat(100),
    )?;
    let text = refused(&text_file).await?;
    assert!(text.contains("notes.txt") && text.contains("not a database"), "{text}");

    let directory = folder.path().join("directory");
    fs::create_dir(&directory)?;
    let text = refused(&directory).await?;
    assert!(
        text.contains("directory: ") && text.contains("unable to open"),
        "{text}"
    );
    Ok(())
}

/// Runs a process that is not root, which may do anything, and returns what it says when it ends.
fn said_by_an_ordinary_user(file: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(WRITER);
    if rustix::process::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", WRITER]);
    }
    let command = command.arg(file).arg("name");
    let mut process = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Its end would end the process.
    let _input = process.stdin.take();
    let output = process.wait_with_output()?;
    anyhow::ensure!(!output.status.success(), "it may write");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn without_the_right_to_write_are_refused_with_what_is_missing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    member(&file).await?.close().await;
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(&file, 0o444)?;
    set(folder.path(), 0o555)?;
    let no_lock_file = said_by_an_ordinary_user(&file)?;
    set(&folder.path().join("jobs.db-turn"), 0o666)?;
    let no_database = said_by_an_ordinary_user(&file)?;
    set(folder.path(), 0o755)?;
    assert!(
        no_lock_file.contains("jobs.db") && no_lock_file.contains("its lock file"),
        "{no_lock_file}"
    );
    assert!(
        no_database.contains("jobs.db: ") && no_database.contains("refused"),
        "{no_database}"
    );
    Ok(())
}

#[tokio::test]
async fn of_a_newer_program_are_refused_with_both_versions() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    member(&file).await?.close().await;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .connect()
        .await?;
    // A newer program that takes this one beside it.
    sqlx::query("INSERT INTO registry_schema VALUES (2, 1)")
        .execute(&mut connection)
        .await?;
    member(&file).await?.close().await;
    sqlx::query("INSERT INTO registry_schema VALUES (3, 2)")
        .execute(&mut connection)
        .await?;
    let text = refused(&file).await?;
    assert!(
        text.contains("version 3") && text.contains("version 2 or later") && text.contains("for version 1"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn that_are_not_there_are_not_created_by_a_look() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let looked = registry(&file)?.connect_to_look().await;
    assert!(
        matches!(&looked, Err(Error::Refused(text)) if text.contains("no such file")),
        "{looked:?}"
    );
    assert!(!file.exists());
    Ok(())
}

#[tokio::test]
async fn names_that_are_no_files_are_refused_with_all_faults() {
    let refused = elasticjob::registry::sql::SqliteRegistry::new(":memory:", "a//b");
    let Err(Error::InvalidArgument(text)) = refused else {
        panic!("{refused:?}");
    };
    assert!(text.contains(":memory:") && text.contains("namespace"), "{text}");
}

#[tokio::test]
async fn that_are_removed_or_replaced_lose_their_sessions() -> anyhow::Result<()> {
    for is_replaced in [false, true] {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("jobs.db");
        let session = member(&file).await?;
        session.write(create_as("/owner", CreateMode::Ephemeral)).await?;
        let mut watch = session.watch("/").await?;
        for end in ["", "-wal", "-shm", "-turn"] {
            fs::remove_file(folder.path().join(format!("jobs.db{end}")))?;
        }
        // Without a poll between: not even a call that comes at once is done on the file that is gone.
        let mut next_member = None;
        if is_replaced {
            next_member = Some(member(&file).await?);
        }
        let refused = session.write(create("/late")).await;
        assert_eq!(
            refused,
            Err(Error::SessionExpired.into()),
            "two files would be two clusters"
        );
        reached(&session, SessionState::Lost).await?;
        assert_eq!(next(&mut watch).await?, WatchEvent::Closed);
        let next_member = match next_member {
            Some(session) => session,
            None => member(&file).await?,
        };
        next_member.write(create_as("/owner", CreateMode::Ephemeral)).await?;
        assert_eq!(data(&next_member, "/late").await?, None);
    }
    Ok(())
}
