//! Commands from the application and from callers.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::cluster::session::Membership;
use crate::cluster::trigger::{self, Trigger};

use super::answer::Answered;
use super::join::Joined;
use super::{Command, TriggerError, Worker};

impl Worker {
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
