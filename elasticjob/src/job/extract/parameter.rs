//! The job's parameter and those of its items, parsed.

use std::any::type_name;
use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

use super::FromRun;
use crate::job::{BoxError, RunContext, Start};

/// The job's parameter as a `T`. `Option<JobParameter<T>>` is `None` for a job without one.
///
/// ```
/// use elasticjob::prelude::*;
///
/// #[elastic_job(sharding = 1, parameter = "250")]
/// async fn archive(batch: JobParameter<u32>) {
///     assert_eq!(*batch, 250);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobParameter<T>(pub T);

/// The parameter of the run's item as a `T`. `Option<ItemParameter<T>>` is `None` for an item without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemParameter<T>(pub T);

impl<T> Deref for JobParameter<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for ItemParameter<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromStr<Err: Display>> FromRun for JobParameter<T> {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(Self(job_parameter(run.sharding().job_parameter())?))
    }

    fn check(start: &mut Start<'_>) {
        if let Err(fault) = job_parameter::<T>(start.job_parameter()) {
            start.fault(fault);
        }
    }
}

impl<T: FromStr<Err: Display>> FromRun for Option<JobParameter<T>> {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        if run.sharding().job_parameter().is_empty() {
            return Ok(None);
        }
        JobParameter::from_run(run).map(Some)
    }

    fn check(start: &mut Start<'_>) {
        if !start.job_parameter().is_empty() {
            JobParameter::<T>::check(start);
        }
    }
}

impl<T: FromStr<Err: Display>> FromRun for ItemParameter<T> {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        let shard = run.sharding();
        Ok(Self(item_parameter(shard.sharding_item(), shard.sharding_parameter())?))
    }

    fn check(start: &mut Start<'_>) {
        let faults: Vec<_> = start
            .item_parameters()
            .filter_map(|(item, text)| item_parameter::<T>(item, text).err())
            .collect();
        for fault in faults {
            start.fault(fault);
        }
    }
}

impl<T: FromStr<Err: Display>> FromRun for Option<ItemParameter<T>> {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        if run.sharding().sharding_parameter().is_none() {
            return Ok(None);
        }
        ItemParameter::from_run(run).map(Some)
    }

    fn check(start: &mut Start<'_>) {
        let given = start.item_parameters().filter(|(_, text)| text.is_some());
        let faults: Vec<_> = given
            .filter_map(|(item, text)| item_parameter::<T>(item, text).err())
            .collect();
        for fault in faults {
            start.fault(fault);
        }
    }
}

fn job_parameter<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(error) if text.is_empty() => Err(format!(
            "the job has no parameter, expected {}: {error}",
            type_name::<T>()
        )),
        Err(error) => Err(format!(
            "job parameter `{text}` does not parse as {}: {error}",
            type_name::<T>()
        )),
    }
}

fn item_parameter<T: FromStr<Err: Display>>(item: u32, text: Option<&str>) -> Result<T, String> {
    let Some(text) = text else {
        return Err(format!(
            "sharding item {item} has no parameter, expected {}",
            type_name::<T>()
        ));
    };
    text.parse().map_err(|error| {
        format!(
            "parameter `{text}` of sharding item {item} does not parse as {}: {error}",
            type_name::<T>()
        )
    })
}
