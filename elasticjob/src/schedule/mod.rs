//! When a job runs.
//!
//! A schedule is a Quartz cron expression in a time zone: [`configuration::cron`](crate::configuration::cron). Each instance computes the
//! times itself and fires its own items.
//!
//! # Flow
//! - **The time comes, and the last firing has ended:** the items run.
//! - **The last firing still runs** (a misfire): one make-up run follows when it has ended, for the newest time that came meanwhile.
//!   With `misfire = false` the time is skipped, unless the firing was a trigger.
//! - **The items are being shared out**, as after a start: the time runs as soon as that is done, up to 5 s late. After 5 s it is
//!   a missed time.
//! - **No instance is there:** with the prop `elasticjob.catch-up`, such as `10m`, the newest time that is no older than that is made
//!   up by the first instance. Without it all are skipped.
//! - **The job is paused, or the item is switched off:** the time is skipped.
//!
//! # Guarantees
//! - **At most once.** A time that has run for an item is never run again for it, except as the next attempt after its instance died
//!   ([failover](crate::run#failover)).
//! - **Accounted for.** Each time that passes an item has the verdict of its run, or is part of an event
//!   [`JobEvent::Skipped`](crate::trace::JobEvent::Skipped) with the reason.
//! - **One make-up run for many times.** It has the newest one as its [scheduled time](crate::job::ShardingContext::scheduled_time).
//! - **A clock that is set** neither repeats a time nor runs the times in between one by one: after a jump forward the newest is
//!   made up, as after a long firing.
//!
//! # Assumptions
//! - The clocks of the instances show about the same time. If the clock of an instance is behind, the instance fires its items later by that much.
//! - The schedule of one job has a period longer than its runs, for most of its runs. Otherwise it runs without a pause, and skips
//!   times.
//!
//! # Clocks
//! Wall-clock time says *when* something is due, a monotonic clock says *how long* something lasts. Both come from one [`Clock`],
//! which is handed in: nothing in the framework asks the machine itself. So tests can have their own time, with [`ManualClock`].

mod calendar;
mod clock;
mod jumps;

pub(crate) use calendar::Calendar;
pub use clock::{Clock, ManualClock, SystemClock, sleep_until};
