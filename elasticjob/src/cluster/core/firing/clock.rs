//! The comparison with the registry's clock before a firing, if the job asks for it by `max-time-diff-seconds`.
//!
//! The registry has no request for its time. As Java does, an instance writes the node `systemTime/current`, and the
//! answer says when the server modified it. That costs one transaction a firing, so it is done only for jobs that set
//! the limit. The error handler of the job decides whether a firing goes on although the clocks differ too much.

use crate::cluster::core::context::Context;
use crate::cluster::core::request::{Io, Request};
use crate::cluster::layout::Node;
use crate::cluster::ledger::Reason;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::CreateMode;

use super::{FiringRequest, Firings, Purpose};

/// Where the comparison of clocks before a firing stands.
///
/// It is passed for one firing only: the next firing compares again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockCheck {
    Due,
    InFlight,
    Passed,
}

impl Firings {
    /// Returns the write that has the registry state its time. The parent node is created first if the view does not
    /// have it.
    pub(super) fn check_clock(&mut self, view: &View) -> FiringRequest {
        let mut transaction = Transaction::on(view);
        if !view.has(Node::CurrentTime) {
            transaction.create(Node::CurrentTime, "", CreateMode::Persistent);
        }
        transaction.set(Node::CurrentTime, "", None);
        self.clock_check = ClockCheck::InFlight;
        Request {
            purpose: Purpose::CheckClock,
            io: Io::Write(transaction.into_steps()),
        }
    }

    /// The clocks were compared, or could not be: the firing goes on, or is given up.
    pub(crate) fn clock_checked(&mut self, cx: &Context<'_>, goes_on: bool) {
        if goes_on {
            self.clock_check = ClockCheck::Passed;
            return;
        }
        self.clock_check = ClockCheck::Due;
        if let Some((origin, _)) = self.sources.next(cx, &self.runs, &self.open) {
            self.sources
                .source(origin)
                .give_up(cx, &mut self.skips, Reason::ClocksDiffer);
        }
    }

    /// The clocks could not be compared: that is tried again.
    pub(crate) fn clock_not_checked(&mut self) {
        self.clock_check = ClockCheck::Due;
    }
}
