//! The comparison with the registry's clock before a firing, where the job asks for it.

use crate::cluster::core::context::Context;
use crate::cluster::core::request::{Io, Request};
use crate::cluster::layout::Node;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::CreateMode;

use super::{FiringRequest, Firings, Purpose};

/// Where the comparison of clocks before a firing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockCheck {
    Due,
    InFlight,
    Passed,
}

impl Firings {
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
            let reason = "the clocks differ too much";
            self.sources.source(origin).give_up(cx, &mut self.skips, reason);
        }
    }

    /// The clocks could not be compared: that is tried again.
    pub(crate) fn clock_not_checked(&mut self) {
        self.clock_check = ClockCheck::Due;
    }
}
