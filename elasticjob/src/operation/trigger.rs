//! Having a job run now, and what becomes of that.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::trigger::{self, Order, PARAMETER_LIMIT};
use crate::cluster::worker::{foreseen, outcome};
use crate::run::ItemOutcome;

use super::obstacle::{Obstacle, obstacles};
use super::survey::{Depth, Survey};
use super::{Error, Operations, listing};

/// A run that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Requested {
    /// The job.
    pub job_name: String,
    /// Names the request, in the ledger too.
    pub request: String,
    /// The server whose instances alone were triggered; `None` if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The instances that were asked. A Java member that is running the job now drops the request.
    pub instances: Vec<String>,
}

/// What became of a requested run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RequestedRun {
    /// The job.
    pub job_name: String,
    /// Names the request.
    pub request: String,
    /// What became of each item; if one server was asked, of those that belong to it.
    pub items: BTreeMap<u32, ItemOutcome>,
    /// What holds up the items that have not ended, if anything does.
    pub obstacles: Vec<Obstacle>,
}

impl RequestedRun {
    /// Whether all items ran and succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.items.is_empty() && self.items.values().all(|outcome| *outcome == ItemOutcome::Succeeded)
    }

    /// Whether nothing more will be known.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.items.values().all(|outcome| *outcome != ItemOutcome::Pending)
    }
}

impl Operations {
    /// Has a job run once, now, its items on the instances they belong to. Where it is running already, it runs once more
    /// after that. Requests that wait and have the same parameter are served by one run.
    ///
    /// `parameter` is what the run is given instead of the job's parameter, by instances of ours; Java members do not know
    /// it.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Paused`], [`Error::NoInstance`], [`Error::ParameterTooLong`], [`Error::Registry`]. If the
    /// registry's answer was lost, the run may come nevertheless: on all instances or, in a job of more than about a thousand,
    /// on some of them.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the run comes.
    pub async fn trigger(&self, job: &str, parameter: Option<&str>) -> Result<Requested, Error> {
        self.request(job, None, parameter).await
    }

    /// As [`trigger`](Self::trigger), on the instances of one server only: the items that belong to these run once, now, and no
    /// others.
    ///
    /// # Errors
    /// As there, [`Error::NoSuchServer`] and [`Error::NoInstanceOn`].
    ///
    /// # Cancel safety
    /// As there.
    pub async fn trigger_on(&self, job: &str, server: &str, parameter: Option<&str>) -> Result<Requested, Error> {
        self.request(job, Some(server), parameter).await
    }

    async fn request(&self, job: &str, server: Option<&str>, parameter: Option<&str>) -> Result<Requested, Error> {
        if let Some(length) = parameter.map(str::len).filter(|length| *length > PARAMETER_LIMIT) {
            let limit = PARAMETER_LIMIT;
            return Err(Error::ParameterTooLong { length, limit });
        }
        let survey = self.survey(job, Depth::Brief).await?;
        if let Some(pause) = &survey.view.pause {
            let (job, note) = (job.to_owned(), pause.note.clone());
            return Err(Error::Paused { job, note });
        }
        let nobody = || match server.map(str::to_owned) {
            None => Error::NoInstance { job: job.to_owned() },
            Some(server) if survey.view.servers.contains_key(&server) => Error::NoInstanceOn {
                job: job.to_owned(),
                server,
            },
            Some(server) => Error::NoSuchServer {
                job: Some(job.to_owned()),
                server,
            },
        };
        let request = self.new_id();
        let order = Order {
            requests: vec![request.clone()],
            parameter: parameter.map(str::to_owned),
        };
        let session = self.session().await?;
        let instances = trigger::request(&*session, job, server, &order)
            .await
            .map_err(|error| self.failed(error))?;
        if instances.is_empty() {
            return Err(nobody());
        }
        Ok(Requested {
            job_name: job.to_owned(),
            request,
            server: server.map(str::to_owned),
            instances,
        })
    }

    /// Waits until all items of a requested run have ended, on whichever instance, for `timeout` at most. Items that have
    /// not ended by then are [`ItemOutcome::Pending`] in the answer.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Configuration`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// The run goes on without the waiter.
    pub async fn outcome(&self, requested: &Requested, timeout: Duration) -> Result<RequestedRun, Error> {
        self.follow(requested, timeout, |_| {}).await
    }

    /// As [`outcome`](Self::outcome), and hands what is known, and what holds the run up, to `progress`: at once, and each time
    /// that something of the job changes.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// The run goes on without the waiter.
    pub async fn follow(
        &self,
        requested: &Requested,
        timeout: Duration,
        mut progress: impl FnMut(&RequestedRun),
    ) -> Result<RequestedRun, Error> {
        self.watched(&requested.job_name, timeout, |survey| {
            let run = run(survey, requested, self.now())?;
            if run.is_over() {
                return Ok(ControlFlow::Break(run));
            }
            progress(&run);
            Ok(ControlFlow::Continue(run))
        })
        .await
    }
}

fn run(survey: &Survey, requested: &Requested, now: Timestamp) -> Result<RequestedRun, Error> {
    let items = items(survey, &requested.request, requested.server.as_deref())?;
    let pending: Vec<u32> = pending_of(&items).collect();
    Ok(RequestedRun {
        job_name: requested.job_name.clone(),
        request: requested.request.clone(),
        items,
        obstacles: obstacles(survey, &requested.request, &pending, now),
    })
}

/// The items that have not ended for a request.
pub(super) fn pending(survey: &Survey, request: &str) -> Result<Vec<u32>, Error> {
    Ok(pending_of(&items(survey, request, None)?).collect())
}

fn pending_of(items: &BTreeMap<u32, ItemOutcome>) -> impl Iterator<Item = u32> {
    let is_pending = |(_, outcome): &(&u32, &ItemOutcome)| **outcome == ItemOutcome::Pending;
    items.iter().filter(is_pending).map(|(item, _)| *item)
}

/// What became of each item for a request, which only instances on that server were asked.
fn items(survey: &Survey, request: &str, server: Option<&str>) -> Result<BTreeMap<u32, ItemOutcome>, Error> {
    let total = listing::configured(survey)?.sharding_total_count().get();
    let of = |item| {
        let record = survey.ledgers.get(&item).map(|stored| &stored.value);
        if let Some(ended) = record.and_then(|record| record.answer_to(request)) {
            return Some((item, outcome(ended)));
        }
        let run = record.and_then(|record| record.run.as_ref());
        let is_under_way = run.is_some_and(|run| run.requests.iter().any(|known| known == request));
        let owner = survey.view.items.get(&item).and_then(|item| item.owner.as_ref());
        // An item without an owner may still come to the server.
        let is_elsewhere = owner
            .zip(server)
            .is_some_and(|(owner, server)| owner.server() != server);
        if is_elsewhere && !is_under_way {
            return None;
        }
        Some((item, foreseen(&survey.view, item).unwrap_or(ItemOutcome::Pending)))
    };
    Ok((0..total).filter_map(of).collect())
}
