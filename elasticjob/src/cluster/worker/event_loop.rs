//! The loop: one event after another, for the life of one session. It decides nothing.
//!
//! Events come from eight places, in a fixed order of precedence:
//!
//! 1. watches, because everything else is judged by what they say;
//! 2. the state of the session, because a lost session makes the rest void;
//! 3. answers of the registry, and 4. ends of runs, which free what later decisions wait for;
//! 5. commands, 6. a clock that was set, 7. progress of runs, and 8. the timer, which loses nothing by waiting.
//!
//! A source that never runs dry could starve those behind it. None is expected to: each answer and each end follows a request or
//! a run that the loop started, and watches send as fast as the registry changes.
//!
//! After each event the loop takes one step, and the step asks for all there is to do. So it does not matter which
//! event came, and an event that was merged with another, or that came for nothing, does no harm.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::registry::{SessionState, WatchEvent};
use crate::schedule::Calendar;

use super::answer::Answered;
use super::join::Joined;
use super::{Command, Left, Worker};

/// A worker that has nothing to do looks again after this long.
const IDLE: Duration = Duration::from_secs(3600);

/// What the loop waits for.
///
/// It tells what to take in, and not what to do: that is decided by the step after it.
enum Event {
    Watch(WatchEvent),
    Answer(Answered),
    Session(SessionState),
    Command(Command),
    Finished(crate::cluster::launch::Finished),
    ClockSet,
    /// A run has reported its progress.
    Progress,
    Timer,
}

impl Worker {
    /// Attends to a job that is registered, until its session is over or it has been left. Returns which of these it
    /// was.
    ///
    /// The first step is taken before any event is awaited, because the view has just been read and may already ask for
    /// something.
    pub(super) async fn serve(&mut self, joined: &mut Joined) -> Left {
        let mut state = joined.membership.state();
        let mut jumps = self.process.clock.jumps();
        // It may have been set while there was no session.
        self.clock_was_set();
        let mut timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        // Our own registration is not in the view yet, but its events have come.
        self.drain_watch(joined);
        loop {
            self.step(joined);
            if let Some(left) = joined.left.take() {
                return left;
            }
            self.set_timer(joined, timer.as_mut());
            let event = self.next_event(joined, &mut state, &mut jumps, timer.as_mut()).await;
            self.reporter.status().is_awake();
            match event {
                Event::Watch(event) => {
                    self.note(joined, event);
                    // A transaction on many items gives as many events: they are decided upon together.
                    self.drain_watch(joined);
                }
                Event::Answer(answered) => {
                    // What the registry said before its answer has to be known when the answer is judged.
                    self.drain_watch(joined);
                    self.answered(joined, answered);
                }
                Event::Session(state) => self.session_changed(joined, state),
                Event::Command(command) => self.command(joined, command),
                Event::Finished(finished) => {
                    // Starting is urgent, recording an end is not: jobs that are due at the same instant start first. What
                    // ends meanwhile is recorded in the same transaction.
                    tokio::task::yield_now().await;
                    self.item_finished(joined, finished);
                    while let Ok(finished) = self.finished.try_recv() {
                        self.item_finished(joined, finished);
                    }
                }
                Event::ClockSet => self.clock_was_set(),
                Event::Progress => self.progresses.reported(),
                Event::Timer => {}
            }
        }
    }

    /// Waits for the next event.
    ///
    /// Dropping the future loses nothing: each source keeps what it has until it is polled, and the loop drops this
    /// future only with itself.
    async fn next_event(
        &mut self,
        joined: &mut Joined,
        state: &mut watch::Receiver<SessionState>,
        jumps: &mut watch::Receiver<u64>,
        mut timer: Pin<&mut Sleep>,
    ) -> Event {
        // Events before answers, and both before what we might start on an older view.
        tokio::select! {
            biased;
            event = poll_fn(|cx| joined.follower.poll_next(cx)) => Event::Watch(event),
            Ok(()) = state.changed() => Event::Session(*state.borrow_and_update()),
            Some(answered) = joined.requests.next() => Event::Answer(answered),
            Some(finished) = self.finished.next() => Event::Finished(finished),
            Some(command) = self.commands.next() => Event::Command(command),
            Ok(()) = jumps.changed() => Event::ClockSet,
            () = self.progress_wake.notified() => Event::Progress,
            () = timer.as_mut() => Event::Timer,
        }
    }

    /// Takes in all events that are there, without waiting. The waker is one that does nothing: the loop polls the
    /// watches again, with its own, before it sleeps.
    fn drain_watch(&mut self, joined: &mut Joined) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(event) = joined.follower.poll_next(&mut context) {
            let is_last = event == WatchEvent::Closed;
            self.note(joined, event);
            if is_last {
                break;
            }
        }
    }

    /// Takes an event in.
    ///
    /// It changes what is known and what is to be looked at. The step that follows acts on it.
    pub(super) fn note(&mut self, joined: &mut Joined, event: WatchEvent) {
        match event {
            // Each watch says so; the subtree is read once for all that have come.
            WatchEvent::Resync => joined.follower.fall_behind(),
            WatchEvent::Closed => {
                joined.left.get_or_insert(Left::SessionLost);
            }
            event => {
                let noted = joined.follower.note(event, !self.waiters.is_empty());
                if noted.concerns_job {
                    joined.governing.look();
                }
                if noted.is_departure {
                    joined.governing.governor.check_marks();
                }
            }
        }
    }

    /// Takes in that the connection went away, or that the session is over.
    fn session_changed(&mut self, joined: &mut Joined, state: SessionState) {
        match state {
            SessionState::Lost => drop(joined.left.get_or_insert(Left::SessionLost)),
            // The watch says when it is back in step.
            SessionState::Suspended => joined.follower.suspend(),
            SessionState::Connected => {}
        }
    }

    /// Has everything that counts on the wall clock look at it again: the calendar, the age of the items, and the
    /// firings. What is measured on the clock that only moves forward is not touched.
    fn clock_was_set(&mut self) {
        let now = self.process.clock.now();
        if let Some(calendar) = &mut self.settings.calendar {
            calendar.look_again(now);
        }
        self.settings.extent.look_again(now);
        self.firings.look_again(now);
    }

    /// Sets the timer for the next moment at which there is something to do.
    ///
    /// It also lets the status know until when the worker means to sleep: one that is not awake by then hangs, and
    /// `health` says so.
    fn set_timer(&mut self, joined: &Joined, mut timer: Pin<&mut Sleep>) {
        let clock = &self.process.clock;
        let elapsed = clock.elapsed();
        // A moment that has passed was acted upon already: what is still to be done then waits for something else.
        let after = |at: Duration| (at > elapsed).then(|| clock.instant_after(at - elapsed));
        let scheduled = self
            .settings
            .calendar
            .as_ref()
            .and_then(Calendar::next)
            .map(|next| clock.instant_at(next));
        let lingering = self.firings.linger_until().and_then(after);
        let governing = joined.wake_at.and_then(after);
        let stopping = self.stopping.filter(|at| *at > Instant::now());
        // A second look some time later never hurts.
        let idle = Instant::now() + IDLE;
        let at = [scheduled, lingering, governing, stopping]
            .into_iter()
            .flatten()
            .fold(idle, Instant::min);
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        self.reporter.status().sleeps_until(at);
    }
}
