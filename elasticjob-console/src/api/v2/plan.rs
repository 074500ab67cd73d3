//! What a change would do, without doing it: made of what the registry says now.

use std::collections::BTreeSet;

use elasticjob::operation::{Change, Error, ItemReport, ItemStatus, JobReport, PARAMETER_LIMIT};
use serde::Serialize;
use utoipa::ToSchema;

use super::writes::{Cancel, Trigger};

/// What a change would do. Another change may come before it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// Always `true`.
    dry_run: bool,
    /// What would be done, in a sentence.
    effect: String,
    /// The jobs that it would concern.
    jobs: Vec<String>,
    /// The servers.
    servers: Vec<String>,
    /// The instances.
    instances: Vec<String>,
    /// The items, if it is about one job.
    items: Vec<u32>,
    /// The settings that would change. Secrets are not shown.
    changes: Vec<Change>,
}

impl Plan {
    pub(super) fn new(effect: impl Into<String>, jobs: impl IntoIterator<Item = String>) -> Self {
        Self {
            dry_run: true,
            effect: effect.into(),
            jobs: jobs.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Returns what a trigger would start.
    ///
    /// # Errors
    /// As the trigger itself, as far as that is decided by what is known before it.
    pub(super) fn of_trigger(job: &JobReport, trigger: &Trigger) -> Result<Self, Error> {
        let name = || job.brief.job_name.clone();
        let length = trigger.parameter.as_deref().map_or(0, str::len);
        if length > PARAMETER_LIMIT {
            let limit = PARAMETER_LIMIT;
            return Err(Error::ParameterTooLong { length, limit });
        }
        if let Some(item) = trigger.item {
            let found = job.items.iter().find(|report| report.item == item);
            let total = job.brief.sharding_total_count;
            if item >= total {
                let job = name();
                return Err(Error::NoSuchItem { job, item, total });
            }
            if let Some(off) = found.filter(|report| report.status == ItemStatus::Disabled) {
                let (job, note) = (name(), off.disabled.clone());
                return Err(Error::ItemDisabled { job, item, note });
            }
        }
        if job.brief.is_paused {
            let (job, note) = (name(), job.brief.pause.clone());
            return Err(Error::Paused { job, note });
        }
        if job.instances.is_empty() {
            return Err(Error::NoInstance { job: name() });
        }
        let is_on = |server: &str| trigger.server.as_deref().is_none_or(|wanted| wanted == server);
        let instances: BTreeSet<&str> = job
            .instances
            .iter()
            .filter(|instance| is_on(&instance.server))
            .map(|instance| &*instance.id)
            .collect();
        if let (Some(server), true) = (&trigger.server, instances.is_empty()) {
            let (job_name, server) = (name(), server.clone());
            let is_known = job.servers.iter().any(|known| known.ip == server);
            return Err(if is_known {
                Error::NoInstanceOn { job: job_name, server }
            } else {
                Error::NoSuchServer {
                    server,
                    job: Some(job_name),
                }
            });
        }
        let would_run = |report: &&ItemReport| {
            let is_wanted = trigger.item.is_none_or(|item| item == report.item);
            let owner = report.instance_id.as_deref();
            is_wanted && report.status != ItemStatus::Disabled && owner.is_some_and(|owner| instances.contains(owner))
        };
        let runs: Vec<&ItemReport> = job.items.iter().filter(would_run).collect();
        let owners: BTreeSet<&str> = runs.iter().filter_map(|report| report.instance_id.as_deref()).collect();
        let effect = format!("would start {} items on {} instances", runs.len(), owners.len());
        Ok(Self {
            items: runs.iter().map(|report| report.item).collect(),
            instances: owners.into_iter().map(str::to_owned).collect(),
            ..Self::new(effect, [name()])
        })
    }

    /// Returns which runs would be cancelled.
    ///
    /// # Errors
    /// As the cancellation itself.
    pub(super) fn of_cancel(job: &JobReport, cancel: &Cancel) -> Result<Self, Error> {
        let is_wanted = |report: &&ItemReport| cancel.item.is_none_or(|item| item == report.item);
        let runs = |report: &&ItemReport| report.run.as_ref().is_some_and(|run| run.verdict.is_none());
        let running: Vec<&ItemReport> = job.items.iter().filter(is_wanted).filter(runs).collect();
        let (name, item) = (job.brief.job_name.clone(), cancel.item);
        let total = job.brief.sharding_total_count;
        match item {
            Some(item) if item >= total => Err(Error::NoSuchItem { job: name, item, total }),
            item if running.is_empty() => Err(Error::NothingRuns { job: name, item }),
            _ => Ok(Self {
                items: running.iter().map(|report| report.item).collect(),
                ..Self::new(format!("would cancel {} runs", running.len()), [name])
            }),
        }
    }

    /// Returns what the pause of a job, or its end, would concern.
    pub(super) fn of_pause(job: &JobReport, is_off: bool) -> Self {
        let effect = match (is_off, job.brief.is_paused) {
            (true, false) => "would pause the job: nothing of it starts",
            (true, true) => "the job is paused: its note would be replaced",
            (false, true) => "would end the pause",
            (false, false) => "would switch all its servers on",
        };
        Self {
            servers: job.servers.iter().map(|server| server.ip.clone()).collect(),
            ..Self::new(effect, [job.brief.job_name.clone()])
        }
    }

    /// Returns what switching an item would do.
    ///
    /// # Errors
    /// [`Error::NoSuchItem`].
    pub(super) fn of_item(job: &JobReport, item: u32, is_off: bool) -> Result<Self, Error> {
        let found = job.items.iter().find(|report| report.item == item);
        let total = job.brief.sharding_total_count;
        if found.is_none() && item >= total {
            let job = job.brief.job_name.clone();
            return Err(Error::NoSuchItem { job, item, total });
        }
        let was_off = found.is_some_and(|report| report.status == ItemStatus::Disabled);
        let effect = match (is_off, was_off) {
            (true, false) => "would switch the item off: no run of it begins",
            (true, true) => "the item is off: its note would be replaced",
            (false, true) => "would switch the item on",
            (false, false) => "the item is on: nothing would change",
        };
        Ok(Self {
            items: vec![item],
            ..Self::new(effect, [job.brief.job_name.clone()])
        })
    }

    /// Returns what shutting a job down would concern.
    pub(super) fn of_shutdown(job: &JobReport) -> Self {
        let effect = format!("would shut {} instances down", job.instances.len());
        Self {
            instances: job.instances.iter().map(|instance| instance.id.clone()).collect(),
            ..Self::new(effect, [job.brief.job_name.clone()])
        }
    }

    pub(super) fn on_server(mut self, server: &str) -> Self {
        self.servers = vec![server.to_owned()];
        self
    }

    pub(super) fn of_instance(mut self, instance: &str) -> Self {
        self.instances = vec![instance.to_owned()];
        self
    }

    pub(super) fn with_changes(mut self, changes: Vec<Change>) -> Self {
        self.changes = changes;
        self
    }
}
