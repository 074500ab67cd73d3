//! The SQLite file of a console.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Row as _, SqlitePool};
use tracing::warn;

use super::{Error, Kept, RETENTION};
use crate::access::Rights;
use crate::access::random::Digest;
use crate::access::session::{ABSOLUTE, Session};
use crate::access::token::Token;
use crate::audit::{Entry, Outcome, Row};
use crate::globs::Globs;

/// The name of the file.
const NAME: &str = "elasticjob-console.db";

/// The version of the tables. A file of a later one is refused.
const VERSION: i64 = 1;

/// How long a statement waits for another process that lets the file go.
const BUSY: Duration = Duration::from_secs(5);

/// Rows that are read at once to be verified.
const AT_ONCE: usize = 1_000;

const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, visitor TEXT NOT NULL, \
     peer TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL, why TEXT NOT NULL, of INTEGER, previous BLOB NOT NULL, \
     digest BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS session (digest BLOB PRIMARY KEY, user TEXT NOT NULL, seal BLOB NOT NULL, opened INTEGER NOT NULL, \
     used INTEGER NOT NULL, peer TEXT NOT NULL, agent TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS token (name TEXT PRIMARY KEY, digest BLOB NOT NULL, owner TEXT NOT NULL, rights TEXT NOT NULL, \
     jobs TEXT NOT NULL, expires INTEGER NOT NULL) STRICT",
];

/// A file with the one connection to it.
#[derive(Clone)]
pub(crate) struct File(SqlitePool);

fn failed(error: impl Display) -> Error {
    Error(error.to_string())
}

impl File {
    /// Opens the file in a directory, and reads what it keeps.
    pub(super) async fn open(directory: &Path, now: Timestamp) -> Result<(Self, Kept), Error> {
        make_private(directory).map_err(|error| Error(format!("{}: {error}", directory.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(directory.join(NAME))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Two processes would each go on with a chain of its own.
            .locking_mode(sqlx::sqlite::SqliteLockingMode::Exclusive)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
        let file = Self(pool.connect_with(options).await.map_err(failed)?);
        file.prepare().await?;
        let swept = now.checked_sub(RETENTION).map_err(failed)?.as_millisecond();
        sqlx::query("DELETE FROM audit WHERE at < ?")
            .bind(swept)
            .execute(&file.0)
            .await
            .map_err(failed)?;
        let kept = Kept {
            sessions: file.sessions(now).await?,
            tokens: file.tokens(now).await?,
            wrong_row: file.first_wrong_row().await?,
        };
        Ok((file, kept))
    }

    /// Makes the tables, if the file is of this version or new.
    async fn prepare(&self) -> Result<(), Error> {
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.0)
            .await
            .map_err(failed)?;
        if version > VERSION {
            return Err(Error(format!(
                "the file {NAME} has version {version}, this program knows {VERSION}"
            )));
        }
        for table in TABLES {
            sqlx::query(*table).execute(&self.0).await.map_err(failed)?;
        }
        sqlx::query("PRAGMA user_version = 1")
            .execute(&self.0)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Appends a row behind the last, in one transaction: a caller that leaves meanwhile leaves no gap.
    pub(super) async fn append(&self, entry: Entry, now: Timestamp) -> Result<i64, Error> {
        let mut transaction = self.0.begin().await.map_err(failed)?;
        let last = sqlx::query("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1");
        let last = last.fetch_optional(&mut *transaction).await.map_err(failed)?;
        let last = match last {
            Some(row) => Some((row.try_get("number").map_err(failed)?, digest(&row, "digest")?)),
            None => None,
        };
        let row = Row::after(last, entry, now);
        let (outcome, why) = row.entry.outcome.parts();
        sqlx::query("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(row.number)
            .bind(row.at.as_millisecond())
            .bind(&row.entry.visitor)
            .bind(&row.entry.peer)
            .bind(&row.entry.action)
            .bind(outcome)
            .bind(why)
            .bind(row.entry.of)
            .bind(&row.previous[..])
            .bind(&row.digest[..])
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(row.number)
    }

    pub(super) async fn rows(&self, before: i64, most: usize) -> Result<Vec<Row>, Error> {
        let rows = sqlx::query("SELECT * FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?")
            .bind(before)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&self.0)
            .await
            .map_err(failed)?;
        rows.iter().map(row).collect()
    }

    /// Returns the number of the first row that is not as it was written, or does not follow the one before it.
    async fn first_wrong_row(&self) -> Result<Option<i64>, Error> {
        let mut last: Option<(i64, Digest)> = None;
        loop {
            let rows = sqlx::query("SELECT * FROM audit WHERE number > ? ORDER BY number LIMIT ?")
                .bind(last.map_or(i64::MIN, |(number, _)| number))
                .bind(AT_ONCE as i64)
                .fetch_all(&self.0)
                .await
                .map_err(failed)?;
            if rows.is_empty() {
                return Ok(None);
            }
            for found in &rows {
                let row = row(found)?;
                if !row.is_right(last) {
                    return Ok(Some(row.number));
                }
                last = Some((row.number, row.digest));
            }
        }
    }

    async fn sessions(&self, now: Timestamp) -> Result<Vec<(Digest, Session)>, Error> {
        let oldest = now.checked_sub(ABSOLUTE).map_err(failed)?.as_millisecond();
        sqlx::query("DELETE FROM session WHERE opened < ?")
            .bind(oldest)
            .execute(&self.0)
            .await
            .map_err(failed)?;
        let rows = sqlx::query("SELECT * FROM session")
            .fetch_all(&self.0)
            .await
            .map_err(failed)?;
        let session = |row: &SqliteRow| {
            let session = Session {
                user: text(row, "user")?.into(),
                seal: digest(row, "seal")?,
                opened: time(row, "opened")?,
                used: time(row, "used")?,
                peer: text(row, "peer")?.into(),
                agent: text(row, "agent")?.into(),
            };
            Ok((digest(row, "digest")?, session))
        };
        rows.iter().map(session).collect()
    }

    pub(super) async fn keep_session(&self, digest: &Digest, session: &Session) -> Result<(), Error> {
        sqlx::query("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(&digest[..])
            .bind(&*session.user)
            .bind(&session.seal[..])
            .bind(session.opened.as_millisecond())
            .bind(session.used.as_millisecond())
            .bind(&*session.peer)
            .bind(&*session.agent)
            .execute(&self.0)
            .await
            .map(drop)
            .map_err(failed)
    }

    pub(super) async fn forget_session(&self, digest: &Digest) -> Result<(), Error> {
        let forget = sqlx::query("DELETE FROM session WHERE digest = ?").bind(&digest[..]);
        forget.execute(&self.0).await.map(drop).map_err(failed)
    }

    async fn tokens(&self, now: Timestamp) -> Result<Vec<(String, Digest, Token)>, Error> {
        let over = sqlx::query("DELETE FROM token WHERE expires < ?").bind(now.as_millisecond());
        over.execute(&self.0).await.map_err(failed)?;
        let rows = sqlx::query("SELECT * FROM token")
            .fetch_all(&self.0)
            .await
            .map_err(failed)?;
        let token = |row: &SqliteRow| {
            let name = text(row, "name")?;
            let jobs: Vec<Vec<String>> = serde_json::from_str(&text(row, "jobs")?).map_err(failed)?;
            let rights = text(row, "rights")?;
            let token = Token {
                owner: Some(text(row, "owner")?),
                rights: Rights::parse(&rights)
                    .ok_or_else(|| Error(format!("token {name} has the rights `{rights}`")))?,
                jobs: Globs::of_sets(jobs).map_err(Error)?,
                expires: Some(time(row, "expires")?),
                used: None,
            };
            Ok((name, digest(row, "digest")?, token))
        };
        let tokens: Vec<Result<_, Error>> = rows.iter().map(token).collect();
        // One that cannot be read opens nothing.
        let readable = tokens.into_iter().filter_map(|token| {
            token
                .inspect_err(|error| warn!(%error, "a token of the console cannot be read, and is none"))
                .ok()
        });
        Ok(readable.collect())
    }

    pub(super) async fn keep_token(&self, name: &str, digest: &Digest, token: &Token) -> Result<(), Error> {
        let jobs = serde_json::to_string(&token.jobs.sets()).map_err(failed)?;
        sqlx::query("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)")
            .bind(name)
            .bind(&digest[..])
            .bind(token.owner.as_deref().unwrap_or_default())
            .bind(token.rights.name())
            .bind(jobs)
            .bind(token.expires.unwrap_or(Timestamp::MAX).as_millisecond())
            .execute(&self.0)
            .await
            .map(drop)
            .map_err(failed)
    }

    pub(super) async fn forget_token(&self, name: &str) -> Result<(), Error> {
        let forget = sqlx::query("DELETE FROM token WHERE name = ?").bind(name);
        forget.execute(&self.0).await.map(drop).map_err(failed)
    }
}

/// Makes the directory and the file if they are not there, so that their owner alone can read them.
fn make_private(directory: &Path) -> io::Result<()> {
    let (mut folder, mut file) = (fs::DirBuilder::new(), fs::OpenOptions::new());
    folder.recursive(true);
    file.write(true).create_new(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    }
    folder.create(directory)?;
    match file.open(directory.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn row(row: &SqliteRow) -> Result<Row, Error> {
    Ok(Row {
        number: row.try_get("number").map_err(failed)?,
        at: time(row, "at")?,
        entry: Entry {
            visitor: text(row, "visitor")?,
            peer: text(row, "peer")?,
            action: text(row, "action")?,
            outcome: Outcome::of_parts(&text(row, "outcome")?, &text(row, "why")?),
            of: row.try_get("of").map_err(failed)?,
        },
        previous: digest(row, "previous")?,
        digest: digest(row, "digest")?,
    })
}

fn text(row: &SqliteRow, column: &str) -> Result<String, Error> {
    row.try_get(column).map_err(failed)
}

fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, Error> {
    let millis: i64 = row.try_get(column).map_err(failed)?;
    Timestamp::from_millisecond(millis).map_err(failed)
}

fn digest(row: &SqliteRow, column: &str) -> Result<Digest, Error> {
    let bytes: Vec<u8> = row.try_get(column).map_err(failed)?;
    bytes.try_into().map_err(|_| Error(format!("{column} is no SHA-256")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::entry;
    use crate::store::Store;

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000_000).unwrap()
    }

    fn session(opened: Timestamp) -> Session {
        Session {
            user: "alice".into(),
            seal: [1; 32],
            opened,
            used: opened,
            peer: "10.0.0.1".into(),
            agent: "浏览器".into(),
        }
    }

    #[tokio::test]
    async fn keeps_sessions_and_tokens_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/console");
        let token = Token {
            owner: Some("alice".to_owned()),
            rights: Rights::Operator,
            jobs: Globs::parse(["a*", "备份,1"]).unwrap(),
            expires: Some(now() + jiff::SignedDuration::from_secs(5)),
            used: None,
        };
        {
            let (store, kept) = Store::open(&path, now()).await.unwrap();
            assert!(kept.sessions.is_empty() && kept.tokens.is_empty() && kept.wrong_row.is_none());
            store.keep_session(&[7; 32], &session(now())).await.unwrap();
            store.keep_session(&[8; 32], &session(now())).await.unwrap();
            store.keep_token("ci", &[9; 32], &token).await.unwrap();
            store.keep_token("other", &[5; 32], &token).await.unwrap();
            store.forget_session(&[8; 32]).await.unwrap();
            store.forget_token("other").await.unwrap();
            close(store).await;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&path.join(NAME))), (0o700, 0o600));
        }
        let (store, kept) = Store::open(&path, now()).await.unwrap();
        assert_eq!(kept.sessions, [([7; 32], session(now()))]);
        assert_eq!(kept.tokens, [("ci".to_owned(), [9; 32], token)]);
        close(store).await;
        let later = now() + ABSOLUTE + jiff::SignedDuration::from_secs(1);
        let (_, kept) = Store::open(&path, later).await.unwrap();
        assert!(kept.sessions.is_empty() && kept.tokens.is_empty());
    }

    #[tokio::test]
    async fn keeps_a_chain_of_rows_and_finds_a_forged_one() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (store, kept) = Store::open(directory.path(), now()).await.unwrap();
            assert_eq!(kept.wrong_row, None);
            for action in ["a", "b", "c"] {
                store.append(entry(action), now()).await.unwrap();
            }
            close(store).await;
        }
        let (store, _) = Store::open(directory.path(), now()).await.unwrap();
        let rows = store.rows(6, 2).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [5, 4]);
        assert_eq!(rows[0].entry, entry("b"));
        let Store::File(file) = &store else {
            panic!("it is a file")
        };
        sqlx::query("UPDATE audit SET visitor = 'bob' WHERE number = 4")
            .execute(&file.0)
            .await
            .unwrap();
        close(store).await;
        let (store, kept) = Store::open(directory.path(), now()).await.unwrap();
        assert_eq!(kept.wrong_row, Some(4));
        close(store).await;
        // What is older than a year goes, and what is left is whole.
        let (store, kept) = Store::open(directory.path(), now() + RETENTION * 2).await.unwrap();
        assert_eq!(kept.wrong_row, None);
        assert!(store.rows(i64::MAX, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn leaves_no_gap_if_a_caller_leaves() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path(), now()).await.unwrap();
        for polls in 0..30 {
            let mut appending = Box::pin(store.append(entry("left"), now()));
            for _ in 0..polls {
                if futures_util::poll!(&mut appending).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        store.append(entry("last"), now()).await.unwrap();
        close(store).await;
        let (_, kept) = Store::open(directory.path(), now()).await.unwrap();
        assert_eq!(kept.wrong_row, None);
    }

    #[tokio::test]
    async fn is_of_one_process_and_one_version() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path(), now()).await.unwrap();
        store.append(entry("a"), now()).await.unwrap();
        let other = Store::open(directory.path(), now()).await.map(drop);
        assert!(other.unwrap_err().to_string().contains("locked"));
        let Store::File(file) = &store else {
            panic!("it is a file")
        };
        sqlx::query("PRAGMA user_version = 2").execute(&file.0).await.unwrap();
        close(store).await;
        let later = Store::open(directory.path(), now())
            .await
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(later.contains("has version 2, this program knows 1"), "{later}");
    }

    async fn close(store: Store) {
        if let Store::File(file) = store {
            file.0.close().await;
        }
    }
}
