//! Environment variables: `ELASTICJOB_JOBS_SYNC_ORDERS_CRON`, or a key as it stands in `.properties`,
//! `elasticjob.jobs.sync_orders.cron`. The items of a list may have a variable each: `ELASTICJOB_LABELS_0`, or `.._0_`.

use std::collections::BTreeMap;

use super::error::{Error, Origin};
use super::key::{self, JobNames, JobProps, Key, Known, Unknown};
use super::layer::{self, Entry, Layer};
use super::tree;
use super::unread;
use crate::spelling;

const PREFIX: &str = "ELASTICJOB_";

/// The layer of the environment. Jobs and their properties must be known by now, because a variable tells neither where
/// their names end nor how they are spelt.
pub(super) fn layer(
    environment: &BTreeMap<String, String>,
    jobs: &JobNames,
    props: &JobProps,
    faults: &mut Vec<Error>,
) -> Layer {
    let mut layer = Layer::default();
    let mut lists: BTreeMap<Key, Items<'_>> = BTreeMap::new();
    for (variable, text) in environment {
        if is_a_link(variable, text) {
            continue;
        }
        let Some(name) = Name::parse(variable) else {
            faults.extend(misspelt(variable, jobs, props));
            continue;
        };
        let origin = Origin::Environment(variable.clone());
        match name.find(jobs, props) {
            Ok(((key, unit), None)) => {
                let entry = Entry {
                    written: key.to_string(),
                    text: text.clone(),
                    unit,
                    origin,
                };
                layer.set(key, entry, faults);
            }
            Ok(((key, _), Some(index))) => {
                if text.contains(',') {
                    let error = Error::new(key.to_string(), "an item of a list holds no comma").at(origin.clone());
                    faults.push(error.of(key.job()));
                }
                lists.entry(key).or_default().insert(index, (text, origin));
            }
            Err(Unknown::Nothing(None)) if name.is_of_job() => {
                let problem = format!(
                    "names no job and setting; the jobs are: {}",
                    spelling::listed(jobs.iter())
                );
                faults.push(Error::new("", problem).at(origin));
            }
            Err(unknown) => faults.push(layer::unknown_key(name.written(), unknown).at(origin)),
        }
    }
    for (key, items) in lists {
        if let Some(entry) = list(&key, items, faults) {
            layer.set(key, entry, faults);
        }
    }
    layer
}

/// The items of a list by their numbers, each with the variable that gives it.
type Items<'a> = BTreeMap<usize, (&'a str, Origin)>;

/// The list that several variables give an item each of.
fn list(key: &Key, items: Items<'_>, faults: &mut Vec<Error>) -> Option<Entry> {
    let is_complete = items.keys().copied().eq(0..items.len());
    let texts: Vec<&str> = items.values().map(|(text, _)| *text).collect();
    let text = texts.join(",");
    let (_, (_, origin)) = items.into_iter().next()?;
    let written = key.to_string();
    if !is_complete {
        let problem = "the items of a list are numbered from 0 on, without a gap";
        faults.push(Error::new(&*written, problem).at(origin.clone()).of(key.job()));
    }
    Some(Entry {
        written,
        text,
        unit: "",
        origin,
    })
}

/// The fault of a variable that is not ours, but would be if it were spelt a little otherwise.
fn misspelt(variable: &str, jobs: &JobNames, props: &JobProps) -> Option<Error> {
    if variable.starts_with(PREFIX) {
        return None;
    }
    let is_setting = |tokens: &[&str]| key::find_variable(tokens, jobs, props).is_ok();
    let meant = unread::misspelt_variable(variable, is_setting)?;
    let problem = format!("is not read, did you mean `{meant}`?");
    Some(Error::new("", problem).at(Origin::Environment(variable.to_owned())))
}

/// For a service called `elasticjob-metrics`, Kubernetes sets `ELASTICJOB_METRICS_PORT` to its address.
fn is_a_link(variable: &str, text: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    is_address && variable.ends_with("_PORT") && !variable.contains("_JOBS_")
}

/// The name of a variable that may be ElasticJob's.
enum Name<'a> {
    /// Words behind `ELASTICJOB_`.
    Words { written: &'a str, words: Vec<&'a str> },
    /// A key with dots, below `elasticjob`.
    Path { written: &'a str, parts: Vec<String> },
}

impl<'a> Name<'a> {
    fn parse(variable: &'a str) -> Option<Self> {
        if let Some(written) = variable.strip_prefix(PREFIX) {
            let words = written.split('_').filter(|word| !word.is_empty()).collect();
            return (!is_made_by_kubernetes(written)).then_some(Self::Words { written, words });
        }
        let mut parts = key::parts(variable);
        (parts.len() > 1 && tree::is_ours(&parts)).then(|| Self::Path {
            written: variable,
            parts: parts.split_off(1),
        })
    }

    fn written(&self) -> &'a str {
        match self {
            Self::Words { written, .. } | Self::Path { written, .. } => written,
        }
    }

    fn is_of_job(&self) -> bool {
        matches!(self, Self::Words { words, .. } if words.first() == Some(&"JOBS"))
    }

    /// The setting, and which item of it if the name ends with a number that only a list can have.
    fn find(&self, jobs: &JobNames, props: &JobProps) -> Result<(Known, Option<usize>), Unknown> {
        let (found, list, index) = match self {
            Self::Words { words, .. } => {
                let found = key::find_variable(words, jobs, props);
                let (last, list) = words.split_last().map_or(("", &[][..]), |(last, list)| (*last, list));
                (found, key::find_variable(list, jobs, props), last.parse().ok())
            }
            Self::Path { parts, .. } => {
                let (last, list) = parts
                    .split_last()
                    .map_or(("", &[][..]), |(last, list)| (last.as_str(), list));
                (key::find(parts), key::find(list), last.parse().ok())
            }
        };
        match (found, list) {
            (Err(_), Ok(list)) if index.is_some() && list.0.is_list() => Ok((list, index)),
            (found, _) => found.map(|known| (known, None)),
        }
    }
}

/// For a service called `elasticjob`, Kubernetes sets `ELASTICJOB_SERVICE_HOST`, `ELASTICJOB_PORT_80_TCP_ADDR` and more.
fn is_made_by_kubernetes(rest: &str) -> bool {
    rest.starts_with("SERVICE_HOST") || rest.starts_with("SERVICE_PORT") || rest == "PORT" || rest.starts_with("PORT_")
}
