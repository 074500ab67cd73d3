//! What holds a requested run up, by the findings of [`explain`](Operations::explain).

use serde::Serialize;

use super::explain::explain;
use super::survey::{Depth, Survey};
use super::trigger::pending;
use super::{Error, Finding, Operations};

/// Something that holds a requested run up.
///
/// Several items with the same finding are one obstacle, so a report stays short for a job of many items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Obstacle {
    /// What is so. `Display` says it in words.
    pub finding: Finding,
    /// The items that it is about; none if it is about the job as a whole.
    pub items: Vec<u32>,
}

impl Operations {
    /// Returns what holds a requested run up, if anything does.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Configuration`], [`Error::Registry`].
    pub(crate) async fn obstacles(&self, job: &str, request: &str) -> Result<Vec<Obstacle>, Error> {
        let survey = self.survey(job, Depth::Whole).await?;
        let pending = pending(&survey, request)?;
        Ok(obstacles(&survey, request, &pending, self.now()))
    }
}

/// What holds up the items that are still to run for a request. If something holds up the whole job, nothing else matters.
pub(super) fn obstacles(survey: &Survey, request: &str, pending: &[u32], now: jiff::Timestamp) -> Vec<Obstacle> {
    if pending.is_empty() {
        return Vec::new();
    }
    let explained = explain(survey, now);
    let of_job: Vec<Obstacle> = explained
        .findings
        .iter()
        .filter(|finding| holds_up(finding))
        .map(|finding| Obstacle {
            finding: finding.clone(),
            items: Vec::new(),
        })
        .collect();
    if of_job.iter().any(|obstacle| obstacle.finding.is_obstacle()) {
        return of_job;
    }
    let mut found: Vec<Obstacle> = Vec::new();
    for item in pending {
        let findings = explained
            .items
            .get(*item as usize)
            .map(|explained| &*explained.findings);
        for finding in findings
            .unwrap_or_default()
            .iter()
            .filter_map(|finding| of_item(survey, request, *item, finding))
        {
            match found.iter_mut().find(|known| known.finding == finding) {
                Some(known) => known.items.push(*item),
                None => found.push(Obstacle {
                    finding,
                    items: vec![*item],
                }),
            }
        }
    }
    found
}

/// Returns whether this holds up a run that needs no schedule, or says why no instance can run it.
fn holds_up(finding: &Finding) -> bool {
    match finding {
        Finding::NeverFires { .. } => false,
        Finding::ServerDisabled { .. } | Finding::ServerUnclear { .. } | Finding::StandsBy { .. } => true,
        other => other.is_obstacle(),
    }
}

/// What holds up one item. A run that goes on does, unless it is the one that was asked for.
fn of_item(survey: &Survey, request: &str, item: u32, finding: &Finding) -> Option<Finding> {
    match finding {
        Finding::Running { on, .. } => {
            let record = survey.ledgers.get(&item).map(|stored| &stored.value);
            let open = record
                .and_then(|record| record.run.as_ref())
                .filter(|run| run.end.is_none());
            let is_asked_for = open.is_some_and(|run| run.requests.iter().any(|known| known == request));
            (!is_asked_for).then(|| Finding::Running {
                on: on.clone(),
                // Items with the same finding are reported together.
                run: None,
            })
        }
        other => other.is_obstacle().then(|| other.clone()),
    }
}
