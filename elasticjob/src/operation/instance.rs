//! The instances of a job.

use serde::Serialize;

use super::survey::Survey;

/// One instance of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and a key of the JSON"
)]
pub struct InstanceReport {
    /// The id of the instance: `{ip}@-@{process id}-{suffix}`, without a suffix for a Java member.
    pub id: String,
    /// The address of its server.
    pub server: String,
    /// Whether the server is switched on in this job. If not, the instance owns no items.
    pub is_enabled: bool,
    /// Whether it is the leader of the job.
    pub is_leader: bool,
    /// Whether it is a member of ours. Java members do not say what becomes of their runs, and ignore draining and pauses.
    pub is_ours: bool,
    /// Whether it is drained: it gives its items away as their runs end, and takes no new ones.
    pub is_draining: bool,
    /// The items that it owns, in ascending order.
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
