//! Changes of a job that may be too large for one transaction.
//!
//! A registry takes transactions up to a limit (ZooKeeper's is about a megabyte), and a job may have thousands of
//! servers and a million items. A change is therefore made of parts, and each part leaves the job in a state that is
//! right by itself.

use crate::registry::Step;

use super::survey::{Depth, Survey};
use super::{Error, Operations};

/// As much of a change as fits into one transaction. The job has to be sound after each part, since the next may never come.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) steps: Vec<Step>,
    /// What the change comes to, as far as this part knows.
    pub(super) result: T,
    /// Whether nothing is left for a further part.
    pub(super) is_last: bool,
}

impl Operations {
    /// Changes a job in as many transactions as it takes. Each part is decided on what there is then, so `decide` must not ask
    /// for what is so already. Returns the results of all parts.
    pub(super) async fn change_in_parts<T>(
        &self,
        job: &str,
        depth: Depth,
        decide: impl Fn(&Survey) -> Result<Part<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut results = Vec::new();
        loop {
            let part = |survey: &Survey| {
                let Part { steps, result, is_last } = decide(survey)?;
                Ok((steps, (result, is_last)))
            };
            let (result, is_last) = self.change(job, depth, part).await?;
            results.push(result);
            if is_last {
                return Ok(results);
            }
        }
    }
}
