//! By which index a question goes.
//!
//! Each index gives runs by time. One condition, or two, choose it; it serves these and the times. All other conditions
//! are looked at run by run, and are written so that no database goes by them: what a page costs would depend on what
//! the database believes of the tables otherwise.

use super::filter::{RunFilter, RunOutcome};
use crate::trace::Source;

/// An index, by what it serves beside the time.
///
/// A question goes by exactly one. All of them have the time and the key behind their own columns, so that each gives
/// runs in the order of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Source,
    Item,
    JobAndSuccess,
    Job,
    Success,
    Address,
    Time,
}

impl Way {
    /// The one that has the fewest runs to look at, as things usually are: few runs are made up, taken over or fail.
    pub(super) fn of(filter: &RunFilter) -> Self {
        let is_unsuccessful = filter.outcome.is_some_and(|outcome| outcome != RunOutcome::Succeeded);
        match filter {
            RunFilter {
                source: Some(Source::Misfire | Source::Failover),
                ..
            } => Self::Source,
            RunFilter {
                job: Some(_),
                item: Some(_),
                ..
            } => Self::Item,
            RunFilter {
                job: Some(_),
                outcome: Some(_),
                ..
            } => Self::JobAndSuccess,
            RunFilter { job: Some(_), .. } => Self::Job,
            _ if is_unsuccessful => Self::Success,
            RunFilter { instance: Some(_), .. } => Self::Address,
            RunFilter { outcome: Some(_), .. } => Self::Success,
            _ => Self::Time,
        }
    }

    pub(super) fn serves_source(self) -> bool {
        self == Self::Source
    }

    pub(super) fn serves_job(self) -> bool {
        matches!(self, Self::Item | Self::JobAndSuccess | Self::Job)
    }

    pub(super) fn serves_item(self) -> bool {
        self == Self::Item
    }

    pub(super) fn serves_success(self) -> bool {
        matches!(self, Self::JobAndSuccess | Self::Success)
    }

    pub(super) fn serves_address(self) -> bool {
        self == Self::Address
    }
}
