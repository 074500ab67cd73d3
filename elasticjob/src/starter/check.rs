//! Everything that can be known before anything runs.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use elasticjob_config::sources::{Implementation, JobSettings, RegistrySettings, Settings};
use jiff::Timestamp;
use tracing::warn;

use crate::catalogue::UnknownName;
use crate::cluster::policy::Policy;
use crate::error_handler::{self, DEFAULT_HANDLER, ErrorHandlerKind};
use crate::executor::{self, DEFAULT_POOL, Tries, Work};
use crate::guard;
use crate::host;
use crate::job::{Registration, Start, StartParts};
use crate::property::Reader;
use crate::registry::Registry;
use crate::registry::memory::MemoryRegistry;
use crate::schedule::Clock;
use crate::sharding::{self, DEFAULT_STRATEGY};

use super::builder::{Builder, paths, system_clock};
use super::error::{Error, Faults};
use super::ready::{CheckedJob, Ready};

/// Checks an application whose configuration could be read.
pub(super) fn application(
    mut builder: Builder,
    registrations: Vec<Registration>,
    mut settings: Settings,
    mut faults: Faults,
) -> Result<Ready, Error> {
    refuse_unavailable(&settings, &mut faults);
    #[cfg(feature = "_history")]
    let history = history(&settings, &mut faults);
    let preferences = match preferences(&settings) {
        Ok(preferences) => Some(preferences),
        Err(errors) => {
            errors.iter().for_each(|error| faults.push(error));
            None
        }
    };
    let registry = registry(&mut builder, &settings, &mut faults);
    if settings.enabled && settings.jobs.is_empty() {
        faults.push(
            "there is no job: none is declared in a crate that is linked (`use my_jobs as _;` links one), none registered",
        );
    }
    let registrations: BTreeMap<&str, &Registration> = registrations.iter().map(|job| (job.name(), job)).collect();
    let now = builder
        .clock
        .as_ref()
        .map_or_else(|| system_clock().now(), |clock| clock.now());
    let mut jobs = Vec::new();
    for settings in mem::take(&mut settings.jobs).into_values() {
        jobs.extend(job(&builder, &registrations, settings, now, &mut faults));
    }
    match (preferences, registry) {
        (Some(preferences), Some((registry, retry))) if faults.is_empty() => {
            let ready = Ready::new(builder, settings, preferences, registry, retry, jobs);
            #[cfg(feature = "_history")]
            let ready = ready.with_history(history);
            Ok(ready)
        }
        _ => Err(Error::Invalid(faults)),
    }
}

/// Refuses what configuration can say and this program cannot do.
fn refuse_unavailable(settings: &Settings, faults: &mut Faults) {
    if settings.tracing.is_some() && !cfg!(feature = "_history") {
        faults.push(
            "`elasticjob.tracing`: this program was built without one of the features `history-sqlite`, \
             `history-postgres` and `history-mysql`",
        );
    }
    if settings.metrics.is_some() && !cfg!(feature = "prometheus") {
        faults.push("`elasticjob.metrics`: this program was built without the feature `prometheus`");
    }
}

#[cfg(feature = "_history")]
fn history(settings: &Settings, faults: &mut Faults) -> Option<crate::trace::history::Setup> {
    match crate::trace::history::Setup::of(settings.tracing.as_ref()?) {
        Ok(setup) => Some(setup),
        Err(found) => {
            found.iter().for_each(|fault| faults.push(fault));
            None
        }
    }
}

fn preferences(settings: &Settings) -> Result<host::Preferences, Vec<host::InvalidSetting>> {
    let network = &settings.network;
    host::NetworkSettings {
        ip: network.ip.map(|ip| ip.to_string()),
        preferred_interface: network.preferred_interface.clone(),
        preferred_ip: network.preferred_ip.clone(),
    }
    .check()
}

/// How often to try to connect: the pauses, and after how many attempts to give up.
#[derive(Clone, Debug)]
pub(super) struct ConnectPolicy {
    pub(super) base: std::time::Duration,
    pub(super) limit: std::time::Duration,
    pub(super) attempts: Option<u32>,
}

fn registry(
    builder: &mut Builder,
    settings: &Settings,
    faults: &mut Faults,
) -> Option<(Arc<dyn Registry>, ConnectPolicy)> {
    let patient = ConnectPolicy {
        base: std::time::Duration::from_secs(1),
        limit: std::time::Duration::from_secs(3),
        attempts: None,
    };
    if let Some(registry) = builder.registry.take() {
        return Some((registry, patient));
    }
    match &settings.registry {
        RegistrySettings::ZooKeeper(zookeeper) => {
            let policy = ConnectPolicy {
                base: zookeeper.base_sleep_time,
                limit: zookeeper.max_sleep_time,
                attempts: zookeeper.fail_fast.then_some(zookeeper.max_retries),
            };
            connector(zookeeper, faults).map(|registry| (registry, policy))
        }
        RegistrySettings::Unnamed => {
            warn!(
                files = paths(&settings.sources.files),
                absent = paths(&settings.sources.absent),
                "no registry is named: each instance of this application runs all items of all jobs alone, on an embedded \
                 registry; if this is meant, set `elasticjob.reg-center.type: EMBEDDED`"
            );
            Some((Arc::new(MemoryRegistry::new()), patient))
        }
        _ => Some((Arc::new(MemoryRegistry::new()), patient)),
    }
}

#[cfg(feature = "zookeeper")]
fn connector(
    settings: &elasticjob_config::sources::ZooKeeperSettings,
    faults: &mut Faults,
) -> Option<Arc<dyn Registry>> {
    use crate::registry::zookeeper::ZooKeeperRegistry;
    match ZooKeeperRegistry::from_settings(settings) {
        Ok(registry) => Some(Arc::new(registry)),
        Err(error) => {
            faults.push(format!("`elasticjob.reg-center`: {error}"));
            None
        }
    }
}

#[cfg(not(feature = "zookeeper"))]
fn connector(
    _settings: &elasticjob_config::sources::ZooKeeperSettings,
    faults: &mut Faults,
) -> Option<Arc<dyn Registry>> {
    faults.push("`elasticjob.reg-center`: this program was built without the feature `zookeeper`");
    None
}

/// Checks one job and makes it; `None` where that failed.
fn job(
    builder: &Builder,
    registrations: &BTreeMap<&str, &Registration>,
    settings: JobSettings,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<CheckedJob> {
    let config = &settings.config;
    let name = config.name().as_str();
    let place = &settings.origin;
    for listener in config.listener_types() {
        if let Err(error) = builder.listeners.get(listener) {
            faults.push(format!("job {name} ({place}): {error}"));
        }
    }
    let pool = config.executor_service_handler().unwrap_or(DEFAULT_POOL);
    if let Err(error) = builder.pools.pool(pool, name) {
        faults.push(format!("job {name} ({place}): {error}"));
    }
    if let Some(cron) = config.cron() {
        let zone = config
            .time_zone()
            .cloned()
            .unwrap_or_else(elasticjob_config::zone::Zone::system);
        if !cron.fires_after(now, zone.time_zone()) {
            faults.push(format!(
                "job {name} ({place}): cron `{cron}` never fires again in {}",
                zone.name()
            ));
        }
    }
    let work = work(builder, registrations, &settings, faults);
    let mut reader = Reader::new(config.props());
    if let Some(work) = &work {
        // Made again when the job starts: this only looks whether it can be.
        let _ = work.open(&mut reader);
    }
    match builder
        .strategies
        .get(config.sharding_strategy().unwrap_or(DEFAULT_STRATEGY))
    {
        Ok(strategy) => {
            if let Err(fault) = sharding::check(&*strategy, config.sharding_total_count().get(), &mut reader) {
                faults.push(format!("job {name} ({place}): {fault}"));
            }
        }
        Err(error) => faults.push(format!("job {name} ({place}): {error}")),
    }
    // Together they know all props whose names begin as ours do.
    let _: (Option<Policy>, Option<Tries>) = (reader.read(), reader.read());
    if let Some(kind) = error_handler(builder, &settings, faults) {
        let _ = kind.check(&mut reader);
    }
    if let Err(found) = reader.finish(Some(())) {
        for fault in found.iter() {
            faults.push(settings.prop_fault(fault.key(), fault.value(), fault.problem()));
        }
        return None;
    }
    let (declared, implementation) = match &settings.implementation {
        Implementation::Declared(declared) => (declared.clone(), settings.class),
        Implementation::Type(kind) => (name.to_owned(), Some(kind.clone())),
        _ => return None,
    };
    Some(CheckedJob {
        config: Arc::new(settings.config),
        implementation,
        bootstrap: settings.bootstrap,
        declared,
        origin: place.to_string(),
        work: work?,
    })
}

/// Who does a job's work; `None` where nobody can, as the faults say.
fn work(
    builder: &Builder,
    registrations: &BTreeMap<&str, &Registration>,
    settings: &JobSettings,
    faults: &mut Faults,
) -> Option<Work> {
    let (config, place) = (&settings.config, &settings.origin);
    let name = config.name().as_str();
    let declared = match &settings.implementation {
        Implementation::Declared(declared) => declared.as_str(),
        Implementation::Type(kind) => {
            return match builder.job_executors.get(kind) {
                Ok(executor) => Some(Work::Typed(executor)),
                Err(error) => {
                    let feature = executor::missing_feature(kind);
                    faults.push(not_there("elastic-job-type", kind, settings, feature, error));
                    None
                }
            };
        }
        _ => return None,
    };
    let registration = registrations.get(declared)?;
    if let (true, Some(cron)) = (registration.is_one_off(), config.cron()) {
        let declaration = registration.place();
        faults.push(format!(
            "job {name} ({place}): cron `{cron}` for a job that is declared `one_off` ({declaration})"
        ));
    }
    let mut start = Start::new(StartParts {
        kind: "job",
        job_name: name,
        place: registration.place(),
        sharding_total_count: config.sharding_total_count().get(),
        job_parameter: config.job_parameter(),
        item_parameters: item_parameters(config),
        props: config.props(),
        components: &builder.components,
    });
    start.guarded(|start| registration.check(start));
    let found = start.into_faults();
    let is_sound = found.is_empty();
    found.into_iter().for_each(|fault| faults.push(fault));
    if !is_sound {
        return None;
    }
    match guard::call(|| registration.build(&builder.components)) {
        Ok(Ok(made)) => Some(Work::Declared {
            job: made.into(),
            kind: registration.kind(),
        }),
        Ok(Err(missing)) => {
            faults.push(format!("job {name} ({place}): {missing}"));
            None
        }
        Err(panicked) => {
            faults.push(format!("job {name} ({place}): making it {panicked}"));
            None
        }
    }
}

/// The kind of the job's error handler; `None` where there is none of that name, as the faults say.
fn error_handler(builder: &Builder, settings: &JobSettings, faults: &mut Faults) -> Option<Arc<ErrorHandlerKind>> {
    let name = settings.config.error_handler().unwrap_or(DEFAULT_HANDLER);
    let error = match builder.error_handlers.get(name) {
        Ok(kind) => return Some(kind),
        Err(error) => error,
    };
    let feature = error_handler::missing_feature(name);
    faults.push(not_there("error handler", name, settings, feature, error));
    None
}

/// A name that stands for nothing here: the feature that would bring it, or what there is.
fn not_there(kind: &str, name: &str, settings: &JobSettings, feature: Option<&str>, error: UnknownName) -> String {
    let (job, place) = (settings.config.name(), &settings.origin);
    match feature {
        Some(feature) => {
            format!("job {job} ({place}): {kind} `{name}`: this program was built without the feature `{feature}`")
        }
        None => format!("job {job} ({place}): {error}"),
    }
}

fn item_parameters(config: &elasticjob_config::job::JobConfig) -> BTreeMap<u32, &str> {
    let total = config.sharding_total_count().get();
    let parameters = config.item_parameters().iter();
    parameters
        .filter_map(|(item, parameter)| Some((u32::try_from(item).ok()?, parameter)))
        .filter(|(item, _)| *item < total)
        .collect()
}
