//! Environment variables: `ELASTICJOB_JOBS_SYNC_ORDERS_CRON`.

use std::collections::BTreeMap;

use super::error::{Error, Origin};
use super::key::{self, JobNames, Unknown};
use super::layer::{self, Entry, Layer};
use super::unread;

const PREFIX: &str = "ELASTICJOB_";

/// The layer of the environment. Jobs and their properties must be known by now, because a variable tells neither where
/// their names end nor how they are spelt.
pub(super) fn layer(
    environment: &BTreeMap<String, String>,
    jobs: &JobNames,
    props: &[(String, String)],
    faults: &mut Vec<Error>,
) -> Layer {
    let mut layer = Layer::default();
    for (variable, text) in environment {
        if is_a_link(variable, text) {
            continue;
        }
        let Some(rest) = variable.strip_prefix(PREFIX) else {
            let is_setting = |tokens: &[&str]| key::find_variable(tokens, jobs, props).is_ok();
            if let Some(meant) = unread::misspelt_variable(variable, is_setting) {
                let problem = format!("is not read, did you mean `{meant}`?");
                faults.push(Error::new("", problem).at(Origin::Environment(variable.clone())));
            }
            continue;
        };
        if is_made_by_kubernetes(rest) {
            continue;
        }
        let tokens: Vec<&str> = rest.split('_').filter(|token| !token.is_empty()).collect();
        let origin = Origin::Environment(variable.clone());
        match key::find_variable(&tokens, jobs, props) {
            Ok((key, unit)) => {
                let entry = Entry {
                    written: key.to_string(),
                    text: text.clone(),
                    unit,
                    origin,
                };
                layer.set(key, entry, faults);
            }
            Err(Unknown::Nothing(None)) if tokens.first() == Some(&"JOBS") => {
                let names: Vec<String> = jobs.iter().map(|name| format!("`{name}`")).collect();
                let problem = format!("names no job and setting; the jobs are: {}", names.join(", "));
                faults.push(Error::new("", problem).at(origin));
            }
            Err(unknown) => {
                let mut error = layer::unknown_key("", unknown).at(origin);
                error.key = rest.to_owned();
                faults.push(error);
            }
        }
    }
    layer
}

/// For a service called `elasticjob-metrics`, Kubernetes sets `ELASTICJOB_METRICS_PORT` to its address.
fn is_a_link(variable: &str, text: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    is_address && variable.ends_with("_PORT") && !variable.contains("_JOBS_")
}

/// For a service called `elasticjob`, Kubernetes sets `ELASTICJOB_SERVICE_HOST`, `ELASTICJOB_PORT_80_TCP_ADDR` and more.
fn is_made_by_kubernetes(rest: &str) -> bool {
    rest.starts_with("SERVICE_HOST") || rest.starts_with("SERVICE_PORT") || rest == "PORT" || rest.starts_with("PORT_")
}
