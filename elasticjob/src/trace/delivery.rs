//! The tasks that deliver events to trace listeners, one task for each listener, while jobs go on.
//!
//! A listener is called for one event at a time, behind the guard, and with a time limit. If it fails or hangs, the next
//! event follows. When the application stops, the queue is closed, and what waits in it is delivered for
//! [`FLUSH_LIMIT`] at most; the rest is counted as dropped.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::chain::Chain;
use crate::guard::{self, Cause};
use crate::tasks::Tasks;

use super::bus::{Capacity, Tap, Tapped};
use super::listener::{TraceListenerKind, TraceListeners};
use super::{Damped, Dropped, JobEvent};

/// How long waiting events are still delivered after the application stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(8);

/// Most bytes of events that wait for a listener. Events of ordinary runs weigh less than 1 KiB.
const WEIGHT: u32 = 16 * 1024 * 1024;

/// The counts of a trace listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceListenerStats {
    /// The name under which the listener was declared.
    pub name: String,
    /// Events that it handled.
    pub delivered: u64,
    /// Events that it failed at: it returned an error, panicked, or took too long.
    pub failed: u64,
    /// Events that it did not receive: its queue was full, or the application ended before.
    pub dropped: u64,
}

/// Starts the task of each listener, which delivers the events from here on.
pub(crate) fn start(listeners: &TraceListeners, tasks: &Tasks) -> (Vec<Tap>, Deliveries) {
    let mut taps = Vec::new();
    let mut deliveries = Vec::new();
    for (name, kind) in listeners.entries() {
        let capacity = Capacity {
            events: kind.capacity,
            bytes: WEIGHT,
        };
        let (tap, tapped) = Tap::new(name, capacity, kind.jobs.clone());
        let counts = Arc::new(ListenerCounts {
            name: name.to_owned(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: tapped.dropped.clone(),
        });
        let delivery = Delivery {
            kind,
            tapped,
            counts: Arc::clone(&counts),
            failed_said: Damped::default(),
            dropped_said: Damped::default(),
        };
        tasks.spawn("trace listener", delivery.run(tasks.token().clone()));
        taps.push(tap);
        deliveries.push(counts);
    }
    (taps, Deliveries(deliveries))
}

/// The counts of all deliveries.
#[derive(Debug)]
pub(crate) struct Deliveries(Vec<Arc<ListenerCounts>>);

#[derive(Debug)]
struct ListenerCounts {
    name: String,
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: Dropped,
}

impl Deliveries {
    /// Returns the counts of all listeners at this moment, in the order of their names.
    pub(crate) fn now(&self) -> Vec<TraceListenerStats> {
        let stats = |counts: &Arc<ListenerCounts>| TraceListenerStats {
            name: counts.name.clone(),
            delivered: counts.delivered.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            dropped: counts.dropped.count(),
        };
        self.0.iter().map(stats).collect()
    }
}

struct Delivery {
    kind: Arc<TraceListenerKind>,
    tapped: Tapped,
    counts: Arc<ListenerCounts>,
    failed_said: Damped,
    dropped_said: Damped,
}

impl Delivery {
    /// Delivers events until the application stops and no event waits any more, or the time is up.
    async fn run(mut self, stop: CancellationToken) {
        let mut out_of_time = pin!(async {
            stop.cancelled().await;
            sleep(FLUSH_LIMIT).await;
        });
        let mut is_stopping = false;
        loop {
            let event = tokio::select! {
                biased;
                () = &mut out_of_time => break,
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    self.tapped.close();
                    continue;
                }
                event = self.tapped.next() => match event {
                    Some(event) => event,
                    None => break,
                },
            };
            // Made where a panic is caught, too: `on_event` need not be an async fn.
            let delivery = guard::future(async { self.kind.listener.on_event(&event).await });
            let delivery = timeout(self.kind.timeout, delivery);
            let outcome = tokio::select! {
                biased;
                outcome = delivery => outcome,
                () = &mut out_of_time => {
                    self.counts.dropped.add(1);
                    break;
                }
            };
            match outcome {
                Ok(Ok(Ok(()))) => drop(self.counts.delivered.fetch_add(1, Ordering::Relaxed)),
                Ok(Ok(Err(error))) => self.failed(&event, &error.into()),
                Ok(Err(panicked)) => self.failed(&event, &format!("it {panicked}").into()),
                Err(_) => self.failed(&event, &format!("it took more than {:?}", self.kind.timeout).into()),
            }
            self.say_dropped(false);
        }
        self.tapped.drop_rest();
        self.say_dropped(true);
    }

    fn failed(&mut self, event: &JobEvent, error: &Cause) {
        let total = self.counts.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(events) = self.failed_said.news(total, false) {
            let (listener, job) = (&*self.counts.name, &**event.job());
            warn!(listener, job, events, total, error = %Chain(error.error()), "a trace listener failed");
        }
    }

    /// Logs how many events were dropped since the log last had it.
    fn say_dropped(&mut self, is_end: bool) {
        let total = self.counts.dropped.count();
        if let Some(events) = self.dropped_said.news(total, is_end) {
            let listener = &*self.counts.name;
            warn!(listener, events, total, "events for a trace listener were dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use elasticjob_config::sources::TracedJobs;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;
    use crate::job::BoxError;
    use crate::trace::{Bus, TraceListener};

    /// Records the items that it receives, and treats them as their numbers say.
    struct Ears(mpsc::UnboundedSender<u32>);

    impl TraceListener for Ears {
        fn on_event(&self, event: &JobEvent) -> impl Future<Output = Result<(), BoxError>> + Send {
            let JobEvent::Lost { item, .. } = *event else {
                unreachable!("only lost items are published");
            };
            self.0.send(item).unwrap();
            assert_ne!(item, 4, "nor has it a future");
            async move {
                match item {
                    1 => Err("not today".into()),
                    2 => panic!("never"),
                    3 => pending().await,
                    _ => Ok(()),
                }
            }
        }
    }

    struct Place {
        bus: Bus,
        deliveries: Deliveries,
        tasks: Tasks,
        heard: mpsc::UnboundedReceiver<u32>,
    }

    impl Place {
        fn new(shape: impl FnOnce(TraceListenerKind) -> TraceListenerKind) -> Self {
            let (ears, heard) = mpsc::unbounded_channel();
            let mut listeners = TraceListeners::none();
            let kind = shape(TraceListenerKind::new(Ears(ears)));
            listeners.register("Ears", Arc::new(kind)).unwrap();
            let tasks = Tasks::new();
            let (taps, deliveries) = start(&listeners, &tasks);
            let bus = Bus::new().with_taps(taps);
            Self {
                bus,
                deliveries,
                tasks,
                heard,
            }
        }

        fn lose(&self, job: &str, items: impl IntoIterator<Item = u32>) {
            for item in items {
                let job = job.into();
                self.bus.publish(|| JobEvent::Lost { job, item, run: None });
            }
        }

        /// Stops the delivery, and returns the items that were received and the counts.
        async fn end(mut self) -> (Vec<u32>, TraceListenerStats) {
            self.tasks.token().cancel();
            let deadline = Instant::now() + FLUSH_LIMIT * 2;
            self.tasks.close_and_wait(deadline).await.unwrap();
            let mut heard = Vec::new();
            while let Ok(item) = self.heard.try_recv() {
                heard.push(item);
            }
            (heard, self.deliveries.now().remove(0))
        }
    }

    fn stats(delivered: u64, failed: u64, dropped: u64) -> TraceListenerStats {
        TraceListenerStats {
            name: "Ears".to_owned(),
            delivered,
            failed,
            dropped,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn receives_events_of_its_jobs_in_order() {
        let place = Place::new(|kind| {
            kind.timeout(Duration::from_secs(3))
                .jobs(TracedJobs::Only(vec!["job".to_owned()]))
        });
        place.lose("job", 0..6);
        place.lose("other", [9]);
        assert_eq!(place.end().await, (vec![0, 1, 2, 3, 4, 5], stats(2, 4, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn drops_events_at_a_full_queue() {
        let place = Place::new(|kind| kind.capacity(2));
        let began = Instant::now();
        place.lose("job", [3, 5, 6, 7]);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(place.deliveries.now(), [stats(0, 0, 2)]);
        // It is at the first event still, and is not waited for longer than there is time.
        assert_eq!(place.end().await, (vec![3], stats(0, 0, 4)));
        assert!(began.elapsed() < FLUSH_LIMIT * 2);
    }
}
