//! Waiting at a barrier: registering, following the other instances, and contending for the right to call the hook.
//!
//! The steps: read the barrier, register the own items, then follow it by its events. The instance that completes the
//! barrier contends for the right to call the hook; the others wait until the barrier is removed. Contending is a latch
//! as Curator has it: create an ephemeral sequential node, and the first has the right. If the instance with the right
//! dies, its node goes with its session, and the next one has the right.
//!
//! Each wait has a second way to end, because an event may be missed and an instance may die between two steps: the
//! barrier is read again after a pause, and an instance that finds nothing more to wait for contends although it was
//! not the last to arrive.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::debug;

use crate::cluster::latch;
use crate::cluster::layout::{Moment, Node};
use crate::registry::{Error, Read, Watch, WatchEvent};

use super::attendance::{Attendance, Question};
use super::seen::{self, Seen};
use super::{Barrier, Failed, HookTurn, Passage, REFUSED_PAUSE, REFUSED_PAUSE_LIMIT};

/// After so long without an event the barrier is read again. The pause doubles each time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The longest such pause.
const LOOK_AGAIN_LIMIT: Duration = Duration::from_secs(10);

/// The last instance to arrive calls the hook, unless it is a Java member that waits for items that no instance runs. Then another
/// instance does, after so long.
const ABSENT_PAUSE: Duration = Duration::from_millis(100);

/// The largest number of items that are read at once to find one that is still to come.
const ASKED_AT_ONCE: usize = 100;

/// An instance at a barrier.
pub(super) struct Waiting<'a> {
    barrier: &'a Barrier,
    listener: &'a str,
    began: Instant,
    deadline: Instant,
    watch: Option<Box<dyn Watch>>,
    is_registered: bool,
    /// This instance has just arrived: if all are here now, it contends at once, and the others only if it does not.
    is_newest: bool,
    /// The pause before the barrier is read again without an event.
    pause: Duration,
    /// The pause before a refused transaction is repeated.
    refused_pause: Duration,
    seen: Seen,
}

/// What may end a wait.
enum Signal {
    Event,
    /// The barrier has to be read again.
    LookAgain,
    /// This instance leaves, and does not wait for others any more.
    Leave,
}

impl<'a> Waiting<'a> {
    pub(super) async fn at(barrier: &'a Barrier, listener: &'a str, deadline: Instant) -> Self {
        Self {
            barrier,
            listener,
            began: Instant::now(),
            deadline,
            // Another barrier of this session may have the watch: then this one is read from time to time.
            watch: barrier.membership.session().watch(&barrier.root()).await.ok(),
            is_registered: false,
            is_newest: false,
            pause: LOOK_AGAIN,
            refused_pause: REFUSED_PAUSE,
            seen: Seen::default(),
        }
    }

    /// Waits as [`Barrier::wait`] does. If it fails, the registered items stay.
    pub(super) async fn wait(&mut self) -> Result<Passage, Failed> {
        loop {
            if !self.look().await? {
                continue;
            }
            if self.is_called() {
                self.barrier.withdraw().await;
                return Ok(Passage::Called);
            }
            if self.is_gone() {
                return Ok(Passage::Called);
            }
            if !self.is_registered && !self.register().await? {
                continue;
            }
            if let Some(passage) = self.follow().await? {
                return Ok(passage);
            }
        }
    }

    /// Follows the barrier from what was read; `None` if it has to be read again.
    async fn follow(&mut self) -> Result<Option<Passage>, Failed> {
        let mut has_news = false;
        loop {
            if self.is_gone() {
                return Ok(Some(Passage::Called));
            }
            let missing = self.missing();
            if std::mem::take(&mut self.is_newest) && missing.is_empty() {
                return self.contend().await;
            }
            if std::mem::take(&mut has_news) {
                self.pause = self.pause_after_news(&missing);
            }
            let was_contended = !self.seen.contenders.is_empty();
            let signal = self.signal().await?;
            // The instance that was about to call the hook has gone without a call.
            let is_abandoned = was_contended && self.seen.contenders.is_empty() && !self.is_gone();
            match signal {
                Signal::Event if is_abandoned => self.is_newest = true,
                Signal::Event => has_news = true,
                Signal::LookAgain if self.is_in_time() => {
                    if self.seen.contenders.is_empty() && self.awaited(&missing).await?.is_empty() {
                        return self.contend().await;
                    }
                    return Ok(None);
                }
                Signal::LookAgain => return Err(Failed::Late(missing)),
                Signal::Leave => return Ok(Some(Passage::Left)),
            }
        }
    }

    /// Returns whether this instance's items were there and are gone: the hook was called, or a Java member gave up.
    fn is_gone(&self) -> bool {
        self.is_registered && !self.barrier.items.is_subset(&self.seen.registered)
    }

    /// Returns whether the registry has on record that the hook was called for this firing.
    fn is_called(&self) -> bool {
        let Barrier { moment, firing, .. } = self.barrier;
        self.seen.called.has(self.listener, *moment, firing)
    }

    fn is_in_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    fn pause_after_news(&self, missing: &[u32]) -> Duration {
        let lacks_absent = self.seen.registered.len() < self.barrier.total as usize;
        if missing.is_empty() && lacks_absent {
            ABSENT_PAUSE
        } else {
            // Others are coming: soon only the items that do not come will be missing.
            LOOK_AGAIN
        }
    }

    /// Returns the items that have not been registered, without those that are known not to run.
    fn missing(&self) -> Vec<u32> {
        let is_here = |item: &u32| self.seen.registered.contains(item) || self.barrier.absent.contains(item);
        (0..self.barrier.total).filter(|item| !is_here(item)).collect()
    }

    /// Reads the barrier; `false` if that failed for now.
    async fn look(&mut self) -> Result<bool, Failed> {
        let result = self.barrier.look().await;
        match result {
            Ok(seen) => {
                self.seen = seen;
                self.drain();
                Ok(true)
            }
            Err(error) => {
                self.not_done(&error).await?;
                Ok(false)
            }
        }
    }

    /// Waits until the session is connected and the pause is over, before a repetition.
    async fn not_done(&mut self, error: &Error) -> Result<(), Failed> {
        debug!(job = &*self.barrier.job, %error, "barrier transaction refused, reading it again");
        if error.is_session_lost() {
            return Err(Failed::SessionLost);
        }
        let pause = self.refused_pause;
        self.refused_pause = (pause * 2).min(REFUSED_PAUSE_LIMIT);
        let again = async {
            self.barrier.connected().await?;
            sleep(pause).await;
            Ok(())
        };
        match timeout_at(self.deadline, again).await {
            Ok(result) => result,
            Err(_) => Err(Failed::Late(self.missing())),
        }
    }

    /// Registers this instance's items; `false` if the barrier has to be read first.
    async fn register(&mut self) -> Result<bool, Failed> {
        let Barrier { job, moment, items, .. } = self.barrier;
        let items: Vec<u32> = items.iter().copied().collect();
        let steps = self.seen.register(job, *moment, &items);
        match self.barrier.write(steps).await {
            Ok(()) => {
                self.is_registered = true;
                self.is_newest = true;
                self.seen.registered.extend(items);
                // If the barrier was removed before the answer came, that comes as an event.
                self.drain();
                Ok(self.watch.is_some())
            }
            Err(error) => {
                self.not_done(&error).await?;
                Ok(false)
            }
        }
    }

    /// Applies the events that have come.
    fn drain(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while let Some(watch) = &mut self.watch
            && let Poll::Ready(event) = watch.poll_next(&mut context)
        {
            if matches!(event, WatchEvent::Resync | WatchEvent::Closed) {
                // The last read came after it; and the next request shows the end of the session.
                if event == WatchEvent::Closed {
                    self.watch = None;
                }
                continue;
            }
            self.note(&event);
        }
    }

    /// Applies one event to what is known of the barrier.
    fn note(&mut self, event: &WatchEvent) {
        self.seen.note(&self.barrier.job, self.barrier.moment, event);
    }

    /// Waits for an event, for as long as the pause and the deadline allow.
    async fn signal(&mut self) -> Result<Signal, Failed> {
        let until = (Instant::now() + self.pause).min(self.deadline);
        let watch = &mut self.watch;
        let next = poll_fn(|cx| match watch {
            Some(watch) => watch.poll_next(cx),
            None => Poll::Pending,
        });
        let Barrier { moment, leaving, .. } = self.barrier;
        let event = tokio::select! {
            biased;
            event = next => Some(event),
            () = leaving.cancelled(), if *moment == Moment::Completed => return Ok(Signal::Leave),
            () = sleep_until(until) => None,
        };
        match event {
            Some(WatchEvent::Closed) => Err(Failed::SessionLost),
            Some(WatchEvent::Resync) => Ok(Signal::LookAgain),
            Some(event) => {
                self.note(&event);
                Ok(Signal::Event)
            }
            None => {
                self.pause = (self.pause * 2).min(LOOK_AGAIN_LIMIT);
                Ok(Signal::LookAgain)
            }
        }
    }

    /// Returns which of the missing items are still to come; only some of them if they are many.
    async fn awaited(&mut self, missing: &[u32]) -> Result<Vec<u32>, Failed> {
        let Barrier {
            job,
            moment,
            firing,
            is_takeover,
            membership,
            clock,
            ..
        } = self.barrier;
        let question = Question {
            moment: *moment,
            firing,
            is_takeover: *is_takeover,
            waited: self.began.elapsed(),
            now: clock.now(),
        };
        for items in missing.chunks(ASKED_AT_ONCE) {
            let answers = async {
                let mut attendance = Attendance::of(items, membership.read(Attendance::reads(job, items)).await?);
                let servers = attendance.servers();
                let switches = servers.iter().map(|server| Read::Data(Node::Server(server).of(job)));
                let switches: Vec<Read> = switches.collect();
                if !switches.is_empty() {
                    attendance.switched(membership.read(switches).await?);
                }
                Ok::<_, Error>(attendance)
            };
            match answers.await {
                Ok(attendance) => {
                    let to_come = attendance.to_come(&question);
                    if !to_come.is_empty() {
                        return Ok(to_come);
                    }
                }
                Err(error) => {
                    self.not_done(&error).await?;
                    return Ok(items.to_vec());
                }
            }
        }
        Ok(Vec::new())
    }

    /// Contends for the right to call the hook; `None` if the barrier has to be read first.
    async fn contend(&mut self) -> Result<Option<Passage>, Failed> {
        let barrier = self.barrier;
        let alone = timeout_at(self.deadline, Arc::clone(&barrier.contending).lock_owned()).await;
        let Ok(alone) = alone else {
            return Err(Failed::Late(Vec::new()));
        };
        if !self.look().await? {
            return Ok(None);
        }
        if self.is_gone() || self.is_called() {
            return Ok(None);
        }
        let name = latch::contender(barrier.membership.latch());
        let steps = self
            .seen
            .contend(&barrier.job, barrier.moment, &barrier.own(&self.seen), &name);
        if let Err(error) = barrier.write(steps).await {
            self.not_done(&error).await?;
            self.is_newest = true;
            return Ok(None);
        }
        loop {
            if !self.look().await? {
                continue;
            }
            if self.is_gone() || self.is_called() {
                self.leave().await;
                return Ok(None);
            }
            let standing = latch::standing(&self.seen.contenders, barrier.membership.latch());
            if standing.own.is_empty() {
                return Ok(None);
            }
            if standing.is_first {
                return Ok(Some(Passage::Ours(HookTurn {
                    barrier: barrier.clone(),
                    listener: self.listener.to_owned(),
                    _alone: alone,
                })));
            }
            if !self.is_in_time() {
                return Err(Failed::Late(Vec::new()));
            }
            if let Signal::Leave = self.signal().await? {
                self.leave().await;
                return Ok(Some(Passage::Left));
            }
        }
    }

    /// Removes this instance's contender.
    async fn leave(&mut self) {
        let barrier = self.barrier;
        let steps = |seen: &Seen| seen::leave(&barrier.job, barrier.moment, &barrier.own(seen));
        barrier.persist(barrier.look(), steps).await;
    }
}
