use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use elasticjob_config::sources::TracedJobs;
use tokio::sync::{broadcast, mpsc};

use super::JobEvent;
use crate::telemetry::DroppedEvents;

/// Events that a receiver may be behind before it loses the oldest.
const CAPACITY: usize = 4096;

/// Where events are handed out.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    streams: broadcast::Sender<JobEvent>,
    taps: Arc<[Tap]>,
}

impl Bus {
    pub(crate) fn new() -> Self {
        Self {
            streams: broadcast::Sender::new(CAPACITY),
            taps: Arc::new([]),
        }
    }

    /// Gives every event to these, too.
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

/// Somebody who is given the events of some jobs, and takes them from a queue. What finds it full is dropped.
#[derive(Debug)]
pub(crate) struct Tap {
    queue: mpsc::Sender<JobEvent>,
    dropped: Dropped,
    jobs: TracedJobs,
}

/// The other end of a [`Tap`].
#[derive(Debug)]
pub(crate) struct Tapped {
    pub(crate) queue: mpsc::Receiver<JobEvent>,
    pub(crate) dropped: Dropped,
}

/// How many events one recipient never got, counted where each is dropped. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    count: Arc<AtomicU64>,
    metric: DroppedEvents,
}

impl Dropped {
    fn new(recipient: &str) -> Self {
        Self {
            count: Arc::default(),
            metric: DroppedEvents::new(recipient),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, events: u64) {
        self.count.fetch_add(events, Ordering::Relaxed);
        self.metric.add(events);
    }
}

impl Tap {
    /// A queue of `capacity` events of these jobs, for a recipient by this name.
    pub(crate) fn new(recipient: &str, capacity: usize, jobs: TracedJobs) -> (Self, Tapped) {
        let (sender, queue) = mpsc::channel(capacity);
        let dropped = Dropped::new(recipient);
        let tap = Self {
            queue: sender,
            dropped: dropped.clone(),
            jobs,
        };
        (tap, Tapped { queue, dropped })
    }

    fn give(&self, event: &JobEvent) {
        if is_traced(&self.jobs, event.job()) && self.queue.try_send(event.clone()).is_err() {
            self.dropped.add(1);
        }
    }
}

fn is_traced(jobs: &TracedJobs, job: &str) -> bool {
    match jobs {
        TracedJobs::Only(names) => names.iter().any(|name| name == job),
        TracedJobs::AllBut(names) => !names.iter().any(|name| name == job),
        _ => true,
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
        lost_of("job", item)
    }

    fn lost_of(job: &str, item: u32) -> JobEvent {
        JobEvent::Lost {
            job: job.into(),
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

    #[tokio::test]
    async fn a_full_tap_should_miss_the_newest_and_count_them_and_hold_up_nobody() {
        let (tap, mut tapped) = Tap::new("test", 2, TracedJobs::AllBut(vec!["other".to_owned()]));
        let bus = Bus::new().with_taps(vec![tap]);
        (0..5).for_each(|item| {
            bus.publish(|| lost_of("other", item));
            bus.publish(|| lost(item));
        });
        assert_eq!(tapped.dropped.count(), 3);
        drop(bus);
        assert_eq!(tapped.queue.recv().await, Some(lost(0)));
        assert_eq!(tapped.queue.recv().await, Some(lost(1)));
        assert_eq!(tapped.queue.recv().await, None);
    }
}
