//! The instances of a job.

use serde::Serialize;

use super::survey::Survey;

/// One instance of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and a key of the JSON"
)]
pub struct InstanceReport {
    /// Its id.
    pub id: String,
    /// The address of the server that it is on.
    pub server: String,
    /// Whether that is switched on for the job.
    pub is_enabled: bool,
    /// Whether it leads.
    pub is_leader: bool,
    /// Whether it is one of ours, and not a Java member.
    pub is_ours: bool,
    /// Whether it gives its items away and takes no new ones.
    pub is_draining: bool,
    /// The items that belong to it.
    pub items: Vec<u32>,
}

/// The instances, sorted by id.
pub(super) fn instances(survey: &Survey) -> Vec<InstanceReport> {
    let view = &survey.view;
    let reports = view.instances.iter().map(|id| InstanceReport {
        id: id.to_string(),
        server: id.server().to_owned(),
        is_enabled: view.is_enabled(id),
        is_leader: view.leader.as_ref() == Some(id),
        is_ours: view.members.contains_key(id),
        is_draining: view.members.get(id).is_some_and(|member| member.draining),
        items: view.items_of(id, u32::MAX).map(|(item, _)| item).collect(),
    });
    reports.collect()
}
