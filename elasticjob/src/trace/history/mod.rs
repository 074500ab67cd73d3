//! History in a database: what became of every run, kept and asked for.
//!
//! With `elasticjob.tracing.type: RDB` in its configuration an application records its events in the tables that Java
//! members have, `JOB_EXECUTION_LOG` and `JOB_STATUS_TRACE_LOG`, and in a few of its own, `ELASTICJOB_..`. Tables are
//! created where they are absent. No job waits for its history: events wait in a queue of 100,000 events and 64 MiB, in order,
//! also while the database is away; what finds the queue full is dropped, counted and said.
//!
//! A program may hand in a pool that it has, and places for the histories of some jobs, by
//! [`Builder::history`](crate::starter::Builder::history).
//!
//! Start reading at [`Database`] and [`Storage`], where it is, at [`History`], which answers questions, and at [`RecorderStats`], how it
//! goes.

mod connections;
mod database;
mod dialect;
mod error;
mod fit;
mod jdbc;
mod logs;
mod query;
mod recorder;
mod retention;
mod rows;
mod schema;
mod setup;
mod shape;
mod statement;
mod storage;
mod store;
#[cfg(test)]
#[cfg(feature = "history-sqlite")]
mod tests;

pub use self::database::{Database, DatabaseKind, InvalidDatabase};
pub use self::error::Error;
pub use self::logs::RecordedLog;
pub use self::query::{
    Cursor, Durations, History, IntervalCounts, InvalidCursor, JavaExecution, JavaFilter, JavaName, JavaPage,
    JavaPaging, JavaStatus, Page, RecordedRun, RecordedSkip, RunDetail, RunFilter, RunOutcome, UnknownOutcome,
};
pub use self::recorder::RecorderStats;
pub use self::storage::Storage;

pub(crate) use self::setup::{Kept, Setup, SetupFault};
