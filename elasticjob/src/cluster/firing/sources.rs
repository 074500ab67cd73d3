//! All sources of a job's occasions, in the order in which they are asked.

use std::time::Duration;

use crate::cluster::context::Context;

use super::item_requests::ItemRequests;
use super::occasion::{Occasion, OccasionSource};
use super::orders::Orders;
use super::runs::Runs;
use super::times::Times;

/// The sources of a job's occasions.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) times: Times,
    pub(super) orders: Orders,
    pub(super) item_requests: ItemRequests,
}

/// Names a source. The first is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Times,
    Orders,
    ItemRequests,
}

impl Origin {
    const ALL: [Self; 3] = [Self::Times, Self::Orders, Self::ItemRequests];
}

impl Sources {
    /// Returns what to fire for now, and the source that has it.
    pub(super) fn next(&mut self, cx: &Context<'_>, runs: &Runs) -> Option<(Origin, Occasion)> {
        let next = |origin| Some((origin, self.source(origin).next(cx, runs)?));
        Origin::ALL.into_iter().find_map(next)
    }

    pub(super) fn source(&mut self, origin: Origin) -> &mut dyn OccasionSource {
        match origin {
            Origin::Times => &mut self.times,
            Origin::Orders => &mut self.orders,
            Origin::ItemRequests => &mut self.item_requests,
        }
    }

    /// Returns whether there may be something to fire for. Much cheaper than [`next`](Self::next).
    pub(super) fn is_waiting(&self, cx: &Context<'_>) -> bool {
        self.is_due(cx) || self.times.is_to_look_back()
    }

    /// Returns whether something is known to be fired for.
    pub(super) fn is_due(&self, cx: &Context<'_>) -> bool {
        self.times.is_due() || !self.orders.is_empty() || self.item_requests.is_waiting(cx)
    }

    /// Drops what has not begun: nothing new is to be started.
    pub(super) fn stop(&mut self) {
        self.times.stop();
        self.orders.stop();
    }

    /// Returns when a source is to be asked again, on the clock that only moves forward.
    pub(super) fn wake_at(&self, elapsed: Duration) -> Option<Duration> {
        let sources: [&dyn OccasionSource; 3] = [&self.times, &self.orders, &self.item_requests];
        sources.into_iter().filter_map(|source| source.wake_at(elapsed)).min()
    }
}
