//! The jobs there are, with the status that the Java console gives them.

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::view::{ServerStatus, View};

use super::survey::{Depth, Survey};
use super::{Error, Note, Operations, next};

/// The status of a job, by the rules of the Java console: the first of these that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum JobStatus {
    /// It has no instance: no process runs it now.
    Crashed,
    /// The whole job is paused. A status of ours alone: the Java console does not know of pauses.
    Paused,
    /// All its servers are switched off.
    Disabled,
    /// An item of it belongs to no instance, or to one that is gone. The Java console looks only at items that have an owner,
    /// and calls the others well.
    ShardingFlag,
    /// It has instances, and each of its items has an owner.
    Ok,
}

/// A job in short: a line of a list of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobBrief {
    /// The name of the job.
    pub job_name: String,
    /// The status of the job as a whole.
    pub status: JobStatus,
    /// Whether the whole job is paused; it may be crashed or disabled as well.
    pub is_paused: bool,
    /// The operator that paused it, with time and reason; `None` if it is not paused, or no note is on record.
    pub pause: Option<Note>,
    /// The description in the configuration; empty if there is none.
    pub description: String,
    /// The cron expression; `None` for a one-off job.
    pub cron: Option<String>,
    /// The time zone of the expression; `None` if each instance takes its own.
    pub time_zone: Option<String>,
    /// The number of instances that are registered with the job, Java members included.
    pub instance_count: usize,
    /// The sharding total count.
    pub sharding_total_count: u32,
    /// The next scheduled time, computed here in the job's zone, or in the zone of this process; `None` for a one-off job, and after
    /// the last time of a schedule that ends.
    pub next: Option<Timestamp>,
}

/// All there is in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Listing {
    /// The jobs, sorted by name.
    pub jobs: Vec<JobBrief>,
    /// What is no job that can be shown, sorted by name.
    pub others: Vec<Unlisted>,
}

/// A node in the place of a job that cannot be shown as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Unlisted {
    /// The name of the node.
    pub name: String,
    /// Why the node is not shown as a job.
    #[serde(flatten)]
    pub reason: UnlistedReason,
}

/// Why a node is not shown as a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum UnlistedReason {
    /// It has no node of a job: it belongs to another program.
    Foreign,
    /// It has what a job has, but no configuration.
    NoConfiguration,
    /// No job can run by its configuration.
    InvalidConfiguration {
        /// What is wrong.
        problem: String,
    },
    /// The registry does not let us read it: its access rights are for others.
    Refused {
        /// What the registry says.
        problem: String,
    },
}

/// A job as one server has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobOnServer {
    /// The name of the job.
    pub job_name: String,
    /// [`JobStatus::Disabled`] where the server is switched off for it, else [`JobStatus::Ok`].
    pub status: JobStatus,
    /// How many instances of the job are on this server.
    pub instance_count: usize,
}

impl Listing {
    /// Returns whether a node could not be read, so that it is not known whether it is a job, and how that stands.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        let is_refused = |other: &Unlisted| matches!(other.reason, UnlistedReason::Refused { .. });
        self.others.iter().any(is_refused)
    }
}

impl Operations {
    /// Returns all jobs of the namespace, and what else is in it, each sorted by name. A job that the registry does not let us read is
    /// among the others.
    ///
    /// ```no_run
    /// use elasticjob::operation::{JobStatus, Operations};
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// let listing = operations.jobs().await?;
    /// for job in listing.jobs.iter().filter(|job| job.status == JobStatus::Crashed) {
    ///     println!("no instance runs {}", job.job_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Registry`].
    ///
    /// An empty namespace gives an empty listing and no error, and so does a namespace that does not exist: nothing is
    /// created by looking.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn jobs(&self) -> Result<Listing, Error> {
        let names = self.names().await?;
        let names = names.iter().map(String::as_str);
        let (surveys, closed) = self.surveys_and_closed(names, Depth::Brief).await?;
        let mut listing = Listing::default();
        listing.others.extend(closed.into_iter().map(|closed| Unlisted {
            name: closed.job,
            reason: UnlistedReason::Refused {
                problem: closed.refusal.to_string(),
            },
        }));
        for survey in surveys.iter().filter(|survey| survey.exists()) {
            match brief(survey, self.now()) {
                Ok(job) => listing.jobs.push(job),
                Err(other) => listing.others.push(other),
            }
        }
        listing.jobs.sort_by(|one, other| one.job_name.cmp(&other.job_name));
        listing.others.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listing)
    }

    /// Returns the number of nodes in the place of jobs, without a look into them: one request. Nodes that are no jobs count, too.
    ///
    /// # Errors
    /// [`Error::Registry`].
    pub async fn job_count(&self) -> Result<usize, Error> {
        Ok(self.names().await?.len())
    }

    /// Returns one job in short, as [`jobs`](Self::jobs) does for all.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Configuration`], [`Error::Registry`].
    ///
    /// Unlike [`jobs`](Self::jobs) it fails if no job can run by the configuration; [`explain`](Self::explain) says
    /// why.
    pub async fn job_brief(&self, job: &str) -> Result<JobBrief, Error> {
        let survey = self.survey(job, Depth::Brief).await?;
        let config = configured(&survey)?;
        Ok(brief_of(&survey, &config, self.now()))
    }

    /// Returns the jobs that know this server, sorted by name; none if the server is unknown.
    ///
    /// # Errors
    /// [`Error::Registry`].
    pub async fn jobs_on_server(&self, server: &str) -> Result<Vec<JobOnServer>, Error> {
        let names = self.names().await?;
        let surveys = self.surveys(names.iter().map(String::as_str), Depth::Brief).await?;
        let mut jobs: Vec<JobOnServer> = surveys.iter().filter_map(|survey| on_server(survey, server)).collect();
        jobs.sort_by(|one, other| one.job_name.cmp(&other.job_name));
        Ok(jobs)
    }
}

/// A configuration that a job can run by.
pub(super) fn configured(survey: &Survey) -> Result<JobConfig, Error> {
    let job = || survey.job().to_owned();
    match survey.configuration() {
        None => Err(Error::NoConfiguration { job: job() }),
        Some(Err(source)) => Err(Error::Configuration { job: job(), source }),
        Some(Ok(config)) => Ok(config),
    }
}

fn brief(survey: &Survey, now: Timestamp) -> Result<JobBrief, Unlisted> {
    Ok(brief_of(survey, &listed(survey)?, now))
}

/// The configuration of a node that can be shown as a job.
pub(super) fn listed(survey: &Survey) -> Result<JobConfig, Unlisted> {
    let reason = match survey.configuration() {
        Some(Ok(config)) => return Ok(config),
        Some(Err(errors)) => UnlistedReason::InvalidConfiguration {
            problem: errors.to_string(),
        },
        None if is_job(&survey.view) => UnlistedReason::NoConfiguration,
        None => UnlistedReason::Foreign,
    };
    Err(Unlisted {
        name: survey.job().to_owned(),
        reason,
    })
}

pub(super) fn brief_of(survey: &Survey, config: &JobConfig, now: Timestamp) -> JobBrief {
    JobBrief {
        job_name: survey.job().to_owned(),
        status: status(&survey.view, config.sharding_total_count().get()),
        is_paused: survey.view.is_paused(),
        pause: survey.view.pause.as_ref().and_then(|pause| pause.note.clone()),
        description: config.description().to_owned(),
        cron: config.cron().map(ToString::to_string),
        time_zone: config.time_zone().map(|zone| zone.name().to_owned()),
        instance_count: survey.view.instances.len(),
        sharding_total_count: config.sharding_total_count().get(),
        next: next::of(config, now, 1).pop(),
    }
}

fn is_job(view: &View) -> bool {
    use crate::cluster::layout::Node;
    [Node::Servers, Node::Instances, Node::Sharding]
        .into_iter()
        .any(|node| view.has(node))
}

fn status(view: &View, total: u32) -> JobStatus {
    if view.instances.is_empty() {
        return JobStatus::Crashed;
    }
    if view.is_paused() {
        return JobStatus::Paused;
    }
    if view.servers.values().all(|status| *status == ServerStatus::Disabled) {
        return JobStatus::Disabled;
    }
    let owned = view.items.range(..total).filter_map(|(_, item)| item.owner.as_ref());
    let here = owned.filter(|owner| view.instances.contains(*owner)).count();
    if here < total as usize {
        return JobStatus::ShardingFlag;
    }
    JobStatus::Ok
}

fn on_server(survey: &Survey, server: &str) -> Option<JobOnServer> {
    let status = survey.view.servers.get(server)?;
    Some(JobOnServer {
        job_name: survey.job().to_owned(),
        status: match status {
            ServerStatus::Disabled => JobStatus::Disabled,
            ServerStatus::Enabled | ServerStatus::Unclear => JobStatus::Ok,
        },
        instance_count: survey.instances_on(server).count(),
    })
}
