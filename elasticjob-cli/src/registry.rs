//! Which registry centre is meant: the one that the application's own configuration names.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use elasticjob::configuration::sources::{DatabaseSettings, EtcdSettings, Loader, RegistryDatabase, RegistrySettings};
use elasticjob::operation::Operations;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::sql::{PostgresRegistry, SqliteRegistry};
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{self, Registry};

use crate::failure::Failure;

/// Where the registry centre is. Later wins: files, the environment (`ELASTICJOB_REG_CENTER_*`), these options.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Registry centre")]
pub(crate) struct RegistryArguments {
    /// Where `application.yaml` and its like are looked for
    #[arg(short = 'C', long, global = true, value_name = "PATH", default_value = ".")]
    directory: PathBuf,

    /// A further configuration file, which wins over those of the directory
    #[arg(short, long, global = true, value_name = "PATH")]
    file: Vec<PathBuf>,

    /// The active profiles, separated by commas
    #[arg(long, global = true, value_name = "NAMES")]
    profile: Option<String>,

    /// ZooKeeper's servers: `10.0.0.1:2181,10.0.0.2:2181`
    #[arg(short, long, global = true, value_name = "LIST")]
    server_lists: Option<String>,

    /// The namespace of the jobs
    #[arg(short, long, global = true, value_name = "NAME")]
    namespace: Option<String>,

    /// How long an attempt to connect may take, such as `5s`
    #[arg(long, global = true, value_name = "DURATION")]
    connection_timeout: Option<String>,
}

#[cfg(feature = "registry-etcd")]
fn on_etcd(settings: &EtcdSettings) -> Result<Arc<dyn Registry>, registry::Error> {
    let registry = registry::etcd::EtcdRegistry::from_settings(settings)?;
    Ok(Arc::new(registry))
}

#[cfg(not(feature = "registry-etcd"))]
fn on_etcd(_settings: &EtcdSettings) -> Result<Arc<dyn Registry>, registry::Error> {
    let problem = "this program was built without the feature `registry-etcd`, whose build needs `protoc`";
    Err(registry::Error::InvalidArgument(problem.to_owned()))
}

impl RegistryArguments {
    /// What reads files, profiles, environment and options.
    pub(crate) fn loader(&self) -> Loader {
        let mut loader = Loader::new().directory(&self.directory).environment(environment());
        for path in &self.file {
            loader = loader.file(path);
        }
        if let Some(names) = &self.profile {
            loader = loader.profile(names);
        }
        for (key, value) in [
            ("reg-center.server-lists", &self.server_lists),
            ("reg-center.namespace", &self.namespace),
            ("reg-center.connection-timeout", &self.connection_timeout),
        ] {
            if let Some(value) = value {
                loader = loader.set(key, value);
            }
        }
        loader
    }

    /// Operations on the jobs there. Nothing is connected yet.
    pub(crate) fn operations(&self) -> Result<Operations, Failure> {
        match self.loader().load_registry()? {
            // Other processes cannot see into it.
            RegistrySettings::Embedded => Err(self.nowhere()),
            settings => Ok(Operations::new(self.of(&settings)?)),
        }
    }

    /// The registry that is meant, also if it is embedded. Nothing is connected yet.
    pub(crate) fn registry(&self) -> Result<Arc<dyn Registry>, Failure> {
        self.of(&self.loader().load_registry()?)
    }

    /// The registry at this place: that of a configuration file, or one by its URL in the namespace that is configured.
    ///
    /// Of the environment, only what placeholders in a file name counts: its settings are those of the configured registry.
    pub(crate) fn at(&self, place: &str) -> Result<Arc<dyn Registry>, Failure> {
        let environment = environment().filter(|(name, _)| !name.to_ascii_uppercase().starts_with("ELASTICJOB"));
        let loader = Loader::new().environment(environment);
        let loader = match place.split_once(':') {
            Some(("zookeeper", list)) => loader
                .set("reg-center.server-lists", list)
                .set("reg-center.namespace", self.configured_namespace()?),
            Some((scheme, _)) if !scheme.contains(['/', '\\', '.']) && scheme.len() > 1 => loader
                .set("reg-center.url", place)
                .set("reg-center.namespace", self.configured_namespace()?),
            _ => loader.file(place),
        };
        match loader.load_registry()? {
            RegistrySettings::Embedded | RegistrySettings::Unnamed => Err(Failure::Usage(format!(
                "{place} names no registry centre that others can reach"
            ))),
            settings => self.of(&settings),
        }
    }

    fn configured_namespace(&self) -> Result<String, Failure> {
        if let Some(namespace) = &self.namespace {
            return Ok(namespace.clone());
        }
        match self.loader().load_registry()? {
            RegistrySettings::ZooKeeper(settings) => Ok(settings.namespace),
            RegistrySettings::Database(settings) => Ok(settings.namespace),
            RegistrySettings::Etcd(settings) => Ok(settings.namespace),
            _ => Err(Failure::Usage(
                "no namespace is configured: name it with --namespace".to_owned(),
            )),
        }
    }

    fn of(&self, settings: &RegistrySettings) -> Result<Arc<dyn Registry>, Failure> {
        let registry: Result<Arc<dyn Registry>, _> = match settings {
            RegistrySettings::ZooKeeper(settings) => {
                ZooKeeperRegistry::from_settings(settings).map(|registry| Arc::new(registry) as _)
            }
            RegistrySettings::Database(settings) => in_database(settings),
            RegistrySettings::Etcd(settings) => on_etcd(settings),
            RegistrySettings::Embedded => Ok(Arc::new(MemoryRegistry::new())),
            _ => return Err(self.nowhere()),
        };
        registry.map_err(|error| Failure::Usage(error.to_string()))
    }

    /// Returns which profiles the files have settings for, if the operator has named none and others count.
    pub(crate) fn forgotten_profiles(&self) -> Option<String> {
        if self.profile.is_some() {
            return None;
        }
        // Files that cannot be read have been reported where they were read first.
        let others = self.loader().other_profiles().ok()?;
        let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| {
            format!(
                "The configuration has settings that count with a profile alone: {}. --profile NAME says which is meant",
                names.join(", ")
            )
        })
    }

    fn nowhere(&self) -> Failure {
        Failure::Unnamed(format!(
            "no registry centre is named: neither by `elasticjob.reg-center` in application.* in {}, nor by \
             ELASTICJOB_REG_CENTER_SERVER_LISTS or ELASTICJOB_REG_CENTER_URL and ELASTICJOB_REG_CENTER_NAMESPACE, nor by \
             --server-lists and --namespace",
            self.directory.display()
        ))
    }
}

fn in_database(settings: &DatabaseSettings) -> Result<Arc<dyn Registry>, registry::Error> {
    match settings.database {
        RegistryDatabase::Postgres(_) => Ok(Arc::new(PostgresRegistry::from_settings(settings)?)),
        _ => Ok(Arc::new(SqliteRegistry::from_settings(settings)?)),
    }
}

/// The environment, as far as it is text: what is no text is no setting of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
