//! What an instance of ours says of itself to the others of ours: `ledger/members/{id}`.
//!
//! It is beside the node that Java knows, `instances/{id}`, because one unknown key there would break every Java
//! member. It also tells members of ours from Java members, and it outlives the node of an instance that an operator
//! has removed: as long as it is there, the instance may still be running something. It goes with its session.
//!
//! Abilities are flags that a version sets if it has them. A member of an older version does not say so, and is treated
//! as lacking them.

use serde::{Deserialize, Serialize};

/// One of ours, as long as its session lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the node, absent in what older versions write"
)]
pub(crate) struct Member {
    /// It is about to leave: give its items to others, and it no new ones.
    #[serde(default)]
    pub(crate) draining: bool,
    /// What it says that it can run: `elasticjob.labels`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) labels: Vec<String>,
    /// Why it runs by an older configuration than the stored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outdated: Option<String>,
    /// What the configuration that it runs by says otherwise than its application's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) differences: Option<String>,
    /// What it cannot do for the job since the registry refuses it, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hindrances: Vec<String>,
    /// Whether it starts nothing while the job is paused. Versions that do not know of pauses do not say so.
    #[serde(default, rename = "obeysPause", skip_serializing_if = "is_no")]
    pub(crate) obeys_pause: bool,
    /// Whether it ends runs that an operator cancels. Versions that do not know of that do not say so.
    #[serde(default, rename = "obeysCancels", skip_serializing_if = "is_no")]
    pub(crate) obeys_cancels: bool,
    /// Whether it runs single items that an operator asks for. Versions that do not know of that do not say so.
    #[serde(default, rename = "obeysRequests", skip_serializing_if = "is_no")]
    pub(crate) obeys_requests: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_no(value: &bool) -> bool {
    !value
}

impl Member {
    /// Reads what a member wrote; what cannot be read is one that says nothing.
    pub(crate) fn parse(data: &[u8]) -> Self {
        serde_json::from_slice(data).unwrap_or_default()
    }

    /// Returns the stored form, JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a member has only plain fields, which JSON can hold")
    }
}
