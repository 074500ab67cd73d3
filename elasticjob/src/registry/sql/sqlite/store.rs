//! The rows of the registry, and the statements that read and change them.
//!
//! A connection is taken out of its place for a transaction and put back at its end. So a transaction that is dropped
//! amid its work takes the connection along: no caller finds one in an unknown state, and the store has to be opened
//! again.
//!
//! Before each transaction the file is looked up by its path, and as its first statement a member asks for the row of
//! its session. A member that finds either gone does nothing any more.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::file::Identity;
use super::turn::{Turn, Turns};
use crate::registry::sql::backend::Failure;
use crate::registry::sql::expiry::Beat;
use crate::registry::sql::transaction::{Needs, Node, Outcome, Page, RowChange, Stamp};
use crate::registry::{Answer, Read, Stat, Step, WatchEvent, WriteError, path};

/// So many changes of a namespace are kept at least. A member that is further behind reads everything again.
const KEPT_CHANGES: i64 = 32 * 1024;

/// Changes are removed that many at a time.
const REMOVED_AT_ONCE: i64 = 1024;

/// How long SQLite waits for a process that writes without waiting for its turn, such as a shell or a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// A namespace in a file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    identity: Identity,
    turns: Turns,
    namespace: i64,
    /// `None` if the last transaction did not come to its end.
    connection: Option<SqliteConnection>,
    /// What `PRAGMA data_version` said on this connection. Only other connections change it.
    data_version: i64,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
}

/// Where a namespace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the last change.
    pub(super) counter: i64,
    /// The number of the last transaction that changed something.
    pub(super) token: i64,
}

/// A transaction. If it is dropped before its end, it did not happen, and its connection goes with it.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    connection: SqliteConnection,
    home: &'a mut Option<SqliteConnection>,
    namespace: i64,
    /// Our turn, until the transaction is over.
    _turn: Option<Turn>,
}

/// Returns how a file is opened.
pub(super) fn options(path: &std::path::Path, create: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // What is answered has to be there after a loss of power, as tokens may not repeat.
        .synchronous(SqliteSynchronous::Full)
        .pragma("fullfsync", "1")
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// Creates a session in a namespace, and the namespace with its root. Returns both ids.
pub(super) async fn join(
    connection: &mut SqliteConnection,
    name: &str,
    session: i64,
    timeout: Duration,
) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(
        "INSERT INTO registry_namespace (name, counter, token) VALUES (?1, 0, 0) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .execute(&mut *transaction)
    .await?;
    let id = sqlx::query("SELECT id FROM registry_namespace WHERE name = ?1").bind(name);
    let namespace: i64 = id.fetch_one(&mut *transaction).await?.try_get(0)?;
    sqlx::query(
        "INSERT INTO registry_node (namespace, parent, name, data, version, created, modified, modified_at, owner, next_number)
         VALUES (?1, '', '', x'', 0, 0, 0, 0, 0, 0) ON CONFLICT (namespace, parent, name) DO NOTHING",
    )
    .bind(namespace)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO registry_session (id, namespace, connection, beat, timeout_millis) VALUES (?1, ?2, 0, 0, ?3)",
    )
    .bind(session)
    .bind(namespace)
    .bind(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(namespace)
}

impl Store {
    /// The store of a file that is open.
    pub(super) fn new(
        path: PathBuf,
        identity: Identity,
        turns: Turns,
        namespace: i64,
        connection: SqliteConnection,
    ) -> Self {
        Self {
            path,
            identity,
            turns,
            namespace,
            connection: Some(connection),
            data_version: -1,
        }
    }

    /// Opens the file again.
    pub(super) async fn reopen(&mut self) -> Result<(), Failure> {
        self.connection = None;
        self.check_file()?;
        // Opening may recover what a process that died has left, which is a matter of turns, too.
        let turn = self.turns.take().await?;
        self.connection = Some(options(&self.path, false).connect().await?);
        drop(turn);
        self.data_version = -1;
        self.check_file()
    }

    /// Returns whether there is a connection.
    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether another connection has changed the file since the last call. Also notices another file under its name.
    pub(super) async fn has_changed(&mut self) -> Result<bool, Failure> {
        self.check_file()?;
        let connection = self.connection.as_mut().ok_or_else(not_open)?;
        let rows = sqlx::query("PRAGMA data_version").fetch_all(connection).await?;
        let version = first(&rows)?;
        Ok(std::mem::replace(&mut self.data_version, version) != version)
    }

    /// Begins a transaction: to write, after our turn has come.
    pub(super) async fn begin(&mut self, purpose: Purpose) -> Result<Transaction<'_>, Failure> {
        let (turn, begin) = match purpose {
            Purpose::Read => (None, "BEGIN"),
            Purpose::Write => (Some(self.turns.take().await?), "BEGIN IMMEDIATE"),
        };
        // After the wait: another member may use another file by now.
        self.check_file()?;
        let mut connection = self.connection.take().ok_or_else(not_open)?;
        sqlx::query(begin).execute(&mut connection).await?;
        Ok(Transaction {
            connection,
            home: &mut self.connection,
            namespace: self.namespace,
            _turn: turn,
        })
    }

    /// A file that was removed can still be written to, and others would not see it.
    fn check_file(&self) -> Result<(), Failure> {
        match Identity::of(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => Err(Failure::Over("another file has taken the place of the database")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::Over("the file of the database was removed"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn not_open() -> Failure {
    Failure::Broken("the file is not open".to_owned())
}

impl Transaction<'_> {
    /// Returns where the namespace stands, if the session lives and this is its newest connection.
    pub(super) async fn place(&mut self, session: i64, connection: i64) -> Result<Place, Failure> {
        let rows = sqlx::query(
            "SELECT n.counter, n.token FROM registry_session s JOIN registry_namespace n ON n.id = s.namespace
             WHERE s.id = ?1 AND s.connection = ?2",
        )
        .bind(session)
        .bind(connection)
        .fetch_all(&mut self.connection)
        .await?;
        let row = rows.first().ok_or(Failure::Over("another member has ended it"))?;
        Ok(Place {
            counter: row.try_get(0)?,
            token: row.try_get(1)?,
        })
    }

    /// Makes this the newest connection of a session, and returns its number: what an older one has not done stays undone.
    pub(super) async fn take_over(&mut self, session: i64) -> Result<i64, Failure> {
        let rows = sqlx::query(
            "UPDATE registry_session SET connection = connection + 1, beat = beat + 1 WHERE id = ?1 RETURNING connection",
        )
        .bind(session)
        .fetch_all(&mut self.connection)
        .await?;
        let row = rows.first().ok_or(Failure::Over("another member has ended it"))?;
        Ok(row.try_get(0)?)
    }

    /// Raises the beat of a session.
    pub(super) async fn renew(&mut self, session: i64) -> Result<(), Failure> {
        sqlx::query("UPDATE registry_session SET beat = beat + 1 WHERE id = ?1")
            .bind(session)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Returns the beats of all other sessions of the namespace.
    pub(super) async fn beats(&mut self, own: i64) -> Result<Vec<Beat>, Failure> {
        let rows =
            sqlx::query("SELECT id, beat, timeout_millis FROM registry_session WHERE namespace = ?1 AND id <> ?2")
                .bind(self.namespace)
                .bind(own)
                .fetch_all(&mut self.connection)
                .await?;
        let beat = |row: &SqliteRow| {
            Ok(Beat {
                session: row.try_get(0)?,
                beat: row.try_get(1)?,
                timeout: Duration::from_millis(row.try_get::<i64, _>(2)?.try_into().unwrap_or_default()),
            })
        };
        rows.iter().map(beat).collect()
    }

    /// Ends a session: at this beat, or at any. Returns the deletions of its nodes, if it was there.
    pub(super) async fn end(&mut self, session: i64, beat: Option<i64>) -> Result<Option<Vec<WatchEvent>>, Failure> {
        let ended = sqlx::query("DELETE FROM registry_session WHERE id = ?1 AND (?2 IS NULL OR beat = ?2)")
            .bind(session)
            .bind(beat)
            .execute(&mut self.connection)
            .await?;
        if ended.rows_affected() == 0 {
            return Ok(None);
        }
        let rows = sqlx::query("DELETE FROM registry_node WHERE owner = ?1 RETURNING parent, name")
            .bind(session)
            .fetch_all(&mut self.connection)
            .await?;
        let paths = rows.iter().map(|row| Ok(joined(row.try_get(0)?, row.try_get(1)?)));
        let paths = paths.collect::<Result<BTreeSet<String>, sqlx::Error>>()?;
        Ok(Some(paths.into_iter().map(WatchEvent::Deleted).collect()))
    }

    /// Returns the changes with numbers beyond `number`.
    pub(super) async fn changes_after(&mut self, number: i64) -> Result<Vec<(i64, WatchEvent)>, Failure> {
        let rows = sqlx::query(
            "SELECT number, kind, path FROM registry_change WHERE namespace = ?1 AND number > ?2 ORDER BY number",
        )
        .bind(self.namespace)
        .bind(number)
        .fetch_all(&mut self.connection)
        .await?;
        let change = |row: &SqliteRow| {
            let kind = row.try_get(1)?;
            let event = event(kind, row.try_get(2)?)
                .ok_or_else(|| Failure::Broken(format!("a change is of the unknown kind {kind}")))?;
            Ok((row.try_get(0)?, event))
        };
        rows.iter().map(change).collect()
    }

    /// Executes the steps. The rows have changed; its events are for [`record`](Self::record).
    pub(super) async fn execute(
        &mut self,
        steps: Vec<Step>,
        stamp: Stamp,
    ) -> Result<Result<Outcome, WriteError>, Failure> {
        let mut page = Page::default();
        let Needs {
            nodes,
            parents,
            count_to,
        } = Needs::of(&steps);
        let found = self.nodes(nodes.iter()).await?;
        page.add(nodes, found);
        if !parents.is_empty() {
            for (parent, children) in self.counts(&parents, count_to).await? {
                page.count(&parent, children);
            }
        }
        let numbered = page.numbered(&steps);
        if !numbered.is_empty() {
            let found = self.nodes(numbered.iter()).await?;
            page.add(numbered, found);
        }
        let outcome = match page.execute(steps, stamp) {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Err(error)),
        };
        for row in &outcome.rows {
            self.change(row).await?;
        }
        Ok(Ok(outcome))
    }

    /// Writes or removes one row.
    async fn change(&mut self, row: &RowChange) -> Result<(), Failure> {
        let query = match row {
            RowChange::Put(path, node) => {
                let (parent, name) = key(path);
                sqlx::query(
                    "INSERT INTO registry_node
                        (namespace, parent, name, data, version, created, modified, modified_at, owner, next_number)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                     ON CONFLICT (namespace, parent, name) DO UPDATE SET
                        data = excluded.data, version = excluded.version, created = excluded.created,
                        modified = excluded.modified, modified_at = excluded.modified_at, owner = excluded.owner,
                        next_number = excluded.next_number",
                )
                .bind(self.namespace)
                .bind(parent)
                .bind(name)
                .bind(&node.data)
                .bind(node.stat.version)
                .bind(node.stat.created)
                .bind(node.stat.modified)
                .bind(node.stat.modified_at)
                .bind(node.stat.ephemeral_owner)
                .bind(node.next_number)
            }
            RowChange::Remove(path) => {
                let (parent, name) = key(path);
                sqlx::query("DELETE FROM registry_node WHERE namespace = ?1 AND parent = ?2 AND name = ?3")
                    .bind(self.namespace)
                    .bind(parent)
                    .bind(name)
            }
        };
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    /// Records changes under the numbers from `place.counter` on, and that the namespace stands there.
    pub(super) async fn record(&mut self, place: &mut Place, token: i64, events: &[WatchEvent]) -> Result<(), Failure> {
        let before = place.counter;
        let rows: Vec<_> = events.iter().filter_map(row).collect();
        sqlx::query(
            "INSERT INTO registry_change (namespace, number, kind, path)
             SELECT ?1, ?2 + 1 + key, value ->> 0, value ->> 1 FROM json_each(?3)",
        )
        .bind(self.namespace)
        .bind(before)
        .bind(json(&rows))
        .execute(&mut self.connection)
        .await?;
        place.counter += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        place.token = token;
        sqlx::query("UPDATE registry_namespace SET counter = ?2, token = ?3 WHERE id = ?1")
            .bind(self.namespace)
            .bind(place.counter)
            .bind(place.token)
            .execute(&mut self.connection)
            .await?;
        if before / REMOVED_AT_ONCE != place.counter / REMOVED_AT_ONCE {
            sqlx::query("DELETE FROM registry_change WHERE namespace = ?1 AND number <= ?2")
                .bind(self.namespace)
                .bind(place.counter - KEPT_CHANGES)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Answers the reads, in order.
    pub(super) async fn read(&mut self, reads: Vec<Read>) -> Result<Vec<Answer>, Failure> {
        let (mut data, mut children) = (BTreeSet::new(), BTreeSet::new());
        for read in &reads {
            match read {
                Read::Data(path) => data.insert(path),
                Read::Children(path) => children.insert(path),
            };
        }
        let nodes: BTreeMap<String, Node> = self.nodes(data.into_iter()).await?.into_iter().collect();
        let children = self.children(&children).await?;
        let answer = |read| match read {
            Read::Data(path) => Answer::Data(nodes.get(&path).map(|node| (node.data.clone(), node.stat))),
            Read::Children(path) => Answer::Children(children.get(&path).cloned()),
        };
        Ok(reads.into_iter().map(answer).collect())
    }

    /// Returns those of the nodes that are there, in any order.
    async fn nodes(&mut self, paths: impl Iterator<Item = &String>) -> Result<Vec<(String, Node)>, Failure> {
        let keys: Vec<_> = paths.map(|path| key(path)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT n.parent, n.name, n.data, n.version, n.created, n.modified, n.modified_at, n.owner, n.next_number
             FROM json_each(?2) w CROSS JOIN registry_node n
                ON n.namespace = ?1 AND n.parent = w.value ->> 0 AND n.name = w.value ->> 1",
        )
        .bind(self.namespace)
        .bind(json(&keys))
        .fetch_all(&mut self.connection)
        .await?;
        let node = |row: &SqliteRow| {
            let stat = Stat {
                version: row.try_get(3)?,
                created: row.try_get(4)?,
                modified: row.try_get(5)?,
                modified_at: row.try_get(6)?,
                ephemeral_owner: row.try_get(7)?,
            };
            let node = Node {
                data: row.try_get(2)?,
                stat,
                next_number: row.try_get(8)?,
            };
            Ok((joined(row.try_get(0)?, row.try_get(1)?), node))
        };
        rows.iter().map(node).collect()
    }

    /// Returns how many children the nodes have, at most `count_to`.
    async fn counts(&mut self, parents: &BTreeSet<String>, count_to: i64) -> Result<Vec<(String, i64)>, Failure> {
        let rows = sqlx::query(
            "SELECT w.value, (SELECT count(*) FROM
                (SELECT 1 FROM registry_node n WHERE n.namespace = ?1 AND n.parent = w.value LIMIT ?3))
             FROM json_each(?2) w",
        )
        .bind(self.namespace)
        .bind(json(parents))
        .bind(count_to)
        .fetch_all(&mut self.connection)
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Returns the children of the nodes that are there, sorted.
    async fn children(&mut self, parents: &BTreeSet<&String>) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, _) in self.nodes(parents.iter().copied()).await? {
            children.insert(path, Vec::new());
        }
        if children.is_empty() {
            return Ok(children);
        }
        let rows = sqlx::query(
            "SELECT n.parent, n.name FROM json_each(?2) w CROSS JOIN registry_node n
                ON n.namespace = ?1 AND n.parent = w.value
             ORDER BY n.parent, n.name",
        )
        .bind(self.namespace)
        .bind(json(parents))
        .fetch_all(&mut self.connection)
        .await?;
        for row in &rows {
            if let Some(names) = children.get_mut(row.try_get::<&str, _>(0)?) {
                names.push(row.try_get(1)?);
            }
        }
        Ok(children)
    }

    /// Ends the transaction, and with it our turn. After an error it may have happened or not.
    pub(super) async fn commit(mut self) -> Result<(), Failure> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        *self.home = Some(self.connection);
        Ok(())
    }
}

fn first(rows: &[SqliteRow]) -> Result<i64, sqlx::Error> {
    rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

/// The parent and the name that a node is stored under.
fn key(path: &str) -> (&str, &str) {
    match path {
        // Below no node, or it would be its own child.
        "/" => ("", ""),
        path => path::split(path),
    }
}

/// Returns the path of a node that is stored under this parent and name.
fn joined(parent: &str, name: &str) -> String {
    match parent {
        "" => "/".to_owned(),
        "/" => format!("/{name}"),
        parent => format!("{parent}/{name}"),
    }
}

/// A list as one parameter, however long it is.
fn json(list: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(list).expect("texts and numbers can be written as JSON")
}

/// Returns the kind and the path that an event is recorded with, if it is of a node.
fn row(event: &WatchEvent) -> Option<(i64, &str)> {
    match event {
        WatchEvent::Created(path) => Some((1, path)),
        WatchEvent::Changed(path) => Some((2, path)),
        WatchEvent::Deleted(path) => Some((3, path)),
        WatchEvent::Resync | WatchEvent::Closed => None,
    }
}

/// Returns the event that was recorded with these, if the kind is known.
fn event(kind: i64, path: String) -> Option<WatchEvent> {
    match kind {
        1 => Some(WatchEvent::Created(path)),
        2 => Some(WatchEvent::Changed(path)),
        3 => Some(WatchEvent::Deleted(path)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::sql::sqlite::schema;

    /// Session 1 on its first connection.
    async fn store(folder: &tempfile::TempDir) -> Store {
        let path = folder.path().join("jobs.db");
        let mut connection = options(&path, true).connect().await.unwrap();
        schema::prepare(&mut connection).await.unwrap();
        let namespace = join(&mut connection, "/shop", 1, Duration::from_secs(10))
            .await
            .unwrap();
        let identity = Identity::of(&path).unwrap();
        Store::new(path.clone(), identity, Turns::at(&path), namespace, connection)
    }

    #[tokio::test]
    async fn an_older_connection_of_a_session_should_be_able_to_do_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut old = store(&folder).await;
        let mut new = Store {
            connection: None,
            turns: Turns::at(&old.path),
            path: old.path.clone(),
            ..old
        };
        new.reopen().await.unwrap();
        let mut transaction = new.begin(Purpose::Write).await.unwrap();
        assert_eq!(transaction.take_over(1).await.unwrap(), 1);
        transaction.commit().await.unwrap();

        let mut late = old.begin(Purpose::Write).await.unwrap();
        assert!(matches!(late.place(1, 0).await, Err(Failure::Over(_))));
        drop(late);
        assert!(!old.is_open(), "what is dropped amid a transaction is not used again");
        let mut transaction = new.begin(Purpose::Write).await.unwrap();
        transaction.place(1, 1).await.unwrap();
    }

    #[tokio::test]
    async fn a_session_should_end_at_the_beat_that_was_seen_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder).await;
        let mut transaction = store.begin(Purpose::Write).await.unwrap();
        let seen = transaction.beats(2).await.unwrap();
        assert_eq!(seen.len(), 1);
        // Late, but there: the row decides.
        transaction.renew(1).await.unwrap();
        assert_eq!(transaction.end(1, Some(seen[0].beat)).await.unwrap(), None);
        assert_eq!(transaction.end(1, Some(seen[0].beat + 1)).await.unwrap(), Some(vec![]));
    }

    #[tokio::test]
    async fn what_is_answered_should_be_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder).await;
        for (pragma, expected) in [
            ("PRAGMA synchronous", "2"),
            ("PRAGMA fullfsync", "1"),
            ("PRAGMA journal_mode", "wal"),
        ] {
            let connection = store.connection.as_mut().unwrap();
            let rows = sqlx::query(pragma).fetch_all(connection).await.unwrap();
            let found = rows[0].try_get_unchecked::<String, _>(0).unwrap();
            assert_eq!(found, expected, "{pragma}");
        }
    }
}
