//! Where the registry centre and the history are, for programs that are none of the applications: the command line.

use super::bind::Binder;
use super::key::{self, JobNames, JobProps};
use super::layer::{self, Layer};
use super::tree::{self, Leaf};
use super::{Error, Errors, Gathered, Loader, RegistrySettings, Sources, TracingSettings, environment, spring};

/// The sections, by their letters.
const REGISTRY: &str = "regcenter";
const TRACING: &str = "tracing";

impl Loader {
    /// Reads `reg-center` alone. What else files and environment say, of jobs that this program does not have, does not
    /// matter.
    ///
    /// ```
    /// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
    /// use elasticjob::configuration::sources::{Loader, RegistrySettings};
    ///
    /// let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    /// let loader = Loader::new().environment([
    ///     variable("ELASTICJOB_REG_CENTER_SERVER_LISTS", "10.0.0.1:2181"),
    ///     variable("ELASTICJOB_REG_CENTER_NAMESPACE", "shop"),
    ///     variable("ELASTICJOB_JOBS_SOMEBODY_ELSES_CRON", "no matter"),
    /// ]);
    /// let RegistrySettings::ZooKeeper(zookeeper) = loader.load_registry()? else { panic!("it is named") };
    /// assert_eq!(zookeeper.connect_string(), "10.0.0.1:2181");
    /// # Ok::<(), elasticjob_config::sources::Errors>(())
    /// ```
    ///
    /// # Errors
    /// All faults of that section, and files that cannot be read.
    pub fn load_registry(&self) -> Result<RegistrySettings, Errors> {
        let (registry, faults) = self.with_section(REGISTRY, |binder, sources| binder.bind_registry(sources));
        Errors::check(faults)?;
        Ok(registry.unwrap_or(RegistrySettings::Unnamed))
    }

    /// Reads `tracing` alone, as [`load_registry`](Self::load_registry) does its section.
    ///
    /// # Errors
    /// All faults of that section, and files that cannot be read.
    pub fn load_tracing(&self) -> Result<Option<TracingSettings>, Errors> {
        let (tracing, faults) = self.with_section(TRACING, |binder, _| binder.bind_tracing());
        Errors::check(faults)?;
        Ok(tracing)
    }

    /// What one section says, and what is wrong with it.
    fn with_section<T>(
        &self,
        section: &str,
        bind: impl FnOnce(Binder<'_>, &Sources) -> (Option<T>, Vec<Error>),
    ) -> (Option<T>, Vec<Error>) {
        let mut faults = Vec::new();
        let Gathered { leaves, sources, .. } = self.gather(&mut faults);
        let overrides = self.overridden();
        let lookup = self.lookup(leaves.iter().flatten().chain(&overrides));
        let data_source = spring::DataSource::read(leaves.iter().flatten(), &self.environment);
        let mut layers = Vec::new();
        for leaves in leaves {
            let ours: Vec<Leaf> = leaves.into_iter().filter(|leaf| is_of(leaf, section)).collect();
            layers.push(Layer::of_leaves(&ours, &mut faults));
        }
        let variables = self
            .environment
            .iter()
            .filter(|(name, _)| key::canonical(name).starts_with(&format!("elasticjob{section}")))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let environment = environment::layer(&variables, &JobNames::default(), &JobProps::default(), &mut faults);
        layers.push(environment);
        layers.push(Layer::of_leaves(&overrides, &mut faults));
        let mut entries = layer::merge(layers);
        data_source.complete(&mut entries);
        bind(Binder::new(entries, &lookup, faults), &sources)
    }
}

fn is_of(leaf: &Leaf, section: &str) -> bool {
    tree::is_ours(&leaf.path) && leaf.path.get(1).is_some_and(|part| key::canonical(part) == section)
}
