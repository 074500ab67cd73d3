//! Everything that can be known of an application before anything runs.
//!
//! The checks collect faults and go on: a fault hides no other, as far as the rest can still be judged. A job whose
//! name or configuration could not be read has no settings, so only that is reported of it. Parameters and components
//! are taken here once, and code of the application that panics while it is made is a fault with its place, and no
//! panic of the start.
//!
//! What depends on other machines is not checked here: whether the registry answers, and whether it has the job under
//! another class.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::sync::Arc;

use elasticjob_config::sources::{
    DatabaseSettings, Implementation, JobSettings, RegistryDatabase, RegistrySettings, Settings, TracingSettings,
};
use jiff::Timestamp;
use tracing::warn;

use crate::catalogue::UnknownName;
use crate::cluster::policy::Policy;
use crate::cluster::session::Retry;
use crate::error_handler::{self, DEFAULT_HANDLER, ErrorHandlerKind};
use crate::executor::{self, DEFAULT_POOL, Tries, Work};
use crate::guard;
use crate::host;
use crate::job::{Fault, JOB_KIND, Registration, Start, StartParts};
use crate::property::Reader;
use crate::registry::Registry;
use crate::registry::memory::MemoryRegistry;
use crate::schedule::Clock;
use crate::sharding::{self, DEFAULT_STRATEGY};
use crate::trace::TraceListenerKind;
#[cfg(feature = "_history")]
use crate::trace::history::{Setup, SetupFault};

use super::assemble::ApplicationJob;
use super::builder::{Builder, paths, system_clock};
use super::discovery;
use super::error::Error;
use super::fault::{self, Faults};
use super::ready::Ready;

/// The tracing type of databases.
const RDB: &str = "RDB";

const STRATEGY: &str = "job-sharding-strategy-type";

/// Checks an application, as far as its configuration could be read: what is wrong with that is among the faults.
pub(super) fn application(
    mut builder: Builder,
    mut registrations: Vec<Registration>,
    mut settings: Settings,
    mut faults: Faults,
) -> Result<Ready, Error> {
    if let Some(only) = &builder.only {
        keep_only(only, &mut registrations, &mut settings, &mut faults);
    }
    if let Some(duplicates) = discovery::duplicates(&registrations) {
        faults.extend(duplicates.iter());
    }
    refuse_unavailable(&settings, &mut faults);
    pair_companions(&builder, &settings, &mut faults);
    trace_by_type(&mut builder, &settings, &mut faults);
    #[cfg(feature = "_history")]
    let history = history(&mut builder, &settings, &mut faults);
    let preferences = match preferences(&settings) {
        Ok(preferences) => Some(preferences),
        Err(errors) => {
            for error in &errors {
                faults.push(settings.fault(
                    error.setting,
                    Some(&error.value),
                    format!("expected {}", error.expected),
                ));
            }
            None
        }
    };
    let is_from_configuration = builder.registry.is_none();
    let registry = registry(&mut builder, &settings, &mut faults);
    // A job with a faulty name has no settings.
    if settings.enabled && settings.jobs.is_empty() && faults.is_empty() {
        faults.push(fault::Fault::new(no_job(&builder)));
    }
    let seen = (!builder.companions.is_empty()).then(|| Arc::new(settings.clone()));
    let mut by_name: Registrations<'_> = BTreeMap::new();
    for registration in &registrations {
        by_name.entry(registration.name()).or_default().push(registration);
    }
    let now = builder
        .clock
        .as_ref()
        .map_or_else(|| system_clock().now(), |clock| clock.now());
    let is_on_etcd = is_from_configuration && matches!(settings.registry, RegistrySettings::Etcd(_));
    let mut jobs = Vec::new();
    for settings in mem::take(&mut settings.jobs).into_values() {
        if is_on_etcd {
            refuse_clock_comparison(&settings, &mut faults);
        }
        jobs.extend(job(&builder, &by_name, settings, now, &mut faults));
    }
    match (preferences, registry) {
        (Some(preferences), Some((registry, retry))) if faults.is_empty() => {
            let ready = Ready::new(builder, settings, preferences, registry, retry, jobs).with_settings(seen);
            #[cfg(feature = "_history")]
            let ready = ready.with_history(history);
            Ok(ready)
        }
        _ => Err(Error::Invalid(faults)),
    }
}

/// Leaves out all jobs but those of these names, and what of the program only jobs that are left out use.
fn keep_only(
    only: &BTreeSet<String>,
    registrations: &mut Vec<Registration>,
    settings: &mut Settings,
    faults: &mut Faults,
) {
    if !settings.enabled {
        return;
    }
    for name in only.iter().filter(|name| !settings.jobs.contains_key(*name)) {
        let known: Vec<&str> = settings.jobs.keys().map(String::as_str).collect();
        let problem = format!(
            "`only` names the job `{name}`, which there is not: expected one of {}",
            known.join(", ")
        );
        faults.push(fault::Fault::new(problem).naming(name));
    }
    settings.jobs.retain(|name, _| only.contains(name));
    let jobs = settings.jobs.values();
    let used: BTreeSet<&str> = jobs
        .filter_map(|job| match &job.implementation {
            Implementation::Declared(declared) => Some(declared.as_str()),
            _ => None,
        })
        .collect();
    registrations.retain(|registration| used.contains(registration.name()));
}

/// Returns the fault that there is no job, with the probable reason.
fn no_job(builder: &Builder) -> String {
    let mut fault =
        "there is no job: none is declared in a crate that is linked (`use my_jobs as _;` links one), none registered"
            .to_owned();
    let undiscovered = discovery::undiscovered_from(builder.file);
    if builder.is_discovering && !undiscovered.is_empty() {
        fault.push_str("; `register` adds those of test code in other files: ");
        fault.push_str(&undiscovered.join(", "));
    }
    fault
}

/// The jobs that the program has, by name: one of each, unless names are at fault.
type Registrations<'a> = BTreeMap<&'a str, Vec<&'a Registration>>;

/// Refuses what configuration can say and this program cannot do.
fn refuse_unavailable(settings: &Settings, faults: &mut Faults) {
    if database_settings(settings).is_some() && !cfg!(feature = "_history") {
        let problem = "this program was built without one of the features `history-sqlite`, `history-postgres` and \
                       `history-mysql`";
        faults.push(settings.fault("tracing.type", None, problem));
    }
    if settings.metrics.is_some() && !cfg!(feature = "prometheus") {
        let problem = "this program was built without the feature `prometheus`";
        faults.push(settings.fault("metrics.port", None, problem));
    }
}

/// Refuses a section of the configuration that no companion serves, and one that two of them do.
fn pair_companions(builder: &Builder, settings: &Settings, faults: &mut Faults) {
    let sections: Vec<&str> = builder
        .companions
        .iter()
        .filter_map(|companion| companion.section())
        .collect();
    if settings.console.is_some() && !sections.contains(&"console") {
        let problem = "the console is in the crate `elasticjob-console`: add it, and `.with(elasticjob_console::Console::new())` to \
                       the builder";
        faults.push(settings.fault("console.port", None, problem));
    }
    let mut seen = BTreeSet::new();
    for section in sections.into_iter().filter(|section| !seen.insert(*section)) {
        let problem = format!("two companions serve the section `{section}` of the configuration");
        faults.push(fault::Fault::new(problem).naming(section));
    }
}

/// The settings of `tracing`, if they are for a database.
fn database_settings(settings: &Settings) -> Option<&TracingSettings> {
    settings.tracing.as_ref().filter(|tracing| tracing.storage == RDB)
}

/// Adds the trace listener type that `tracing.type` names, if the program brings it.
fn trace_by_type(builder: &mut Builder, settings: &Settings, faults: &mut Faults) {
    let Some(tracing) = settings.tracing.as_ref().filter(|tracing| tracing.storage != RDB) else {
        return;
    };
    let name = &*tracing.storage;
    let Ok(kind) = builder.tracing_types.get(name) else {
        let known = [RDB].into_iter().chain(builder.tracing_types.names());
        let problem = UnknownName::new(builder.tracing_types.kind(), name, known);
        faults.push(settings.fault("tracing.type", None, problem.to_string()));
        return;
    };
    if tracing.names_database() {
        faults.push(tracing.data_source_fault("url", format!("is for the type `RDB`, and `tracing.type` is `{name}`")));
    }
    if tracing.retention.is_some() {
        let problem = format!("is for the type `RDB`, and `tracing.type` is `{name}`");
        faults.push(settings.fault("tracing.retention", None, problem));
    }
    let kind = TraceListenerKind::clone(&kind).jobs(tracing.jobs.clone());
    if let Err(fault) = builder.trace_listeners.register(name, Arc::new(kind)) {
        faults.push(fault);
    }
}

/// What is recorded, in each place.
#[cfg(feature = "_history")]
fn history(builder: &mut Builder, settings: &Settings, faults: &mut Faults) -> Vec<Setup> {
    let storages = mem::take(&mut builder.storages);
    let setups = match Setup::all(database_settings(settings), storages) {
        Ok(setups) => setups,
        Err(found) => {
            faults.extend(found.into_iter().map(of_history));
            return Vec::new();
        }
    };
    let names = settings.jobs.keys().map(String::as_str);
    let overlaps = Setup::overlaps(&setups, names).into_iter();
    faults.extend(overlaps.map(|(job, problem)| fault::Fault::new(problem).naming(&job)));
    setups
}

/// Returns a fault of the history as one of the application, with its place if it has one.
#[cfg(feature = "_history")]
fn of_history(fault: SetupFault) -> fault::Fault {
    match fault {
        SetupFault::Setting(error) => error.into(),
        SetupFault::Storage(problem) => fault::Fault::new(problem),
    }
}

/// Reads which of the machine's addresses is to be ours.
fn preferences(settings: &Settings) -> Result<host::Preferences, Vec<host::InvalidSetting>> {
    let network = &settings.network;
    host::NetworkSettings {
        ip: network.ip.map(|ip| ip.to_string()),
        preferred_interface: network.preferred_interface.clone(),
        preferred_ip: network.preferred_ip.clone(),
    }
    .check()
}

/// Returns the registry, and how often to try to reach it; `None` if it cannot be made, as the faults say.
///
/// A registry that the program hands in counts before that of the configuration. Without either the application runs
/// alone, with a warning unless the configuration says that this is meant. Nothing is connected here.
fn registry(builder: &mut Builder, settings: &Settings, faults: &mut Faults) -> Option<(Arc<dyn Registry>, Retry)> {
    let patient = Retry {
        base: std::time::Duration::from_secs(1),
        limit: std::time::Duration::from_secs(3),
        attempts: None,
    };
    if let Some(registry) = builder.registry.take() {
        return Some((registry, patient));
    }
    match &settings.registry {
        RegistrySettings::ZooKeeper(zookeeper) => {
            let retry = Retry {
                base: zookeeper.base_sleep_time,
                limit: zookeeper.max_sleep_time,
                attempts: zookeeper.fail_fast.then_some(zookeeper.max_retries),
            };
            match connector(zookeeper) {
                Ok(registry) => Some((registry, retry)),
                Err(problems) => {
                    for (setting, value, problem) in problems {
                        faults.push(settings.fault(setting, value.as_deref(), problem));
                    }
                    None
                }
            }
        }
        RegistrySettings::Database(database) => {
            let retry = Retry {
                base: database.base_sleep_time,
                limit: database.max_sleep_time,
                attempts: database.fail_fast.then_some(database.max_retries),
            };
            match in_database(database) {
                Ok(registry) => Some((registry, retry)),
                Err(problem) => {
                    faults.push(settings.fault("reg-center.url", None, problem));
                    None
                }
            }
        }
        RegistrySettings::Etcd(etcd) => {
            let retry = Retry {
                base: etcd.base_sleep_time,
                limit: etcd.max_sleep_time,
                attempts: etcd.fail_fast.then_some(etcd.max_retries),
            };
            match on_etcd(etcd) {
                Ok(registry) => Some((registry, retry)),
                Err(problem) => {
                    faults.push(settings.fault("reg-center.url", None, problem));
                    None
                }
            }
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

/// What is wrong with a setting: its name, its value unless that is a secret, and the problem.
type Problem = (&'static str, Option<String>, String);

#[cfg(feature = "zookeeper")]
fn connector(settings: &elasticjob_config::sources::ZooKeeperSettings) -> Result<Arc<dyn Registry>, Vec<Problem>> {
    use crate::registry::zookeeper::ZooKeeperRegistry;
    match ZooKeeperRegistry::checked(settings) {
        Ok(registry) => Ok(Arc::new(registry)),
        Err(faults) => {
            let problem = |fault: crate::registry::zookeeper::Fault| (fault.setting, fault.value, fault.problem);
            Err(faults.into_iter().map(problem).collect())
        }
    }
}

#[cfg(not(feature = "zookeeper"))]
fn connector(_settings: &elasticjob_config::sources::ZooKeeperSettings) -> Result<Arc<dyn Registry>, Vec<Problem>> {
    let problem = "this program was built without the feature `zookeeper`".to_owned();
    Err(vec![("reg-center.server-lists", None, problem)])
}

fn in_database(settings: &DatabaseSettings) -> Result<Arc<dyn Registry>, String> {
    match settings.database {
        RegistryDatabase::Sqlite(_) => in_sqlite(settings),
        RegistryDatabase::Postgres(_) => in_postgres(settings),
        _ => Err("this program does not know such a database".to_owned()),
    }
}

#[cfg(feature = "registry-sqlite")]
fn in_sqlite(settings: &DatabaseSettings) -> Result<Arc<dyn Registry>, String> {
    match crate::registry::sql::SqliteRegistry::from_settings(settings) {
        Ok(registry) => Ok(Arc::new(registry)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(not(feature = "registry-sqlite"))]
fn in_sqlite(_settings: &DatabaseSettings) -> Result<Arc<dyn Registry>, String> {
    Err("this program was built without the feature `registry-sqlite`".to_owned())
}

#[cfg(feature = "registry-postgres")]
fn in_postgres(settings: &DatabaseSettings) -> Result<Arc<dyn Registry>, String> {
    match crate::registry::sql::PostgresRegistry::from_settings(settings) {
        Ok(registry) => Ok(Arc::new(registry)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(not(feature = "registry-postgres"))]
fn in_postgres(_settings: &DatabaseSettings) -> Result<Arc<dyn Registry>, String> {
    Err("this program was built without the feature `registry-postgres`".to_owned())
}

#[cfg(feature = "registry-etcd")]
fn on_etcd(settings: &elasticjob_config::sources::EtcdSettings) -> Result<Arc<dyn Registry>, String> {
    match crate::registry::etcd::EtcdRegistry::from_settings(settings) {
        Ok(registry) => Ok(Arc::new(registry)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(not(feature = "registry-etcd"))]
fn on_etcd(_settings: &elasticjob_config::sources::EtcdSettings) -> Result<Arc<dyn Registry>, String> {
    Err("this program was built without the feature `registry-etcd`, whose build needs `protoc`".to_owned())
}

/// Refuses to compare the clock of this machine with one that etcd does not have.
fn refuse_clock_comparison(settings: &JobSettings, faults: &mut Faults) {
    if settings.config.max_time_diff().is_some() {
        let problem = "`max-time-diff` is set, and etcd has no clock to compare ours with: leave it out, and watch the clocks by other means";
        faults.push(of_setting(settings, "max-time-diff", problem));
    }
}

/// Checks one job and makes it; `None` where that failed.
fn job(
    builder: &Builder,
    registrations: &Registrations<'_>,
    settings: JobSettings,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<ApplicationJob> {
    let config = &settings.config;
    let name = config.name().as_str();
    for listener in config.listener_types() {
        if let Err(error) = builder.listeners.get(listener) {
            faults.push(of_setting(&settings, "job-listener-types", error));
        }
    }
    let pool = config.executor_service_handler().unwrap_or(DEFAULT_POOL);
    if let Err(error) = builder.pools.pool(pool, name) {
        faults.push(of_setting(&settings, "job-executor-service-handler-type", error));
    }
    if let Some(cron) = config.cron() {
        let zone = config
            .time_zone()
            .cloned()
            .unwrap_or_else(elasticjob_config::zone::Zone::system);
        if !cron.fires_after(now, zone.time_zone()) {
            let problem = format!("cron `{cron}` never fires again in {}", zone.name());
            faults.push(of_setting(&settings, "cron", problem));
        }
    }
    let work = work(builder, registrations, &settings, faults);
    let mut reader = Reader::new(config.props());
    if let Some(work) = &work {
        // Made again when the job starts: this only looks whether it can be.
        let _ = work.open(&mut reader);
    }
    let strategy = config.sharding_strategy().unwrap_or(DEFAULT_STRATEGY);
    let checked = builder.strategies.get(strategy).map(|strategy| {
        let total = config.sharding_total_count().get();
        sharding::check(&*strategy, total, &mut reader)
    });
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => faults.push(of_setting(&settings, STRATEGY, fault)),
        Err(unknown) => faults.push(of_setting(&settings, STRATEGY, unknown)),
    }
    // Together they know all props with our prefix.
    let _: (Option<Policy>, Option<Tries>) = (reader.read(), reader.read());
    if let Some(kind) = error_handler(builder, &settings, faults) {
        let _ = kind.check(&mut reader);
    }
    if let Err(found) = reader.finish(Some(())) {
        for fault in found.iter() {
            let prop = format!("props.{}", fault.key());
            if settings.is_faulty(&prop) {
                continue;
            }
            faults.push(settings.fault(&prop, fault.value(), fault.problem()));
        }
        return None;
    }
    let (declared, implementation) = match &settings.implementation {
        Implementation::Declared(declared) => (declared.clone(), settings.class),
        Implementation::Type(kind) => (name.to_owned(), Some(kind.clone())),
        _ => return None,
    };
    Some(ApplicationJob {
        config: Arc::new(settings.config),
        implementation,
        bootstrap: settings.bootstrap,
        declared,
        origin: settings.origin.to_string(),
        work: work?,
    })
}

/// Returns the code that does a job's work; `None` if there is none, with a fault.
fn work(
    builder: &Builder,
    registrations: &Registrations<'_>,
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
                    faults.push(of_setting(
                        settings,
                        "elastic-job-type",
                        not_there("elastic-job-type", kind, feature, error),
                    ));
                    None
                }
            };
        }
        _ => return None,
    };
    let of_this_name = registrations.get(declared)?;
    let mut is_sound = true;
    for registration in of_this_name {
        let found = misses(builder, registration, settings);
        is_sound &= found.is_empty();
        faults.extend(found);
    }
    let registration = of_this_name.first().filter(|_| is_sound)?;
    match guard::call(|| registration.build(&builder.components)) {
        Ok(Ok(made)) => Some(Work::Declared {
            job: made.into(),
            kind: registration.kind(),
        }),
        Ok(Err(missing)) => {
            faults.push(fault::Fault::of_job(name, place, missing));
            None
        }
        Err(panicked) => {
            faults.push(fault::Fault::of_job(name, place, format!("making it {panicked}")));
            None
        }
    }
}

/// What a job of the program does not get, or not as it takes it.
fn misses(builder: &Builder, registration: &Registration, settings: &JobSettings) -> Vec<Fault> {
    let config = &settings.config;
    let mut start = Start::new(StartParts {
        kind: JOB_KIND,
        job_name: config.name().as_str(),
        place: registration.place(),
        sharding_total_count: config.sharding_total_count().get(),
        job_parameter: config.job_parameter(),
        is_one_off: config.cron().is_none(),
        item_parameters: item_parameters(config),
        props: config.props(),
        components: &builder.components,
        settings: Some(settings),
    });
    if let (true, Some(cron)) = (registration.is_one_off(), config.cron()) {
        let declaration = registration.place();
        let problem = format!("cron `{cron}` for a job that is declared `one_off` ({declaration})");
        start.fault_of("cron", problem);
    }
    start.guarded(|start| registration.check(start));
    start.into_faults()
}

/// The kind of the job's error handler; `None` where there is none of that name, as the faults say.
fn error_handler(builder: &Builder, settings: &JobSettings, faults: &mut Faults) -> Option<Arc<ErrorHandlerKind>> {
    let name = settings.config.error_handler().unwrap_or(DEFAULT_HANDLER);
    let error = match builder.error_handlers.get(name) {
        Ok(kind) => return Some(kind),
        Err(error) => error,
    };
    let feature = error_handler::missing_feature(name);
    let problem = not_there("error handler", name, feature, error);
    faults.push(of_setting(settings, "job-error-handler-type", problem));
    None
}

/// A name that stands for nothing here: the feature that would bring it, or what there is.
fn not_there(kind: &str, name: &str, feature: Option<&str>, error: UnknownName) -> String {
    match feature {
        Some(feature) => format!("{kind} `{name}`: this program was built without the feature `{feature}`"),
        None => error.to_string(),
    }
}

/// A fault of a job's setting, with the place of the value in force.
fn of_setting(settings: &JobSettings, setting: &str, problem: impl fmt::Display) -> fault::Fault {
    fault::Fault::of_job(settings.config.name().as_str(), settings.place(setting), problem)
}

/// Returns the parameters of the items that the job has.
fn item_parameters(config: &elasticjob_config::job::JobConfig) -> BTreeMap<u32, &str> {
    let total = config.sharding_total_count().get();
    let parameters = config.item_parameters().iter();
    parameters
        .filter_map(|(item, parameter)| Some((u32::try_from(item).ok()?, parameter)))
        .filter(|(item, _)| *item < total)
        .collect()
}
