//! What became of a triggered run.
//!
//! The same value is returned to the application, by [`OneOff`](crate::starter::OneOff), and to operators, by
//! [`Operations::outcome`](super::Operations::outcome).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::run::ItemOutcome;

use super::obstacle::Obstacle;

/// What became of a triggered run, for the application that triggered it and for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Execution {
    /// The job.
    pub job_name: String,
    /// Names the request, in the registry too.
    pub request: String,
    /// What became of each item; if one server or one item was asked, of those alone.
    pub items: BTreeMap<u32, ItemOutcome>,
    /// What held up the items that have not ended, when the caller last looked; empty if nothing did, or all have ended.
    pub obstacles: Vec<Obstacle>,
}

impl Execution {
    /// Returns whether all items ran and succeeded.
    /// `false` if there is no item, and if the outcome of an item is unknown, such as that of a Java member.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.items.is_empty() && self.items.values().all(|outcome| *outcome == ItemOutcome::Succeeded)
    }

    /// Returns whether nothing more will be known.
    /// Items of Java members, whose outcomes stay unknown, do not keep an execution from being over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.items.values().all(|outcome| *outcome != ItemOutcome::Pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_no_item_is_no_success() {
        let mut execution = Execution {
            job_name: "job".to_owned(),
            request: "r".to_owned(),
            items: BTreeMap::new(),
            obstacles: Vec::new(),
        };
        assert!(!execution.is_success());
        execution.items.insert(0, ItemOutcome::Succeeded);
        assert!(execution.is_success());
        execution.items.insert(1, ItemOutcome::Unknown);
        assert!(!execution.is_success() && execution.is_over());
    }
}
