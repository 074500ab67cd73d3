//! When a job runs.
//!
//! Wall-clock time says *when* something is due, a monotonic clock says *how long* something lasts.
//! Both come from one [`Clock`], which is handed in: nothing in the framework asks the machine itself.

mod calendar;
mod clock;
mod jumps;

pub(crate) use calendar::Calendar;
pub use clock::{Clock, ManualClock, SystemClock, sleep_until};
