//! How the instances of one job agree.
//!
//! Start at [`worker`]: one task a job, which owns all of the job's state on this instance. What it knows is the
//! [`view`]; what it decides is decided by pure code: [`governor`] for the job as a whole (with [`election`],
//! [`resharding`] and [`marks`]), [`firing`] for what runs here. What it relies on is the [`ledger`], and the session
//! and fence of [`session`]. Only [`layout`] knows where things are.

mod abandoned;
mod assignment;
mod astray;
pub(crate) mod cancel;
mod contenders;
pub(crate) mod context;
pub(crate) mod effect;
pub(crate) mod election;
mod extent;
mod fail_point;
pub(crate) mod fence;
#[allow(clippy::match_bool, reason = "older than the lint")]
pub(crate) mod firing;
pub(crate) mod governor;
pub(crate) mod guarantee;
pub(crate) mod ids;
pub(crate) mod instance;
mod latch;
pub(crate) mod launch;
pub(crate) mod layout;
pub(crate) mod ledger;
pub(crate) mod marks;
pub(crate) mod member;
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "public through `testing` alone")
)]
pub(crate) mod mutation;
pub(crate) mod note;
mod noted_items;
mod overlooked;
pub(crate) mod pause;
mod placement;
pub(crate) mod policy;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod refusal;
pub(crate) mod registration;
mod remains;
pub(crate) mod request;
pub(crate) mod resharding;
pub(crate) mod scope;
pub(crate) mod session;
pub(crate) mod session_metrics;
mod subtree;
pub(crate) mod surveyed;
pub(crate) mod transaction;
pub(crate) mod trigger;
mod unseen;
pub(crate) mod view;
pub(crate) mod walk;
pub(crate) mod wind_down;
#[allow(clippy::match_bool, reason = "older than the lint")]
pub(crate) mod worker;
