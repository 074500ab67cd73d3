//! The way of events from the worker to their recipients.
//!
//! Publishing never waits. There are two kinds of recipients. A stream that an application has asked for shares one
//! ring buffer with all others; a receiver that falls 4,096 events behind loses the oldest, and learns how many. A tap,
//! for a trace listener or the history, has a queue of its own, bounded by the number of events and by their bytes; an
//! event that finds it full is dropped and counted. An event that no recipient wants is not even made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use elasticjob_config::sources::TracedJobs;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};

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
    /// Creates a bus without recipients.
    pub(crate) fn new() -> Self {
        Self {
            streams: broadcast::Sender::new(CAPACITY),
            taps: Arc::new([]),
        }
    }

    /// Sends every event to these taps, too.
    pub(crate) fn with_taps(self, taps: Vec<Tap>) -> Self {
        Self {
            taps: taps.into(),
            ..self
        }
    }

    /// Sends an event to all receivers; `event` is called only if there is one.
    pub(crate) fn publish(&self, event: impl FnOnce() -> JobEvent) {
        let is_streamed = self.streams.receiver_count() > 0;
        if !is_streamed && self.taps.is_empty() {
            return;
        }
        let event = event();
        self.taps.iter().for_each(|tap| tap.give(&event));
        if is_streamed {
            // The receivers may have gone meanwhile.
            let _ = self.streams.send(event);
        }
    }

    /// Returns a stream of the events that are published from now on.
    pub(crate) fn subscribe(&self) -> Events {
        Events(self.streams.subscribe())
    }
}

/// How much may wait for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) events: usize,
    /// Their [weight](JobEvent::weight) in bytes, all together.
    pub(crate) bytes: u32,
}

/// Sends the events of some jobs to a recipient, which takes them from a queue. An event that finds it full is dropped.
#[derive(Debug)]
pub(crate) struct Tap {
    queue: mpsc::Sender<Weighed>,
    capacity: Capacity,
    /// A permit for each byte that may still wait.
    room: Arc<Semaphore>,
    dropped: Dropped,
    jobs: TracedJobs,
}

/// The other end of a [`Tap`].
#[derive(Debug)]
pub(crate) struct Tapped {
    queue: mpsc::Receiver<Weighed>,
    pub(crate) dropped: Dropped,
}

/// An event that waits, and the room that it takes until it is taken.
#[derive(Debug)]
struct Weighed {
    event: JobEvent,
    _room: OwnedSemaphorePermit,
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
    /// Creates a queue of events of these jobs, for a recipient by this name.
    pub(crate) fn new(recipient: &str, capacity: Capacity, jobs: TracedJobs) -> (Self, Tapped) {
        let (sender, queue) = mpsc::channel(capacity.events);
        let dropped = Dropped::new(recipient);
        let tap = Self {
            queue: sender,
            capacity,
            room: Arc::new(Semaphore::new(capacity.bytes as usize)),
            dropped: dropped.clone(),
            jobs,
        };
        (tap, Tapped { queue, dropped })
    }

    /// Offers an event. It is counted as dropped if the recipient wants events of its job and has no room.
    fn give(&self, event: &JobEvent) {
        if self.jobs.has(event.job()) && !self.is_taken(event) {
            self.dropped.add(1);
        }
    }

    /// Puts an event into the queue, if there is room for it.
    fn is_taken(&self, event: &JobEvent) -> bool {
        // One that is heavier than all that may wait does so alone.
        let weight =
            u32::try_from(event.weight()).map_or(self.capacity.bytes, |weight| weight.min(self.capacity.bytes));
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(weight) else {
            return false;
        };
        let event = event.clone();
        self.queue.try_send(Weighed { event, _room: room }).is_ok()
    }
}

impl Tapped {
    /// Takes the oldest event; `None` when there will be none any more.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub(crate) async fn next(&mut self) -> Option<JobEvent> {
        self.queue.recv().await.map(|weighed| weighed.event)
    }

    /// Waits for events and takes up to `limit` of them. Returns how many; 0 when there will be none any more.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    #[cfg(feature = "_history")]
    pub(crate) async fn take_many(&mut self, taken: &mut Vec<JobEvent>, limit: usize) -> usize {
        let mut weighed = Vec::new();
        let count = self.queue.recv_many(&mut weighed, limit).await;
        taken.extend(weighed.into_iter().map(|weighed| weighed.event));
        count
    }

    /// Refuses further events. Those that wait can still be taken.
    pub(crate) fn close(&mut self) {
        self.queue.close();
    }

    /// Refuses further events, and drops and counts those that wait.
    pub(crate) fn drop_rest(&mut self) {
        self.queue.close();
        while self.queue.try_recv().is_ok() {
            self.dropped.add(1);
        }
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
    ///
    /// The stream holds up to 4,096 events for a receiver that is slow. Use a [`TraceListener`](super::TraceListener)
    /// for a recipient that should have a queue of its own.
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
    use jiff::Timestamp;

    use super::*;
    use crate::trace::{TaskEvent, TaskState};

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
    async fn delivers_events_in_order_until_the_bus_ends() {
        let bus = Bus::new();
        bus.publish(|| panic!("there is no listener"));
        let mut events = bus.subscribe();
        bus.publish(|| lost(1));
        bus.publish(|| lost(2));
        drop(bus);
        assert_eq!(events.next().await, Ok(Some(lost(1))));
        assert_eq!(events.next().await, Ok(Some(lost(2))));
        assert_eq!(events.next().await, Ok(None));
    }

    #[tokio::test]
    async fn counts_the_losses_of_a_slow_receiver() {
        let bus = Bus::new();
        let mut events = bus.subscribe();
        let capacity = u32::try_from(CAPACITY).unwrap();
        (0..capacity + 3).for_each(|item| bus.publish(|| lost(item)));
        assert_eq!(events.next().await, Err(Lagged(3)));
        assert_eq!(events.next().await, Ok(Some(lost(3))));
    }

    #[tokio::test]
    async fn drops_and_counts_the_newest_at_a_full_tap() {
        let capacity = Capacity {
            events: 2,
            bytes: 1 << 20,
        };
        let (tap, mut tapped) = Tap::new("test", capacity, TracedJobs::AllBut(vec!["other".to_owned()]));
        let bus = Bus::new().with_taps(vec![tap]);
        (0..5).for_each(|item| {
            bus.publish(|| lost_of("other", item));
            bus.publish(|| lost(item));
        });
        assert_eq!(tapped.dropped.count(), 3);
        drop(bus);
        assert_eq!(tapped.next().await, Some(lost(0)));
        assert_eq!(tapped.next().await, Some(lost(1)));
        assert_eq!(tapped.next().await, None);
    }

    /// Returns the event of a failed step of a firing, with a message of so many bytes.
    fn failed(bytes: usize) -> JobEvent {
        JobEvent::Task(TaskEvent {
            job: "job".into(),
            task_id: "task".into(),
            instance: "instance".into(),
            scheduled_time: Timestamp::UNIX_EPOCH,
            run_id: String::new(),
            attempt: 1,
            items: [0].into(),
            state: TaskState::Error,
            message: "x".repeat(bytes),
            at: Timestamp::UNIX_EPOCH,
        })
    }

    #[tokio::test]
    async fn limits_the_bytes_in_a_tap() {
        let heavy = failed(16 * 1024);
        let capacity = Capacity {
            events: 1000,
            bytes: u32::try_from(2 * heavy.weight()).unwrap(),
        };
        let (tap, mut tapped) = Tap::new("test", capacity, TracedJobs::All);
        let bus = Bus::new().with_taps(vec![tap]);
        (0..5).for_each(|_| bus.publish(|| heavy.clone()));
        assert_eq!(tapped.dropped.count(), 3);
        assert_eq!(tapped.next().await.as_ref(), Some(&heavy));
        bus.publish(|| heavy.clone());
        assert_eq!(tapped.dropped.count(), 3);
        bus.publish(|| lost(0));
        assert_eq!(tapped.dropped.count(), 4, "there is no room for a light one either");
    }

    #[tokio::test]
    async fn holds_an_oversized_event_alone() {
        let capacity = Capacity {
            events: 1000,
            bytes: 1024,
        };
        let (tap, mut tapped) = Tap::new("test", capacity, TracedJobs::All);
        let bus = Bus::new().with_taps(vec![tap]);
        bus.publish(|| failed(4096));
        bus.publish(|| failed(4096));
        assert_eq!(tapped.dropped.count(), 1);
        assert_eq!(tapped.next().await, Some(failed(4096)));
    }
}
