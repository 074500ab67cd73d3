//! Laws of a single change of an item's ledger: of runs of dead instances, of triggers, and of missed times.
//!
//! Each law is a function of the ledger before and after, and of what the job was configured to be meanwhile. It
//! returns the fault in words, or nothing. Laws that need more than one item or more than one change are elsewhere.

use elasticjob_config::job::JobConfig;
use jiff::{SignedDuration, Timestamp};

use crate::cluster::ledger::{Record, Run, Source, Verdict};
use crate::cluster::policy::Policy;
use crate::cluster::recent::{Kept, Past, PastOutcome};
use crate::schedule::Calendar;

/// What a claim writes of times of which nothing is known.
const UNKNOWN_REASON: &str = "no instance ran the item";

/// So long before or after a moment a healthy machine may place it, and its claim may be on its way.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// The next attempt of a run is for the same time and the same requests, with the same parameter, and one of those that the
/// job allows.
pub(super) fn fault_of_next_attempt<'a>(
    last: &Run,
    run: &Run,
    configs: impl Iterator<Item = &'a JobConfig>,
) -> Option<String> {
    let Run { id, attempt, .. } = run;
    if run.requests != last.requests || run.parameter != last.parameter {
        return Some(format!(
            "attempt {attempt} of run {id} has the requests {:?} and the parameter {:?}, and not {:?} and {:?}",
            run.requests, run.parameter, last.requests, last.parameter
        ));
    }
    if run.due != last.due {
        return Some(format!(
            "attempt {attempt} of run {id} is due at {}, and not {}",
            run.due, last.due
        ));
    }
    let most = configs.map(attempts).max()?;
    (*attempt > most).then(|| format!("run {id} is tried {attempt} times, {most} are allowed"))
}

/// An instance died while running it and no attempt follows. This is allowed only if none was left, or no instance had to take the
/// item over. `was_disabled`: the item was switched off for a part of the time since.
pub(super) fn fault_of_lost_run<'a>(
    run: &Run,
    item: u32,
    was_disabled: bool,
    mut configs: impl Iterator<Item = &'a JobConfig>,
) -> Option<String> {
    let Run { id, attempt, end, .. } = run;
    if end.as_ref().is_none_or(|end| end.verdict != Verdict::Lost) || was_disabled {
        return None;
    }
    let may_be_lost = |config: &JobConfig| {
        let is_inherited = config.failover() && config.monitor_execution();
        !is_inherited || item >= config.sharding_total_count().get() || *attempt >= attempts(config)
    };
    let is_right = configs.any(may_be_lost);
    (!is_right).then(|| format!("run {id} is given up after attempt {attempt}: {end:?}"))
}

/// The end of a requested run answers its requests, and no other change does, nor takes an answer away.
pub(super) fn fault_of_answer(before: &Record, after: &Record) -> Option<String> {
    let open = before.run.as_ref().filter(|run| run.end.is_none());
    let asked = open.map_or(&[][..], |run| &run.requests);
    // The end and the claim of the run that follows may come in one transaction.
    let is_over = |open: &Run| {
        let now = after.run.as_ref();
        now.is_some_and(|now| now.end.is_some() || now.id != open.id)
    };
    let answered = after.answered.as_ref();
    if !asked.is_empty() && open.is_some_and(is_over) {
        let is_answered = answered.is_some_and(|answered| answered.requests == asked);
        return (!is_answered).then(|| format!("the requests {asked:?} have no answer: {answered:?}"));
    }
    let is_kept = after.answered == before.answered || after.run.is_none();
    (!is_kept).then(|| format!("{:?} became {answered:?}", before.answered))
}

/// A run that another one replaces leaves its outcome. `configs` are those in force: a job of very many items keeps none.
pub(super) fn fault_of_recent<'a>(
    before: &Record,
    after: &Record,
    mut configs: impl Iterator<Item = &'a JobConfig>,
) -> Option<String> {
    let last = before.run.as_ref()?;
    let is_replaced = after.run.as_ref().is_none_or(|run| run.id != last.id);
    let keeps_none = |config: &JobConfig| Kept::of(config.sharding_total_count().get()).is_none();
    if !is_replaced || configs.any(keeps_none) {
        return None;
    }
    let is_last = |past: &Past| past.time == last.due && matches!(past.outcome, PastOutcome::Ran { .. });
    let is_kept = after.recent.all().iter().any(is_last);
    (!is_kept).then(|| format!("the outcome of run {} is not among {:?}", last.id, after.recent))
}

/// One run, and when it was claimed and ended by a right clock.
pub(super) struct PastRun<'a> {
    pub(super) run: &'a Run,
    pub(super) claimed: Timestamp,
    pub(super) ended: Timestamp,
}

/// A time that came while its owner ran the item is made up, or passed over for a reason that the owner knows. Asked only of
/// what nothing kept from being claimed since.
pub(super) fn fault_of_missed_time(past: &PastRun<'_>, after: &Record, config: &JobConfig) -> Option<String> {
    let PastRun {
        run: last,
        claimed,
        ended,
    } = past;
    let run = after
        .run
        .as_ref()
        .filter(|run| run.id != last.id && run.owner == last.owner)?;
    let gap = after.skipped.as_ref().filter(|gap| gap.reason == UNKNOWN_REASON)?;
    let is_scheduled = matches!(run.source, Source::Schedule | Source::Misfire);
    if !config.misfire() || !is_scheduled || gap.before != run.due || last.source == Source::Failover {
        return None;
    }
    let calendar = Calendar::new(config, *claimed)?;
    let missed = calendar.newest(*ended - MARGIN, *claimed + MARGIN)?;
    let is_newest = calendar.newest(*ended + MARGIN, missed) == Some(missed);
    let is_in_gap = (gap.after + 1..gap.before).contains(&missed.as_millisecond());
    (is_newest && is_in_gap).then(|| {
        format!(
            "the time {missed} came while run {} went on, and was forgotten",
            last.id
        )
    })
}

/// Returns how often the job has an item tried at one time.
fn attempts(config: &JobConfig) -> u32 {
    Policy::of(config.props()).unwrap_or_default().failover_attempts
}
