//! What becomes of each scheduled time: as a stream of events, and as a history in a database.
//!
//! Every scheduled time of every item ends in one verdict: a [run](JobEvent::Ended), or a place in a
//! [range of times](JobEvent::Skipped) that were not run for a stated reason. Times that passed while no instance
//! could say so are said by the item's owner when it next claims the item, from what the ledger knows.
//!
//! Each instance has its own events. The end of a run is an event once it is recorded in the registry. If an instance died, the
//! instance that recorded the loss of its run has the event [`JobEvent::Lost`]. [`ElasticJob::events`] returns the
//! events as a stream, and a [`TraceListener`] receives each of them; with `elasticjob.tracing` in the configuration and a
//! feature `history-..` they are recorded in a database, which `history` reads.
//!
//! [`ElasticJob::events`]: crate::starter::ElasticJob::events

mod bus;
mod damped;
mod delivery;
mod event;
#[cfg(feature = "_history")]
pub mod history;
mod listener;
pub(crate) mod names;
#[cfg(feature = "_history")]
mod run_log;
#[cfg(not(feature = "_history"))]
#[path = "run_log/absent.rs"]
mod run_log;

pub use bus::{Events, Lagged};
pub use delivery::TraceListenerStats;
pub use event::{JobEvent, LostRun, RunEvent, SkippedTimes, TaskEvent, TaskState};
pub use listener::{TraceListener, TraceListenerKind, TraceListeners};

pub use crate::run::Source;

/// The target of the log messages with lines of scripts. The log of a run has these lines by itself.
#[cfg(any(feature = "script", feature = "_history"))]
pub(crate) const SCRIPT_OUTPUT: &str = "elasticjob::executor::script::output";

use bus::Dropped;
pub(crate) use bus::{Bus, Tap};
#[cfg(feature = "_history")]
use bus::{Capacity, Tapped};
use damped::Damped;
pub(crate) use delivery::{Deliveries, start as start_deliveries};
#[cfg(feature = "_history")]
pub use run_log::RunLog;
#[cfg(feature = "_history")]
pub(crate) use run_log::is_installed as is_run_log_installed;
pub(crate) use run_log::{LoggedRun, RunLogs};
