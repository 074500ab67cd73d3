//! What must hold of everything that happened, judged when it is over.
//!
//! The evidence is what the jobs wrote while they ran, the events that members received, the ledgers, and the faults that
//! each member suffered. Two things are no breach: a run is repeated if its end could not be recorded, and without
//! failover a run is lost with its process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::host_of;
use crate::history::{Run, RunEnd, breaches};

use super::application::{ATTEMPTS, JobPlan};
use super::fact::{Fact, Verdict, What};

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The jobs.
    pub plans: Vec<JobPlan>,
    /// Their runs.
    pub runs: Vec<Run>,
    /// What became of scheduled times, as members and ledgers say.
    pub facts: Vec<Fact>,
    /// The faults that each member suffered.
    pub hurts: Vec<Hurt>,
    /// Processes that were killed, and when.
    pub kills: Vec<(i32, Duration)>,
    /// Times are accounted for after the first of these, up to the second.
    pub accounted: Option<(Timestamp, Timestamp)>,
    /// Times in which each item is to be run as it should.
    pub calm: Vec<(Timestamp, Timestamp)>,
}

/// A fault, with the time that its effects may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hurt {
    /// The host of the member; `None` for all of them.
    pub host: Option<u8>,
    /// When it began.
    pub from: Duration,
    /// When it and its effects were over.
    pub until: Duration,
}

impl Evidence {
    /// Everything that should not have happened.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let runs = self.runs_to_their_kill();
        let mut found = breaches(&runs);
        found.extend(self.runs_after_their_end());
        found.extend(self.needless_attempts());
        found.extend(self.unaccounted());
        found.extend(self.not_calm());
        found
    }

    /// Returns how many firings there were: times at which an instance ran items of a job.
    #[must_use]
    pub fn firings(&self) -> usize {
        let firing = |run: &Run| (run.id.job.clone(), run.id.instance.clone(), run.id.scheduled);
        self.runs.iter().map(firing).collect::<BTreeSet<_>>().len()
    }

    /// A run that lived when its process was killed, lived until then.
    fn runs_to_their_kill(&self) -> Vec<Run> {
        let mut runs = self.runs.clone();
        for run in runs.iter_mut().filter(|run| run.end.is_none()) {
            let killed = self.kills.iter().find(|(pid, _)| process_of(run) == Some(*pid));
            if let Some((_, at)) = killed {
                run.last = run.last.max(*at);
            }
        }
        runs
    }

    /// A time that has its end in the registry is over.
    fn runs_after_their_end(&self) -> Vec<String> {
        let mut ends: BTreeMap<(&str, u32, Timestamp), &Fact> = BTreeMap::new();
        for fact in &self.facts {
            if let What::Ended { scheduled, .. } = &fact.what {
                let known = ends.entry((&fact.job, fact.item, *scheduled)).or_insert(fact);
                if fact.at < known.at {
                    *known = fact;
                }
            }
        }
        let end_of = |run: &Run| ends.get(&(run.id.job.as_str(), run.id.item, run.id.scheduled)).copied();
        self.runs
            .iter()
            .filter_map(|run| Some((run, end_of(run)?)))
            .filter(|(run, end)| run.first > end.at)
            .map(|(run, end)| format!("{}: begins after its end: {end:?}", named(run)))
            .collect()
    }

    /// Returns the attempts without a cause. An item is attempted again only if the instance of the last attempt suffered a fault, and not for ever.
    fn needless_attempts(&self) -> Vec<String> {
        let mut before: BTreeMap<(&str, u32, Timestamp, u32), &Run> = BTreeMap::new();
        for run in &self.runs {
            before.insert((&run.id.job, run.id.item, run.id.scheduled, run.id.attempt), run);
        }
        let mut found = Vec::new();
        for run in self.runs.iter().filter(|run| run.id.attempt > 1) {
            if run.id.attempt > ATTEMPTS {
                found.push(format!("{}: tried too often", named(run)));
            }
            let last = (run.id.job.as_str(), run.id.item, run.id.scheduled, run.id.attempt - 1);
            // A run that was claimed and never began leaves no trace, and does no harm.
            let Some(last) = before.get(&last) else { continue };
            let host = host_of(&last.id.instance).ok();
            let is_due = self.hurts.iter().any(|hurt| {
                (hurt.host.is_none() || hurt.host == host) && hurt.from <= run.first && hurt.until >= last.first
            });
            if !is_due {
                found.push(format!("{}: run again though nothing happened to {last:?}", named(run)));
            }
        }
        found
    }

    /// Each scheduled time of each item has one verdict, from its first run on.
    fn unaccounted(&self) -> Vec<String> {
        let Some((after, until)) = self.accounted else {
            return Vec::new();
        };
        let accounts = self.accounts();
        let mut first: BTreeMap<(&str, u32), Timestamp> = BTreeMap::new();
        for (job, item, time) in accounts.keys() {
            first.entry((job, *item)).or_insert(*time);
        }
        let nothing = Account::default();
        let mut found = Vec::new();
        for plan in &self.plans {
            for time in times(plan, after, until) {
                for item in 0..plan.items {
                    let key = (plan.name, item, time);
                    // Before its first run the ledger does not know since when an item is to be run.
                    if first.get(&(plan.name, item)).is_none_or(|first| time < *first) {
                        continue;
                    }
                    let account = accounts.get(&key).unwrap_or(&nothing);
                    if let Some(fault) = account.fault(plan.failover) {
                        found.push(format!("{}/{item} at {time}: {fault}: {account:?}", plan.name));
                    }
                }
            }
        }
        found
    }

    fn accounts(&self) -> BTreeMap<(&str, u32, Timestamp), Account> {
        let mut accounts: BTreeMap<(&str, u32, Timestamp), Account> = BTreeMap::new();
        for run in &self.runs {
            let account = accounts
                .entry((&run.id.job, run.id.item, run.id.scheduled))
                .or_default();
            account.has_begun = true;
            account.attempts = account.attempts.max(run.id.attempt);
            if run.end == Some(RunEnd::Finished) {
                account.finished.insert(run.id.run.clone());
            }
        }
        for fact in &self.facts {
            let key = |time: Timestamp| (fact.job.as_str(), fact.item, time);
            match &fact.what {
                What::Claimed { scheduled, attempt } => {
                    let account = accounts.entry(key(*scheduled)).or_default();
                    account.has_begun = true;
                    account.attempts = account.attempts.max(*attempt);
                }
                What::Ended {
                    scheduled,
                    run,
                    verdict,
                    ..
                } => {
                    let account = accounts.entry(key(*scheduled)).or_default();
                    account.ended.insert(run.clone(), *verdict);
                }
                What::Skipped { after, before } => {
                    let Some(plan) = self.plans.iter().find(|plan| plan.name == fact.job) else {
                        continue;
                    };
                    // Both ends of the range are other times.
                    for time in times(plan, *after, *before).filter(|time| time < before) {
                        accounts.entry(key(time)).or_default().is_skipped = true;
                    }
                }
            }
        }
        accounts
    }

    /// While nothing happens, each time is run.
    fn not_calm(&self) -> Vec<String> {
        let finished: BTreeSet<(&str, u32, Timestamp)> = self
            .runs
            .iter()
            .filter(|run| run.end == Some(RunEnd::Finished))
            .map(|run| (run.id.job.as_str(), run.id.item, run.id.scheduled))
            .collect();
        let mut found = Vec::new();
        for (after, until) in &self.calm {
            for plan in &self.plans {
                for time in times(plan, *after, *until) {
                    let missing: Vec<u32> = (0..plan.items)
                        .filter(|item| !finished.contains(&(plan.name, *item, time)))
                        .collect();
                    if !missing.is_empty() {
                        found.push(format!(
                            "{}: items {missing:?} were not run at {time}, when all was calm",
                            plan.name
                        ));
                    }
                }
            }
        }
        found
    }
}

/// What is known of one time of one item.
#[derive(Debug, Default)]
struct Account {
    has_begun: bool,
    attempts: u32,
    /// Runs that came to their end, recorded or not.
    finished: BTreeSet<String>,
    /// Runs with a recorded end.
    ended: BTreeMap<String, Verdict>,
    is_skipped: bool,
}

impl Account {
    fn fault(&self, has_failover: bool) -> Option<&'static str> {
        let is_over = !self.finished.is_empty() || !self.ended.is_empty();
        if self.is_skipped && is_over {
            return Some("run and skipped");
        }
        if self.ended.len() > 1 {
            return Some("two runs with an end each");
        }
        let is_lost = self.ended.values().any(|verdict| *verdict == Verdict::Lost);
        if has_failover && is_lost && self.attempts < ATTEMPTS {
            return Some("given up too early");
        }
        if self.is_skipped || is_over || (self.has_begun && !has_failover) {
            return None;
        }
        Some(if self.has_begun {
            "not run again"
        } else {
            "it is not known what became of it"
        })
    }
}

/// Returns the times of a job after the first and up to the second.
fn times(plan: &JobPlan, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let period = i64::from(plan.period);
    // All periods divide a minute.
    let first = after.as_second().div_euclid(period) + 1;
    let last = until.as_second().div_euclid(period);
    (first..=last).map(move |number| Timestamp::from_second(number * period).expect("between two times"))
}

fn process_of(run: &Run) -> Option<i32> {
    let (_, rest) = run.id.instance.split_once("@-@")?;
    rest.split_once('-')?.0.parse().ok()
}

fn named(run: &Run) -> String {
    let id = &run.id;
    format!(
        "{}/{} at {}, attempt {} on {}",
        id.job, id.item, id.scheduled, id.attempt, id.instance
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::RunId;

    const FIRST: i64 = 10;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("within range")
    }

    fn since_boot(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    /// Returns a run of item 0 of the busy job, from one second to another, on host 1.
    fn run(scheduled: i64, attempt: u32, first: u64, last: u64, end: Option<RunEnd>) -> Run {
        Run {
            id: RunId {
                job: "busy".into(),
                item: 0,
                scheduled: at(scheduled),
                attempt,
                run: format!("r{scheduled}"),
                token: Some(i64::try_from(first).expect("small")),
                instance: "127.0.0.1@-@77-abcdef".into(),
            },
            first: since_boot(first),
            last: since_boot(last),
            end,
        }
    }

    fn fact(second: u64, what: What) -> Fact {
        Fact {
            at: since_boot(second),
            job: "busy".into(),
            item: 0,
            what,
        }
    }

    fn ended(scheduled: i64, attempt: u32, verdict: Verdict) -> What {
        What::Ended {
            scheduled: at(scheduled),
            run: format!("r{scheduled}"),
            attempt,
            verdict,
            cause: String::new(),
        }
    }

    /// Returns one job of one item, and the times 10 and 12.
    fn evidence(runs: Vec<Run>, facts: Vec<Fact>) -> Evidence {
        Evidence {
            plans: JobPlan::all(1)[..1].to_vec(),
            runs,
            facts,
            accounted: Some((at(FIRST - 1), at(FIRST + 2))),
            ..Evidence::default()
        }
    }

    #[track_caller]
    fn check(evidence: &Evidence, expected: &[&str]) {
        let found = evidence.violations();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    const FINISHED: Option<RunEnd> = Some(RunEnd::Finished);

    #[test]
    fn what_went_well_or_was_skipped_should_be_lawful() {
        let skipped = What::Skipped {
            after: at(10),
            before: at(14),
        };
        let facts = vec![fact(12, ended(10, 1, Verdict::Succeeded)), fact(15, skipped)];
        check(&evidence(vec![run(10, 1, 10, 11, FINISHED)], facts), &[]);
    }

    #[test]
    fn a_time_without_a_verdict_should_be_found() {
        let first = run(10, 1, 10, 11, FINISHED);
        check(
            &evidence(vec![first.clone()], Vec::new()),
            &["it is not known what became of it"],
        );
        let dead = run(12, 1, 12, 13, None);
        check(&evidence(vec![first.clone(), dead], Vec::new()), &["not run again"]);
        let lost = fact(15, ended(12, 1, Verdict::Lost));
        check(&evidence(vec![first], vec![lost]), &["given up too early"]);
    }

    #[test]
    fn two_verdicts_should_be_found() {
        let skipped = What::Skipped {
            after: at(8),
            before: at(14),
        };
        let runs = vec![run(10, 1, 10, 11, FINISHED)];
        check(&evidence(runs, vec![fact(15, skipped)]), &["run and skipped"]);
    }

    #[test]
    fn a_run_of_a_time_that_is_over_should_be_found() {
        let runs = vec![run(10, 1, 10, 11, FINISHED), run(12, 1, 14, 15, FINISHED)];
        let facts = vec![fact(13, ended(12, 1, Verdict::Succeeded))];
        check(&evidence(runs, facts), &["begins after its end"]);
    }

    #[test]
    fn an_attempt_should_be_due() {
        let runs = vec![
            run(10, 1, 10, 11, FINISHED),
            run(12, 1, 12, 13, None),
            run(12, 2, 14, 15, FINISHED),
        ];
        let mut evidence = evidence(runs, Vec::new());
        check(&evidence, &["run again though nothing happened"]);
        let hurt = |host| Hurt {
            host,
            from: since_boot(13),
            until: since_boot(20),
        };
        evidence.hurts = vec![hurt(Some(2))];
        check(&evidence, &["run again though nothing happened"]);
        evidence.hurts = vec![hurt(Some(1))];
        check(&evidence, &[]);
        evidence.hurts = vec![hurt(None)];
        check(&evidence, &[]);
    }

    #[test]
    fn a_run_should_live_until_its_process_is_killed() {
        let runs = vec![run(10, 1, 10, 11, None), run(12, 1, 13, 14, FINISHED)];
        let mut evidence = evidence(runs, vec![fact(15, ended(10, 1, Verdict::Cancelled))]);
        check(&evidence, &[]);
        evidence.kills = vec![(77, since_boot(14))];
        check(&evidence, &["two runs at once"]);
    }

    #[test]
    fn what_is_not_run_in_the_calm_should_be_found() {
        let runs = vec![run(10, 1, 10, 11, FINISHED)];
        let skipped = What::Skipped {
            after: at(10),
            before: at(14),
        };
        let mut evidence = evidence(runs, vec![fact(15, skipped)]);
        evidence.calm = vec![(at(9), at(11))];
        check(&evidence, &[]);
        evidence.calm = vec![(at(9), at(12))];
        check(&evidence, &["items [0] were not run at"]);
    }
}
