//! What the registry answered, and what follows from it.

use tracing::debug;

use crate::cluster::firing;
use crate::cluster::governor;
use crate::cluster::launch::Heard;
use crate::cluster::layout::Node;
use crate::cluster::ledger::Record;
use crate::cluster::member::Member;
use crate::cluster::request::Reply;
use crate::cluster::scope::Scope;
use crate::cluster::view::View;
use crate::registry::{Answer, Error, WriteError, Written};
use crate::tasks::TaskError;

use super::attend::Live;
use super::follow::watches::Set;
use super::hindrance::Action;
use super::listening::Telling;
use super::{Left, Worker};

/// The answer to a request of the loop.
pub(super) enum Answered {
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
    MemberTold(Option<Member>),
    Left(Result<Vec<Written>, WriteError>),
    /// From the listeners.
    Heard(Telling, Result<Heard, TaskError>),
    /// Another caller was answered.
    Nothing,
}

/// What a request of decisions is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The job as a whole.
    Governor(governor::Purpose),
    Firing(firing::Purpose),
    WriteProgress,
    ReadProgress,
}

impl Worker {
    pub(super) fn answered(&mut self, live: &mut Live, answered: Answered) {
        self.process.fail_point.pass();
        match answered {
            Answered::Refreshed(result) => self.refreshed(live, result),
            Answered::Read(paths, result) => self.was_read(live, paths, result),
            Answered::Watched(scope, result) => self.rewatched(live, scope, result),
            Answered::Decided(purpose, reply) => self.decided(live, purpose, reply),
            Answered::Left(result) => self.was_left(live, result),
            Answered::Heard(telling, result) => self.heard(live, telling, result),
            Answered::RemovalChecked(result) => self.removal_checked(live, result),
            Answered::MemberTold(told) => {
                live.announced.answered(told);
                live.governing.look();
            }
            Answered::Nothing => {}
        }
    }

    fn was_read(&mut self, live: &mut Live, paths: Vec<String>, result: Result<Vec<Answer>, Error>) {
        self.went(live, Action::READ_CHANGES, result.as_ref().map(drop));
        live.governing.look();
        if result.as_ref().is_err_and(Error::is_session_lost) {
            live.left.get_or_insert(Left::SessionLost);
        }
        for (path, answer) in paths.iter().zip(result.iter().flatten()) {
            if let (Some(Node::LedgerItem(item)), Answer::Data(Some((data, _)))) =
                (Node::parse(self.application.name(), path), answer)
            {
                self.waiters.note(item, &Record::parse(data));
            }
        }
        // If it failed, everything is read anew after the reconnect; until then these stay to be read.
        let total = self.settings.config.sharding_total_count().get();
        live.follower.was_read(paths, result.ok(), total);
    }

    fn decided(&mut self, live: &mut Live, purpose: Purpose, reply: Reply) {
        match purpose {
            Purpose::Governor(_) => live.governing.answered(),
            Purpose::Firing(_) => drop(live.firing.land()),
            Purpose::WriteProgress | Purpose::ReadProgress => {}
        }
        self.went(live, Action::of(&purpose), reply.outcome());
        let cx = live.follower.context(&self.settings, self.stopping.is_some());
        let effects = match purpose {
            Purpose::Governor(purpose) => live.governing.governor.answered(&cx, purpose, reply),
            Purpose::Firing(purpose) => self.firings.answered(&cx, purpose, reply),
            Purpose::WriteProgress | Purpose::ReadProgress => return self.progress_answered(reply),
        };
        self.carry_out(live, effects);
    }

    /// Notes how a request went. What the registry refuses is told the other instances, and shown by `explain`.
    pub(super) fn went(&mut self, live: &mut Live, action: Action, result: Result<(), &Error>) {
        if self.account.went(action, result) {
            self.tell_member(live);
        }
    }

    fn was_left(&mut self, live: &mut Live, result: Result<Vec<Written>, WriteError>) {
        match result {
            Ok(_) => live.left = Some(Left::Stopped),
            Err(error) if error.error.is_session_lost() => live.left = Some(Left::Stopped),
            Err(error) => {
                debug!(job = self.application.name(), %error, "leaving refused, reading the job again");
                live.leaving.land();
                if live.follower.is_in_step() {
                    self.refresh(live);
                }
            }
        }
    }
}
