//! Standing by: having the job without a part in it, as long as this process cannot run it.
//!
//! An instance that is registered is given items, by leaders of ours and of Java alike. So a process that cannot run the job
//! by the stored configuration does not register: it says why, and begins again when there is another configuration.
//!
//! What it says is an ephemeral node among the stand-bys of the job, so that operators see the process and its reason,
//! and leaders see no instance. The watch on the configuration is set before the configuration is read again, so that
//! no change is missed. A job that was removed ends the stand-by, and the job with it. A configuration that is gone
//! alone may come back: after five seconds the worker goes on to register, which stores its own.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::cluster::layout::Node;
use crate::cluster::refusal::{Refusal, Standby, Trouble};
use crate::cluster::session::Membership;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::{StoredConfig, View};
use crate::registry::{Answer, CreateMode, Error, Read, SessionState, Watch};
use crate::run::JobState;

use super::{Left, Worker};

/// Between attempts to reach the registry.
const PAUSE: Duration = Duration::from_secs(1);

/// A configuration that is removed has this long to come back, or to be followed by the rest of the job, before ours is
/// stored.
const GONE_PATIENCE: Duration = Duration::from_secs(5);

/// What the registry has of the job.
enum Found {
    /// It was removed.
    NoJob,
    NoConfig,
    Config(StoredConfig),
}

impl Worker {
    /// Waits until the registry has another configuration than the refused one: then nothing is returned.
    pub(super) async fn stand_by(&mut self, membership: &Arc<Membership>, refusal: Refusal) -> Option<Left> {
        let Refusal { reason, known } = refusal;
        let word = Standby::because(&reason);
        self.reporter.troubled(Some(Trouble::Refused { reason }));
        self.state.send_replace(JobState::StandingBy);
        // Set before the configuration is read again, so that no change is missed.
        let mut watch = None;
        let mut is_said = false;
        let mut gone_since: Option<Instant> = None;
        loop {
            let wait = match self.look(membership, &mut watch).await {
                Ok(Found::NoJob) => {
                    info!(
                        job = self.application.name(),
                        "removed from the registry by an operator"
                    );
                    return Some(Left::Stopped);
                }
                Ok(Found::Config(stored)) if !known.is(&stored) => return None,
                Ok(Found::Config(_)) => {
                    gone_since = None;
                    is_said = is_said || self.say(membership, &word).await;
                    if is_said { None } else { Some(PAUSE) }
                }
                Ok(Found::NoConfig) => {
                    let gone = gone_since.get_or_insert_with(Instant::now).elapsed();
                    if gone >= GONE_PATIENCE {
                        return None;
                    }
                    Some(GONE_PATIENCE - gone)
                }
                Err(error) if error.is_session_lost() => return Some(Left::SessionLost),
                Err(error) => {
                    debug!(job = self.application.name(), %error, "cannot read the configuration again yet");
                    Some(PAUSE)
                }
            };
            if let Some(left) = self.wait_for_a_change(membership, &mut watch, wait).await {
                if matches!(left, Left::Stopped) {
                    self.unsay(membership).await;
                }
                return Some(left);
            }
        }
    }

    /// Reads the job's root and configuration, behind a watch on the latter.
    async fn look(&self, membership: &Membership, watch: &mut Option<Box<dyn Watch>>) -> Result<Found, Error> {
        let job = self.application.name();
        self.process.fail_point.pass();
        let config = Node::Config.of(job);
        if watch.is_none() {
            *watch = Some(membership.session().watch(&config).await?);
        }
        let reads = vec![Read::Data(Node::Root.of(job)), Read::Data(config.clone())];
        let mut answers = membership.read(reads).await?.into_iter();
        let mut view = View::within(membership.limits(), job);
        let mut next = || match answers.next() {
            Some(Answer::Data(found)) => found,
            _ => None,
        };
        if next().is_none() {
            return Ok(Found::NoJob);
        }
        view.read(&config, next());
        Ok(view.take_config().map_or(Found::NoConfig, Found::Config))
    }

    /// Waits for an event, at most for so long. If the job is to stop or the session is lost, this is returned.
    async fn wait_for_a_change(
        &mut self,
        membership: &Membership,
        watch: &mut Option<Box<dyn Watch>>,
        at_most: Option<Duration>,
    ) -> Option<Left> {
        let mut state = membership.state();
        let changed = async {
            match watch {
                Some(watch) => drop(poll_fn(|cx| watch.poll_next(cx)).await),
                None => std::future::pending().await,
            }
        };
        let pause = async {
            match at_most {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(changed, pause);
        loop {
            if self.stopping.is_some() {
                return Some(Left::Stopped);
            }
            tokio::select! {
                biased;
                lost = state.wait_for(|state| *state == SessionState::Lost) => {
                    drop(lost);
                    return Some(Left::SessionLost);
                }
                command = self.commands.next() => match command {
                    Some(command) => self.command_without_session(command),
                    None => return Some(Left::Stopped),
                },
                Some(finished) = self.finished.next() => drop(self.forget(&finished)),
                () = &mut changed => return None,
                () = &mut pause => return None,
            }
        }
    }

    /// Leaves word in the registry why no part is taken here; whether it is there.
    pub(super) async fn say(&self, membership: &Membership, word: &Standby) -> bool {
        let id = membership.id();
        let job = self.application.name();
        let nodes = [Node::Ledger, Node::Standbys, Node::Standby(id.as_str())].map(|node| node.of(job));
        let Ok(answers) = membership.read(nodes.iter().cloned().map(Read::Data).collect()).await else {
            return false;
        };
        let mut view = View::within(membership.limits(), job);
        for (path, answer) in nodes.iter().zip(answers) {
            if let Answer::Data(found) = answer {
                view.read(path, found);
            }
        }
        let mut transaction = Transaction::on(&view);
        let node = Node::Standby(id.as_str());
        if view.standbys.contains(id) {
            transaction.set(node, word.to_bytes(), None)
        } else {
            transaction.create(node, word.to_bytes(), CreateMode::Ephemeral)
        };
        let written = membership.write(transaction.into_steps()).await;
        if let Err(error) = &written {
            debug!(job, %error, "cannot record the reason for standing by yet");
        }
        written.is_ok()
    }

    /// Takes it back. It goes with the session in any case.
    async fn unsay(&self, membership: &Membership) {
        let view = View::within(membership.limits(), self.application.name());
        let mut transaction = Transaction::on(&view);
        transaction.delete(Node::Standby(membership.id().as_str()));
        let _ = tokio::time::timeout(PAUSE, membership.write(transaction.into_steps())).await;
    }
}
