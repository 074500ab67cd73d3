//! The loop: one event after the other, for the life of one session.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tracing::{debug, info, warn};

use crate::chain::Chain;
use crate::cluster::extent::Extent;
use crate::cluster::placement::Placement;
use crate::cluster::policy::Policy;
use crate::cluster::progress::Progresses;
use crate::cluster::refusal::{Refusal, Trouble};
use crate::cluster::registration::{KnownConfig, Stored};
use crate::cluster::scope::Scope;
use crate::cluster::session::Membership;
use crate::cluster::subtree;
use crate::cluster::view::View;
use crate::erased::BoxFuture;
use crate::guard;
use crate::registry::{self, SessionState, WatchEvent};
use crate::run::JobState;
use crate::schedule::Calendar;

use super::answer::Answered;
use super::flight::Flight;
use super::follow::watches::Watches;
use super::follow::{Follower, watches};
use super::governing::Governing;
use super::hindrance::{Action, unhurried};
use super::leaving::Announced;
use super::signals::gives_something_else;
use super::{Command, Left, Worker};

/// Between attempts to read the subtree, or to watch it, anew.
const REFRESH_PAUSE: Duration = Duration::from_millis(200);

/// Between attempts to register that the registry's state, and not the session, failed.
const REGISTER_PAUSE: Duration = Duration::from_secs(1);

/// A worker that has nothing to do looks again after this long.
const IDLE: Duration = Duration::from_secs(3600);

/// What belongs to one session.
pub(super) struct Live {
    pub(super) membership: Arc<Membership>,
    pub(super) follower: Follower,
    pub(super) governing: Governing,
    /// Requests about firings.
    pub(super) firing: Flight,
    /// The stored configuration that was taken over, or refused.
    pub(super) config_known: KnownConfig,
    /// The look whether an operator removed our instance.
    pub(super) removal_check: Flight,
    /// The removal of our nodes.
    pub(super) leaving: Flight,
    pub(super) announced: Announced,
    pub(super) requests: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// When it was last looked whether marks were left behind.
    pub(super) reconciled_at: Duration,
    /// When there is something to do, on the clock that only moves forward.
    pub(super) wake_at: Option<Duration>,
    pub(super) left: Option<Left>,
}

impl Live {
    /// Has the loop come by at this moment, on the clock that only moves forward, if nothing has it come by before.
    pub(super) fn wake_by(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

/// What came of a registration.
enum Registered {
    Joined(Box<Live>),
    /// This process cannot run the job.
    Refused(Refusal),
}

/// What the loop waits for.
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
    /// Registers the job in a session and attends to it until the session is over or the job is stopped.
    pub(super) async fn attend(&mut self, membership: &Arc<Membership>) -> Left {
        let mut live = loop {
            // Boxed: what registering needs would be kept for as long as the job runs.
            match Box::pin(self.register(membership)).await {
                Ok(Registered::Joined(live)) => break live,
                Ok(Registered::Refused(refusal)) => {
                    if let Some(left) = Box::pin(self.stand_by(membership, refusal)).await {
                        return left;
                    }
                }
                Err(error) if !error.is_passing() => return Left::Refused(error),
                Err(error) => {
                    if *membership.state().borrow() == SessionState::Lost {
                        return Left::SessionLost;
                    }
                    warn!(
                        job = self.application.name(),
                        error = %Chain(&error),
                        "cannot register yet"
                    );
                    tokio::time::sleep(REGISTER_PAUSE).await;
                }
            }
        };
        self.is_first = false;
        let state = match self.stopping {
            None => JobState::Ready,
            Some(_) => JobState::Draining,
        };
        self.state.send_replace(state);
        self.serve(&mut live).await
    }

    async fn register(
        &mut self,
        membership: &Arc<Membership>,
    ) -> Result<Registered, crate::cluster::registration::RegistrationError> {
        let process = Arc::clone(&self.process);
        let _permit = process.starting.acquire().await.expect("the semaphore is never closed");
        self.process.fail_point.pass();
        // Whether it can be run here is known before the instance is there: items would be given to it.
        let (config, known) = match self.chosen(self.application.configure(membership).await?) {
            Ok(chosen) => chosen,
            Err(refusal) => return Ok(Registered::Refused(refusal)),
        };
        let watches = Watches::whole(membership, self.application.name())
            .await
            .map_err(|error| self.application.refused(error))?;
        self.account
            .differs(&self.application.config.differences(&config), true);
        // Its configuration may be a later one, which is taken over next.
        let member = self.member();
        let view = self
            .application
            .join(membership, &config, &member, self.is_first)
            .await?;
        self.process.fail_point.pass();
        self.progresses = Progresses::default();
        // Before the calendar begins: no time is to come between the two.
        let registered_at = self.process.clock.now();
        self.put_in_force(config);
        self.settings.extent = Extent::new(self.settings.config.sharding_total_count().get(), registered_at);
        Ok(Registered::Joined(Box::new(Live {
            membership: Arc::clone(membership),
            follower: Follower::new(Arc::clone(membership), watches, view),
            governing: Governing::new(),
            firing: Flight::Idle,
            config_known: known,
            removal_check: Flight::Idle,
            leaving: Flight::Idle,
            announced: Announced::new(member),
            requests: FuturesUnordered::new(),
            reconciled_at: self.process.clock.elapsed(),
            wake_at: None,
            left: None,
        })))
    }

    /// The configuration to join with: the stored one if this process can run the job by it, else the one that was in
    /// force before.
    fn chosen(&mut self, stored: Stored) -> Result<(Arc<JobConfig>, KnownConfig), Refusal> {
        let refusal = match stored {
            Stored::Valid { config, known } => match self.prepare(&config) {
                Ok(()) => return Ok((config, known)),
                Err(reason) => Refusal { reason, known },
            },
            Stored::Refused(refusal) => refusal,
        };
        if !self.settings.is_in_force {
            return Err(refusal);
        }
        self.keep_the_last(refusal.reason);
        Ok((Arc::clone(&self.settings.config), refusal.known))
    }

    /// Takes over a stored configuration, or leaves the last one in force and says why.
    pub(super) fn take_over(&mut self, config: Result<JobConfig, String>) {
        let prepared = config.and_then(|config| self.prepare(&config).map(|()| config));
        match prepared {
            Ok(config) => {
                self.account
                    .differs(&self.application.config.differences(&config), false);
                self.put_in_force(Arc::new(config));
            }
            Err(reason) => self.keep_the_last(reason),
        }
    }

    fn keep_the_last(&mut self, reason: String) {
        self.account.troubled(Some(Trouble::Outdated { reason }));
    }

    /// Has everything ready that a configuration needs, or says what is missing.
    fn prepare(&mut self, config: &JobConfig) -> Result<(), String> {
        // Strategies, handlers and factories are the application's.
        let checked = guard::call(|| self.checked(config)).map_err(|panicked| panicked.to_string());
        (self.settings.policy, self.settings.placement) = checked.flatten()?;
        self.account.troubled(None);
        Ok(())
    }

    /// Puts a configuration into force that everything is ready for.
    fn put_in_force(&mut self, config: Arc<JobConfig>) {
        let now = self.process.clock.now();
        self.settings.is_in_force = true;
        self.firings.listened_to(self.runner.is_listened_to());
        let is_same_schedule = match &self.settings.calendar {
            Some(calendar) => calendar.is_of(&config),
            None => config.cron().is_none(),
        };
        if gives_something_else(&self.settings.config, &config) {
            self.wind_down_all("the configuration has changed");
        }
        self.settings.config = config;
        let total = self.settings.config.sharding_total_count().get();
        self.settings.extent.become_of(total, now);
        if is_same_schedule {
            return;
        }
        self.settings.calendar = match self.settings.calendar.take() {
            Some(calendar) => calendar.replaced(&self.settings.config, now),
            None => Calendar::new(&self.settings.config, now),
        };
        match &self.settings.calendar {
            Some(calendar) => info!(
                job = self.application.name(),
                cron = calendar.expression().as_str(),
                schedule = calendar.expression().describe(),
                zone = calendar.zone().name(),
                next = calendar
                    .next()
                    .map(|next| next.to_zoned(calendar.zone().time_zone().clone()).to_string()),
                "scheduled"
            ),
            None => info!(job = self.application.name(), "one-off: runs when asked to"),
        }
    }

    fn checked(&self, config: &JobConfig) -> Result<(Policy, Placement), String> {
        let placement = Placement::of(config, &self.process.strategies)?;
        let policy = Policy::of(config.props())?;
        self.runner.configure(config)?;
        Ok((policy, placement))
    }

    async fn serve(&mut self, live: &mut Live) -> Left {
        let mut state = live.membership.state();
        let mut jumps = self.process.clock.jumps();
        // It may have been set while there was no session.
        self.clock_was_set();
        let mut timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        // Our own registration is not in the view yet, but its events have come.
        self.drain_watch(live);
        loop {
            self.act(live);
            if let Some(left) = live.left.take() {
                return left;
            }
            self.set_timer(live, timer.as_mut());
            let event = self.next_event(live, &mut state, &mut jumps, timer.as_mut()).await;
            self.account.standing().is_awake();
            match event {
                Event::Watch(event) => {
                    self.note(live, event);
                    // A transaction on many items gives as many events: they are decided upon together.
                    self.drain_watch(live);
                }
                Event::Answer(answered) => {
                    // What the registry said before its answer has to be known when the answer is judged.
                    self.drain_watch(live);
                    self.answered(live, answered);
                }
                Event::Session(state) => self.session_changed(live, state),
                Event::Command(command) => self.command(live, command),
                Event::Finished(finished) => {
                    // Starting is urgent, recording an end is not: jobs that are due at the same instant start first. What
                    // ends meanwhile is recorded in the same transaction.
                    tokio::task::yield_now().await;
                    self.item_finished(live, finished);
                    while let Ok(finished) = self.finished.try_recv() {
                        self.item_finished(live, finished);
                    }
                }
                Event::ClockSet => self.clock_was_set(),
                Event::Progress => self.progresses.reported(),
                Event::Timer => {}
            }
        }
    }

    async fn next_event(
        &mut self,
        live: &mut Live,
        state: &mut watch::Receiver<SessionState>,
        jumps: &mut watch::Receiver<u64>,
        mut timer: Pin<&mut Sleep>,
    ) -> Event {
        // Events before answers, and both before what we might start on an older view.
        tokio::select! {
            biased;
            event = poll_fn(|cx| live.follower.poll_next(cx)) => Event::Watch(event),
            Ok(()) = state.changed() => Event::Session(*state.borrow_and_update()),
            Some(answered) = live.requests.next() => Event::Answer(answered),
            Some(finished) = self.finished.next() => Event::Finished(finished),
            Some(command) = self.commands.next() => Event::Command(command),
            Ok(()) = jumps.changed() => Event::ClockSet,
            () = self.progress_wake.notified() => Event::Progress,
            () = timer.as_mut() => Event::Timer,
        }
    }

    fn drain_watch(&mut self, live: &mut Live) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(event) = live.follower.poll_next(&mut context) {
            let is_last = event == WatchEvent::Closed;
            self.note(live, event);
            if is_last {
                break;
            }
        }
    }

    /// Takes an event in.
    fn note(&mut self, live: &mut Live, event: WatchEvent) {
        match event {
            // Each watch says so; the subtree is read once for all that have come.
            WatchEvent::Resync => live.follower.fall_behind(),
            WatchEvent::Closed => {
                live.left.get_or_insert(Left::SessionLost);
            }
            event => {
                let noted = live.follower.note(event, !self.waiters.is_empty());
                if noted.concerns_job {
                    live.governing.look();
                }
                if noted.is_departure {
                    live.governing.governor.check_marks();
                }
            }
        }
    }

    /// Watches what concerns us, now that this is less or more than before.
    pub(super) fn rewatch(&mut self, live: &mut Live) {
        let total = self.settings.config.sharding_total_count().get();
        let reads_ledgers = !self.waiters.is_empty();
        let begun = live.follower.begin_rewatching(total, reads_ledgers);
        let Some((wanted, missing)) = begun else { return };
        let membership = Arc::clone(&live.membership);
        live.requests.push(Box::pin(async move {
            let result = unhurried(watches::set(&membership, missing)).await;
            if result.is_err() {
                // It is tried again at once. What is wrong may not have been told to us yet.
                tokio::time::sleep(REFRESH_PAUSE).await;
            }
            Answered::Watched(wanted, result)
        }));
    }

    /// Takes in watches that were set.
    pub(super) fn rewatched(&mut self, live: &mut Live, scope: Scope, result: Result<watches::Set, registry::Error>) {
        self.went(live, Action::WATCH, result.as_ref().map(drop));
        // If only the connection went away, it is tried again after it is back.
        if result.as_ref().is_err_and(registry::Error::is_session_lost) {
            live.left.get_or_insert(Left::SessionLost);
        }
        live.follower.rewatched(scope, result.ok());
    }

    /// Reads everything anew: changes may have been missed. Until that is done nothing is decided.
    pub(super) fn refresh(&mut self, live: &mut Live) {
        live.follower.begin_refreshing();
        live.governing.governor.reset();
        self.firings.reconnect();
        let membership = Arc::clone(&live.membership);
        let job = self.application.name().to_owned();
        let process = Arc::clone(&self.process);
        live.requests.push(Box::pin(async move {
            let view = async {
                let _permit = process.starting.acquire().await.expect("the semaphore is never closed");
                membership.sync().await?;
                subtree::read(&membership, &job).await
            };
            let result = unhurried(view).await;
            if let Err(error) = &result {
                debug!(job, %error, "cannot read the job again yet");
                tokio::time::sleep(REFRESH_PAUSE).await;
            }
            Answered::Refreshed(result.map(Box::new))
        }));
    }

    /// Takes in the subtree as read anew, and what came meanwhile.
    pub(super) fn refreshed(&mut self, live: &mut Live, result: Result<Box<View>, registry::Error>) {
        self.went(live, Action::READ_ALL, result.as_ref().map(drop));
        if result.as_ref().is_err_and(registry::Error::is_session_lost) {
            live.left.get_or_insert(Left::SessionLost);
        }
        let is_connected = *live.membership.state().borrow() == SessionState::Connected;
        let is_read = result.is_ok();
        let since = live.follower.refreshed(result.ok().map(|view| *view), is_connected);
        if !is_read {
            return;
        }
        live.governing.look();
        for event in since {
            self.note(live, event);
        }
        if !self.waiters.is_empty() {
            live.follower.read_ledgers();
        }
    }

    fn session_changed(&mut self, live: &mut Live, state: SessionState) {
        match state {
            SessionState::Lost => drop(live.left.get_or_insert(Left::SessionLost)),
            // The watch says when it is back in step.
            SessionState::Suspended => live.follower.suspend(),
            SessionState::Connected => {}
        }
    }

    fn clock_was_set(&mut self) {
        let now = self.process.clock.now();
        if let Some(calendar) = &mut self.settings.calendar {
            calendar.look_again(now);
        }
        self.settings.extent.look_again(now);
        self.firings.look_again(now);
    }

    /// Sets the timer for the next moment at which there is something to do.
    fn set_timer(&mut self, live: &Live, mut timer: Pin<&mut Sleep>) {
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
        let governing = live.wake_at.and_then(after);
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
        self.account.standing().sleeps_until(at);
    }
}
