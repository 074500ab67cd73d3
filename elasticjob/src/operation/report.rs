//! One job in full.

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;
use serde::Serialize;

use super::survey::{Depth, Survey};
use super::{Error, InstanceReport, ItemReport, JobBrief, Operations, ServerReport, instance, item, listing, server};

/// One job in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobReport {
    /// The job in short.
    #[serde(flatten)]
    pub brief: JobBrief,
    /// The schedule in words.
    pub schedule: Option<String>,
    /// The job's class or type in the registry; blank if there is none.
    pub implementation: String,
    /// The version of the configuration in the registry.
    pub configuration_version: i32,
    /// The instance that leads.
    pub leader: Option<String>,
    /// Whether a resharding is due, before which no run starts.
    pub is_resharding: bool,
    /// Its servers.
    pub servers: Vec<ServerReport>,
    /// Its instances.
    pub instances: Vec<InstanceReport>,
    /// Its items.
    pub items: Vec<ItemReport>,
}

impl Operations {
    /// Returns one job in full: its servers, its instances, and its items with their last runs.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Configuration`], [`Error::Registry`].
    ///
    /// It reads as much as [`items`](Self::items) does. The parts of the report were read one after another and need
    /// not be of one moment.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn job(&self, job: &str) -> Result<JobReport, Error> {
        let survey = self.survey(job, Depth::Whole).await?;
        let config = listing::configured(&survey)?;
        Ok(of(&survey, &config, self.now()))
    }
}

/// Reports a job from what was read of it.
pub(super) fn of(survey: &Survey, config: &JobConfig, now: Timestamp) -> JobReport {
    JobReport {
        brief: listing::brief_of(survey, config, now),
        schedule: config.cron().map(|cron| cron.describe()),
        implementation: survey.view.root.clone().unwrap_or_default(),
        configuration_version: survey.config.as_ref().map_or(0, |stored| stored.version),
        leader: survey.view.leader.as_ref().map(ToString::to_string),
        is_resharding: survey.view.is_resharding(),
        servers: server::servers(survey),
        instances: instance::instances(survey),
        items: item::items(survey, Some(config), now),
    }
}
