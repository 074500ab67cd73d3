//! Decisions, as pure code: no I/O, no clock, no task, and no log.
//!
//! [`governor`] decides for the job as a whole, and [`firing`] for the runs of this instance. A decision looks at a [`context`] and
//! gives a [`request`] to the registry, or the [`effect`]s of an answer. The worker makes the requests and carries the effects out.

pub(crate) mod context;
pub(crate) mod effect;
pub(crate) mod firing;
pub(crate) mod governor;
pub(crate) mod request;
