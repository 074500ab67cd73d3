//! Notices on their way: a bounded queue for each handler, and one task that empties it.
//!
//! Putting a failure in never blocks. The task lives while there is something to send or to sum up, so a job at rest has
//! none. When the framework stops, what is held and queued is sent at once; what cannot be sent in time is counted in the log.
//!
//! One notice is delivered after the other. A delivery that failed for a passing reason is tried again after 1 s and 5
//! s. One that takes longer than 30 s is given up, since it may have arrived. Notices that find the queue full are
//! dropped and counted, and the log has each failure anyway.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, error, warn};

use crate::chain::Chain;
use crate::guard;
use crate::tasks::Tasks;

use super::Undelivered;
use super::damper::{Damper, Held};
use super::erased::ErasedNotifier;
use super::notice::{Notice, Occurrence};

/// So many notices of one job wait at most; those that come then are dropped, and counted.
const CAPACITY: usize = 64;

/// How long one attempt to deliver may take.
const DELIVERY_LIMIT: Duration = Duration::from_secs(30);

/// The pauses before further attempts, after failures that may pass.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// What is to be sent for one job, by one way.
///
/// Each job has its own: a job that fails a thousand times a minute fills its own queue and delays no notice of
/// another.
pub(super) struct Outbox {
    shared: Arc<Shared>,
}

/// The job of the failures, and the handler that sends them.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// The name of the handler.
    pub(super) way: Arc<str>,
    pub(super) job_name: Arc<str>,
    pub(super) host: Arc<str>,
    pub(super) interval: Option<Duration>,
}

/// What the handler and its courier share. When the last of them is gone, what was not sent is counted in the log.
struct Shared {
    sender: Sender,
    notifier: Box<dyn ErasedNotifier>,
    tasks: Tasks,
    /// Wakes the courier when something came while it waits for what is due.
    changed: Notify,
    /// A std lock: never held across an await.
    state: Mutex<State>,
}

/// What waits, and whether a courier is on its way.
///
/// A courier is there exactly while something waits: the caller that adds the first thing starts one, and a courier that finds
/// nothing says so under the same lock before it ends.
struct State {
    damper: Damper,
    /// At most [`CAPACITY`].
    queue: VecDeque<Notice>,
    dropped: u64,
    has_courier: bool,
}

/// What the courier does next.
enum Step {
    Deliver(Notice),
    WaitUntil(Instant),
}

impl Outbox {
    /// Returns an outbox with nothing in it, and no courier.
    pub(super) fn new(sender: Sender, notifier: Box<dyn ErasedNotifier>, tasks: Tasks) -> Self {
        let state = State {
            damper: Damper::new(sender.interval),
            queue: VecDeque::new(),
            dropped: 0,
            has_courier: false,
        };
        let shared = Shared {
            sender,
            notifier,
            tasks,
            changed: Notify::new(),
            state: Mutex::new(state),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Takes a failure. It is sent now, held for a summary, or dropped where too many wait.
    pub(super) fn put(&self, failure: Occurrence) {
        let shared = &self.shared;
        let (is_first_dropped, needs_courier) = {
            let mut state = shared.state();
            if let Some(failure) = state.damper.admit(failure, Instant::now()) {
                let Sender { job_name, host, .. } = &shared.sender;
                state.push(Notice::first(Arc::clone(job_name), Arc::clone(host), failure));
            }
            let needs_courier = !state.has_courier && !state.is_idle();
            state.has_courier |= needs_courier;
            (state.dropped == 1, needs_courier)
        };
        if is_first_dropped {
            let Sender { way, job_name, .. } = &shared.sender;
            warn!(job = %job_name, handler = %way, "notifications are dropped: too many wait");
        }
        if needs_courier {
            let courier = Arc::clone(shared).carry();
            drop(shared.tasks.spawn("notices", courier));
        } else {
            shared.changed.notify_one();
        }
    }
}

impl State {
    /// Queues a notice, or counts it as dropped if too many wait.
    fn push(&mut self, notice: Notice) {
        if self.queue.len() < CAPACITY {
            self.queue.push_back(notice);
        } else {
            self.dropped += 1;
        }
    }

    /// Returns whether there is nothing to send, now or later.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.damper.next_due().is_none()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers until nothing is left.
    async fn carry(self: Arc<Self>) {
        while let Some(step) = self.next() {
            match step {
                Step::Deliver(notice) => self.deliver(&notice).await,
                Step::WaitUntil(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.changed.notified() => {}
                    () = self.tasks.token().cancelled() => {}
                },
            }
        }
    }

    /// What to do now. After `None` the courier is gone: the next failure starts another.
    fn next(&self) -> Option<Step> {
        let mut state = self.state();
        let held = if self.tasks.token().is_cancelled() {
            state.damper.flush()
        } else {
            state.damper.due(Instant::now())
        };
        for held in held {
            state.push(self.summary(held));
        }
        let step = match state.queue.pop_front() {
            Some(notice) => Some(Step::Deliver(notice)),
            None => state.damper.next_due().map(Step::WaitUntil),
        };
        state.has_courier = step.is_some();
        let dropped = if state.queue.len() < CAPACITY / 2 {
            std::mem::take(&mut state.dropped)
        } else {
            // One log entry for each time that too many wait.
            0
        };
        drop(state);
        if dropped > 0 {
            let Sender { way, job_name, .. } = &self.sender;
            warn!(job = %job_name, handler = %way, dropped, "notifications were dropped");
        }
        step
    }

    /// Returns the notice that sums up failures which were held.
    fn summary(&self, held: Held) -> Notice {
        let Sender {
            job_name,
            host,
            interval,
            ..
        } = &self.sender;
        let interval = interval.expect("failures are held for an interval");
        Notice::summary(Arc::clone(job_name), Arc::clone(host), held, interval)
    }

    /// Delivers a notice, in up to three attempts, and logs what came of it.
    async fn deliver(&self, notice: &Notice) {
        let Sender { way, job_name, .. } = &self.sender;
        let mut pauses = RETRIES.iter();
        for attempts in 1_u32.. {
            let Err(undelivered) = self.attempt(notice).await else {
                debug!(job = %job_name, handler = %way, failures = notice.count(), attempts, "notification sent");
                return;
            };
            let reason = Chain(undelivered.cause()).to_string();
            let Some(pause) = pauses.next().filter(|_| undelivered.is_transient) else {
                error!(job = %job_name, handler = %way, attempts, reason, "notification not sent");
                return;
            };
            debug!(job = %job_name, handler = %way, attempts, reason, "notification not sent, trying again");
            tokio::select! {
                () = sleep(*pause) => {}
                // The next attempt is the last one then, and comes at once.
                () = self.tasks.token().cancelled() => pauses = [].iter(),
            }
        }
    }

    /// Tries once. A notifier that panics, or that does not come back in time, has not delivered and is not tried
    /// again.
    async fn attempt(&self, notice: &Notice) -> Result<(), Undelivered> {
        let notifying = guard::future(async { self.notifier.notify(notice).await });
        match timeout(DELIVERY_LIMIT, notifying).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(panicked.into()),
            // Final: it may have arrived, and another attempt could tell people twice.
            Err(_) => Err(format!("no answer within {DELIVERY_LIMIT:?}").into()),
        }
    }
}

/// When the framework stops before all is sent.
impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let held: u64 = state.damper.flush().iter().map(|held| held.count).sum();
        let lost = state.queue.iter().map(Notice::count).sum::<u64>() + held + state.dropped;
        if lost > 0 {
            let Sender { way, job_name, .. } = &self.sender;
            warn!(job = %job_name, handler = %way, failures = lost, "stopped with unsent notifications");
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the notifier: it may hold secrets.
        f.debug_struct("Outbox")
            .field("sender", &self.shared.sender)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::sync::mpsc;

    use super::*;
    use crate::error_handler::notify::Notifier;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Records how many failures each attempt was about, and gives the answers that a test sets.
    struct Scripted {
        attempts: mpsc::UnboundedSender<u64>,
        answers: Mutex<mpsc::UnboundedReceiver<Answer>>,
    }

    #[derive(Debug)]
    enum Answer {
        Refuse,
        TryAgain,
        Never,
    }

    impl Notifier for Scripted {
        async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
            self.attempts.send(notice.count()).unwrap();
            let answer = self.answers.lock().unwrap().try_recv();
            match answer {
                Err(_) => Ok(()),
                Ok(Answer::Refuse) => Err(io::Error::other("no such chat").into()),
                Ok(Answer::TryAgain) => Err(Undelivered::transient("busy")),
                Ok(Answer::Never) => std::future::pending().await,
            }
        }
    }

    struct Fixture {
        tasks: Tasks,
        outbox: Outbox,
        attempts: mpsc::UnboundedReceiver<u64>,
        answers: mpsc::UnboundedSender<Answer>,
    }

    fn set_up(interval: Option<Duration>) -> Fixture {
        let tasks = Tasks::new();
        let ((sent, attempts), (answers, answered)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let scripted = Scripted {
            attempts: sent,
            answers: Mutex::new(answered),
        };
        let sender = Sender {
            way: "SCRIPTED".into(),
            job_name: "job".into(),
            host: "host".into(),
            interval,
        };
        Fixture {
            outbox: Outbox::new(sender, Box::new(scripted), tasks.child()),
            tasks,
            attempts,
            answers,
        }
    }

    impl Fixture {
        fn fail(&self, times: usize) {
            for _ in 0..times {
                self.outbox.put(Occurrence::for_test(Some(0), &["disk full"]));
            }
        }

        /// Waits until no courier is left, and gives the attempts made.
        async fn settled(&mut self) -> Vec<u64> {
            self.tasks.close_and_wait(Instant::now() + MINUTE * 60).await.unwrap();
            std::iter::from_fn(|| self.attempts.try_recv().ok()).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_should_become_one_notice_and_one_summary() {
        let (mut setting, start) = (set_up(Some(MINUTE)), Instant::now());
        setting.fail(1000);
        assert_eq!(setting.settled().await, [1, 999]);
        assert_eq!(start.elapsed(), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_at_rest_should_have_no_task() {
        let mut setting = set_up(Some(MINUTE));
        setting.fail(1);
        let start = Instant::now();
        assert_eq!(setting.settled().await, [1]);
        assert_eq!(
            start.elapsed(),
            Duration::ZERO,
            "no task waits for an interval without failures"
        );
        tokio::time::advance(MINUTE).await;
        setting.fail(1);
        assert_eq!(setting.settled().await, [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn drops_beyond_the_queue_without_waiting() {
        let mut setting = set_up(None);
        setting.answers.send(Answer::Never).unwrap();
        setting.fail(CAPACITY * 3);
        assert_eq!(setting.outbox.shared.state().dropped, CAPACITY as u64 * 2);
        assert_eq!(setting.settled().await.len(), CAPACITY);
        assert_eq!(
            setting.outbox.shared.state().dropped,
            0,
            "reported in the log, and counted from 0 again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn retries_a_passing_failure_a_few_times() {
        let (mut setting, start) = (set_up(None), Instant::now());
        setting.answers.send(Answer::TryAgain).unwrap();
        setting.fail(1);
        assert_eq!(setting.settled().await, [1, 1]);
        assert_eq!(start.elapsed(), RETRIES[0]);

        for _ in 0..=RETRIES.len() {
            setting.answers.send(Answer::TryAgain).unwrap();
        }
        setting.fail(2);
        assert_eq!(
            setting.settled().await,
            [1, 1, 1, 1],
            "three for the first, one for the second"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn sends_the_next_notice_after_a_refusal() {
        let (mut setting, start) = (set_up(None), Instant::now());
        setting.answers.send(Answer::Refuse).unwrap();
        setting.fail(2);
        assert_eq!(setting.settled().await, [1, 1]);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn limits_the_wait_for_a_silent_service() {
        let (mut setting, start) = (set_up(None), Instant::now());
        setting.answers.send(Answer::Never).unwrap();
        setting.fail(2);
        assert_eq!(setting.settled().await, [1, 1]);
        assert_eq!(start.elapsed(), DELIVERY_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn sends_all_held_notices_at_a_stop() {
        let (mut setting, start) = (set_up(Some(MINUTE)), Instant::now());
        setting.answers.send(Answer::TryAgain).unwrap();
        setting.fail(5);
        tokio::task::yield_now().await;
        setting.tasks.token().cancel();
        assert_eq!(setting.settled().await, [1, 1, 4]);
        assert_eq!(start.elapsed(), Duration::ZERO, "without pauses between attempts");
        setting.fail(2);
        assert_eq!(setting.settled().await, [2], "later ones, too");
    }
}
