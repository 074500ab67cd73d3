//! Registry centres in a database, which members of one cluster share by their transactions alone.
//!
//! A database has no sessions that end with their clients, and calls no client when a row changes. These are built here:
//!
//! - **Sessions.** A session is a row with a beat, which its owner raises. Another member ends the session after it
//!   saw the same beat for a whole timeout by its own monotonic clock: no wall clock decides which session is over. The end
//!   deletes the ephemeral nodes and records these changes in the same transaction.
//! - **The dead cannot write.** Each transaction looks at the row of its session first.
//! - **Events.** A transaction records its changes under numbers without gaps. A member reads on from the number
//!   that it knows; a gap is a [`Resync`](super::WatchEvent::Resync). Each answer comes with all changes before it, so that
//!   events come before answers.
//!
//! Java members know no such registry.

mod backend;
mod cursor;
mod expiry;
#[cfg(feature = "registry-postgres")]
mod postgres;
mod session;
#[cfg(feature = "registry-sqlite")]
mod sqlite;
#[cfg(feature = "registry-sqlite")]
mod transaction;
mod worker;

#[cfg(feature = "registry-postgres")]
pub(crate) use postgres::Entry;
#[cfg(feature = "registry-postgres")]
pub use postgres::{Inbox, PostgresRegistry};
#[cfg(feature = "registry-sqlite")]
pub use sqlite::SqliteRegistry;
