//! What follows from the answer to a request, beyond the next request: values that the worker carries out.
//!
//! A decision starts nothing and logs nothing itself. It returns [`Effect`]s, which the worker carries out in their
//! order, and so the simulator and the unit tests can look at a decision without a runtime. A [`Report`] changes
//! nothing: dropping all of them would leave operators, metrics and the history without news, and the cluster as it is.

use jiff::SignedDuration;

use crate::cluster::core::firing::{self, Start};
use crate::cluster::core::governor;
use crate::cluster::core::governor::resharding::SharedOut;
use crate::cluster::core::request::Request;
use crate::cluster::ledger::{Gap, Run};
use crate::cluster::trigger::Trigger;
use crate::registry::WriteError;
use crate::sharding::StrategyFault;

/// One step that follows from a decision. The steps of a decision are taken in their order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Make a request about firings.
    Ask(Request<firing::Purpose>),
    /// Start claimed items, once the job's listeners have been called.
    Start(Vec<Start>),
    /// Go on with runs, as their next attempts.
    Restart(Vec<Start>),
    /// Run the job once for each of these triggers.
    Trigger(Vec<Trigger>),
    /// Ask the error handler whether the firing goes on although the clocks differ by more than the limit.
    CompareClocks {
        difference: SignedDuration,
        limit: std::time::Duration,
    },
    /// Read these paths next.
    ReadNext(Vec<String>),
    /// Read the subtree again: what is known of it is wrong.
    FallBehind,
    /// Report this to operators, metrics, trace listeners and the history.
    Report(Report),
}

/// What operators, metrics, listeners of events and the history learn.
#[derive(Debug)]
pub(crate) enum Report {
    /// Items that were to be claimed are not run at this time.
    Refused { items: Vec<u32>, reason: &'static str },
    /// A claim ended the run that a dead instance left open.
    LostOpen { item: u32, run: Run },
    /// Scheduled times passed without a run before this one.
    Skipped { item: u32, gap: Gap },
    /// Scheduled times passed an item that does not run.
    Passed { item: u32, gap: Gap },
    /// The end of a run is in the ledger.
    Ended { item: u32, run: Run },
    /// The end of a run could not be recorded.
    Unrecorded { item: u32, reason: &'static str },
    /// The newest run of an item that became ours.
    Known { item: u32, run: Run },
    /// This instance could not join the contenders for items to take over.
    NotContending(WriteError),
    /// Ledgers that were missing could not be created.
    NotCreated(WriteError),
    /// Marks of dead instances were removed; the parked items were tried often enough.
    MarksRepaired {
        items: Vec<u32>,
        parked: Vec<u32>,
        lost: Vec<(u32, Option<Run>)>,
    },
    /// Items that waited to be taken over are not.
    TakeoversCleared { lost: Vec<(u32, Option<Run>)> },
    /// Contenders without an instance were removed.
    ContendersRemoved(Vec<String>),
    /// Servers were switched off because their members ignore the pause of the job.
    SwitchedOff(Vec<String>),
    /// All parts of an assignment are written: which items moved, which wait for their runs, and why.
    SharedOut(SharedOut),
    /// The sharding strategy failed.
    StrategyFailed(StrategyFault),
    /// A transaction for the job as a whole was refused.
    MoveRefused {
        purpose: governor::Purpose,
        error: WriteError,
    },
}
