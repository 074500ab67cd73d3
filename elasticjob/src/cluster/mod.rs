//! How the instances of one job agree.
//!
//! Start at [`worker`]: one task for each job, which owns all of the job's state on this instance. It knows the [`view`] of the
//! registry, and [`core`] decides by it: the governor for the job as a whole, and the firings for what runs here. Both rely on the
//! [`ledger`], and on the session and the fence of [`session`]. Only [`layout`] knows the paths.
//!
//! There is no coordinator beside the registry. An instance acts on what it has seen, and each of its writes carries
//! the condition under which it is right; the registry refuses a write whose condition does not hold. So two instances
//! that both believe to be the leader, or the owner of an item, do no harm. Three things together keep two runs of an
//! item apart: the ledger's version and the mark refuse a second claim, the fence stops the work of an instance before
//! its session can end, and an instance id is never used again.

pub(crate) mod cancel;
pub(crate) mod core;
mod extent;
mod fail_point;
pub(crate) mod fence;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod guarantee;
pub(crate) mod ids;
pub(crate) mod instance;
mod latch;
pub(crate) mod launch;
pub(crate) mod layout;
pub(crate) mod ledger;
pub(crate) mod member;
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "public through `testing` alone")
)]
pub(crate) mod mutation;
pub(crate) mod note;
mod noted_items;
pub(crate) mod pause;
mod placement;
pub(crate) mod policy;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod recent;
pub(crate) mod refusal;
pub(crate) mod registration;
mod remains;
pub(crate) mod scope;
pub(crate) mod session;
pub(crate) mod session_metrics;
mod subtree;
pub(crate) mod surveyed;
pub(crate) mod transaction;
pub(crate) mod trigger;
pub(crate) mod view;
pub(crate) mod walk;
pub(crate) mod wind_down;
pub(crate) mod worker;
