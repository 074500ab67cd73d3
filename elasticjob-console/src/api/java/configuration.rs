//! The configuration of a job, as the registry holds it for Java members.

use std::collections::BTreeMap;

use axum::extract::Path;
use elasticjob::configuration::job::JobConfig;
use elasticjob::operation::{Error, StoredConfiguration};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::access::Rights;
use crate::masks::{self, Settings};

use super::Caller;
use super::envelope::{Body, Failure, Model, Reply};

/// How often a write is tried that others get in the way of. The last write counts, as in Java.
const ATTEMPTS: u32 = 5;

/// What stands before the key of a property among settings.
const PROPS: &str = "props.";

/// The pool, as Java names it since 3.0.5.
const NEWER_POOL: &str = "jobExecutorThreadPoolSizeProviderType";

/// What the fields of the configuration are.
const FIELDS: [(&str, Kind); 20] = [
    ("cron", Kind::Text),
    ("timeZone", Kind::Text),
    ("shardingTotalCount", Kind::Number),
    ("shardingItemParameters", Kind::Text),
    ("jobParameter", Kind::Text),
    ("monitorExecution", Kind::Switch),
    ("failover", Kind::Switch),
    ("misfire", Kind::Switch),
    ("maxTimeDiffSeconds", Kind::Number),
    ("reconcileIntervalMinutes", Kind::Number),
    ("jobShardingStrategyType", Kind::Text),
    ("jobExecutorServiceHandlerType", Kind::Text),
    (NEWER_POOL, Kind::Text),
    ("jobErrorHandlerType", Kind::Text),
    ("jobListenerTypes", Kind::List),
    ("description", Kind::Text),
    ("disabled", Kind::Switch),
    ("overwrite", Kind::Switch),
    ("label", Kind::Text),
    ("staticSharding", Kind::Switch),
];

/// Fields of the body that are not settings by their own name.
const OTHERS: [&str; 3] = ["jobName", "props", "jobExtraConfigurations"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Switch,
    List,
}

/// Java's `JobConfigurationPOJO`, with its fields in its order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "they are Java's")]
pub(super) struct JobConfiguration {
    job_name: String,
    cron: Option<String>,
    time_zone: Option<String>,
    sharding_total_count: i64,
    sharding_item_parameters: Option<String>,
    job_parameter: Option<String>,
    monitor_execution: bool,
    failover: bool,
    misfire: bool,
    max_time_diff_seconds: i64,
    reconcile_interval_minutes: i64,
    job_sharding_strategy_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_executor_thread_pool_size_provider_type: Option<String>,
    job_executor_service_handler_type: Option<String>,
    job_error_handler_type: Option<String>,
    job_listener_types: Vec<String>,
    /// Never shown, as in Java, and kept by a write.
    job_extra_configurations: Option<()>,
    description: Option<String>,
    props: BTreeMap<String, String>,
    disabled: bool,
    overwrite: bool,
    label: Option<String>,
    static_sharding: bool,
}

impl JobConfiguration {
    /// Returns what is shown of settings: secrets are masked.
    fn of(job: &str, settings: &Settings) -> Self {
        let text = |name: &str| settings.get(name).map(|value| masks::masked(name, value).into_owned());
        let number = |name: &str, without| text(name).and_then(|text| text.parse().ok()).unwrap_or(without);
        let switch = |name: &str| settings.get(name).is_some_and(|text| text == "true");
        let props = settings.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(PROPS)?;
            Some((key.to_owned(), masks::masked(name, value).into_owned()))
        });
        Self {
            job_name: job.to_owned(),
            cron: text("cron"),
            time_zone: text("timeZone"),
            sharding_total_count: number("shardingTotalCount", 0),
            sharding_item_parameters: text("shardingItemParameters"),
            job_parameter: text("jobParameter"),
            monitor_execution: switch("monitorExecution"),
            failover: switch("failover"),
            misfire: switch("misfire"),
            max_time_diff_seconds: number("maxTimeDiffSeconds", -1),
            reconcile_interval_minutes: number("reconcileIntervalMinutes", 0),
            job_sharding_strategy_type: text("jobShardingStrategyType"),
            job_executor_thread_pool_size_provider_type: text(NEWER_POOL),
            job_executor_service_handler_type: text("jobExecutorServiceHandlerType"),
            job_error_handler_type: text("jobErrorHandlerType"),
            job_listener_types: text("jobListenerTypes")
                .map(|types| types.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
            job_extra_configurations: None,
            description: text("description"),
            props: props.collect(),
            disabled: switch("disabled"),
            overwrite: switch("overwrite"),
            label: text("label"),
            static_sharding: switch("staticSharding"),
        }
    }
}

/// Returns the configuration, also one that no job can run by, as far as it can be read.
pub(super) async fn read(caller: Caller, Path(job): Path<String>) -> Reply<JobConfiguration> {
    let stored = stored(&caller, &job).await?;
    let settings = JobConfig::legible_in_java(&stored.text);
    if settings.is_empty() {
        return Err(Failure::refused(format!(
            "the configuration of job `{job}` is not a map in YAML"
        )));
    }
    Ok(Model(JobConfiguration::of(&job, &settings)))
}

/// Replaces the configuration by that of the body: what the body leaves out has its default. Java writes any configuration; this one has to
/// be such that the job can run by it.
pub(super) async fn write(caller: Caller, Body(body): Body<Map<String, Value>>) -> Reply<bool> {
    let (job, given) = given(&body)?;
    if !caller.visitor.sees(&job) {
        return Err(Error::NoSuchJob { job }.into());
    }
    let mut attempt = 1;
    loop {
        let stored = stored(&caller, &job).await?;
        let before = JobConfig::legible_in_java(&stored.text);
        let after = masks::restored(&before, given.clone())
            .map_err(|faults| Failure::argument(format!("configuration of job `{job}`: {}", faults.join("; "))))?;
        let code = masks::changes_of_code(&before, &after);
        if !code.is_empty() && !caller.visitor.may(Rights::Admin) {
            let code = code.join("`, `");
            return Err(Failure::forbidden(format!(
                "`{code}` is code on every instance: an admin may change it"
            )));
        }
        let config = JobConfig::from_yaml(&text(&job, &after)).map_err(|source| Error::Unacceptable {
            job: job.clone(),
            source,
        })?;
        match caller
            .operations()
            .update_configuration(&job, &config, stored.version)
            .await
        {
            Ok(_) => return Ok(Model(true)),
            Err(Error::Changed { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn stored(caller: &Caller, job: &str) -> Result<StoredConfiguration, Failure> {
    let stored = caller.operations().configuration(job).await?;
    stored.ok_or_else(|| Error::NoConfiguration { job: job.to_owned() }.into())
}

/// Reads the body: the name of the job, and the settings that it has. All faults at once.
fn given(body: &Map<String, Value>) -> Result<(String, Settings), Failure> {
    let (mut settings, mut faults) = (Settings::new(), Vec::new());
    let mut take = |name: String, kind: Kind, value: &Value| match written(kind, value) {
        Ok(None) => {}
        Ok(Some(text)) => drop(settings.insert(name, text)),
        Err(expected) => faults.push(format!("`{name}` is {value}: {expected} is expected")),
    };
    for (name, kind) in FIELDS {
        take(name.to_owned(), kind, body.get(name).unwrap_or(&Value::Null));
    }
    match body.get("props") {
        None | Some(Value::Null) => {}
        Some(Value::Object(props)) => {
            for (key, value) in props {
                take(format!("{PROPS}{key}"), Kind::Text, value);
            }
        }
        Some(other) => take("props".to_owned(), Kind::Text, &json!([other])),
    }
    let is_known = |name: &str| OTHERS.contains(&name) || FIELDS.iter().any(|(known, _)| *known == name);
    faults.extend(
        body.keys()
            .filter(|name| !is_known(name))
            .map(|name| format!("`{name}` is not a setting")),
    );
    let job = match body.get("jobName") {
        Some(Value::String(job)) if !job.is_empty() => job.clone(),
        _ => {
            faults.push("jobName can not be empty.".to_owned());
            String::new()
        }
    };
    if faults.is_empty() {
        Ok((job, settings))
    } else {
        Err(Failure::argument(faults.join("; ")))
    }
}

/// Returns a value of JSON as the text of a setting, or what is expected instead.
fn written(kind: Kind, value: &Value) -> Result<Option<String>, &'static str> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(switch) => Some(switch.to_string()),
        _ => None,
    };
    match (kind, value) {
        (_, Value::Null) => Ok(None),
        (Kind::List, Value::Array(values)) => {
            let names: Option<Vec<String>> = values.iter().map(text).collect();
            let names = names.ok_or("a list of texts")?;
            Ok((!names.is_empty()).then(|| names.join(",")))
        }
        (Kind::List, _) => Err("a list"),
        (Kind::Text, value) => text(value).map(Some).ok_or("a text"),
        (Kind::Number, value) => match text(value).filter(|text| text.parse::<i64>().is_ok()) {
            Some(number) => Ok(Some(number)),
            None => Err("a whole number"),
        },
        (Kind::Switch, value) => match text(value).filter(|text| ["true", "false"].contains(&&**text)) {
            Some(switch) => Ok(Some(switch)),
            None => Err("true or false"),
        },
    }
}

/// Returns settings as the text of the registry. JSON is YAML, and each member would read this one.
fn text(job: &str, settings: &Settings) -> String {
    let mut all = Map::new();
    let mut props = Map::new();
    all.insert("jobName".to_owned(), json!(job));
    for (name, value) in settings {
        if let Some(key) = name.strip_prefix(PROPS) {
            props.insert(key.to_owned(), json!(value));
            continue;
        }
        let kind = FIELDS
            .iter()
            .find(|(known, _)| known == name)
            .map_or(Kind::Text, |(_, kind)| *kind);
        let value = match kind {
            Kind::Text => json!(value),
            Kind::Number => value
                .parse::<i64>()
                .map_or_else(|_| json!(value), |number| json!(number)),
            Kind::Switch => json!(value == "true"),
            Kind::List => json!(value.split(',').collect::<Vec<_>>()),
        };
        all.insert(name.clone(), value);
    }
    all.insert("props".to_owned(), Value::Object(props));
    Value::Object(all).to_string()
}
