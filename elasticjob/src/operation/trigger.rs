//! Triggers: having a job run now, and waiting for what becomes of it.
//!
//! A trigger of the whole job is one node for each instance, as Java has it; a trigger of one item is a node of the
//! item. Each carries the id of its request, which the run takes over into the ledger, and so the outcome can be found
//! wherever the item ran. A trigger is the only operation that is not repeated after a lost answer: it could be carried
//! out twice.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::transaction::Transaction;
use crate::cluster::trigger::{self, PARAMETER_LIMIT, Trigger};
use crate::cluster::worker::{foreseen, outcome};
use crate::registry::{CreateMode, Step};
use crate::run::ItemOutcome;

use super::execution::Execution;
use super::obstacle::obstacles;
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::{Error, Operations, listing};

/// A run that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Requested {
    /// The name of the job.
    pub job_name: String,
    /// Names the request, in the ledger too.
    pub request: String,
    /// The server, if its instances alone were triggered; `None` if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The item that alone is to run; `None` if all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The instances that were asked; none yet if the trigger comes with a transaction of the application. A Java member that is
    /// running the job now drops the request.
    pub instances: Vec<String>,
}

impl Operations {
    /// Triggers a job: it runs once, now, each item on its owner. An instance that is running the job already runs it once more
    /// after that. Triggers that wait and have the same parameter are joined: one run answers all of them.
    ///
    /// The run is given `parameter`, of at most 1 KiB, instead of the job's parameter. Java members ignore it.
    ///
    /// ```no_run
    /// use elasticjob::operation::Operations;
    /// use std::time::Duration;
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// let requested = operations.trigger("import", Some("2026-11")).await?;
    /// let execution = operations.outcome(&requested, Duration::from_secs(600)).await?;
    /// for (item, outcome) in &execution.items {
    ///     println!("item {item}: {outcome:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
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

    /// Triggers a job on the instances of one server only: the items that these own run once, now, and no others. Otherwise as
    /// [`trigger`](Self::trigger).
    ///
    /// # Errors
    /// As there, [`Error::NoSuchServer`] and [`Error::NoInstanceOn`].
    ///
    /// # Cancel safety
    /// As there.
    pub async fn trigger_on(&self, job: &str, server: &str, parameter: Option<&str>) -> Result<Requested, Error> {
        self.request(job, Some(server), parameter).await
    }

    /// Triggers one item of a job: it runs once, now, on its owner, and no other item does. If it is running already, it runs once
    /// more after that.
    ///
    /// When this returns, the trigger is in the registry, and the claim of the run removes it. So it is carried out once, also if
    /// another instance becomes the owner. Like each triggered run it is a firing of its instance; a scheduled time that comes
    /// meanwhile is made up.
    ///
    /// # Errors
    /// As [`trigger`](Self::trigger), [`Error::NoSuchItem`], [`Error::ItemDisabled`], [`Error::NotOurItem`], [`Error::Busy`]. It
    /// may be called again after a lost answer only if two runs do no harm.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn trigger_item(&self, job: &str, item: u32, parameter: Option<&str>) -> Result<Requested, Error> {
        check_length(parameter)?;
        let request = self.new_id();
        let trigger = Trigger {
            requests: vec![request.clone()],
            parameter: parameter.map(str::to_owned),
        };
        let owner = self
            .change(job, Depth::Whole, |survey| ask(survey, item, &trigger))
            .await?;
        Ok(Requested {
            job_name: job.to_owned(),
            request,
            server: None,
            item: Some(item),
            instances: owner.into_iter().collect(),
        })
    }

    async fn request(&self, job: &str, server: Option<&str>, parameter: Option<&str>) -> Result<Requested, Error> {
        check_length(parameter)?;
        let survey = self.survey(job, Depth::Brief).await?;
        if let Some(pause) = &survey.view.pause {
            let (job, note) = (job.to_owned(), pause.note.clone());
            return Err(Error::Paused { job, note });
        }
        let no_instance = || match server.map(str::to_owned) {
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
        let trigger = Trigger {
            requests: vec![request.clone()],
            parameter: parameter.map(str::to_owned),
        };
        let session = self.session().await?;
        let instances = trigger::request(&*session, job, server, &trigger)
            .await
            .map_err(|error| self.failed(error))?;
        if instances.is_empty() {
            return Err(no_instance());
        }
        Ok(Requested {
            job_name: job.to_owned(),
            request,
            server: server.map(str::to_owned),
            item: None,
            instances,
        })
    }

    /// Waits until all items of a triggered run have ended, on any instance, for `timeout` at most. Items that have not ended by
    /// then are [`ItemOutcome::Pending`] in the answer, and those of Java members [`ItemOutcome::Unknown`].
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Configuration`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// The run goes on without the waiter.
    pub async fn outcome(&self, requested: &Requested, timeout: Duration) -> Result<Execution, Error> {
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
        mut progress: impl FnMut(&Execution),
    ) -> Result<Execution, Error> {
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

fn run(survey: &Survey, requested: &Requested, now: Timestamp) -> Result<Execution, Error> {
    let mut items = items(survey, &requested.request, requested.server.as_deref())?;
    if let Some(item) = requested.item {
        items.retain(|known, _| *known == item);
    }
    let pending: Vec<u32> = pending_of(&items).collect();
    Ok(Execution {
        job_name: requested.job_name.clone(),
        request: requested.request.clone(),
        items,
        obstacles: obstacles(survey, &requested.request, &pending, now),
    })
}

pub(super) fn check_length(parameter: Option<&str>) -> Result<(), Error> {
    match parameter.map(str::len) {
        Some(length) if length > PARAMETER_LIMIT => Err(Error::ParameterTooLong {
            length,
            limit: PARAMETER_LIMIT,
        }),
        _ => Ok(()),
    }
}

/// Writes a trigger for one item, unless it is there or was carried out; returns the instance that the item belongs to.
fn ask(survey: &Survey, item: u32, trigger: &Trigger) -> Result<(Vec<Step>, Option<String>), Error> {
    let view = &survey.view;
    let job = || survey.job().to_owned();
    let total = listing::configured(survey)?.sharding_total_count().get();
    if item >= total {
        let job = job();
        return Err(Error::NoSuchItem { job, item, total });
    }
    if let Some(pause) = &view.pause {
        let (job, note) = (job(), pause.note.clone());
        return Err(Error::Paused { job, note });
    }
    if view.instances.is_empty() {
        return Err(Error::NoInstance { job: job() });
    }
    let state = view.items.get(&item);
    if state.is_some_and(|state| state.is_disabled) {
        let (job, note) = (job(), survey.note_of(&Switch::Item(item)).cloned());
        return Err(Error::ItemDisabled { job, item, note });
    }
    let owner = state
        .and_then(|state| state.owner.as_ref())
        .filter(|owner| view.instances.contains(*owner));
    let knows_requests = |owner: &&InstanceId| view.members.get(*owner).is_some_and(|member| member.obeys_requests);
    if let Some(instance) = owner.filter(|owner| !knows_requests(owner)) {
        let (job, instance) = (job(), instance.to_string());
        return Err(Error::NotOurItem { job, item, instance });
    }
    let owner = owner.map(ToString::to_string);
    let is_this = |known: &String| trigger.requests.contains(known);
    let stored = view.item_triggers.get(&item);
    let is_there = stored.is_some_and(|stored| {
        stored
            .triggers
            .iter()
            .flat_map(|trigger| &trigger.requests)
            .any(is_this)
    });
    let record = survey.ledgers.get(&item).map(|stored| &stored.value);
    let run = record.and_then(|record| record.run.as_ref());
    let is_taken = run.is_some_and(|run| run.requests.iter().any(is_this))
        || trigger
            .requests
            .iter()
            .any(|request| record.is_some_and(|record| record.answer_to(request).is_some()));
    if is_there || is_taken {
        return Ok((Vec::new(), owner));
    }
    let mut transaction = Transaction::on(view);
    match stored {
        Some(stored) => {
            let mut triggers = stored.triggers.clone();
            trigger.clone().join(&mut triggers);
            transaction.set(Node::Request(item), Trigger::to_bytes(&triggers), Some(stored.version));
        }
        None => {
            let triggers = Trigger::to_bytes(std::slice::from_ref(trigger));
            transaction.create(Node::Request(item), triggers, CreateMode::Persistent);
        }
    }
    Ok((transaction.into_steps(), owner))
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
