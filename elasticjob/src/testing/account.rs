//! Checks at each change of a ledger that every scheduled time of every item has one verdict.
//!
//! The ledger of an item says up to which time all is accounted for, the newest run, and the newest times that passed
//! without one. So each change has to close the gap since the last: a time that is in none was forgotten, one that is
//! in two was counted twice.
//!
//! What an instance may have known is uncertain: it may act by a configuration that was replaced a moment ago, and its
//! clock is off by some. So each check allows what any of the possible configurations gives, within bounds that are
//! longer than a healthy machine needs.

use std::collections::BTreeMap;

use elasticjob_config::job::JobConfig;
use jiff::{SignedDuration, Timestamp};

use crate::cluster::ledger::{Gap, Record, Run, Source};
use crate::schedule::Calendar;

use super::laws::{self, PastRun};

/// An instance may act by a configuration for so long after it was replaced: its server is behind, its answers late.
const UNSEEN: SignedDuration = SignedDuration::from_secs(25);

/// An instance may count times by a configuration for so long after it was replaced: it was cut off, and slept.
const SLEPT: SignedDuration = SignedDuration::from_secs(60);

/// What a clock is off by at most, unless it is at fault.
const CLOCK_OFF: SignedDuration = SignedDuration::from_secs(3);

/// A ledger time that is so far ahead comes from a faulty clock.
const CLOCK_FAULT: SignedDuration = SignedDuration::from_mins(50);

/// What the ledgers said, job by job.
#[derive(Default)]
pub(super) struct Account {
    jobs: BTreeMap<String, JobAccount>,
}

#[derive(Default)]
struct JobAccount {
    /// Every configuration there was, and until when.
    configs: Vec<(JobConfig, Option<Timestamp>)>,
    /// What is known of each item.
    known: BTreeMap<u32, Known>,
}

/// What is known of an item.
#[derive(Default)]
struct Known {
    record: Record,
    version: i32,
    /// When its newest run, or attempt of it, was claimed. By a right clock: what a run is due at may come from a faulty one.
    claimed: Option<Timestamp>,
    /// When that ended.
    ended: Option<Timestamp>,
}

/// The circumstances of a change.
pub(super) struct Change<'a> {
    pub(super) job: &'a str,
    pub(super) item: u32,
    /// The ledger's version now.
    pub(super) version: i32,
    /// By how many versions a ledger that is set twice in one transaction is ahead.
    pub(super) versions_of_two: i32,
    /// What a right clock shows.
    pub(super) now: Timestamp,
    /// Whether the whole job is paused.
    pub(super) is_paused: bool,
    /// Whether an instance may be running something.
    pub(super) is_there: &'a dyn Fn(&str) -> bool,
    /// When the item was last disabled.
    pub(super) disabled_at: Option<Timestamp>,
    /// When anything last kept the owner of the newest run from claiming the item.
    pub(super) barred_at: Option<Timestamp>,
    /// Whether that owner has the right time of day.
    pub(super) has_right_clock: bool,
}

impl Account {
    /// The job's configuration is this one from now on.
    pub(super) fn configured(&mut self, job: &str, config: JobConfig, now: Timestamp) {
        let configs = &mut self.jobs.entry(job.to_owned()).or_default().configs;
        if let Some((_, until)) = configs.last_mut() {
            until.get_or_insert(now);
        }
        configs.push((config, None));
    }

    /// The ledger of an item changed; gives what is wrong with that.
    pub(super) fn changed(&mut self, change: &Change<'_>, record: Record) -> Vec<String> {
        let account = self.jobs.entry(change.job.to_owned()).or_default();
        let before = account.known.remove(&change.item).unwrap_or_default();
        let mut faults = Vec::new();
        faults.extend(fault_of_pause(change, &before.record, &record));
        faults.extend(account.fault_of_run(change, &before, &record));
        faults.extend(account.fault_of_times(change, &before.record, &record));
        faults.extend(account.fault_of_end(change, &before, &record));
        faults.extend(account.fault_of_missed_time(change, &before, &record));
        faults.extend(laws::fault_of_answer(&before.record, &record));
        let configs = account.configs_at(change.now);
        faults.extend(laws::fault_of_recent(&before.record, &record, configs));
        let attempt = |record: &Record| record.run.as_ref().map(|run| (run.id.clone(), run.attempt));
        let is_same_attempt = attempt(&before.record) == attempt(&record);
        let ended = before.ended.filter(|_| is_same_attempt).unwrap_or(change.now);
        let known = Known {
            claimed: before.claimed.filter(|_| is_same_attempt).or(Some(change.now)),
            ended: record.is_ended().then_some(ended),
            record,
            version: change.version,
        };
        account.known.insert(change.item, known);
        let prefix = |fault| format!("{}/{}: {fault}", change.job, change.item);
        faults.into_iter().map(prefix).collect()
    }

    /// The ledger of an item was removed, with its job.
    pub(super) fn forgotten(&mut self, job: &str, item: u32) {
        let account = self.jobs.entry(job.to_owned()).or_default();
        account.known.remove(&item);
    }

    /// Returns what the ledger of an item says now.
    pub(super) fn record(&self, job: &str, item: u32) -> Option<&Record> {
        self.jobs.get(job)?.known.get(&item).map(|known| &known.record)
    }
}

/// Nothing of a job that is paused is claimed.
fn fault_of_pause(change: &Change<'_>, before: &Record, after: &Record) -> Option<String> {
    let run = after.run.as_ref().filter(|_| change.is_paused)?;
    let is_known = before
        .run
        .as_ref()
        .is_some_and(|last| last.id == run.id && last.attempt == run.attempt);
    (!is_known).then(|| {
        let (id, attempt) = (&run.id, run.attempt);
        format!("run {id}, attempt {attempt}, was claimed although the job is paused")
    })
}

impl JobAccount {
    /// Returns what is wrong with the newest run: each run gets one verdict, and no run of a living instance is
    /// replaced.
    fn fault_of_run(&self, change: &Change<'_>, before: &Known, after: &Record) -> Option<String> {
        let Some(run) = &after.run else {
            let forgotten = before.record.run.as_ref()?;
            return Some(format!("run {} was forgotten", forgotten.id));
        };
        let Some(last) = &before.record.run else {
            return new_run_fault(run);
        };
        if run.id == last.id {
            return self.fault_of_attempt(change, last, run);
        }
        // The end of a run and the claim of the one that makes up for what it missed come in one transaction, of which
        // the registry shows the outcome alone.
        let is_ended_within = change.version - before.version == change.versions_of_two;
        let is_made_up = is_ended_within && run.source == Source::Misfire && run.owner == last.owner;
        if last.end.is_none() && !is_made_up {
            // A claim ends a run that no instance can go on with.
            let is_over = last.owner == run.owner || !(change.is_there)(&last.owner);
            if !is_over {
                return Some(format!("run {} of a living instance gave way to {}", last.id, run.id));
            }
            let is_this = |lost: &Run| lost.id == last.id && lost.attempt == last.attempt && lost.end.is_some();
            if !after.lost.as_ref().is_some_and(is_this) {
                return Some(format!("run {} has no verdict, and {} follows", last.id, run.id));
            }
        }
        new_run_fault(run)
    }

    /// The same run as before: its end came, or its next attempt.
    fn fault_of_attempt(&self, change: &Change<'_>, last: &Run, run: &Run) -> Option<String> {
        let id = &run.id;
        if last.end.is_some() {
            let is_same = last.end == run.end && last.attempt == run.attempt;
            return (!is_same).then(|| format!("run {id} has two verdicts: {:?}, {:?}", last.end, run.end));
        }
        if last.attempt == run.attempt {
            let is_same = last.owner == run.owner && last.due == run.due;
            return (!is_same).then(|| format!("run {id} has become another"));
        }
        if run.attempt != last.attempt.saturating_add(1) {
            return Some(format!(
                "attempt {} of run {id} follows attempt {}",
                run.attempt, last.attempt
            ));
        }
        if run.owner != last.owner && (change.is_there)(&last.owner) {
            return Some(format!("run {id} was taken over from {}, which lives", last.owner));
        }
        if !self.configs_at(change.now).any(JobConfig::failover) {
            return Some(format!("run {id} was taken over though failover is off"));
        }
        laws::fault_of_next_attempt(last, run, self.configs_at(change.now))
    }

    /// Returns the fault of the recorded end of a run that its instance died with.
    fn fault_of_end(&self, change: &Change<'_>, before: &Known, after: &Record) -> Option<String> {
        let last = before.record.run.as_ref().filter(|run| run.end.is_none())?;
        // The claim of another instance puts an end to it, if no repair did so before.
        let is_claimed_by_another = after.run.as_ref().is_some_and(|run| run.owner != last.owner);
        let replaced = after.lost.as_ref().filter(|_| is_claimed_by_another);
        let run = after.run.iter().chain(replaced).find(|run| run.id == last.id)?;
        let since = before.claimed.unwrap_or(change.now) - UNSEEN;
        let was_disabled = change.disabled_at.is_some_and(|at| at >= since);
        laws::fault_of_lost_run(run, change.item, was_disabled, self.configs_since(since))
    }

    /// A time that came while the item was run.
    fn fault_of_missed_time(&self, change: &Change<'_>, before: &Known, after: &Record) -> Option<String> {
        let (run, claimed) = (before.record.run.as_ref()?, before.claimed?);
        let ended = before.ended.unwrap_or(change.now);
        let was_barred = change.barred_at.is_some_and(|at| at >= claimed - CLOCK_OFF);
        let mut configs = self.configs_since(claimed - UNSEEN);
        let (config, another) = (configs.next()?, configs.next());
        if was_barred || another.is_some() || !change.has_right_clock {
            return None;
        }
        laws::fault_of_missed_time(&PastRun { run, claimed, ended }, after, config)
    }

    /// Every time since the last account is in this one, once.
    fn fault_of_times(&self, change: &Change<'_>, before: &Record, after: &Record) -> Option<String> {
        let is_taken_over = || after.run.as_ref().is_some_and(|run| run.source == Source::Failover);
        if after.until(Timestamp::MAX).or(after.since()).is_none() && !is_taken_over() {
            return Some("has a ledger that does not say since when its times count".to_owned());
        }
        let Some(since) = before.until(Timestamp::MAX) else {
            return self.fault_of_first_times(change, before.since()?, after);
        };
        let until = after.until(Timestamp::MAX);
        let limit = change.now + CLOCK_FAULT;
        if since > limit {
            return None;
        }
        let Some(until) = until.filter(|until| *until >= since) else {
            return Some(format!("the account went back from {since} to {until:?}"));
        };
        if until > limit || until == since {
            return None;
        }
        let known = skipped_since(since, before, after);
        let Some(end) = end_of(until, known.as_ref(), after) else {
            return Some(format!("{until} passes without a word"));
        };
        let is_recorded = |count: u64| match &known {
            None => count == 0,
            Some(gap) => {
                gap.count == count && gap.after == since.as_millisecond() && gap.before == end.as_millisecond()
            }
        };
        let earliest = since.min(change.now - SLEPT);
        let count = |config| Calendar::new(config, since).map_or(0, |calendar| calendar.count_between(since, end));
        let is_right = self.configs_since(earliest).map(count).any(is_recorded)
            || self.counts_by_two(since, end, earliest).any(is_recorded);
        (!is_right).then(|| format!("times between {since} and {until} have no verdict, or two: {known:?}"))
    }

    /// Returns the times before the first run of an item, which count since the item is there.
    fn fault_of_first_times(&self, change: &Change<'_>, since: Timestamp, after: &Record) -> Option<String> {
        let limit = change.now + CLOCK_FAULT;
        let until = after
            .until(Timestamp::MAX)
            .filter(|until| *until <= limit && since <= limit)?;
        let known = after.skipped.as_ref();
        let Some(end) = end_of(until, known, after) else {
            return Some(format!("{until}, its first time, passes without a word"));
        };
        // The instance that runs it may have been there earlier, and its clock may be behind.
        let from = known.map_or(since, |gap| Timestamp::from_millisecond(gap.after).unwrap_or(since));
        let is_late = from > since + CLOCK_OFF;
        let recorded = known.map_or(0, |gap| gap.count);
        let count = |config| Calendar::new(config, from).map_or(0, |calendar| calendar.count_between(from, end));
        let earliest = from.min(change.now - SLEPT);
        let is_right = self.configs_since(earliest).map(count).any(|count| count == recorded)
            || self.counts_by_two(from, end, earliest).any(|count| count == recorded);
        (is_late || !is_right)
            .then(|| format!("times between {since} and {until}, its first, have no verdict: {known:?}"))
    }

    /// Returns how many times lie between for an instance that saw one configuration follow another, at any possible second.
    fn counts_by_two(&self, since: Timestamp, until: Timestamp, earliest: Timestamp) -> impl Iterator<Item = u64> {
        let is_late = move |replaced: &Option<Timestamp>| replaced.is_none_or(|at| at + SLEPT >= earliest);
        let known = self.configs.iter().enumerate();
        let olds = known.filter(move |(_, (_, replaced))| is_late(replaced));
        olds.flat_map(move |(index, (old, _))| {
            let begun = self.configs[index..].windows(2);
            begun.filter_map(move |pair| Some((old, pair[0].1?, &pair[1].0)))
        })
        .flat_map(move |(old, changed, new)| {
            let seconds = -CLOCK_OFF.as_secs()..=SLEPT.as_secs();
            seconds.filter_map(move |second| {
                let at = changed + SignedDuration::from_secs(second);
                let calendar = Calendar::new(old, since)?.replaced(new, at)?;
                (since < at && at < until).then(|| calendar.count_between(since, until))
            })
        })
    }

    /// Returns the configurations by which an instance may act now.
    fn configs_at(&self, now: Timestamp) -> impl Iterator<Item = &JobConfig> {
        self.configs_since(now - UNSEEN)
    }

    /// Returns all configurations that were in force at this time or later.
    fn configs_since(&self, since: Timestamp) -> impl Iterator<Item = &JobConfig> {
        let is_seen = move |until: &Option<Timestamp>| until.is_none_or(|until| until >= since);
        self.configs
            .iter()
            .filter(move |(_, until)| is_seen(until))
            .map(|(config, _)| config)
    }
}

/// Returns the times that a change records as passed without a run since the change before.
fn skipped_since(since: Timestamp, before: &Record, after: &Record) -> Option<Gap> {
    let gap = after.skipped.clone().filter(|_| after.skipped != before.skipped)?;
    let is_of_one =
        |old: &&Gap| old.after == gap.after && old.reason == gap.reason && old.before > since.as_millisecond();
    match before.skipped.as_ref().filter(is_of_one) {
        // One range of both.
        Some(old) => Some(Gap {
            after: since.as_millisecond(),
            count: gap.count.saturating_sub(old.count),
            ..gap
        }),
        None => Some(gap),
    }
}

/// Returns the end of the times that are recorded as passed, if the newest accounted time has a record: it runs, or is one of
/// them. A time is a full second.
fn end_of(until: Timestamp, skipped: Option<&Gap>, after: &Record) -> Option<Timestamp> {
    if skipped.is_some_and(|gap| gap.before > until.as_millisecond()) {
        return Some(until + SignedDuration::from_secs(1));
    }
    let is_run = after.run.as_ref().is_some_and(|run| run.due == until.as_millisecond());
    is_run.then_some(until)
}

/// A failover is the next attempt of a run that did not end, and never a run of its own.
fn new_run_fault(run: &Run) -> Option<String> {
    if run.source == Source::Failover {
        return Some(format!("run {} fails over what no instance left", run.id));
    }
    (run.attempt != 1).then(|| format!("run {} begins with attempt {}", run.id, run.attempt))
}
