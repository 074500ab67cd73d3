//! How the items of a firing run.
//!
//! [`run_item`] is the one way an item is run: within the limit of the job's [`Pool`], behind the session's
//! fence, stoppable, and with panics caught. It ends with one [`Outcome`] whatever the job does.

mod blocking;
mod item;
mod outcome;
mod pool;

pub(crate) use item::{Ended, Item, Running, run_item};
pub(crate) use outcome::Outcome;
pub(crate) use pool::Permits;
pub use pool::{DEFAULT_POOL, Pool, Pools};
