//! What needs attention of a job, and what it does: pure, made of what the world knows of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use elasticjob::operation::world::{Cell, JobNow, Outcome, Picture};
use elasticjob::operation::{Finding, ItemStatus, JobReport, JobStatus};
use elasticjob::run::Verdict;
use jiff::Timestamp;

use crate::page::zone;
use crate::text::{clock, shown};
use crate::words::Words;

/// So many failures in a row are worse than the last run having failed.
const IN_A_ROW: usize = 3;

/// How bad it is. The order is that of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Work is not done, or fails.
    Failing,
    /// Work was left out, or will be.
    Notable,
    /// An operator switched it off.
    Off,
    /// All is well.
    Well,
}

/// The worst that there is to say of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) severity: Severity,
    /// What is said of it; empty if all is well.
    pub(crate) reason: String,
}

impl Severity {
    /// Returns its shape, which says the same as its colour.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Failing => "✗",
            Self::Notable => "◆",
            Self::Off => "◌",
            Self::Well => "✓",
        }
    }

    /// Returns its class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Notable => "notable",
            Self::Off => "off",
            Self::Well => "well",
        }
    }
}

impl Condition {
    /// Returns the condition of a job at `now`.
    pub(crate) fn of(job: &JobNow, words: &Words, now: Timestamp) -> Self {
        let candidates = of_job(job, words, now).chain(of_items(job, words));
        let worst = candidates.min_by_key(|condition| condition.severity);
        worst.unwrap_or(Self {
            severity: Severity::Well,
            reason: String::new(),
        })
    }
}

/// What keeps the job as a whole from running.
fn of_job<'a>(job: &'a JobNow, words: &'a Words, now: Timestamp) -> impl Iterator<Item = Condition> + 'a {
    job.explanation.findings.iter().filter_map(move |finding| {
        let severity = match finding {
            Finding::Paused { .. } | Finding::AllServersDisabled => Severity::Off,
            Finding::Resharding { .. } | Finding::NoLeader => return None,
            Finding::ServerDisabled { .. }
            | Finding::ServerUnclear { .. }
            | Finding::StandsBy { .. }
            | Finding::Outdated { .. } => Severity::Notable,
            Finding::Overdue { since, .. } => {
                let reason = (words.overdue)(&clock(*since, &zone(&job.report), now));
                let severity = Severity::Failing;
                return Some(Condition { severity, reason });
            }
            finding if finding.is_obstacle() => Severity::Failing,
            _ => return None,
        };
        Some(Condition {
            severity,
            reason: (words.finding)(finding),
        })
    })
}

fn of_items<'a>(job: &'a JobNow, words: &'a Words) -> impl Iterator<Item = Condition> + 'a {
    let off: Vec<String> = {
        let items = job.report.items.iter();
        items
            .filter(|item| is_item_off(job, item.item))
            .map(|item| item.item.to_string())
            .collect()
    };
    let switched_off = (!off.is_empty()).then(|| Condition {
        severity: Severity::Notable,
        reason: (words.items_off)(&shown(&off.join(", "))),
    });
    let failing = job.report.items.iter().filter_map(|report| {
        let run = report.run.as_ref()?;
        let verdict = run
            .verdict
            .filter(|verdict| !matches!(verdict, Verdict::Succeeded | Verdict::Skipped))?;
        let cause = shown(run.cause.as_deref().unwrap_or_default());
        let times = failures_in_a_row(job, report.item);
        let is_repeated = verdict == Verdict::Failed && times >= IN_A_ROW;
        Some(Condition {
            severity: if verdict == Verdict::Cancelled {
                Severity::Notable
            } else {
                Severity::Failing
            },
            reason: if is_repeated {
                (words.failed_in_a_row)(report.item, times, server(&run.owner), &cause)
            } else {
                (words.did_not_succeed)(report.item, (words.outcome)(Outcome::Ended(verdict)), &cause)
            },
        })
    });
    switched_off.into_iter().chain(failing)
}

/// Returns whether the job as a whole is switched off.
pub(crate) fn is_off(report: &JobReport) -> bool {
    report.brief.is_paused || report.brief.status == JobStatus::Disabled
}

fn is_item_off(job: &JobNow, item: u32) -> bool {
    let found = job.report.items.get(item as usize).filter(|report| report.item == item);
    found.is_some_and(|report| report.status == ItemStatus::Disabled)
}

/// How often an item has failed since it last succeeded, as far as that was seen.
fn failures_in_a_row(job: &JobNow, item: u32) -> usize {
    let ended = |cell: &&Cell| matches!(cell.outcome, Outcome::Ended(_));
    let cells = job
        .firings
        .all()
        .iter()
        .rev()
        .filter_map(|firing| firing.cell(item))
        .filter(ended);
    cells
        .take_while(|cell| cell.outcome == Outcome::Ended(Verdict::Failed))
        .count()
}

/// Returns the address in the id of an instance.
pub(crate) fn server(instance: &str) -> &str {
    instance.split_once("@-@").map_or(instance, |(server, _)| server)
}

/// The conditions of all jobs at one moment.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    jobs: BTreeMap<Arc<str>, Judged>,
    pub(crate) totals: Totals,
    /// The revision of the picture that was judged.
    revision: u64,
}

/// A job as it was judged.
#[derive(Clone, Debug)]
struct Judged {
    revision: u64,
    condition: Arc<Condition>,
}

impl Judgement {
    /// Judges all jobs of a picture. Those that have not changed since `self` are taken over, so that this costs what has changed.
    pub(crate) fn next(&self, picture: &Picture, words: &Words, now: Timestamp) -> Self {
        let is_valid = |judged: &&Judged, job: &JobNow| judged.revision == job.revision;
        let judge = |(name, job): (&Arc<str>, &Arc<JobNow>)| {
            let known = self.jobs.get(name).filter(|judged| is_valid(judged, job));
            let judged = known.cloned().unwrap_or_else(|| Judged {
                revision: job.revision,
                condition: Arc::new(Condition::of(job, words, now)),
            });
            (Arc::clone(name), judged)
        };
        let jobs: BTreeMap<Arc<str>, Judged> = picture.jobs.iter().map(judge).collect();
        Self {
            jobs,
            totals: Totals::of(picture),
            revision: picture.revision,
        }
    }

    /// Returns whether it still says what [`next`](Self::next) would.
    pub(crate) fn is_of(&self, picture: &Picture) -> bool {
        self.revision == picture.revision
    }

    /// Returns the condition of a job.
    pub(crate) fn of(&self, job: &str) -> Option<&Condition> {
        self.jobs.get(job).map(|judged| &*judged.condition)
    }

    /// Returns the conditions of all jobs, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Condition)> {
        self.jobs.iter().map(|(name, judged)| (name, &*judged.condition))
    }
}

/// What needs attention of all jobs: one line for each cause, with the jobs that it concerns, the worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    pub(crate) severity: Severity,
    pub(crate) reason: String,
    pub(crate) jobs: Vec<Arc<str>>,
}

/// Groups conditions by their cause.
pub(crate) fn concerns<'a>(conditions: impl IntoIterator<Item = (&'a Arc<str>, &'a Condition)>) -> Vec<Concern> {
    let mut by_reason: BTreeMap<(Severity, &str), Vec<Arc<str>>> = BTreeMap::new();
    for (job, condition) in conditions {
        if condition.severity < Severity::Off {
            by_reason
                .entry((condition.severity, &condition.reason))
                .or_default()
                .push(Arc::clone(job));
        }
    }
    let concern = |((severity, reason), jobs): ((Severity, &str), Vec<Arc<str>>)| Concern {
        severity,
        reason: reason.to_owned(),
        jobs,
    };
    by_reason.into_iter().map(concern).collect()
}

/// What runs where, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) jobs: usize,
    pub(crate) items: usize,
    pub(crate) instances: usize,
}

impl Totals {
    pub(crate) fn of(picture: &Picture) -> Self {
        let reports = || picture.jobs.values().map(|job| &job.report);
        let ids = reports()
            .flat_map(|report| &report.instances)
            .map(|instance| &*instance.id);
        Self {
            jobs: picture.jobs.len(),
            items: reports().map(|report| report.brief.sharding_total_count as usize).sum(),
            instances: ids.collect::<std::collections::BTreeSet<_>>().len(),
        }
    }
}

/// Returns whether an item of the job runs.
pub(crate) fn is_running(report: &JobReport) -> bool {
    report.items.iter().any(|item| item.status == ItemStatus::Running)
}

/// Returns the median and the 95th percentile of the durations that were seen, in milliseconds.
pub(crate) fn durations(job: &JobNow) -> Option<(u64, u64)> {
    let cells = job.firings.all().iter().flat_map(|firing| firing.cells());
    let mut took: Vec<u64> = cells.filter_map(|(_, cell)| cell.took_millis).collect();
    took.sort_unstable();
    let at = |part: usize| took.get((took.len().checked_sub(1)?) * part / 100).copied();
    Some((at(50)?, at(95)?))
}
