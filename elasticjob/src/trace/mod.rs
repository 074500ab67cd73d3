//! What becomes of each scheduled time: as a stream of events, and as a history in a database.
//!
//! Every scheduled time of every item ends in one verdict: a [run](JobEvent::Ended), or a place in a
//! [range of times](JobEvent::Skipped) that were not run for a stated reason. Times that passed while no instance
//! could say so are said by the item's owner when it next claims the item, from what the ledger knows.
//!
//! The events are of this instance alone. A run that ended here is said once its end is recorded in the registry; a
//! run whose instance died is said, as [`JobEvent::Lost`], by whoever recorded the loss. [`ElasticJob::events`] gives
//! them as a stream, and a [`TraceListener`] is told each of them; with `elasticjob.tracing` in the configuration and a
//! feature `history-..` they are recorded in a database, which `history` reads.
//!
//! [`ElasticJob::events`]: crate::starter::ElasticJob::events

mod bus;
mod damped;
mod event;
#[cfg(feature = "_history")]
pub mod history;
mod listener;
pub(crate) mod names;
mod teller;

pub use bus::{Events, Lagged};
pub use event::{JobEvent, LostRun, RunEvent, SkippedTimes, TaskEvent, TaskState};
pub use listener::{TraceListener, TraceListenerKind, TraceListeners};
pub use teller::Listening;

pub use crate::run::Source;

use bus::Dropped;
pub(crate) use bus::{Bus, Tap};
#[cfg(feature = "_history")]
use bus::{Capacity, Tapped};
use damped::Damped;
pub(crate) use teller::{Tellers, start as start_tellers};
