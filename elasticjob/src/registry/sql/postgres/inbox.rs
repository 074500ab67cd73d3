//! What comes into the registry with a transaction of the application: a row in the table `inbox`.
//!
//! The row says what members add to which nodes, and they find it by their next poll after the commit. It needs no lock of a job
//! and no notification: an application may take its time until it commits, and its other commits should not stand in one queue for
//! ours. The member of the same process polls sooner for a while, and gives a hint to the others once the nodes are there.
//!
//! A transaction of any other database would take the row to where no instance reads it. So the database is recognised first, by the
//! identifier of its server, which standbys share, and by its number there: names and addresses may differ behind a pooler.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Postgres, Row as _, Transaction};
use tracing::debug;

use super::failing::explained;
use super::hint::{Hints, WeakHints};
use crate::registry::Error;

/// Asks where a connection is.
const PLACE: &str = "SELECT json_build_object(
    'server', (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
    'number', (SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = current_database()),
    'name', current_database())::text";

/// The way into a registry in PostgreSQL by a transaction of the application. Clones are the same.
///
/// [`Registry::inbox`](crate::registry::Registry::inbox) returns it, for `OneOff::execute_in` and `Operations::trigger_in`, which
/// applications call.
#[derive(Clone)]
pub struct Inbox {
    namespace: String,
    /// A std mutex: never held across an await.
    known: Arc<Mutex<Known>>,
}

/// What sessions have learned.
#[derive(Debug)]
struct Known {
    /// The database of the registry, or why it is not known.
    place: Result<Place, Error>,
    /// Wake the members of this process, the newest last.
    hints: Vec<WeakHints>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Place {
    /// The identifier of the server, as text, since JSON has no number of that size.
    server: String,
    number: i64,
    name: String,
}

/// What members do after the commit: they add `element` to the JSON array in the node below `target` of each child of
/// `audience`, or to the element there that is equal but for its `requests`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) job: String,
    pub(crate) audience: String,
    pub(crate) target: String,
    pub(crate) element: Value,
}

impl Inbox {
    pub(super) fn new(namespace: String) -> Self {
        let place = Err(Error::Unreachable(
            "there was no session yet, so that the database of the registry is not known".to_owned(),
        ));
        let known = Arc::new(Mutex::new(Known {
            place,
            hints: Vec::new(),
        }));
        Self { namespace, known }
    }

    /// Learns which database the registry is in, over a connection of a session that these hints wake.
    ///
    /// A session does not need it: if the server does not say it, only [`put`](Self::put) fails.
    pub(super) async fn learn(&self, connection: &mut PgConnection, hints: &Hints) {
        let place = place(connection).await.map_err(|error| {
            debug!(%error, "the database does not say which it is");
            Error::Refused(format!(
                "the database of the registry does not say which it is: {error}"
            ))
        });
        let mut known = self.lock();
        // A connection that has just been lost says nothing about the database.
        if place.is_ok() || known.place.is_err() {
            known.place = place;
        }
        known
            .hints
            .retain(|other| other.upgrade().is_some() && !other.is_of(hints));
        known.hints.push(hints.downgrade());
    }

    /// Adds an entry to a transaction.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the database of the registry is not known yet. [`Error::Refused`] if the transaction is of another
    /// database, which names both; nothing was done to it then. Any other error of the database ends the transaction.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the entry comes with the commit.
    pub(crate) async fn put(&self, transaction: &mut Transaction<'_, Postgres>, entry: &Entry) -> Result<(), Error> {
        let wanted = self.lock().place.clone()?;
        let found = place(transaction).await.map_err(|error| explained(&error))?;
        if (&found.server, found.number) != (&wanted.server, wanted.number) {
            return Err(Error::Refused(format!(
                "the transaction is one of {found}, and the registry is in {wanted}"
            )));
        }
        let added = transaction
            .execute(sqlx::raw_sql(AssertSqlSafe(self.statement(entry))))
            .await;
        added.map_err(|error| explained(&error))?;
        let newest = self.lock().hints.iter().rev().find_map(WeakHints::upgrade);
        if let Some(hints) = newest {
            hints.expect();
        }
        Ok(())
    }

    /// Returns the statement that adds an entry: of the simple protocol, since a pooler may give each transaction another connection,
    /// and without a character that could end the literal.
    fn statement(&self, entry: &Entry) -> String {
        let Entry {
            job,
            audience,
            target,
            element,
        } = entry;
        let row = json!([self.namespace, job, audience, target, element]).to_string();
        let mut digits = String::with_capacity(row.len() * 2);
        for byte in row.bytes() {
            // A text takes all that is written to it.
            let _ = write!(digits, "{byte:02x}");
        }
        format!(
            "INSERT INTO elasticjob.inbox (namespace, job, audience, target, element)
             SELECT r ->> 0, r ->> 1, r ->> 2, r ->> 3, r -> 4
             FROM (SELECT convert_from(decode('{digits}', 'hex'), 'UTF8')::jsonb) AS t(r)"
        )
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the database of a connection.
async fn place(connection: &mut PgConnection) -> Result<Place, sqlx::Error> {
    let row = connection.fetch_one(sqlx::raw_sql(PLACE)).await?;
    let text: String = row.try_get_unchecked(0)?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, number, name } = self;
        write!(f, "the database `{name}` (oid {number}) of the server {server}")
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("namespace", &self.namespace)
            .field("place", &self.lock().place)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod an_entry {
        use super::*;

        #[test]
        fn can_end_no_literal() {
            let entry = Entry {
                job: "'; DROP TABLE orders; --".to_owned(),
                audience: "/任务/instances".to_owned(),
                target: "\\".to_owned(),
                element: json!({"parameter": "it's $1 \u{1}"}),
            };
            let statement = Inbox::new("/shop".to_owned()).statement(&entry);
            assert!(!statement.contains("DROP") && statement.is_ascii(), "{statement}");
            assert_eq!(statement.matches('\'').count(), 6, "{statement}");
        }
    }
}
