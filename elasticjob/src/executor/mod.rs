//! How the items of a firing run.
//!
//! The [`Pool`] of a job bounds how many of the items that an instance owns run at once. Each item runs behind the
//! fence of its session, can be stopped, and ends with one outcome; a panic is an outcome, too.
//!
//! What runs is code of the application, or a [`JobExecutor`] where the configuration gives the job a type.
//!
//! What a run of an item goes through:
//!
//! 1. It waits for room in the pool, first come first served. It is claimed already, so no other instance runs it
//!    meanwhile.
//! 2. It is tried. A try ends by its result, a panic, the [time limit](crate::job::Registration::timeout), the fence of
//!    the session, or a cancellation.
//! 3. If it failed and has [tries left](crate::job::Registration::retry), it gives its room back, and is tried again
//!    after a pause.
//! 4. The failure of the last try goes to the job's [error handler](crate::error_handler), and the end of the run is
//!    recorded.

mod blocking;
#[cfg(any(feature = "http", feature = "script"))]
mod context_json;
#[cfg(feature = "http")]
pub mod http;
mod item;
mod outcome;
mod pool;
mod runner;
#[cfg(feature = "script")]
pub mod script;
mod streaming;
mod tries;
mod typed;
mod underway;

pub(crate) use item::Item;
pub(crate) use outcome::TryOutcome;
pub use pool::{DEFAULT_POOL, ExecutorServiceHandler, Pool, Pools};
pub(crate) use pool::{NoPool, OpenPool, Permit, Permits};
pub(crate) use runner::{Equipment, JobRunner};
pub(crate) use tries::Tries;
pub(crate) use typed::Work;
pub(crate) use typed::missing_feature;
pub use typed::{AnyJobExecutor, JobExecutor, JobExecutors};
pub(crate) use underway::{Holds, Ticket, Underway};
