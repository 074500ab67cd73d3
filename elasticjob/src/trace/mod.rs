//! What becomes of each scheduled time, as it happens.
//!
//! Every scheduled time of every item ends in one verdict: a [run](JobEvent::Ended), or a place in a
//! [range of times](JobEvent::Skipped) that were not run for a stated reason. Times that passed while no instance
//! could say so are said by the item's owner when it next claims the item, from what the ledger knows.
//!
//! The events are of this instance alone. A run that ended here is said once its end is recorded in the registry; a
//! run whose instance died is said, as [`JobEvent::Lost`], by whoever recorded the loss.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::cluster::worker::ItemOutcome;

pub use crate::cluster::ledger::Source;

/// Events that a receiver may be behind before it loses the oldest.
const CAPACITY: usize = 4096;

/// Something that became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEvent {
    /// A run was claimed and handed to the pool.
    Started(RunEvent),
    /// A run ended, and that is recorded.
    Ended {
        /// The run.
        run: RunEvent,
        /// How it ended.
        outcome: ItemOutcome,
    },
    /// The instance that ran an item died, and the item is not tried again at this time.
    Lost {
        /// The job.
        job: Arc<str>,
        /// The item.
        item: u32,
    },
    /// Scheduled times passed without a run.
    Skipped {
        /// The job.
        job: Arc<str>,
        /// The item.
        item: u32,
        /// Which times.
        times: SkippedTimes,
    },
}

/// A run of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEvent {
    /// The job.
    pub job: Arc<str>,
    /// The item.
    pub item: u32,
    /// The time it was due, or when it was asked for.
    pub scheduled_time: Timestamp,
    /// Names the run, over all its attempts.
    pub run_id: String,
    /// Counted from 1.
    pub attempt: u32,
    /// Why it runs.
    pub source: Source,
}

/// Scheduled times that follow each other and were not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedTimes {
    /// All after this time,
    pub after: Timestamp,
    /// and before this one.
    pub before: Timestamp,
    /// How many they are.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// Where events are handed out.
#[derive(Clone, Debug)]
pub(crate) struct Bus(broadcast::Sender<JobEvent>);

impl Bus {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Hands an event to whoever listens; it is made only if somebody does.
    pub(crate) fn publish(&self, event: impl FnOnce() -> JobEvent) {
        if self.0.receiver_count() > 0 {
            // Whoever listened may have gone meanwhile.
            let _ = self.0.send(event());
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        Events(self.0.subscribe())
    }
}

/// The events of an application, from the subscription on.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<JobEvent>);

/// Events were lost: the receiver was too far behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were lost: they were not taken in time")]
pub struct Lagged(pub u64);

impl Events {
    /// The next event; `None` when the application has stopped.
    ///
    /// # Errors
    /// [`Lagged`] where events were lost; the next call goes on with the oldest there is.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Result<Option<JobEvent>, Lagged> {
        match self.0.recv().await {
            Ok(event) => Ok(Some(event)),
            Err(broadcast::error::RecvError::Closed) => Ok(None),
            Err(broadcast::error::RecvError::Lagged(lost)) => Err(Lagged(lost)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(item: u32) -> JobEvent {
        JobEvent::Lost {
            job: "job".into(),
            item,
        }
    }

    #[tokio::test]
    async fn events_should_come_in_order_and_end_with_the_bus() {
        let bus = Bus::new();
        bus.publish(|| panic!("nobody listens"));
        let mut events = bus.subscribe();
        bus.publish(|| lost(1));
        bus.publish(|| lost(2));
        drop(bus);
        assert_eq!(events.next().await, Ok(Some(lost(1))));
        assert_eq!(events.next().await, Ok(Some(lost(2))));
        assert_eq!(events.next().await, Ok(None));
    }

    #[tokio::test]
    async fn a_receiver_that_is_behind_should_be_told_what_it_lost() {
        let bus = Bus::new();
        let mut events = bus.subscribe();
        let capacity = u32::try_from(CAPACITY).unwrap();
        (0..capacity + 3).for_each(|item| bus.publish(|| lost(item)));
        assert_eq!(events.next().await, Err(Lagged(3)));
        assert_eq!(events.next().await, Ok(Some(lost(3))));
    }
}
