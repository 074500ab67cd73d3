//! The items of a job: owner, status and last run.

use std::fmt;

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::ledger::{Gap, Reason, Run, Source, Verdict};
use crate::cluster::progress::StoredProgress;
use crate::cluster::view::{ItemView, MarkHolder};

use super::Note;
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::{Error, Operations};

/// The status of an item, by the rules of the Java console: the first of these that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ItemStatus {
    /// An operator switched the item off. A run that goes on is not ended by that.
    Disabled,
    /// An instance has claimed a run of it: the run goes on, or waits for room in the pool.
    Running,
    /// It has no owner, or its owner is gone: it waits until the leader shares the items out.
    ShardingFlag,
    /// It has an owner, and waits for its next scheduled time.
    Pending,
}

/// One item of a job, as the registry has it. In JSON, names are in camel case: `runningOn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ItemReport {
    /// The number of the item, from 0.
    pub item: u32,
    /// The status of the item.
    pub status: ItemStatus,
    /// The address of its owner's server; `None` if the item has no owner, or the owner is gone.
    pub server_ip: Option<String>,
    /// The id of its owner; `None` if the item has no owner, or the owner is gone.
    pub instance_id: Option<String>,
    /// The id of the instance that the leader assigned it to, also if that is gone; `None` if it is unassigned.
    pub assigned_to: Option<String>,
    /// The id of the instance that has claimed a run of it. `None` if nothing runs, and for a mark that names no instance, such as
    /// one of a Java member.
    pub running_on: Option<String>,
    /// Whether an instance runs it in place of one that died.
    pub failover: bool,
    /// The parameter of the item in the configuration, which its runs are given.
    pub parameter: Option<String>,
    /// The operator that switched it off, with time and reason; `None` if it is on, or was switched off by a program that records
    /// no note.
    pub disabled: Option<Note>,
    /// Its newest run on an instance of ours; `None` if there was none.
    pub run: Option<RunReport>,
    /// The newest report of the run that goes on; `None` if it has made no report yet.
    pub progress: Option<ProgressReport>,
    /// The newest run that its instance died with, once the next run has recorded it as lost.
    pub lost: Option<RunReport>,
    /// The newest range of times that passed without a run.
    pub skipped: Option<SkippedReport>,
}

/// The newest run of an item, from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunReport {
    /// The id of the run, which is the same over all its attempts.
    pub id: String,
    /// The scheduled time, or when the run was triggered; `None` if the ledger has a time out of range.
    pub due: Option<Timestamp>,
    /// The number of the newest attempt, from 1.
    pub attempt: u32,
    /// The id of the instance that runs it, or ran it.
    pub owner: String,
    /// Why the item runs.
    pub source: Source,
    /// How it ended; `None` while it runs, or since its owner died.
    pub verdict: Option<Verdict>,
    /// When it ended, by the clock of its instance; `None` while it runs, and if an instance of an older version ran it.
    pub ended: Option<Timestamp>,
    /// How long the work took, in milliseconds; `None` as for `ended`, and if the work did not begin.
    pub took_millis: Option<u64>,
    /// The error, or the reason of a cancellation, cut to a few hundred bytes; `None` if the run succeeded or goes on.
    pub cause: Option<String>,
    /// Why it ended so, for programs, if the cause is one of ours: `parked`; `None` for an error of the work.
    pub code: Option<Reason>,
}

/// The progress of a run, as its code reported it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProgressReport {
    /// From 0 to 100, rounded down; `None` if the run reports no fraction.
    pub percent: Option<u8>,
    /// The text for operators, of 200 characters at most; empty if the run reports none.
    pub text: String,
    /// When the run made the report, by the clock of its instance.
    pub at: Timestamp,
    /// The age of the report when it was read, in seconds. 0 if the clock of the instance is ahead of ours.
    pub age_seconds: u64,
}

/// Scheduled times that passed without a run, from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SkippedReport {
    /// The last moment before the first skipped time; `None` if the ledger has a time out of range.
    pub after: Option<Timestamp>,
    /// The first moment after the last skipped time; `None` if the ledger has a time out of range.
    pub before: Option<Timestamp>,
    /// The number of skipped times.
    pub count: u64,
    /// Why they were skipped, as a text for operators: `switched off`.
    pub reason: String,
    /// Why they were skipped, for programs: `switched-off`; `None` if the instance did not say.
    pub code: Option<Reason>,
}

impl Operations {
    /// Returns the items of a job, in ascending order, with their owners, newest runs and skipped times.
    ///
    /// It reads one node for each item and more for those that run: a few requests for most jobs, and one for each few hundred items
    /// of a large one.
    ///
    /// ```no_run
    /// use elasticjob::operation::{ItemStatus, Operations};
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// for item in operations.items("sync_orders").await? {
    ///     if let (ItemStatus::Running, Some(progress)) = (item.status, &item.progress) {
    ///         println!("item {}: {progress}", item.item);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Registry`].
    ///
    /// An item beyond the sharding total count is among them as long as its node is there.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
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
            MarkHolder::Session | MarkHolder::Unnamed | MarkHolder::Unknown => None,
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
            ended: run
                .end
                .as_ref()
                .and_then(|end| Timestamp::from_millisecond(end.at?).ok()),
            took_millis: run.end.as_ref().and_then(|end| u64::try_from(end.took?).ok()),
            cause: run.end.as_ref().and_then(|end| end.cause.clone()),
            code: run.end.as_ref().and_then(|end| end.code),
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
            code: gap.code,
        }
    }
}
