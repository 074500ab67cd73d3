#[cfg(feature = "_history")]
use std::fmt;
use std::sync::Arc;

use tokio::sync::broadcast;

#[cfg(feature = "_history")]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "_history")]
use tokio::sync::mpsc;

use super::JobEvent;

/// Events that a receiver may be behind before it loses the oldest.
const CAPACITY: usize = 4096;

/// Where events are handed out.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    streams: broadcast::Sender<JobEvent>,
    #[cfg(feature = "_history")]
    taps: Arc<[Tap]>,
    #[cfg(not(feature = "_history"))]
    taps: Arc<[std::convert::Infallible]>,
}

impl Bus {
    pub(crate) fn new() -> Self {
        Self {
            streams: broadcast::Sender::new(CAPACITY),
            taps: Arc::new([]),
        }
    }

    /// Gives every event to these, too.
    #[cfg(feature = "_history")]
    pub(crate) fn with_taps(self, taps: Vec<Tap>) -> Self {
        Self {
            taps: taps.into(),
            ..self
        }
    }

    /// Hands an event to whoever listens; it is made only if somebody does.
    pub(crate) fn publish(&self, event: impl FnOnce() -> JobEvent) {
        let is_streamed = self.streams.receiver_count() > 0;
        if !is_streamed && self.taps.is_empty() {
            return;
        }
        let event = event();
        #[cfg(feature = "_history")]
        self.taps.iter().for_each(|tap| tap.give(&event));
        if is_streamed {
            // Whoever listened may have gone meanwhile.
            let _ = self.streams.send(event);
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        Events(self.streams.subscribe())
    }
}

/// Somebody who is given every event that is of interest, and takes them from a queue. What finds it full is missed,
/// and counted.
#[cfg(feature = "_history")]
pub(crate) struct Tap {
    queue: mpsc::Sender<JobEvent>,
    missed: Missed,
    is_of_interest: Box<dyn Fn(&JobEvent) -> bool + Send + Sync>,
}

/// The other end of a [`Tap`].
#[cfg(feature = "_history")]
#[derive(Debug)]
pub(crate) struct Tapped {
    pub(crate) queue: mpsc::Receiver<JobEvent>,
    pub(crate) missed: Missed,
}

/// How many events found a queue full.
#[cfg(feature = "_history")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Missed(Arc<AtomicU64>);

#[cfg(feature = "_history")]
impl Missed {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "_history")]
impl Tap {
    /// A queue of `capacity` events.
    pub(crate) fn new(
        capacity: usize,
        is_of_interest: impl Fn(&JobEvent) -> bool + Send + Sync + 'static,
    ) -> (Self, Tapped) {
        let (sender, queue) = mpsc::channel(capacity);
        let missed = Missed::default();
        let tap = Self {
            queue: sender,
            missed: missed.clone(),
            is_of_interest: Box::new(is_of_interest),
        };
        (tap, Tapped { queue, missed })
    }

    fn give(&self, event: &JobEvent) {
        if (self.is_of_interest)(event) && self.queue.try_send(event.clone()).is_err() {
            self.missed.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(feature = "_history")]
impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("missed", &self.missed)
            .finish_non_exhaustive()
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
            run: None,
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

    #[cfg(feature = "_history")]
    #[tokio::test]
    async fn a_full_tap_should_miss_the_newest_and_count_them_and_hold_up_nobody() {
        let is_odd = |event: &JobEvent| matches!(event, JobEvent::Lost { item, .. } if item % 2 == 1);
        let (tap, mut tapped) = Tap::new(2, is_odd);
        let bus = Bus::new().with_taps(vec![tap]);
        (0..10).for_each(|item| bus.publish(|| lost(item)));
        assert_eq!(tapped.missed.count(), 3);
        drop(bus);
        assert_eq!(tapped.queue.recv().await, Some(lost(1)));
        assert_eq!(tapped.queue.recv().await, Some(lost(3)));
        assert_eq!(tapped.queue.recv().await, None);
    }
}
