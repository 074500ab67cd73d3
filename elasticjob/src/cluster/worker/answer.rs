//! What the registry answered, and what follows from it.
//!
//! Every request of the loop ends as one value of `Answered`. Before the loop hands it over here it takes in all events
//! that the watches have, because the registry sent them before the answer: so the answer is judged by what the
//! registry knew then.
//!
//! An answer to a decision goes to the part that decided, with the present view, and not to the view that the decision
//! was made on. That part says what follows, as effects. So nothing between a request and its answer is kept in a
//! future: if the loop ends, for a lost session or a panic, the requests are dropped with it, and what they did in the
//! registry is found out by reading.

use tracing::debug;

use crate::cluster::core::request::Reply;
use crate::cluster::launch::CallResult;
use crate::cluster::member::Member;
use crate::cluster::progress;
use crate::cluster::scope::Scope;
use crate::cluster::view::View;
use crate::cluster::{core::firing, core::governor};
use crate::registry::{Answer, Error, WriteError, Written};
use crate::tasks::TaskError;

use super::follow::watches::Set;
use super::join::Joined;
use super::listeners::CallId;
use super::report::hindrance::Action;
use super::{Left, Worker};

/// The answer to a request of the loop.
///
/// One variant for each kind of request, because the parts that asked differ in what they have to forget when the
/// answer is there.
pub(super) enum Answered {
    /// The whole subtree was read again, or could not be.
    Refreshed(Result<Box<View>, Error>),
    /// Data of these paths.
    Read(Vec<String>, Result<Vec<Answer>, Error>),
    /// Watches for this scope.
    Watched(Scope, Result<Set, Error>),
    /// To a request that decisions made.
    Decided(Purpose, Reply),
    /// Whether our instance was removed, although our session lives.
    RemovalChecked(Result<bool, Error>),
    /// To what we said of ourselves; `None` if it may not have come about.
    MemberWritten(Option<Member>),
    Left(Result<Vec<Written>, WriteError>),
    /// From the listeners.
    ListenersCalled(CallId, Result<CallResult, TaskError>),
    /// Another caller was answered.
    Nothing,
}

/// What a request of decisions is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The job as a whole.
    Governor(governor::Purpose),
    Firing(firing::Purpose),
    Progress(progress::Purpose),
}

impl Worker {
    /// Hands an answer to the part that asked.
    pub(super) fn answered(&mut self, joined: &mut Joined, answered: Answered) {
        self.process.fail_point.pass();
        match answered {
            Answered::Refreshed(result) => self.refreshed(joined, result),
            Answered::Read(paths, result) => self.was_read(joined, paths, result),
            Answered::Watched(scope, result) => self.rewatched(joined, scope, result),
            Answered::Decided(purpose, reply) => self.decided(joined, purpose, reply),
            Answered::Left(result) => self.was_left(joined, result),
            Answered::ListenersCalled(id, result) => self.listeners_called(joined, id, result),
            Answered::RemovalChecked(result) => self.removal_checked(joined, result),
            Answered::MemberWritten(member) => {
                joined.announced.answered(member);
                joined.governing.look();
            }
            Answered::Nothing => {}
        }
    }

    /// Takes in the answer to a request of decisions: frees the place of the request first, so that what follows may
    /// ask again, notes whether the registry refused it, and carries out what the decider makes of it.
    fn decided(&mut self, joined: &mut Joined, purpose: Purpose, reply: Reply) {
        match purpose {
            Purpose::Governor(_) => joined.governing.answered(),
            Purpose::Firing(_) => drop(joined.firing.land()),
            Purpose::Progress(_) => {}
        }
        self.went(joined, Action::of(&purpose), reply.outcome());
        let cx = joined.follower.context(&self.settings, self.stopping.is_some());
        let effects = match purpose {
            Purpose::Governor(purpose) => joined.governing.governor.answered(&cx, purpose, reply),
            Purpose::Firing(purpose) => self.firings.answered(&cx, purpose, reply),
            Purpose::Progress(_) => return self.progress_answered(reply),
        };
        self.carry_out(joined, effects);
    }

    /// Notes how a request went. The other instances learn what the registry refuses, and `explain` shows it.
    pub(super) fn went(&mut self, joined: &mut Joined, action: Action, result: Result<(), &Error>) {
        if self.reporter.went(action, result) {
            self.tell_member(joined);
        }
    }

    /// Takes in how the removal of our nodes went.
    ///
    /// With the session lost they are gone as well, so that the job has been left in either case. A refusal means that
    /// the view was not what the registry has: the job is read again, and leaving is tried again on what was read.
    fn was_left(&mut self, joined: &mut Joined, result: Result<Vec<Written>, WriteError>) {
        match result {
            Ok(_) => joined.left = Some(Left::Stopped),
            Err(error) if error.error.is_session_lost() => joined.left = Some(Left::Stopped),
            Err(error) => {
                debug!(job = self.application.name(), %error, "leaving refused, reading the job again");
                joined.leaving.land();
                if joined.follower.is_in_step() {
                    self.refresh(joined);
                }
            }
        }
    }
}
