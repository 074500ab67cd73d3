use super::facade::{Counter, counter};
use super::names;

/// Counts events that a receiver in the process missed.
///
/// A receiver that is too slow must not hold jobs up. So events are dropped for it, and this is where an operator sees
/// it.
#[derive(Clone)]
pub(crate) struct DroppedEvents(Counter);

impl DroppedEvents {
    /// Of the recipient by this name.
    pub(crate) fn new(recipient: &str) -> Self {
        Self(counter(names::DROPPED_EVENTS, &[("recipient", recipient)]))
    }

    /// Counts so many more.
    pub(crate) fn add(&self, events: u64) {
        self.0.increment(events);
    }
}

impl std::fmt::Debug for DroppedEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DroppedEvents").finish_non_exhaustive()
    }
}
