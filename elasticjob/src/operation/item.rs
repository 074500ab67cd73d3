//! The items of a job: owner, status and last run.

use std::fmt;

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::ledger::{Gap, Run, Source, Verdict};
use crate::cluster::progress::StoredProgress;
use crate::cluster::view::{ItemView, MarkHolder};

use super::Note;
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::{Error, Operations};

/// How it stands with an item, by the rules of the Java console: the first that is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ItemStatus {
    /// It is switched off.
    Disabled,
    /// An instance has claimed a run of it.
    Running,
    /// It does not belong to a present instance.
    ShardingFlag,
    /// It waits for its next time.
    Pending,
}

/// One item of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ItemReport {
    /// Its number.
    pub item: u32,
    /// How it stands with it.
    pub status: ItemStatus,
    /// The server of the instance that it belongs to; `None` while that is not there.
    pub server_ip: Option<String>,
    /// The instance that it belongs to; `None` while that is not there.
    pub instance_id: Option<String>,
    /// The instance that it was given to, there or not.
    pub assigned_to: Option<String>,
    /// Who has claimed a run of it, where that is said.
    pub running_on: Option<String>,
    /// Whether an instance took it over from an instance that died.
    pub failover: bool,
    /// What its runs are given.
    pub parameter: Option<String>,
    /// Who switched it off, when and why, where that was said.
    pub disabled: Option<Note>,
    /// Its newest run by an instance of ours.
    pub run: Option<RunReport>,
    /// What its run that goes on reports of its progress.
    pub progress: Option<ProgressReport>,
    /// Its newest run that was lost with its instance and recorded as that by the run that followed.
    pub lost: Option<RunReport>,
    /// The newest times that passed without a run.
    pub skipped: Option<SkippedReport>,
}

/// The newest run of an item, from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunReport {
    /// Names the run, over all its attempts.
    pub id: String,
    /// When it was due, or asked for.
    pub due: Option<Timestamp>,
    /// Counted from 1.
    pub attempt: u32,
    /// The instance that has it, or had it.
    pub owner: String,
    /// Why it runs.
    pub source: Source,
    /// How it ended; `None` while it runs, or since its owner died.
    pub verdict: Option<Verdict>,
    /// Why it ended so.
    pub cause: Option<String>,
}

/// The progress of a run, as its code reported it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProgressReport {
    /// From 0 to 100, rounded down; `None` if the run does not say so.
    pub percent: Option<u8>,
    /// What it says, for people.
    pub text: String,
    /// When it said so, by the clock of its instance.
    pub at: Timestamp,
    /// How long ago that was when it was read, in seconds.
    pub age_seconds: u64,
}

/// Scheduled times that passed without a run, from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SkippedReport {
    /// All after this time,
    pub after: Option<Timestamp>,
    /// and before this one.
    pub before: Option<Timestamp>,
    /// How many they are.
    pub count: u64,
    /// Why.
    pub reason: String,
}

impl Operations {
    /// The items of a job, sorted.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Registry`].
    pub async fn items(&self, job: &str) -> Result<Vec<ItemReport>, Error> {
        let survey = self.survey(job, Depth::Whole).await?;
        let config = survey.configuration().and_then(Result::ok);
        Ok(items(&survey, config.as_ref(), self.now()))
    }
}

/// What there is below `sharding`, and what the ledger says of each.
pub(super) fn items(survey: &Survey, config: Option<&JobConfig>, now: Timestamp) -> Vec<ItemReport> {
    let there = survey.view.items.iter().filter(|(_, item)| item.exists);
    there
        .map(|(item, view)| report(survey, config, *item, view, now))
        .collect()
}

fn report(survey: &Survey, config: Option<&JobConfig>, item: u32, view: &ItemView, now: Timestamp) -> ItemReport {
    let present = view
        .owner
        .as_ref()
        .filter(|owner| survey.view.instances.contains(*owner));
    let record = survey.ledgers.get(&item).map(|stored| &stored.value);
    ItemReport {
        item,
        status: match () {
            () if view.is_disabled => ItemStatus::Disabled,
            () if view.mark.is_some() => ItemStatus::Running,
            () if present.is_none() => ItemStatus::ShardingFlag,
            () => ItemStatus::Pending,
        },
        server_ip: present.map(|owner| owner.server().to_owned()),
        instance_id: present.map(ToString::to_string),
        assigned_to: view.owner.as_ref().map(ToString::to_string),
        running_on: view.mark.as_ref().and_then(|mark| match &mark.holder {
            MarkHolder::Instance(id) => Some(id.to_string()),
            MarkHolder::Session | MarkHolder::Nobody | MarkHolder::Unknown => None,
        }),
        failover: view.failover.is_some(),
        parameter: config
            .and_then(|config| config.item_parameters().get(item))
            .map(str::to_owned),
        disabled: survey.note_of(&Switch::Item(item)).cloned(),
        run: record.and_then(|record| record.run.as_ref()).map(RunReport::of),
        progress: survey.progress_of(item).map(|stored| ProgressReport::of(stored, now)),
        lost: record.and_then(|record| record.lost.as_ref()).map(RunReport::of),
        skipped: record.and_then(|record| record.skipped.as_ref()).map(SkippedReport::of),
    }
}

impl RunReport {
    pub(super) fn of(run: &Run) -> Self {
        Self {
            id: run.id.clone(),
            due: Timestamp::from_millisecond(run.due).ok(),
            attempt: run.attempt,
            owner: run.owner.clone(),
            source: run.source,
            verdict: run.end.as_ref().map(|end| end.verdict),
            cause: run.end.as_ref().and_then(|end| end.cause.clone()),
        }
    }
}

impl ProgressReport {
    pub(super) fn of(stored: &StoredProgress, now: Timestamp) -> Self {
        let at = Timestamp::from_millisecond(stored.at).unwrap_or(now);
        Self {
            percent: stored.percent,
            text: stored.text.clone(),
            at,
            // The clock of the instance may be ahead of ours.
            age_seconds: now.duration_since(at).as_secs().max(0).unsigned_abs(),
        }
    }
}

impl fmt::Display for ProgressReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            percent,
            text,
            age_seconds,
            ..
        } = self;
        percent.iter().try_for_each(|percent| write!(f, "{percent} % "))?;
        if !text.is_empty() {
            write!(f, "{text} ")?;
        }
        write!(f, "({age_seconds} s ago)")
    }
}

impl SkippedReport {
    pub(super) fn of(gap: &Gap) -> Self {
        Self {
            after: Timestamp::from_millisecond(gap.after).ok(),
            before: Timestamp::from_millisecond(gap.before).ok(),
            count: gap.count,
            reason: gap.reason.clone(),
        }
    }
}
