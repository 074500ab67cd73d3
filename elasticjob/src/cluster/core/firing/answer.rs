//! Translates the registry's answers to requests about firings into effects.
//!
//! Each request carries its [`Purpose`], which the answer brings back, so no table of open requests is kept. The order
//! of the effects is the order in which an operator should read them: reports of the past come before the items that
//! start now.
//!
//! A write ends in one of three ways. If it is granted, its stats are the versions that the next write expects. If it
//! is refused, the firings read why, unless the refusal cannot change. If its outcome is unknown, the firings read the
//! ledgers, which have the run by its id, and believe nothing until they have been read.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cluster::core::context::Context;
use crate::cluster::core::effect::{Effect, Report};
use crate::cluster::core::request::{Reply, Request};
use crate::cluster::layout::Node;
use crate::cluster::ledger::Run;
use crate::registry::{Answer, Error, WriteError, Written};

use super::{ClaimOutcome, Firings, Purpose, Recordings, Unrecorded};

impl Firings {
    /// Takes in the answer to a request. Events that came before it must be in the view already.
    ///
    /// An answer for a state that has been left meanwhile, for example because the connection was lost in between, has
    /// no effect: the state machines [`Claiming`](super::claiming::Claiming) and [`Recording`](super::end::Recording)
    /// accept only the answer that they wait for.
    ///
    /// # Panics
    /// If the kind of reply does not belong to the purpose, which is a fault of the worker.
    pub(crate) fn answered(&mut self, cx: &Context<'_>, purpose: Purpose, reply: Reply) -> Vec<Effect> {
        match (purpose, reply) {
            (Purpose::CheckClock, Reply::Written(result)) => self.clock_answered(cx, result),
            (Purpose::Claim, Reply::Written(result)) => self.claimed(cx, result).into_effects(),
            (Purpose::SettleClaim, Reply::Read(result)) => self.settled_claim(cx, result).into_effects(),
            (Purpose::SurveyClaim, Reply::Read(result)) => {
                let (retry, outcome) = self.surveyed_claim(cx, result);
                let again = retry.map(|steps| Effect::Ask(Request::write_as_member(Purpose::Claim, steps)));
                outcome.into_effects().into_iter().chain(again).collect()
            }
            (Purpose::RecordEnds, Reply::Written(result)) => self.recorded(cx, result).into_effects(),
            (Purpose::SettleEnds, Reply::Read(result)) => {
                let (unrecorded, recordings) = self.settled_ends(cx, result);
                let lost = unrecorded
                    .into_iter()
                    .map(|Unrecorded { item, reason }| Effect::Report(Report::Unrecorded { item, reason }));
                lost.chain(recordings.into_effects()).collect()
            }
            (Purpose::SurveyTakeover, Reply::Read(result)) => {
                let next = self.surveyed_takeover(cx, result);
                next.map(Effect::Ask).into_iter().collect()
            }
            // The contenders show where it stands, also after a refusal.
            (Purpose::Contend, Reply::Written(Ok(_))) => Vec::new(),
            (Purpose::Contend, Reply::Written(Err(error))) => {
                let is_certain = !error.error.is_outcome_unknown();
                let behind = is_certain.then_some(Effect::FallBehind);
                let report = Effect::Report(Report::NotContending(error));
                [report].into_iter().chain(behind).collect()
            }
            (Purpose::LoadLedgers(items), Reply::Read(result)) => self.ledgers_answered(cx, &items, result),
            (Purpose::CreateLedgers, Reply::Written(Ok(_))) => Vec::new(),
            // Refused if another instance was first: either way they are there now, and are read next. Or their parents are
            // there, unseen by us.
            (Purpose::CreateLedgers, Reply::Written(Err(error))) => {
                let parents = [Node::Ledger, Node::LedgerItems].map(|node| node.of(cx.view.job()));
                let report = Effect::Report(Report::NotCreated(error));
                vec![report, Effect::ReadNext(parents.into())]
            }
            (purpose, reply) => unreachable!("{purpose:?} is not answered by {reply:?}"),
        }
    }

    fn ledgers_answered(&mut self, cx: &Context<'_>, items: &[u32], result: Result<Vec<Answer>, Error>) -> Vec<Effect> {
        let Ok(answers) = result else { return Vec::new() };
        let steps = self.loaded(cx, items, answers);
        let known = |(item, run): (u32, &Run)| {
            let run = run.clone();
            Effect::Report(Report::Known { item, run })
        };
        let create = (!steps.is_empty()).then(|| Effect::Ask(Request::write_as_member(Purpose::CreateLedgers, steps)));
        self.newest_runs(items).map(known).chain(create).collect()
    }

    /// Compares our wall clock with the registry's: the write of `systemTime/current` returns when the registry's
    /// server modified the node. If the write failed, the comparison is due again, and the firing waits for it.
    fn clock_answered(&mut self, cx: &Context<'_>, result: Result<Vec<Written>, WriteError>) -> Vec<Effect> {
        let stat = result.ok().and_then(|written| match written.last() {
            Some(Written::Set(stat)) => Some(*stat),
            _ => None,
        });
        let (Some(stat), Some(limit)) = (stat, cx.config.max_time_diff()) else {
            self.clock_not_checked();
            return Vec::new();
        };
        let theirs = Timestamp::from_millisecond(stat.modified_at).unwrap_or(Timestamp::UNIX_EPOCH);
        let difference = cx.now.duration_since(theirs);
        if difference.unsigned_abs() <= limit {
            self.clock_checked(cx, true);
            return Vec::new();
        }
        vec![Effect::CompareClocks { difference, limit }]
    }
}

impl ClaimOutcome {
    fn into_effects(self) -> Vec<Effect> {
        let mut refused: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
        for (item, reason) in self.refused {
            refused.entry(reason).or_default().push(item);
        }
        let refused = refused
            .into_iter()
            .map(|(reason, items)| Report::Refused { items, reason });
        let lost = self.lost.into_iter().map(|(item, run)| Report::LostOpen { item, run });
        let skipped = self
            .skipped
            .into_iter()
            .map(|(item, gap)| Report::Skipped { item, gap });
        let passed = self.passed.into_iter().map(|(item, gap)| Report::Passed { item, gap });
        let reports = refused.chain(lost).chain(skipped).chain(passed).map(Effect::Report);
        reports.chain([Effect::Start(self.starts)]).collect()
    }
}

impl Recordings {
    fn into_effects(self) -> Vec<Effect> {
        let ended = self.ended.into_iter().map(|(item, run)| Report::Ended { item, run });
        let ended = ended.map(Effect::Report);
        let made_up = self.made_up.into_effects();
        ended.chain([Effect::Restart(self.again)]).chain(made_up).collect()
    }
}
