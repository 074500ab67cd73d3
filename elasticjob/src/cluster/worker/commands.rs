//! Commands from the application and from callers.
//!
//! A worker that is registered takes them here. Without a session, while it stands by and after a panic, the worker
//! takes them by `command_without_session`, so that a caller is answered in every state and never waits for a
//! reconnect.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::cluster::session::Membership;
use crate::cluster::trigger::{self, Trigger};

use super::answer::Answered;
use super::join::Joined;
use super::{Command, TriggerError, Worker};

impl Worker {
    /// Carries out a command.
    ///
    /// A trigger is refused here when the job is stopping or paused, as the view has it. An item that is disabled, or
    /// that another instance runs, is no reason to refuse: a caller that waits for the outcome learns that item by item.
    pub(super) fn command(&mut self, joined: &mut Joined, command: Command) {
        match command {
            Command::Stop { cancel_at } => {
                self.stop(cancel_at);
                joined.governing.look();
            }
            Command::Await(waiter) => self.waiters.add(waiter),
            Command::Trigger { answer, .. } if self.stopping.is_some() => drop(answer.send(Err(TriggerError::Stopped))),
            Command::Trigger { answer, .. } if joined.follower.view.is_paused() => {
                let note = joined.follower.view.pause.as_ref().and_then(|pause| pause.note.clone());
                drop(answer.send(Err(TriggerError::Paused(note))));
            }
            Command::Trigger {
                request,
                parameter,
                answer,
            } => {
                let trigger = Trigger {
                    requests: vec![request],
                    parameter,
                };
                self.trigger(joined, trigger, answer);
            }
        }
    }

    /// Asks all instances for a run, in a request of its own beside those of the loop.
    ///
    /// It changes nothing that this worker knows: the nodes that it writes come back as events, and this instance takes
    /// its own trigger up as it takes up that of any other caller.
    fn trigger(&self, joined: &mut Joined, trigger: Trigger, answer: oneshot::Sender<Result<(), TriggerError>>) {
        let membership: Arc<Membership> = Arc::clone(&joined.membership);
        let job = self.application.name().to_owned();
        joined.requests.push(Box::pin(async move {
            let result = trigger::request(&**membership.session(), &job, None, &trigger)
                .await
                .map(drop)
                .map_err(TriggerError::Registry);
            // The caller may have gone away.
            let _ = answer.send(result);
            Answered::Nothing
        }));
    }
}
