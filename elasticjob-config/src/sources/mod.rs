//! The configuration of an application, put together from layers.
//!
//! Later layers win, setting by setting:
//! 1. built-in defaults;
//! 2. the attribute of a job;
//! 3. `application.{yaml,yml,toml,properties}`, or a `figment::Figment` or `config::Config` that is handed in;
//! 4. `application-PROFILE.*` for each active profile;
//! 5. environment variables that begin with `ELASTICJOB_`;
//! 6. what the program sets by code.
//!
//! A file is looked for in the directory that is given and in its `config` directory, which wins; of several formats the
//! one further right wins. [`Settings::sources`] says which were read and which are not there.
//!
//! Profiles are named by [`Loader::profile`], else by `ELASTICJOB_PROFILES_ACTIVE`, else by `elasticjob.profiles.active` in a
//! document for all, and else in Spring's way: by `SPRING_PROFILES_ACTIVE` or `spring.profiles.active`. Several are separated
//! by commas, and the later ones win. `spring.profiles.include` adds profiles before these, `spring.profiles.group.NAME` some
//! after the profile of that name, and without any the profile `default` is active. A profile that ElasticJob's own means
//! name, and no file, document or group is for, is an error.
//!
//! A file may hold several documents, separated by `---` in YAML and by `#---` in `.properties`. One with Spring's
//! `spring.config.activate.on-profile`, or `spring.profiles` of old, counts only if that is met: it is a profile, an expression
//! such as `prod & (eu | !us)`, or a list of these, of which one is enough. Another condition, such as `on-cloud-platform`, is
//! an error; so are settings that choose profiles where they are read too late for that.
//!
//! All settings are below `elasticjob`; what else a file holds belongs to others. A key that is nearly called so is refused. A key is known by its letters and digits:
//! `regCenter`, `reg-center` and `reg_center` are one. Names of jobs and keys of `props` stay as they are: `syncOrders` and
//! `sync_orders` are two jobs. An environment variable cannot spell them, so it means the job or key that is known otherwise
//! and has its letters and digits; if it may mean several, it is refused. `props` may be nested or dotted. Unknown keys, and keys
//! that are set twice in one source, are errors. `${NAME:default}` stands in any text for an environment variable or another
//! key; `\${` stands for `${`.
//!
//! If `tracing.type` is given and `tracing.data-source` names no database, history is recorded in the application's own,
//! which Spring's settings name: `spring.datasource.url`, `username`, `password` and `driver-class-name`, or the same below
//! `spring.datasource.hikari`.
//!
//! Settings that the Java starter has are read under its names, too. `elasticJobClass` names a declared job by its whole
//! name or by its last part: `com.acme.SyncOrders` is the declared `SyncOrders` or `sync_orders`. A declared job that is
//! named so runs under the names of the jobs that name it, and under its own only if that is configured as well.
//!
//! Nothing is read from the process: the environment is handed in. All faults are found at once, each with its place, and
//! no message and no `Debug` shows a secret.
//!
//! Start at [`Loader`].

mod bind;
mod condition;
mod document;
mod environment;
mod error;
mod files;
#[cfg(any(feature = "config", feature = "figment"))]
mod handed_in;
mod key;
mod layer;
mod network;
mod placeholder;
mod profile;
mod properties;
mod reference;
mod registry_only;
mod registry_url;
mod server;
mod settings;
mod spelt;
mod spring;
mod toml;
mod tree;
mod unread;
pub(crate) mod value;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The crate of which [`Loader::config`] accepts a `Config`.
#[cfg(feature = "config")]
pub use config;
/// The crate of which [`Loader::figment`] accepts a `Figment`.
#[cfg(feature = "figment")]
pub use figment;

pub use self::error::{Error, Errors, Origin};
pub use self::network::Network;
pub use self::properties::read_properties;
pub use self::server::Server;
pub use self::settings::{
    ConsoleRole, ConsoleSettings, ConsoleToken, ConsoleUser, DataSourceSettings, DatabaseSettings, DumpSettings,
    EtcdSettings, Implementation, JobSettings, KeptRunLogs, MetricsSettings, NetworkSettings, RegistryDatabase,
    RegistrySettings, RunLogLevel, RunLogSettings, SaslMechanism, SaslSettings, Settings, Sources, TlsIdentity,
    TlsSettings, TracedJobs, TracingSettings, ZooKeeperSettings,
};

pub(crate) use self::spelt::Spelt;

use self::bind::{Binder, Declarations};
use self::document::Document;
use self::files::Files;
use self::layer::Layer;
use self::placeholder::{Lookup, Spent};
use self::profile::{Choice, Profiles};
use self::tree::{Leaf, Tree};

/// A job that the program declares by an attribute.
#[derive(Clone, PartialEq, Eq)]
pub struct Declared {
    /// The job's name.
    pub name: String,
    /// Where the attribute stands: `src/main.rs:12`.
    pub origin: String,
    /// The attribute's values by their keys, as they would stand in a file: `("sharding-total-count", "3")`,
    /// `("props.script.command.line", "./run.sh")`.
    pub values: Vec<(String, String)>,
}

/// Reads the configuration of an application.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::sources::{Declared, Loader};
///
/// let declared = Declared {
///     name: "sync_orders".into(),
///     origin: "src/main.rs:12".into(),
///     values: vec![("cron".into(), "0/5 * * * * ?".into()), ("sharding-total-count".into(), "3".into())],
/// };
/// let settings = Loader::new()
///     .declared(vec![declared])
///     .environment([("ELASTICJOB_JOBS_SYNC_ORDERS_CRON".to_owned(), "0/10 * * * * ?".to_owned())])
///     .set("jobs.sync_orders.failover", "true")
///     .load()?;
/// let job = &settings.jobs["sync_orders"].config;
/// assert_eq!(job.cron().unwrap().to_string(), "0/10 * * * * ?");
/// assert!(job.failover());
/// # Ok::<(), elasticjob_config::sources::Errors>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "nothing is read before `load`"]
pub struct Loader {
    directory: Option<PathBuf>,
    files: Vec<PathBuf>,
    profiles: Option<Vec<String>>,
    environment: BTreeMap<String, String>,
    declared: Vec<Declared>,
    /// Of `figment` and `config`, in the order of the calls.
    handed_in: Vec<Result<Tree, Error>>,
    overrides: Vec<(String, String)>,
}

impl Loader {
    /// Reads nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where `application.*` is looked for. It need not be there.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// A further file, which wins over those of the directory and must be there.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Sets the active profiles, separated by commas; they win over the environment and the files.
    pub fn profile(mut self, names: &str) -> Self {
        self.profiles = Some(profile::names(names));
        self
    }

    /// The environment, which is never read here: for placeholders and for variables that begin with `ELASTICJOB_`.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// The jobs that the program declares.
    pub fn declared(mut self, jobs: Vec<Declared>) -> Self {
        self.declared.extend(jobs);
        self
    }

    /// Adds configuration that the application has put together with `figment`: the values of its selected profile below
    /// `elasticjob`. It wins over files, and over what an earlier call has handed in.
    #[cfg(feature = "figment")]
    pub fn figment(mut self, figment: figment::Figment) -> Self {
        self.handed_in.push(handed_in::figment::read(&figment));
        self
    }

    /// Adds configuration that the application has put together with `config`: its values below `elasticjob`. It wins over
    /// files, and over what an earlier call has handed in.
    #[cfg(feature = "config")]
    pub fn config(mut self, config: config::Config) -> Self {
        self.handed_in.push(handed_in::config::read(&config));
        self
    }

    /// Sets one value by code; nothing wins over it. The key may begin with `elasticjob.` or leave that out.
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// Reads all layers and checks everything.
    ///
    /// # Errors
    /// All faults of all layers at once.
    pub fn load(&self) -> Result<Settings, Errors> {
        let (settings, checked) = self.read();
        checked.map(|()| settings)
    }

    /// Reads and checks as [`load`](Self::load) does, and returns what there is beside all faults, so that a caller that
    /// checks more can report its own at the same time.
    ///
    /// A setting that is at fault has its default; a job whose name is at fault is not among the jobs.
    ///
    /// ```
    /// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
    /// use elasticjob::configuration::sources::Loader;
    ///
    /// let set = |key: &str, value: &str| (format!("ELASTICJOB_{key}"), value.to_owned());
    /// let (settings, checked) = Loader::new().environment([set("LABELS", "gpu"), set("DUMP_PORT", "many")]).read();
    /// assert_eq!(settings.labels, ["gpu"]);
    /// assert_eq!(checked.unwrap_err().iter().count(), 1);
    /// ```
    pub fn read(&self) -> (Settings, Result<(), Errors>) {
        let mut faults = Vec::new();
        let Gathered {
            leaves,
            profiles,
            sources,
            ..
        } = self.gather(&mut faults);
        let overrides = self.overridden();
        let lookup = self.lookup(leaves.iter().flatten().chain(&overrides));
        let data_source = spring::DataSource::read(leaves.iter().flatten(), &self.environment);

        let mut layers = Vec::new();
        for leaves in leaves {
            let ours: Vec<Leaf> = leaves.into_iter().filter(|leaf| tree::is_ours(&leaf.path)).collect();
            layers.push(Layer::of_leaves(&ours, &mut faults));
        }
        layers.push(Layer::of_leaves(&overrides, &mut faults));
        let known = Declarations::new(&self.declared, &layers, &lookup);
        let environment = environment::layer(&self.environment, known.running(), &known.props(&layers), &mut faults);
        let by_code = layers.len() - 1;
        layers.insert(by_code, environment);

        let declarations = Declarations::new(&self.declared, &layers, &lookup);
        let (mut application, jobs) = layer::by_owner(layer::merge(layers));
        data_source.complete(&mut application);
        let mut binder = Binder::new(application, &lookup, faults);
        if !binder.is_enabled() {
            return (disabled(profiles, sources), Ok(()));
        }
        let (settings, faults) = binder.bind(jobs, &declarations, profiles, sources);
        (settings, Errors::check(faults))
    }

    /// Returns the profiles that are not active and that a document or a file `application-PROFILE.*` is for: what a caller who
    /// finds nothing may have forgotten.
    ///
    /// # Errors
    /// Files that cannot be read, and conditions that cannot be understood.
    pub fn other_profiles(&self) -> Result<Vec<String>, Errors> {
        let mut faults = Vec::new();
        let gathered = self.gather(&mut faults);
        let mut others = gathered.passed_over;
        if let Some(directory) = &self.directory {
            others.extend(files::profiles(directory).filter(|name| !gathered.accepted.contains(name)));
        }
        Errors::check(faults)?;
        Ok(others.into_iter().collect())
    }

    /// Reads files and handed-in configurations, and takes what counts with the active profiles.
    fn gather(&self, faults: &mut Vec<Error>) -> Gathered {
        let mut files = Files::default();
        let mut documents = self.read_files(&mut files, None, faults).unwrap_or_default();
        let mut further_files = Files::default();
        let further = self.further(&mut further_files, faults);
        let profiles = self.choose_profiles(documents.iter().chain(&further), faults);
        let mut known = BTreeSet::new();
        let mut passed_over = BTreeSet::new();
        for name in profiles.accepted() {
            if let Some(of_profile) = self.read_files(&mut files, Some(name), faults) {
                known.insert(name.clone());
                documents.extend(of_profile);
            }
        }
        documents.extend(further);

        let lookup = self.lookup(for_all(&documents));
        let mut leaves = Vec::new();
        for document in documents {
            faults.extend(document.misplaced());
            let counts = match document.condition(&lookup) {
                Ok(None) => true,
                Ok(Some(condition)) => {
                    condition.collect_names(&mut known);
                    let is_met = condition.is_met(profiles.accepted());
                    if !is_met {
                        condition.collect_names(&mut passed_over);
                    }
                    is_met
                }
                Err(of_condition) => {
                    faults.extend(of_condition);
                    false
                }
            };
            if counts {
                faults.extend(document.faults);
                leaves.push(document.leaves);
            }
        }
        for name in profiles.without_anything(&known) {
            let problem = format!(
                "no file `application-{name}.*` in {} is for this profile",
                self.directory.as_deref().unwrap_or(Path::new(".")).display()
            );
            faults.push(Error::new("elasticjob.profiles.active", problem).value(name));
        }
        faults.extend(leaves.iter().flat_map(|leaves| unread::misspelt(leaves)));
        let of_files = leaves.iter().flat_map(|leaves| unread::pointers(leaves));
        let ignored = of_files.chain(unread::pointers_of_environment(&self.environment));
        let accepted = profiles.accepted().to_vec();
        passed_over.retain(|name| !accepted.contains(name));
        Gathered {
            sources: Sources {
                ignored: profiles.ignored.into_iter().chain(ignored).collect(),
                files: files.read.into_iter().chain(further_files.read).collect(),
                absent: files.absent,
            },
            accepted,
            passed_over,
            profiles: profiles.active,
            leaves,
        }
    }

    /// The files that are named, and what is handed in.
    fn further(&self, files: &mut Files, faults: &mut Vec<Error>) -> Vec<Document> {
        let mut documents = Vec::new();
        for path in &self.files {
            documents.extend(files.named(path, faults));
        }
        for tree in &self.handed_in {
            match tree {
                Ok(tree) => documents.push(Document::new(tree.clone(), false)),
                Err(error) => faults.push(error.clone()),
            }
        }
        documents
    }

    fn choose_profiles<'a>(&self, documents: impl Iterator<Item = &'a Document>, faults: &mut Vec<Error>) -> Profiles {
        let documents: Vec<&Document> = documents.collect();
        let for_all: Vec<&Leaf> = for_all(documents).collect();
        let by_code = self.overridden();
        let lookup = self.lookup(for_all.iter().copied().chain(&by_code));
        let choice = Choice {
            by_code: self.profiles.clone(),
            by_setting: by_code.iter().find(|leaf| document::is_ours(&leaf.path)),
            environment: &self.environment,
            for_all: &for_all,
            lookup: &lookup,
        };
        choice.profiles(faults)
    }

    fn read_files(&self, files: &mut Files, profile: Option<&str>, faults: &mut Vec<Error>) -> Option<Vec<Document>> {
        files.application(self.directory.as_deref()?, profile, faults)
    }

    fn overridden(&self) -> Vec<Leaf> {
        let mut leaves: Vec<Leaf> = Vec::new();
        let mut places = BTreeMap::new();
        for (key, value) in &self.overrides {
            let mut path = key::parts(key);
            if !tree::is_ours(&path) {
                path.insert(0, "elasticjob".to_owned());
            }
            let place = *places.entry(key::identity(&path)).or_insert(leaves.len());
            let leaf = Leaf {
                path,
                text: value.clone(),
                origin: Origin::Builder,
            };
            // Set again by code means changed.
            match leaves.get_mut(place) {
                Some(earlier) => *earlier = leaf,
                None => leaves.push(leaf),
            }
        }
        leaves
    }

    fn lookup<'a>(&self, leaves: impl Iterator<Item = &'a Leaf>) -> Lookup<'_> {
        let keys = leaves
            .map(|leaf| (key::identity(&leaf.path), leaf.text.clone()))
            .collect();
        Lookup {
            environment: &self.environment,
            spent: Spent::default(),
            keys,
        }
    }
}

/// What files and handed-in configurations say with the active profiles.
struct Gathered {
    /// Of each source, those that win last.
    leaves: Vec<Vec<Leaf>>,
    profiles: Vec<String>,
    /// What counts where none is active, too.
    accepted: Vec<String>,
    /// The profiles that are not accepted, of documents that do not count.
    passed_over: BTreeSet<String>,
    sources: Sources,
}

/// The documents that apply to all profiles.
fn for_all<'a>(documents: impl IntoIterator<Item = &'a Document>) -> impl Iterator<Item = &'a Leaf> {
    let for_all = documents.into_iter().filter(|document| document.is_for_all());
    for_all.flat_map(|document| &document.leaves)
}

/// Without the environment and other values, which may be secrets.
impl fmt::Debug for Loader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            directory,
            files,
            profiles,
            declared,
            ..
        } = self;
        let mut debug = formatter.debug_struct("Loader");
        debug
            .field("directory", directory)
            .field("files", files)
            .field("profiles", profiles)
            .field("declared", declared);
        debug.finish_non_exhaustive()
    }
}

/// Without the values, which may be secrets.
impl fmt::Debug for Declared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Declared");
        debug
            .field("name", &self.name)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

fn disabled(profiles: Vec<String>, sources: Sources) -> Settings {
    Settings {
        enabled: false,
        registry: RegistrySettings::Embedded,
        jobs: BTreeMap::new(),
        grace_period: Duration::from_secs(30),
        labels: Vec::new(),
        network: NetworkSettings::default(),
        metrics: None,
        tracing: None,
        dump: None,
        console: None,
        profiles,
        sources,
        origins: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::assert_grows_with_input;

    #[test]
    fn the_cost_of_settings_by_code_grows_with_their_number() {
        assert_grows_with_input(|size| {
            let set =
                |loader: Loader, index: usize| loader.set(format!("jobs.j{}.cron", index % size), index.to_string());
            let leaves = (0..2 * size).fold(Loader::new(), set).overridden();
            assert_eq!(leaves.len(), size);
            assert!(
                leaves
                    .iter()
                    .zip(size..)
                    .all(|(leaf, index)| leaf.text == index.to_string())
            );
        });
    }
}
