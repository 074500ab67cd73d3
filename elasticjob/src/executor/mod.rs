//! How the items of a firing run.
//!
//! The [`Pool`] of a job bounds how many of the items that an instance owns run at once. Each item runs behind the
//! fence of its session, can be stopped, and ends with one outcome; a panic is an outcome, too.
//!
//! What runs is code of the application, or a [`JobExecutor`] where the configuration gives the job a type.

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
