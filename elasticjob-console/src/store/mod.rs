//! What a console keeps: its audit log, and over restarts its sessions and tokens. In a SQLite file, or in memory alone.

#[cfg(feature = "sqlite")]
mod file;

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::access::random::Digest;
use crate::access::session::Session;
use crate::access::token::Token;
use crate::audit::{Entry, Row};

/// Rows of the audit log in memory.
const NEWEST: usize = 1_000;

/// How long rows are kept in a file.
#[cfg(feature = "sqlite")]
const RETENTION: jiff::SignedDuration = jiff::SignedDuration::from_hours(366 * 24);

/// Where a console keeps what it keeps. Clones are the same.
#[derive(Clone)]
pub(crate) enum Store {
    /// As long as the process lasts. A std mutex: never held across an await.
    Memory(Arc<Mutex<VecDeque<Row>>>),
    #[cfg(feature = "sqlite")]
    File(file::File),
}

/// What was kept.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) sessions: Vec<(Digest, Session)>,
    pub(crate) tokens: Vec<(String, Digest, Token)>,
    /// The first row of the audit log that is not as it was written.
    pub(crate) wrong_row: Option<i64>,
}

/// Why something was not kept, or not found.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(String);

impl Store {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Opens the file in a directory, which are made if they are not there. No other process can open it meanwhile.
    #[cfg(feature = "sqlite")]
    pub(crate) async fn open(directory: &Path, now: Timestamp) -> Result<(Self, Kept), Error> {
        let (file, kept) = file::File::open(directory, now).await?;
        Ok((Self::File(file), kept))
    }

    #[cfg(not(feature = "sqlite"))]
    pub(crate) async fn open(_directory: &Path, _now: Timestamp) -> Result<(Self, Kept), Error> {
        let problem =
            "the feature `sqlite` of elasticjob-console is missing: add it, or leave out `elasticjob.console.data-dir`";
        Err(Error(problem.to_owned()))
    }

    /// Returns whether what it keeps is there after a restart.
    pub(crate) fn is_lasting(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }

    /// Appends a row to the audit log, and returns its number.
    pub(crate) async fn append(&self, entry: Entry, now: Timestamp) -> Result<i64, Error> {
        match self {
            Self::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                let row = Row::after(rows.back().map(|row| (row.number, row.digest)), entry, now);
                let number = row.number;
                if rows.len() >= NEWEST {
                    rows.pop_front();
                }
                rows.push_back(row);
                Ok(number)
            }
            #[cfg(feature = "sqlite")]
            Self::File(file) => file.append(entry, now).await,
        }
    }

    /// Returns rows of the audit log, the newest first.
    pub(crate) async fn rows(&self, before: i64, most: usize) -> Result<Vec<Row>, Error> {
        match self {
            Self::Memory(rows) => {
                let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                let found = rows.iter().rev().filter(|row| row.number < before);
                Ok(found.take(most).cloned().collect())
            }
            #[cfg(feature = "sqlite")]
            Self::File(file) => file.rows(before, most).await,
        }
    }

    /// Keeps a session, or how long it was used.
    pub(crate) async fn keep_session(&self, digest: &Digest, session: &Session) -> Result<(), Error> {
        match self {
            // Its owner has it.
            Self::Memory(_) => {
                let _ = (digest, session);
                Ok(())
            }
            #[cfg(feature = "sqlite")]
            Self::File(file) => file.keep_session(digest, session).await,
        }
    }

    /// Forgets a session.
    pub(crate) async fn forget_session(&self, digest: &Digest) -> Result<(), Error> {
        match self {
            // Its owner has it.
            Self::Memory(_) => {
                let _ = digest;
                Ok(())
            }
            #[cfg(feature = "sqlite")]
            Self::File(file) => file.forget_session(digest).await,
        }
    }

    /// Keeps a token.
    pub(crate) async fn keep_token(&self, name: &str, digest: &Digest, token: &Token) -> Result<(), Error> {
        match self {
            // Its owner has it.
            Self::Memory(_) => {
                let _ = (name, digest, token);
                Ok(())
            }
            #[cfg(feature = "sqlite")]
            Self::File(file) => file.keep_token(name, digest, token).await,
        }
    }

    /// Forgets a token.
    pub(crate) async fn forget_token(&self, name: &str) -> Result<(), Error> {
        match self {
            // Its owner has it.
            Self::Memory(_) => {
                let _ = name;
                Ok(())
            }
            #[cfg(feature = "sqlite")]
            Self::File(file) => file.forget_token(name).await,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_lasting() {
            "Store::File"
        } else {
            "Store::Memory"
        })
    }
}
