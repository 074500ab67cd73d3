//! The servers: addresses that instances are on, each with a switch in each of its jobs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cluster::view::ServerStatus;

use super::Note;
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::{Error, Operations};

/// The switch of a server in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ServerSwitch {
    /// On.
    Enabled,
    /// Switched off.
    Disabled,
    /// Neither of the two was written; nothing runs there.
    Unclear,
}

/// A server of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerReport {
    /// The address of the server.
    pub ip: String,
    /// The switch of the server in this job.
    pub switch: ServerSwitch,
    /// The operator that switched it off, with time and reason; `None` if it is on, or no note is on record.
    pub disabled: Option<Note>,
    /// The number of instances of the job on this server.
    pub instance_count: usize,
}

/// A server in all its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerBrief {
    /// The address of the server.
    pub server_ip: String,
    /// The ids of the instances on it, in ascending order, each once although it may serve many jobs.
    pub instances: Vec<String>,
    /// The names of the jobs that know it, in ascending order.
    pub job_names: Vec<String>,
    /// The number of `instances`.
    pub instances_num: usize,
    /// The number of jobs that know it.
    pub jobs_num: usize,
    /// The number of these jobs in which it is switched off.
    pub disabled_jobs_num: usize,
}

impl Operations {
    /// Returns the servers of all jobs, sorted by address, also those without an instance.
    ///
    /// # Errors
    /// [`Error::Registry`].
    pub async fn servers(&self) -> Result<Vec<ServerBrief>, Error> {
        let names = self.names().await?;
        let surveys = self.surveys(names.iter().map(String::as_str), Depth::Brief).await?;
        Ok(briefs(&surveys))
    }

    /// Returns the number of servers of all jobs.
    ///
    /// # Errors
    /// [`Error::Registry`].
    ///
    /// It reads as much as [`servers`](Self::servers) does: a server that several jobs know counts once.
    pub async fn server_count(&self) -> Result<usize, Error> {
        Ok(self.servers().await?.len())
    }
}

fn briefs(surveys: &[Survey]) -> Vec<ServerBrief> {
    #[derive(Default)]
    struct Server<'a> {
        instances: BTreeSet<&'a str>,
        jobs: BTreeSet<&'a str>,
        disabled: usize,
    }
    let mut servers: BTreeMap<&str, Server<'_>> = BTreeMap::new();
    for survey in surveys {
        for (ip, status) in &survey.view.servers {
            let server = servers.entry(ip).or_default();
            server.jobs.insert(survey.job());
            server.disabled += usize::from(*status == ServerStatus::Disabled);
            server.instances.extend(survey.instances_on(ip).map(|id| id.as_str()));
        }
    }
    let owned = |texts: BTreeSet<&str>| texts.into_iter().map(str::to_owned).collect();
    let brief = |(ip, server): (&str, Server<'_>)| ServerBrief {
        server_ip: ip.to_owned(),
        instances_num: server.instances.len(),
        jobs_num: server.jobs.len(),
        disabled_jobs_num: server.disabled,
        instances: owned(server.instances),
        job_names: owned(server.jobs),
    };
    servers.into_iter().map(brief).collect()
}

/// The servers of one job, sorted by address.
pub(super) fn servers(survey: &Survey) -> Vec<ServerReport> {
    let reports = survey.view.servers.iter().map(|(ip, status)| ServerReport {
        ip: ip.clone(),
        switch: match status {
            ServerStatus::Enabled => ServerSwitch::Enabled,
            ServerStatus::Disabled => ServerSwitch::Disabled,
            ServerStatus::Unclear => ServerSwitch::Unclear,
        },
        disabled: survey.note_of(&Switch::Server(ip.clone())).cloned(),
        instance_count: survey.instances_on(ip).count(),
    });
    reports.collect()
}
