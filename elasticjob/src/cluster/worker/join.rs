//! Joining a job: the configuration is known before the instance is there, and what the loop knows is made from what was read.
//!
//! The order of the steps is what keeps a job safe:
//!
//! 1. The configuration is settled: read, or stored where there is none. A process that cannot run by it does not
//!    register, because an instance that is registered is given items.
//! 2. The watches are set, before anything is read.
//! 3. The instance is registered and the subtree is read. What changes from here on comes as an event.
//! 4. The calendar begins, and the age of the items is counted from just before that. So no scheduled time falls between the two.
//!
//! A failure in any of these has the worker begin again from the first step.

use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use futures_util::stream::FuturesUnordered;
use tracing::warn;

use crate::chain::Chain;
use crate::cluster::extent::Extent;
use crate::cluster::progress::Progresses;
use crate::cluster::refusal::Refusal;
use crate::cluster::registration::{KnownConfig, Stored};
use crate::cluster::session::Membership;
use crate::cluster::view::Revision;
use crate::erased::BoxFuture;
use crate::registry::SessionState;
use crate::run::JobState;

use super::answer::Answered;
use super::flight::Flight;
use super::follow::Follower;
use super::follow::watches::Watches;
use super::governing::Governing;
use super::leaving::Announced;
use super::{Left, Worker};

/// Between attempts to register that the registry's state, and not the session, failed.
const REGISTER_PAUSE: Duration = Duration::from_secs(1);

/// What belongs to one session.
///
/// It is dropped as a whole when the session is over, with all requests that are under way. What has to outlive the
/// session, such as the calendar and who waits for outcomes, is the worker's.
pub(super) struct Joined {
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
    /// The state of the job, and its number of items, when it was last looked which runs are to end.
    pub(super) wound_down: Option<(Revision, u32)>,
    pub(super) requests: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// When it was last looked whether marks were left behind.
    pub(super) reconciled_at: Duration,
    /// When there is something to do, on the clock that only moves forward.
    pub(super) wake_at: Option<Duration>,
    pub(super) left: Option<Left>,
}

impl Joined {
    /// Has the loop come by at this moment, on the clock that only moves forward, if nothing has it come by before.
    pub(super) fn wake_by(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

/// What came of a registration.
enum Registered {
    Joined(Box<Joined>),
    /// This process cannot run the job.
    Refused(Refusal),
}

impl Worker {
    /// Registers the job in a session and attends to it until the session is over or the job is stopped.
    ///
    /// A failure that may pass is tried again after a second; one that will not pass ends the job. The worker stands by
    /// where this process cannot run the job.
    pub(super) async fn attend(&mut self, membership: &Arc<Membership>) -> Left {
        let mut joined = loop {
            // Boxed: what registering needs would be kept for as long as the job runs.
            match Box::pin(self.register(membership)).await {
                Ok(Registered::Joined(joined)) => break joined,
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
        self.serve(&mut joined).await
    }

    /// Takes the steps from the configuration to the calendar, in the order that the module explains.
    ///
    /// # Errors
    /// The registry could not be asked, or has the job as another one. Whether a retry may help is the error's to say.
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
        self.reporter
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
        Ok(Registered::Joined(Box::new(Joined {
            membership: Arc::clone(membership),
            follower: Follower::new(Arc::clone(membership), watches, view),
            governing: Governing::new(),
            firing: Flight::Idle,
            config_known: known,
            removal_check: Flight::Idle,
            leaving: Flight::Idle,
            announced: Announced::new(member),
            wound_down: None,
            requests: FuturesUnordered::new(),
            reconciled_at: self.process.clock.elapsed(),
            wake_at: None,
            left: None,
        })))
    }

    /// The configuration to join with: the stored one if this process can run the job by it, else the one that was in
    ///
    /// A job that was never in force here is refused instead.
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
}
