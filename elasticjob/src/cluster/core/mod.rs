//! Decisions, as pure code: no I/O, no clock, no task, and no log.
//!
//! [`governor`] decides for the job as a whole, and [`firing`] for the runs of this instance. A decision looks at a [`context`] and
//! gives a [`request`] to the registry, or the [`effect`]s of an answer. The worker makes the requests and carries the effects out.
//!
//! That decisions are pure is what makes the simulator possible: thousands of schedules of crashes, lost answers and
//! delays are tried in virtual time on the code that runs in production. A test reads the sources below here and
//! refuses I/O, clocks, tasks, logs and unordered iteration.
//!
//! Nothing here is trusted twice. Every request carries the condition under which it is right, and the registry refuses
//! it if that condition does not hold any more. So a decision may be made on an old view without harm: it costs a
//! refused request.

pub(crate) mod context;
pub(crate) mod effect;
pub(crate) mod firing;
pub(crate) mod governor;
pub(crate) mod request;
