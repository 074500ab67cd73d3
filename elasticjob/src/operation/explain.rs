//! Why a job, or an item of it, does not run.
//!
//! An explanation is made from one reading of the registry, by pure code. It states facts and gives no advice that
//! depends on more than was read: each [`Finding`] says what is so, and `Display` says it in a sentence. A job that is
//! held up as a whole has no item that "waits for its next time", because that would read as if all were well.

mod chinese;
mod overdue;

use std::collections::BTreeMap;
use std::fmt;

use elasticjob_config::job::{Errors, JobConfig};
use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::view::{ItemView, MarkHolder, ServerStatus, View};
use crate::run::{Reason, Verdict};

use self::overdue::Overdue;
use super::Note;
use super::item::{ProgressReport, RunReport, SkippedReport};
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::{Error, Operations, next};

/// Why a job and its items run or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// The name of the job.
    pub job_name: String,
    /// The facts about the job as a whole, those that keep it from running first.
    pub findings: Vec<Finding>,
    /// All items in ascending order, each with the facts about it.
    pub items: Vec<ItemExplanation>,
}

/// Why an item runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ItemExplanation {
    /// The number of the item, from 0.
    pub item: u32,
    /// The facts about the item, those that keep it from running first.
    pub findings: Vec<Finding>,
}

/// A fact about a job or an item, and why it matters. `Display` says it in a sentence for operators, and JSON has it as
/// `{"finding": "ITEM_DISABLED", "note": ..}`.
///
/// Those that keep something from running are [obstacles](Self::is_obstacle), and come first in a report.
///
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(
    tag = "finding",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
#[expect(
    missing_docs,
    reason = "the fields are what the variants speak of, by the names of the other reports"
)]
#[non_exhaustive]
pub enum Finding {
    /// There is no configuration, so no instance can run the job. The job is being removed, or another program wrote its node.
    NoConfiguration,
    /// No job can run by the configuration in the registry; `problem` has all its faults. `elasticjob config set` repairs it.
    InvalidConfiguration { problem: String },
    /// No process runs the job now. Start one, and see its log and health if it does not register.
    NoInstance,
    /// The whole job is paused: nothing of it starts until `elasticjob enable JOB`. `note` names the operator, the time and the reason, if
    /// that is known.
    Paused { note: Option<Note> },
    /// All servers that have instances are switched off, so no item has an owner. `elasticjob enable --server ADDRESS` switches one on.
    AllServersDisabled,
    /// A server is switched off: its instances own no items. `note` names the operator, the time and the reason, if that is known.
    ServerDisabled { server: String, note: Option<Note> },
    /// The switch of a server is neither on nor off. It counts as off; only a program other than ours writes such a value.
    ServerUnclear { server: String },
    /// The schedule has no time to come, such as a day in a year that is over: the job runs only for triggers.
    NeverFires { cron: String },
    /// The leader has to share the items out, or does so now (`is_under_way`). No firing begins until then. This takes a moment; if it stays,
    /// the leader is waiting for runs of Java members to end.
    #[cfg_attr(feature = "openapi", schema(rename_all = "camelCase"))]
    Resharding { is_under_way: bool },
    /// The job has no leader at the moment. An instance becomes the leader within the session timeout.
    NoLeader,
    /// An instance has a trigger and has not begun a run for it. If it is not present (`is_present`), the trigger is removed by the leader.
    #[cfg_attr(feature = "openapi", schema(rename_all = "camelCase"))]
    TriggerWaits { instance: String, is_present: bool },
    /// A process has the job and takes no items, because it cannot run the job by the configuration in the registry; `reason` says why. It
    /// joins when the configuration changes.
    StandsBy { instance: String, reason: String },
    /// An instance runs the job by the last configuration that it could use; `reason` says what keeps it from using the newest one.
    Outdated { instance: String, reason: String },
    /// Instances run by the configuration in the registry, and the configuration of their application differs. `differences` lists the
    /// settings; `overwrite: true` in the application writes its own into the registry.
    OtherwiseConfigured {
        instances: Vec<String>,
        differences: String,
    },
    /// The registry refuses a request that an instance has to make for the job, such as for a missing right. `problem` names the node and
    /// the answer. The request is repeated slowly.
    Hindered { instance: String, problem: String },
    /// An instance gives its items away as their runs end, and starts nothing more.
    Draining { instance: String },
    /// The item is switched off: its scheduled times are skipped. `note` names the operator, the time and the reason, if that is known.
    ItemDisabled { note: Option<Note> },
    /// The item has no owner. The leader assigns it to an instance as soon as there is one.
    NoOwner,
    /// The job's sharding strategy gives the item to no instance, such as `LABEL` if no instance has the label of the item.
    Unassigned,
    /// The owner of the item is gone. The leader assigns the item to another instance.
    OwnerGone { instance: String },
    /// The server of the item's owner is switched off. The leader assigns the item to an instance on another server.
    OwnerDisabled { instance: String },
    /// The item moves to another instance when its run has ended. Until then no other run of it begins.
    Moving,
    /// The item is marked as running by an instance that is gone: it does not run until the leader removes the mark, which takes a moment.
    DeadMark { instance: String },
    /// The instance that ran the item died, and another instance is about to run the item again (failover).
    AwaitsTakeover,
    /// The item runs, or waits for room in the pool: on this instance, if the mark names it, and as this run, if an instance of ours has it.
    Running { on: Option<String>, run: Option<RunReport> },
    /// The newest progress report of the run that goes on.
    Progress { progress: ProgressReport },
    /// An operator triggered the item alone, and the run has not begun: the owner waits until the item is free.
    RequestWaits,
    /// An operator has cancelled the run, and it has not ended yet. Blocking code ends only by itself.
    Cancelling { note: Note },
    /// Instances died one after another while they ran the item, as often as `elasticjob.failover-attempts` allows. The item waits for its
    /// next scheduled time. `run` is the last attempt.
    Parked { run: RunReport },
    /// The newest run of the item failed, was cancelled or was lost; `run` has the cause.
    NotSucceeded { run: RunReport },
    /// Scheduled times passed without a run; `times` has the reason.
    Skipped { times: SkippedReport },
    /// A minute or more after scheduled times, `items` items of the job have neither a run nor a reason on record for them; `since` is
    /// the first of these times. No instance served the job then, or none does its work.
    Overdue { since: Timestamp, items: u32 },
    /// The job is a one-off job: it has no schedule, and runs only when it is triggered.
    OneOff,
    /// `misfire` is off: a scheduled time that comes while the job runs is skipped.
    MisfireOff,
    /// `monitor-execution` is off: running items are not marked, so there is no failover, and runs may overlap.
    MonitorExecutionOff,
    /// All is well: the item waits for its next scheduled time, which is `next`.
    Waits { next: Timestamp },
}

impl Finding {
    /// Returns whether it keeps the job or the item from running at its next time.
    #[must_use]
    pub fn is_obstacle(&self) -> bool {
        match self {
            Self::NoConfiguration
            | Self::InvalidConfiguration { .. }
            | Self::NoInstance
            | Self::Paused { .. }
            | Self::AllServersDisabled
            | Self::NeverFires { .. }
            | Self::Hindered { .. }
            | Self::Resharding { .. }
            | Self::ItemDisabled { .. }
            | Self::NoOwner
            | Self::Unassigned
            | Self::OwnerGone { .. }
            | Self::OwnerDisabled { .. }
            | Self::Moving
            | Self::DeadMark { .. } => true,
            Self::ServerDisabled { .. }
            | Self::ServerUnclear { .. }
            | Self::NoLeader
            | Self::TriggerWaits { .. }
            | Self::StandsBy { .. }
            | Self::Outdated { .. }
            | Self::OtherwiseConfigured { .. }
            | Self::Draining { .. }
            | Self::AwaitsTakeover
            | Self::Running { .. }
            | Self::Progress { .. }
            | Self::RequestWaits
            | Self::Cancelling { .. }
            | Self::Parked { .. }
            | Self::NotSucceeded { .. }
            | Self::Skipped { .. }
            | Self::Overdue { .. }
            | Self::OneOff
            | Self::MisfireOff
            | Self::MonitorExecutionOff
            | Self::Waits { .. } => false,
        }
    }
}

impl Operations {
    /// Explains why a job and its items run or not: which operator switched them off, what is missing, what they wait for, and how
    /// their last runs ended.
    ///
    /// It reads as much as [`items`](Self::items) does.
    ///
    /// ```no_run
    /// use elasticjob::operation::{Finding, Operations};
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// let explanation = operations.explain("sync_orders").await?;
    /// for obstacle in explanation.findings.iter().filter(|finding| finding.is_obstacle()) {
    ///     println!("{obstacle}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn explain(&self, job: &str) -> Result<Explanation, Error> {
        Ok(explain(&self.survey(job, Depth::Whole).await?, self.now()))
    }
}

/// Explains a job from what was read of it. `now` decides which time is the next.
pub(super) fn explain(survey: &Survey, now: Timestamp) -> Explanation {
    of(survey, survey.configuration(), now).0
}

/// As [`explain`], by the configuration that was read, for a caller that has it already. Also returns when the explanation changes
/// although nothing happens, if it does before the next scheduled time.
pub(super) fn of(
    survey: &Survey,
    config: Option<Result<JobConfig, Errors>>,
    now: Timestamp,
) -> (Explanation, Option<Timestamp>) {
    let mut findings = match &config {
        None => vec![Finding::NoConfiguration],
        Some(Err(errors)) => vec![Finding::InvalidConfiguration {
            problem: errors.to_string(),
        }],
        Some(Ok(_)) => Vec::new(),
    };
    let config = config.and_then(Result::ok);
    findings.extend(of_cluster(survey));
    findings.extend(config.iter().flat_map(|config| of_schedule(config, now)));
    let overdue = config
        .as_ref()
        .map(|config| Overdue::of(survey, config, now))
        .unwrap_or_default();
    findings.extend(overdue.finding());
    if findings.iter().any(Finding::is_obstacle) {
        // The caller would read that all is well.
        findings.retain(|finding| !matches!(finding, Finding::Waits { .. }));
    }
    let total = config.as_ref().map_or(0, |config| config.sharding_total_count().get());
    // An item of a job that is held up as a whole does not wait for its time either.
    let is_held_up = findings.iter().any(Finding::is_obstacle);
    let scheduled = config.as_ref().filter(|_| !is_held_up);
    let next = scheduled.and_then(|config| next::of(config, now, 1).pop());
    let explanation = Explanation {
        job_name: survey.job().to_owned(),
        findings: obstacles_first(findings),
        items: (0..total)
            .map(|item| ItemExplanation {
                item,
                findings: obstacles_first(of_item(survey, item, next, now)),
            })
            .collect(),
    };
    (explanation, overdue.next)
}

/// Sorts findings so that obstacles come first. Those of one kind stay in their order.
fn obstacles_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| !finding.is_obstacle());
    // A job may have a million items.
    findings.shrink_to_fit();
    findings
}

fn of_cluster(survey: &Survey) -> Vec<Finding> {
    let view = &survey.view;
    let mut findings = Vec::new();
    findings.extend(view.pause.as_ref().map(|pause| Finding::Paused {
        note: pause.note.clone(),
    }));
    if view.instances.is_empty() {
        findings.push(Finding::NoInstance);
    } else if !view.instances.iter().any(|id| view.is_enabled(id)) {
        findings.push(Finding::AllServersDisabled);
    }
    findings.extend(view.servers.iter().filter_map(|(ip, status)| match status {
        ServerStatus::Enabled => None,
        ServerStatus::Disabled => Some(Finding::ServerDisabled {
            server: ip.clone(),
            note: survey.note_of(&Switch::Server(ip.clone())).cloned(),
        }),
        ServerStatus::Unclear => Some(Finding::ServerUnclear { server: ip.clone() }),
    }));
    if view.is_resharding() {
        findings.push(Finding::Resharding {
            is_under_way: view.is_resharding_processing,
        });
    }
    if view.leader.is_none() && !view.instances.is_empty() {
        findings.push(Finding::NoLeader);
    }
    findings.extend(view.triggers.keys().map(|id| Finding::TriggerWaits {
        instance: id.to_string(),
        is_present: view.instances.contains(id),
    }));
    findings.extend(survey.standbys.iter().map(|(id, standby)| Finding::StandsBy {
        instance: id.clone(),
        reason: standby.reason.clone(),
    }));
    findings.extend(view.members.iter().filter_map(|(id, member)| {
        Some(Finding::Outdated {
            instance: id.to_string(),
            reason: member.outdated.clone()?,
        })
    }));
    findings.extend(otherwise_configured(view));
    findings.extend(view.members.iter().flat_map(|(id, member)| {
        member.hindrances.iter().map(|problem| Finding::Hindered {
            instance: id.to_string(),
            problem: problem.clone(),
        })
    }));
    let draining = view.members.iter().filter(|(_, member)| member.draining);
    findings.extend(draining.map(|(id, _)| Finding::Draining {
        instance: id.to_string(),
    }));
    findings
}

/// Most instances have the same version of the application: findings that they have in common are reported once.
fn otherwise_configured(view: &View) -> Vec<Finding> {
    let mut instances: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (id, member) in &view.members {
        if let Some(differences) = &member.differences {
            instances.entry(differences).or_default().push(id.to_string());
        }
    }
    let finding = |(differences, instances): (&String, _)| Finding::OtherwiseConfigured {
        instances,
        differences: differences.clone(),
    };
    instances.into_iter().map(finding).collect()
}

fn of_schedule(config: &JobConfig, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    match (config.cron(), next::of(config, now, 1).pop()) {
        (None, _) => findings.push(Finding::OneOff),
        (Some(cron), None) => findings.push(Finding::NeverFires { cron: cron.to_string() }),
        (Some(_), Some(next)) => findings.push(Finding::Waits { next }),
    }
    if !config.misfire() && config.cron().is_some() {
        findings.push(Finding::MisfireOff);
    }
    if !config.monitor_execution() {
        findings.push(Finding::MonitorExecutionOff);
    }
    findings
}

fn of_item(survey: &Survey, item: u32, next: Option<Timestamp>, now: Timestamp) -> Vec<Finding> {
    let view = &survey.view;
    let none = ItemView::default();
    let state = view.items.get(&item).map_or(&none, |state| &**state);
    let record = survey.ledgers.get(&item).map(|stored| &stored.value);
    let run = record.and_then(|record| record.run.as_ref()).map(RunReport::of);
    let mut findings = Vec::new();
    if state.is_disabled {
        findings.push(Finding::ItemDisabled {
            note: survey.note_of(&Switch::Item(item)).cloned(),
        });
    }
    findings.extend(of_owner(view, item, state));
    if view.is_moving(item) {
        findings.push(Finding::Moving);
    }
    if view.failover_queue.contains(&item) {
        findings.push(Finding::AwaitsTakeover);
    }
    match state.mark.as_ref().map(|mark| &mark.holder) {
        Some(MarkHolder::Instance(id)) if !view.is_alive(id) => findings.push(Finding::DeadMark {
            instance: id.to_string(),
        }),
        Some(holder) => findings.push(Finding::Running {
            on: match holder {
                MarkHolder::Instance(id) => Some(id.to_string()),
                _ => None,
            },
            run: run.clone().filter(|run| run.verdict.is_none()),
        }),
        None => {}
    }
    if let Some(stored) = survey.progress_of(item) {
        let progress = ProgressReport::of(stored, now);
        findings.push(Finding::Progress { progress });
    }
    if view.item_triggers.contains_key(&item) {
        findings.push(Finding::RequestWaits);
    }
    let open = run.as_ref().filter(|run| run.verdict.is_none());
    if let Some(cancel) = open.and_then(|run| view.cancel_of(item, &run.id)) {
        let note = cancel.note.clone();
        findings.push(Finding::Cancelling { note });
    }
    if let Some(run) = run.filter(|run| run.verdict.is_some_and(|verdict| verdict != Verdict::Succeeded)) {
        let is_parked = run.code == Some(Reason::Parked);
        findings.push(if is_parked {
            Finding::Parked { run }
        } else {
            Finding::NotSucceeded { run }
        });
    }
    if let Some(gap) = record.and_then(|record| record.skipped.as_ref()) {
        findings.push(Finding::Skipped {
            times: SkippedReport::of(gap),
        });
    }
    if !findings.iter().any(Finding::is_obstacle)
        && let Some(next) = next
    {
        findings.push(Finding::Waits { next });
    }
    findings
}

fn of_owner(view: &View, item: u32, state: &ItemView) -> Option<Finding> {
    let Some(owner) = &state.owner else {
        let basis = view.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref());
        return Some(if basis.is_some_and(|basis| basis.leaves_out(item)) {
            Finding::Unassigned
        } else {
            Finding::NoOwner
        });
    };
    let instance = owner.to_string();
    match () {
        () if !view.instances.contains(owner) => Some(Finding::OwnerGone { instance }),
        () if !view.is_enabled(owner) => Some(Finding::OwnerDisabled { instance }),
        () => None,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConfiguration => f.write_str("the registry has no configuration of it"),
            Self::InvalidConfiguration { problem } => write!(f, "no job can run by its configuration: {problem}"),
            Self::NoInstance => f.write_str("no instance serves it"),
            Self::Paused { note } => write!(f, "it is paused{}: nothing of it starts", Said(note.as_ref())),
            Self::AllServersDisabled => f.write_str("all servers that have instances are switched off"),
            Self::ServerDisabled { server, note } => {
                write!(f, "server {server} is switched off{}", Said(note.as_ref()))
            }
            Self::ServerUnclear { server } => write!(
                f,
                "the switch of server {server} says neither ENABLED nor DISABLED, so nothing runs there"
            ),
            Self::NeverFires { cron } => write!(f, "its schedule `{cron}` has no time to come"),
            Self::Resharding { is_under_way: true } => {
                f.write_str("its items are being shared out, nothing starts now")
            }
            Self::Resharding { is_under_way: false } => {
                f.write_str("its items wait for the leader to share them out, nothing starts before")
            }
            Self::NoLeader => f.write_str("it has no leader at this moment"),
            Self::TriggerWaits {
                instance,
                is_present: true,
            } => write!(f, "{instance} has a trigger and has not begun"),
            Self::TriggerWaits { instance, .. } => write!(f, "{instance} has a trigger, and is gone"),
            Self::StandsBy { instance, reason } => write!(f, "{instance} takes no items: {reason}"),
            Self::Outdated { instance, reason } => write!(
                f,
                "{instance} runs by the configuration before, because it cannot run by this one: {reason}"
            ),
            Self::OtherwiseConfigured { instances, differences } => write!(
                f,
                "the registry's configuration is in force, and differs from that of the application of {}: {differences}",
                instances.join(", ")
            ),
            Self::Hindered { instance, problem } => write!(f, "{instance} cannot {problem}"),
            Self::Draining { instance } => write!(f, "{instance} is draining: it gets no items"),
            Self::ItemDisabled { note } => write!(f, "it is switched off{}", Said(note.as_ref())),
            Self::NoOwner => f.write_str("no instance has it: the leader is about to share it out"),
            Self::Unassigned => f.write_str("no instance has it: the job's sharding strategy gives it to none"),
            Self::OwnerGone { instance } => write!(f, "it was given to {instance}, which is gone"),
            Self::OwnerDisabled { instance } => {
                write!(f, "it belongs to {instance}, and the server of that is switched off")
            }
            Self::Moving => f.write_str("it waits for its run to end, to move to another instance"),
            Self::DeadMark { instance } => write!(
                f,
                "it is marked as running by {instance}, which is gone: it does not run until the mark is removed"
            ),
            Self::AwaitsTakeover => f.write_str("it waits to be taken over from an instance that died"),
            Self::Running { on, run } => {
                f.write_str("it runs")?;
                on.iter().try_for_each(|on| write!(f, " on {on}"))?;
                run.iter().try_for_each(|run| write!(f, ", {run}"))
            }
            Self::Progress { progress } => write!(f, "progress: {progress}"),
            Self::RequestWaits => f.write_str("a run of this item alone was triggered, and has not begun"),
            Self::Cancelling { note } => write!(f, "its run is being cancelled {note}"),
            Self::Parked { run } => write!(f, "it was given up at this time, its instances died in a row: {run}"),
            Self::NotSucceeded { run } => write!(f, "its newest run did not succeed: {run}"),
            Self::Skipped { times } => write!(f, "{times}"),
            Self::Overdue { since, items: 1 } => {
                write!(f, "1 item has neither a run nor a reason on record since {since}")
            }
            Self::Overdue { since, items } => {
                write!(
                    f,
                    "{items} items have neither a run nor a reason on record since {since}"
                )
            }
            Self::OneOff => f.write_str("it has no schedule: it runs when it is triggered"),
            Self::MisfireOff => f.write_str("a time that comes while it runs is not made up: `misfire` is off"),
            Self::MonitorExecutionOff => f.write_str(
                "its runs are not marked, so they may overlap and are not taken over: `monitorExecution` is off",
            ),
            Self::Waits { next } => write!(f, "it waits for its next time, {next}"),
        }
    }
}

/// Who said it, when and why, as the end of a sentence.
struct Said<'a>(Option<&'a Note>);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(note) = self.0 else {
            return f.write_str(" by an unknown operator");
        };
        write!(f, " {note}")
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.due.iter().try_for_each(|due| write!(f, "due {due}, "))?;
        write!(f, "attempt {} on {}", self.attempt, self.owner)?;
        self.verdict.iter().try_for_each(|verdict| write!(f, ", {verdict}"))?;
        self.cause.iter().try_for_each(|cause| write!(f, " ({cause})"))
    }
}

impl fmt::Display for SkippedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.count == 1 { "time" } else { "times" };
        write!(f, "{} {times} passed without a run", self.count)?;
        if let (Some(after), Some(before)) = (self.after, self.before) {
            write!(f, " between {after} and {before}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
