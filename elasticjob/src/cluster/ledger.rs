//! The ledger: what is known for certain about each item. It decides if two instances disagree.
//!
//! `ledger/items/{i}` holds one [`Record`]. Every transaction of ours that creates or removes the `running` mark
//! of an item also sets its record with the version expected, so of two that claim, end or repair the same item
//! at once the registry refuses one. Java members ignore the ledger.
//!
//! What it keeps per item: the time up to which everything is accounted for, the newest run with its end, and the
//! newest gap. That is enough for every question that must be answered without asking another instance: has this time
//! run, is the item running, what became of the trigger, what was skipped and why. It is no history: older runs are in
//! the history, if there is one.
//!
//! Three rules hold for every change. `until` only grows, except that a time which can only come from a faulty clock is
//! not believed. A run is replaced only by its own next attempt, by its end, or by a claim that ends it as lost. The
//! reader of an unknown form takes it for empty, and the version check still protects it.
//!
//! The functions are pure: each returns the record as it is after a step, and the caller writes it with the version
//! that it read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use crate::run::{Reason, Source, Verdict};

use super::mutation::Mutation;
use super::recent::{Kept, Recent};

/// Longest cause of a failure that is kept, in bytes. It travels with every claim of the item, so it is a hint
/// and no log.
pub(crate) const CAUSE_LIMIT: usize = 256;

/// A ledger time that is further ahead of our clock than this is a clock fault, and not believed.
const CLOCK_FAULT: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// The ledger of one item.
///
/// A field that is added must have a default and be left out while it has that value: older members of ours read and
/// write the same node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Every scheduled time up to this one, in milliseconds since 1970, is accounted for or is being run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    /// What `until` was before it last went far ahead in one step, in milliseconds since 1970: what is accounted for
    /// if that step was a clock fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_before: Option<i64>,
    /// Since when its scheduled times count, in milliseconds since 1970, as the instance knew it that made the ledger. It says
    /// what there is to account for, and admits or refuses nothing: the clocks of instances differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    /// The newest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Run>,
    /// The newest run that the next claim found open, its instance gone: as that claim ended it. Its requests and its
    /// parameter are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<Run>,
    /// The newest run that an operator cancelled, as it ended, until the next run ends: the run that makes up for a time may
    /// follow in the same transaction. Its requests and its parameter are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled: Option<Run>,
    /// The newest times that passed without a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) skipped: Option<Gap>,
    /// The answer of the newest triggered run; kept until the next trigger, over all scheduled runs in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answered: Option<Answered>,
    /// What became of the item before the newest run and the newest gap.
    #[serde(default, skip_serializing_if = "Recent::is_empty")]
    pub(crate) recent: Recent,
}

/// One run of an item: one scheduled time, or one request, in one or more attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    /// The time it was due, in milliseconds since 1970.
    pub(crate) due: i64,
    pub(crate) attempt: u32,
    /// The instance that has it, or had it.
    pub(crate) owner: String,
    pub(crate) source: Source,
    /// The requests that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) requests: Vec<String>,
    /// What it is given instead of the job's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    /// How it ended; `None` while it runs, or since its owner died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<End>,
}

/// Scheduled times that passed without a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// All after this time, in milliseconds since 1970,
    pub(crate) after: i64,
    /// and before this one.
    pub(crate) before: i64,
    pub(crate) count: u64,
    /// Why, for people.
    pub(crate) reason: String,
    /// Why; `None` if the instance did not say, as older versions do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Reason>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) verdict: Verdict,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// Why, if the cause is one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Reason>,
    /// Whether an operator cancelled the run.
    #[serde(default, rename = "byOperator", skip_serializing_if = "is_no")]
    pub(crate) is_by_operator: bool,
    /// When it ended, in milliseconds since 1970 by the clock of its instance; `None` if the instance did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<i64>,
    /// How long the work took, in milliseconds; `None` if it did not begin, or the instance did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) took: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_no(value: &bool) -> bool {
    !value
}

/// The requests served by a run, and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) requests: Vec<String>,
    pub(crate) end: End,
}

/// Why a claim may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The scheduled time has its verdict already, or is being run.
    Accounted,
    /// A living instance is running the item.
    RunningElsewhere,
}

impl Record {
    /// Reads a record. Data that no member of ours wrote counts as an empty record: the item's history is unknown.
    pub(crate) fn parse(data: &[u8]) -> Self {
        serde_json::from_slice(data).unwrap_or_default()
    }

    /// Returns the stored form, JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has only strings and numbers, which JSON can hold")
    }

    /// Returns the newest scheduled time that is accounted for. One that lies so far ahead of `now` that it must come from a
    /// faulty clock is not believed; then the one before it counts.
    pub(crate) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let limit = now.saturating_add(CLOCK_FAULT).unwrap_or(Timestamp::MAX);
        [self.until, self.until_before]
            .into_iter()
            .flatten()
            .filter_map(|until| Timestamp::from_millisecond(until).ok())
            .find(|until| *until <= limit)
    }

    /// Since when its scheduled times count; `None` in ledgers of processes that did not say so.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.since?).ok()
    }

    /// Returns whether a run that is due at `due` may be claimed by `claimer`.
    ///
    /// If a living instance other than the claimer has an open run, the claim is refused, for any time. Otherwise a
    /// scheduled time is refused if it is accounted for; a trigger uses up no time and is always admitted.
    pub(crate) fn admits(
        &self,
        source: Source,
        due: Timestamp,
        now: Timestamp,
        claimer: &str,
        is_alive: impl FnOnce(&str) -> bool,
    ) -> Result<(), Refusal> {
        if Mutation::IgnoreLedger.is_on() {
            return Ok(());
        }
        let is_open_elsewhere = |run: &Run| run.end.is_none() && run.owner != claimer && is_alive(&run.owner);
        if self.run.as_ref().is_some_and(is_open_elsewhere) && !Mutation::ClaimRunElsewhere.is_on() {
            // Also if the time is accounted for: its owner is about to write the ledger, so this refusal does not last.
            return Err(Refusal::RunningElsewhere);
        }
        if source != Source::Trigger && self.until(now).is_some_and(|until| due <= until) {
            Err(Refusal::Accounted)
        } else {
            Ok(())
        }
    }

    /// Returns the record once `run` is claimed. An open run that it replaces ends as lost.
    pub(crate) fn claimed(&self, run: Run, now: Timestamp, kept: Kept) -> Self {
        let (until, until_before) = match run.source {
            Source::Schedule | Source::Misfire => self.advanced(run.due, now),
            // A request uses up no scheduled time; what is taken over has been accounted for since its first attempt, or
            // is a Java member's.
            Source::Trigger | Source::Failover | Source::Unknown => (self.until, self.until_before),
        };
        Self {
            until,
            until_before,
            ..self.replaced_by(Some(run), kept)
        }
    }

    /// Returns the open run that `next` replaces, with the end that this gives it: no other instance can end it any more. A run that goes on
    /// as its next attempt is not replaced.
    pub(crate) fn replaced(&self, next: Option<&Run>) -> Option<Run> {
        let open = self.run.as_ref().filter(|run| run.end.is_none())?;
        if next.is_some_and(|next| next.id == open.id) {
            return None;
        }
        // An instance replaces a run of its own after it gave up recording the end.
        let end = if next.is_some_and(|next| next.owner == open.owner) {
            End::coded(Verdict::Lost, Reason::EndNotRecorded)
        } else {
            End::new(Verdict::Lost)
        };
        Some(Run {
            requests: Vec::new(),
            parameter: None,
            end: Some(end),
            ..open.clone()
        })
    }

    /// Returns the record with another newest run, or none that is known.
    fn replaced_by(&self, next: Option<Run>, kept: Kept) -> Self {
        let replaced = self.replaced(next.as_ref()).filter(|_| !Mutation::ForgetLost.is_on());
        let mut record = match replaced.as_ref().and_then(|run| run.end.clone()) {
            // Its requests are answered, too.
            Some(end) => self.ended(end),
            None => self.clone(),
        };
        let is_another = |run: &&Run| next.as_ref().is_none_or(|next| next.id != run.id);
        if let Some(run) = record.run.as_ref().filter(is_another)
            && let Some(end) = &run.end
        {
            record.recent.add_run(run, end, kept);
        }
        Self {
            run: next,
            lost: replaced.or(record.lost),
            ..record
        }
    }

    /// `until` and `until_before` once `due` is accounted for. What is not believed now is forgotten.
    fn advanced(&self, due: i64, now: Timestamp) -> (Option<i64>, Option<i64>) {
        let Some(known) = self.until(now).map(Timestamp::as_millisecond) else {
            return (Some(due), None);
        };
        let is_far_ahead = i128::from(due) - i128::from(known) > CLOCK_FAULT.as_millis();
        let before = if is_far_ahead {
            Some(known)
        } else {
            self.until_before.filter(|before| *before < known)
        };
        (Some(due.max(known)), before)
    }

    /// Returns the record of an item that is new: its scheduled times count from `since`.
    pub(crate) fn begun(since: Timestamp) -> Self {
        Self {
            since: Some(since.as_millisecond()),
            ..Self::default()
        }
    }

    /// Returns the record once scheduled times up to `time` have passed the item, as `gap` says. An open run has ended with its
    /// instance.
    pub(crate) fn passed(&self, time: Timestamp, gap: &Gap, now: Timestamp, kept: Kept) -> Self {
        let (until, until_before) = self.advanced(time.as_millisecond(), now);
        let lost = self.replaced(None).and_then(|run| run.end);
        let record = lost.map_or_else(|| self.clone(), |end| self.ended(end));
        let joined = self.skipped.as_ref().and_then(|skipped| skipped.joined(gap));
        let record = match joined {
            Some(joined) => Self {
                skipped: Some(joined),
                ..record
            },
            None => record.with_skipped(Some(gap.clone()), kept),
        };
        Self {
            until,
            until_before,
            ..record
        }
    }

    /// Returns the record of an item that a Java member ran until then, which writes no ledger.
    pub(crate) fn ran_elsewhere(&self, until: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(until) = until.filter(|_| self.until(now).is_some()) else {
            return self.clone();
        };
        let (until, until_before) = self.advanced(until.as_millisecond(), now);
        Self {
            until,
            until_before,
            ..self.clone()
        }
    }

    /// Returns the record with times that passed without a run.
    pub(crate) fn with_skipped(mut self, skipped: Option<Gap>, kept: Kept) -> Self {
        if let Some(skipped) = skipped
            && let Some(older) = self.skipped.replace(skipped)
        {
            self.recent.add_gap(&older, kept);
        }
        self
    }

    /// Returns the record once its run has ended so.
    pub(crate) fn ended(&self, end: End) -> Self {
        let mut record = self.clone();
        if let Some(run) = &mut record.run {
            if !run.requests.is_empty() && !Mutation::ForgetAnswer.is_on() {
                record.answered = Some(Answered {
                    requests: run.requests.clone(),
                    end: end.clone(),
                });
            }
            let is_by_operator = end.is_by_operator;
            run.end = Some(end);
            record.cancelled = is_by_operator.then(|| Run {
                requests: Vec::new(),
                parameter: None,
                ..run.clone()
            });
        }
        record
    }

    /// Returns the run that takes an item over from an instance that died: its next attempt, or a run of its own where the
    /// instance, being a Java member, wrote nothing here.
    pub(crate) fn next_attempt(&self, id: impl FnOnce() -> String, owner: &str, now: Timestamp) -> Run {
        let owner = owner.to_owned();
        match &self.run {
            Some(run) if run.end.is_none() => Run {
                attempt: run.attempt.saturating_add(1),
                owner,
                source: Source::Failover,
                requests: if Mutation::ForgetRequests.is_on() {
                    Vec::new()
                } else {
                    run.requests.clone()
                },
                parameter: run.parameter.clone().filter(|_| !Mutation::ForgetParameter.is_on()),
                ..run.clone()
            },
            _ => Run {
                id: id(),
                due: now.as_millisecond(),
                attempt: 1,
                owner,
                source: Source::Failover,
                requests: Vec::new(),
                parameter: None,
                end: None,
            },
        }
    }

    /// Returns the record once its run goes on as the next attempt of the same owner.
    pub(crate) fn again(&self) -> Self {
        let mut record = self.clone();
        if let Some(run) = &mut record.run {
            run.attempt = run.attempt.saturating_add(1);
        }
        record
    }

    /// Returns the record once it is known that a later run than its newest was begun, by a Java member.
    pub(crate) fn without_run(&self, kept: Kept) -> Self {
        self.replaced_by(None, kept)
    }

    /// Returns whether its newest run has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.end.is_some())
    }

    /// Returns whether its run has begun and not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.end.is_none())
    }

    /// Returns whether its run was begun by `owner` and not ended.
    pub(crate) fn is_open_of(&self, owner: &str) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.end.is_none() && run.owner == owner)
    }

    /// Returns how `request` was answered, if it was.
    pub(crate) fn answer_to(&self, request: &str) -> Option<&End> {
        let answered = self.answered.as_ref()?;
        answered
            .requests
            .iter()
            .any(|known| known == request)
            .then_some(&answered.end)
    }
}

impl Gap {
    /// Returns the times after one moment and before another, that passed for one of our reasons.
    pub(crate) fn new(after: Timestamp, before: Timestamp, count: u64, reason: Reason) -> Self {
        Self {
            after: after.as_millisecond(),
            before: before.as_millisecond(),
            count,
            reason: reason.in_english().to_owned(),
            code: Some(reason),
        }
    }

    /// Returns both as one, if the other follows right after and for the same reason.
    fn joined(&self, next: &Self) -> Option<Self> {
        let is_followed = self.reason == next.reason && self.before > next.after;
        is_followed.then(|| Self {
            after: self.after,
            count: self.count + next.count,
            ..next.clone()
        })
    }
}

impl Run {
    /// Returns the time it was due. One out of range, which nothing of ours writes, is shown as 1970.
    pub(crate) fn scheduled_time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.due).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Returns whether the other is the same attempt of the same run.
    pub(crate) fn is_same_attempt(&self, other: &Self) -> bool {
        self.id == other.id && self.attempt == other.attempt && self.owner == other.owner
    }
}

impl End {
    /// Returns an end without a cause.
    pub(crate) fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            cause: None,
            code: None,
            is_by_operator: false,
            at: None,
            took: None,
        }
    }

    /// Returns the end with its time, and how long the work took that began at `began`.
    pub(crate) fn timed(self, began: Option<Timestamp>, ended: Timestamp) -> Self {
        let at = ended.as_millisecond();
        Self {
            at: Some(at),
            took: began.map(|began| (at - began.as_millisecond()).max(0)),
            ..self
        }
    }

    /// Returns the end of a run that an operator cancelled, for this reason.
    pub(crate) fn by_operator(cause: String) -> Self {
        Self {
            is_by_operator: true,
            ..Self::because(Verdict::Cancelled, cause)
        }
    }

    /// Returns an end for one of our reasons.
    pub(crate) fn coded(verdict: Verdict, reason: Reason) -> Self {
        Self {
            code: Some(reason),
            ..Self::because(verdict, reason.in_english())
        }
    }

    /// With a cause, cut to what the ledger keeps.
    pub(crate) fn because(verdict: Verdict, cause: impl Into<String>) -> Self {
        let mut cause = cause.into();
        if cause.len() > CAUSE_LIMIT {
            cause.truncate(cause.floor_char_boundary(CAUSE_LIMIT - '…'.len_utf8()));
            cause.push('…');
        }
        Self {
            cause: Some(cause),
            ..Self::new(verdict)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Kept = Kept::of(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("within range")
    }

    fn run(due: Timestamp, source: Source) -> Run {
        Run {
            id: "r1".into(),
            due: due.as_millisecond(),
            attempt: 1,
            owner: "a".into(),
            source,
            requests: Vec::new(),
            parameter: None,
            end: None,
        }
    }

    #[test]
    fn keeps_its_times_beside_a_verdict_of_a_newer_version() {
        let written = br#"{"until":5000,"run":{"id":"r","due":5000,"attempt":1,"owner":"o","source":"schedule",
            "end":{"verdict":"partly-succeeded","cause":"half of it"}}}"#;
        let record = Record::parse(written);
        let end = record.run.as_ref().and_then(|run| run.end.clone());
        assert_eq!(end, Some(End::because(Verdict::Unknown, "half of it")));
        assert_eq!(record.until(at(6)), Some(at(5)));
    }

    #[test]
    fn a_scheduled_time_should_be_claimed_once() {
        let record = Record::default();
        assert_eq!(record.admits(Source::Schedule, at(10), at(10), "a", |_| true), Ok(()));
        let record = record
            .claimed(run(at(10), Source::Schedule), at(10), KEPT)
            .ended(End::new(Verdict::Succeeded));
        assert_eq!(
            record.admits(Source::Schedule, at(10), at(10), "b", |_| true),
            Err(Refusal::Accounted)
        );
        assert_eq!(
            record.admits(Source::Schedule, at(9), at(10), "b", |_| true),
            Err(Refusal::Accounted)
        );
        assert_eq!(record.admits(Source::Schedule, at(11), at(11), "b", |_| true), Ok(()));
    }

    #[test]
    fn admits_claim_of_new_item_by_a_slow_clock() {
        let record = Record::begun(at(20));
        assert_eq!((record.since(), record.until(at(20))), (Some(at(20)), None));
        assert_eq!(record.admits(Source::Schedule, at(19), at(19), "a", |_| true), Ok(()));
        let claimed = record.claimed(run(at(19), Source::Schedule), at(19), KEPT);
        assert_eq!((claimed.since(), claimed.until(at(19))), (Some(at(20)), Some(at(19))));
        assert_eq!(Record::parse(&record.to_bytes()), record);
    }

    #[test]
    fn keeps_others_out_of_a_run_that_lives() {
        let record = Record::default().claimed(run(at(10), Source::Schedule), at(10), KEPT);
        assert_eq!(
            record.admits(Source::Schedule, at(20), at(20), "b", |_| true),
            Err(Refusal::RunningElsewhere)
        );
        assert_eq!(record.admits(Source::Schedule, at(20), at(20), "b", |_| false), Ok(()));
        assert_eq!(record.admits(Source::Schedule, at(20), at(20), "a", |_| true), Ok(()));
    }

    #[test]
    fn attempts_stay_at_the_largest_number() {
        // Written by an operator, or by a process that went wrong: it must not end each that reads it.
        let newest = Run {
            attempt: u32::MAX,
            ..run(at(10), Source::Schedule)
        };
        let record = Record::default().claimed(newest, at(10), KEPT);
        let next = record.next_attempt(|| "r2".into(), "b", at(20));
        assert_eq!((next.id.as_str(), next.attempt), ("r1", u32::MAX));
        assert_eq!(record.again().run.unwrap().attempt, u32::MAX);
    }

    #[test]
    fn keeps_scheduled_time_after_a_trigger() {
        let record = Record::default()
            .claimed(run(at(10), Source::Trigger), at(10), KEPT)
            .ended(End::new(Verdict::Failed));
        assert_eq!(record.admits(Source::Schedule, at(10), at(10), "a", |_| true), Ok(()));
        assert_eq!(record.admits(Source::Trigger, at(1), at(10), "a", |_| true), Ok(()));
    }

    #[test]
    fn distrusts_a_time_of_a_faulty_clock() {
        let record = Record::default().claimed(run(at(10_000), Source::Schedule), at(10_000), KEPT);
        assert_eq!(
            record.admits(Source::Schedule, at(9_000), at(9_000), "a", |_| true),
            Err(Refusal::Accounted)
        );
        assert_eq!(record.admits(Source::Schedule, at(100), at(100), "a", |_| true), Ok(()));
    }

    #[test]
    fn keeps_what_was_accounted_for_before_a_clock_fault() {
        let claimed = |record: Record, second: i64| {
            let run = run(at(second), Source::Schedule);
            record
                .claimed(run, at(second), KEPT)
                .ended(End::new(Verdict::Succeeded))
        };
        let is_admitted = |record: &Record, due: i64, now: i64| {
            record.admits(Source::Misfire, at(due), at(now), "a", |_| true) == Ok(())
        };
        // Two firings by a clock a day ahead.
        let faulty = claimed(claimed(claimed(Record::default(), 100), 86_500), 86_505);
        assert!(!is_admitted(&faulty, 100, 110), "the time before the fault ran already");
        assert!(is_admitted(&faulty, 105, 110));
        assert!(
            !is_admitted(&faulty, 86_505, 86_505),
            "to the faulty clock its own times ran"
        );
        let asked = faulty.claimed(run(at(104), Source::Trigger), at(104), KEPT);
        assert!(!is_admitted(&asked, 86_505, 86_505), "a request changes nothing of it");
        let mended = claimed(faulty, 105);
        assert!(!is_admitted(&mended, 105, 110));
        assert!(is_admitted(&mended, 110, 110));
        assert_eq!(mended.until(at(86_510)), Some(at(105)), "nothing of the fault is kept");
    }

    #[test]
    fn keeps_answer_to_a_trigger_over_the_next_run() {
        let mut requested = run(at(10), Source::Trigger);
        requested.requests = vec!["q1".into(), "q2".into()];
        let record = Record::default()
            .claimed(requested, at(10), KEPT)
            .ended(End::because(Verdict::Failed, "no disk"));
        let record = record
            .claimed(run(at(20), Source::Schedule), at(20), KEPT)
            .ended(End::new(Verdict::Succeeded));
        assert_eq!(record.answer_to("q2"), Some(&End::because(Verdict::Failed, "no disk")));
        assert_eq!(record.answer_to("q3"), None);
        assert_eq!(Record::parse(&record.to_bytes()), record);
    }

    #[test]
    fn follows_any_attempt_by_the_next() {
        let last = Run {
            attempt: u32::MAX,
            ..run(at(10), Source::Schedule)
        };
        let record = Record::parse(&Record::default().claimed(last, at(10), KEPT).to_bytes());
        assert_eq!(record.next_attempt(|| "r2".into(), "b", at(11)).attempt, u32::MAX);
        assert_eq!(record.again().run.map(|run| run.attempt), Some(u32::MAX));
    }

    #[test]
    fn a_long_cause_should_be_cut_at_a_character() {
        let end = End::because(Verdict::Failed, "é".repeat(1000));
        let cause = end.cause.expect("a cause");
        assert!(cause.len() <= CAUSE_LIMIT && cause.ends_with("é…"), "{cause}");
    }

    #[test]
    fn foreign_data_should_read_as_an_empty_record() {
        assert_eq!(Record::parse(b""), Record::default());
        assert_eq!(Record::parse(b"not ours"), Record::default());
    }
}
