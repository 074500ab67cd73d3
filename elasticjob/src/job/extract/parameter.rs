//! The job's parameter and those of its items, parsed.

use std::any::type_name;
use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

use elasticjob_config::ranges::Ranges;

use crate::job::{BoxError, RunContext, Start};
use crate::type_name::shown;

use super::FromRun;

/// Of reasons why parameters do not parse, the further ones count as the last of these.
const MOST_LISTED: usize = 10;

/// The job's parameter as a `T`. `Option<JobParameter<T>>` is `None` for a job without one.
///
/// A run that is asked for may be given another one. So a one-off job can do without a parameter in its configuration; a run that
/// is given none either fails. A job with a schedule does not start without one.
///
/// ```
/// use elasticjob::prelude::*;
///
/// #[elastic_job(sharding = 1, parameter = "250")]
/// async fn archive_batch(batch: JobParameter<u32>) {
///     assert_eq!(*batch, 250);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobParameter<T>(pub T);

/// The parameter of the run's item as a `T`. `Option<ItemParameter<T>>` is `None` for an item without one.
///
/// Without the `Option`, each item of the job needs a parameter that parses as a `T`: the application does not start
/// otherwise. A fault names all items that lack one.
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
        if start.is_one_off() && start.job_parameter().is_empty() {
            return;
        }
        if let Err(fault) = job_parameter::<T>(start.job_parameter()) {
            start.fault_of("job-parameter", fault);
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
        let missing: Ranges = start
            .item_parameters()
            .filter(|(_, text)| text.is_none())
            .map(|(item, _)| item)
            .collect();
        check_given::<T>(start);
        if !missing.is_empty() {
            start.fault_of("sharding-item-parameters", no_parameter::<T>(&missing));
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
        check_given::<T>(start);
    }
}

/// Checks the parameters that there are. What is wrong with many of them is said once, with their items.
fn check_given<T: FromStr<Err: Display>>(start: &mut Start<'_>) {
    let mut wrong: Vec<Wrong<'_>> = Vec::new();
    for (item, text) in start.item_parameters() {
        let Some(text) = text else { continue };
        let Err(error) = text.parse::<T>() else { continue };
        let error = error.to_string();
        let known = wrong.iter().position(|wrong| wrong.error == error);
        match known.or_else(|| wrong.len().checked_sub(MOST_LISTED).map(|_| MOST_LISTED - 1)) {
            Some(index) => wrong[index].items.push(item.into()),
            None => wrong.push(Wrong {
                error,
                text,
                items: Ranges::from_iter([item]),
            }),
        }
    }
    for wrong in wrong {
        start.fault_of("sharding-item-parameters", wrong.said::<T>());
    }
}

/// Items with parameters that do not parse for the same reason, and the first of these parameters.
struct Wrong<'a> {
    error: String,
    text: &'a str,
    items: Ranges,
}

impl Wrong<'_> {
    fn said<T>(&self) -> String {
        let Self { error, text, items } = self;
        let do_not = match items.count() {
            1 => format!("parameter `{text}` of sharding item {items} does not"),
            _ => format!("parameters of sharding items {items}, such as `{text}`, do not"),
        };
        format!("{do_not} parse as {}: {error}", shown(type_name::<T>()))
    }
}

fn job_parameter<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(error) if text.is_empty() => Err(format!(
            "the job has no parameter, expected {}: {error}",
            shown(type_name::<T>())
        )),
        Err(error) => Err(format!(
            "job parameter `{text}` does not parse as {}: {error}",
            shown(type_name::<T>())
        )),
    }
}

fn item_parameter<T: FromStr<Err: Display>>(item: u32, text: Option<&str>) -> Result<T, String> {
    let items = Ranges::from_iter([item]);
    let Some(text) = text else {
        return Err(no_parameter::<T>(&items));
    };
    text.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        Wrong { error, text, items }.said::<T>()
    })
}

fn no_parameter<T>(items: &Ranges) -> String {
    let have = match items.count() {
        1 => format!("sharding item {items} has"),
        _ => format!("sharding items {items} have"),
    };
    format!("{have} no parameter, expected {}", shown(type_name::<T>()))
}
