//! How the items of a job are shared out: its strategy, and what the strategy reads from the configuration.
//!
//! A strategy may read props and the job's label. A change of one of them must lead to another sharing out, and a
//! change of any other prop must not. So the reader notes what the strategy asked for, and a digest of that goes into
//! the epoch.

use std::fmt;
use std::sync::Arc;

use elasticjob_config::job::JobConfig;

use crate::property::Reader;
use crate::sharding::{
    self, Candidate, DEFAULT_STRATEGY, ShardingRequest, ShardingStrategy, Strategies, StrategyFault,
};

use super::core::governor::resharding::Terms;
use super::instance::InstanceId;
use super::surveyed::Surveyed;
use super::view::View;

/// The sharding strategy of a job, by the configuration in force.
#[derive(Clone)]
pub(crate) struct Placement {
    name: Arc<str>,
    strategy: Arc<dyn ShardingStrategy>,
    total: u32,
    /// Stands for what the strategy takes of the configuration; 0 for nothing.
    settings: u32,
}

impl Placement {
    /// By the strategy that the configuration names.
    ///
    /// # Errors
    /// There is none of that name, or it refuses the job's props.
    pub(crate) fn of(config: &JobConfig, strategies: &Strategies) -> Result<Self, String> {
        let name = config.sharding_strategy().unwrap_or(DEFAULT_STRATEGY);
        let strategy = strategies.get(name).map_err(|error| error.to_string())?;
        let total = config.sharding_total_count().get();
        let mut reader = Reader::new(config.props());
        sharding::check(&*strategy, total, &mut reader).map_err(|fault| fault.to_string())?;
        let settings = digest(config.label(), reader.taken());
        reader.finish(Some(())).map_err(|faults| faults.to_string())?;
        Ok(Self {
            name: name.into(),
            strategy,
            total,
            settings,
        })
    }

    /// Returns the name of the strategy.
    pub(crate) fn strategy(&self) -> &str {
        &self.name
    }

    /// Returns what an assignment is made for, beside the instances.
    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms {
            total: self.total,
            strategy: &self.name,
            settings: self.settings,
        }
    }

    /// Returns the owner of each item, as the strategy wants it, where they are owned as the survey says.
    ///
    /// # Errors
    /// What the strategy did wrong.
    pub(crate) fn owners(
        &self,
        view: &View,
        config: &JobConfig,
        items: &[Surveyed],
    ) -> Result<Vec<Option<InstanceId>>, StrategyFault> {
        let owners = items.iter().filter_map(Surveyed::owned);
        let request = request(view, config).with_current(owners.map(|(item, owner)| (item, owner.as_str())));
        let assignment = sharding::assign(&*self.strategy, &request)?;
        Ok(ids(&request, assignment.owners()))
    }

    /// Returns the owner of each item, as the strategy wants it, where they are owned as the view says; `None` where it says one
    /// thing now and another the next moment, or nothing that fits.
    pub(crate) fn settled_owners(&self, view: &View, config: &JobConfig) -> Option<Vec<Option<InstanceId>>> {
        let owned = || {
            let items = view.items.range(..config.sharding_total_count().get());
            items.filter_map(|(item, state)| Some((*item, state.owner.as_ref()?.as_str())))
        };
        let request = request(view, config).with_current(owned());
        let assign = || sharding::assign(&*self.strategy, &request).ok();
        let assignment = assign()?;
        if assign()?.owners() != assignment.owners() {
            return None;
        }
        Some(ids(&request, assignment.owners()))
    }

    /// Who may run what, as far as the strategy says.
    pub(crate) fn admission<'a>(&'a self, view: &'a View, config: &'a JobConfig) -> Admission<'a> {
        Admission {
            strategy: &*self.strategy,
            request: request(view, config),
        }
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement")
            .field("strategy", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Who may run what.
pub(crate) struct Admission<'a> {
    strategy: &'a dyn ShardingStrategy,
    request: ShardingRequest<'a>,
}

impl Admission<'_> {
    /// Returns whether the instance may run the item.
    pub(crate) fn admits(&self, item: u32, id: &InstanceId) -> bool {
        let mut instances = self.request.instances().iter();
        let index = instances.position(|instance| instance.id() == id.as_str());
        index.is_some_and(|index| sharding::may_run(self.strategy, &self.request, item, index))
    }
}

/// Returns the id of each item's owner. `owners` are places among the instances. Ids of one instance share their text.
fn ids(request: &ShardingRequest<'_>, owners: &[Option<usize>]) -> Vec<Option<InstanceId>> {
    let instances = request.instances().iter();
    let ids: Vec<Option<InstanceId>> = instances.map(|instance| InstanceId::parse(instance.id())).collect();
    owners.iter().map(|owner| ids[(*owner)?].clone()).collect()
}

/// Returns the question to the strategy: the instances that may take items now, with their labels.
fn request<'a>(view: &'a View, config: &'a JobConfig) -> ShardingRequest<'a> {
    let candidate = |id: &'a InstanceId| {
        let labels = view.members.get(id).map_or(&[][..], |member| &member.labels);
        Candidate::new(id.as_str()).with_labels(labels)
    };
    let candidates = view.candidates_for_items().map(candidate);
    let request = ShardingRequest::new(view.job(), config.sharding_total_count().get(), candidates);
    request
        .with_props(config.props())
        .with_label(config.label().unwrap_or_default())
}

/// Returns a number for the job's label and the props that the strategy takes, other for others: FNV-1a. The same in every build,
/// since leaders of several builds follow each other.
fn digest<'a>(label: Option<&'a str>, taken: impl Iterator<Item = (&'static str, &'a str)>) -> u32 {
    let label = label.map(|label| ("", label));
    let mut hash: u32 = 0;
    for (key, value) in label.into_iter().chain(taken) {
        let bytes = key.bytes().chain([0]).chain(value.bytes()).chain([0]);
        let start = if hash == 0 { 0x811c_9dc5 } else { hash };
        hash = bytes.fold(start, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(elasticjob_config::job::Builder) -> elasticjob_config::job::Builder) -> u32 {
        let config = JobConfig::builder("job").sharding_total_count(2);
        let config = change(config).build().expect("a configuration");
        let placement = Placement::of(&config, &Strategies::built_in()).expect("a strategy");
        placement.terms().settings
    }

    #[test]
    fn what_the_strategy_takes_should_count_and_nothing_else() {
        assert_eq!(settings(|config| config), 0);
        assert_eq!(settings(|config| config.prop("label.items", "0=gpu")), 0);
        let label = |items: &'static str| {
            settings(move |config| {
                config
                    .sharding_strategy("LABEL")
                    .prop("label.items", items)
                    .prop("x", "y")
            })
        };
        assert_ne!(label("0=gpu"), 0);
        assert_ne!(label("0=gpu"), label("1=gpu"));
        assert_eq!(
            label("0=gpu"),
            settings(|config| config.sharding_strategy("LABEL").prop("label.items", "0=gpu"))
        );
        assert_ne!(
            settings(|config| config.label("gpu")),
            settings(|config| config.label("eu"))
        );
    }

    #[test]
    fn props_that_the_strategy_refuses_should_be_refused() {
        let config = JobConfig::builder("job")
            .sharding_total_count(2)
            .sharding_strategy("LABEL");
        let config = config.prop("label.items", "2=gpu").build().expect("a configuration");
        let refusal = Placement::of(&config, &Strategies::built_in()).expect_err("there are two items");
        assert!(refusal.contains("`props.label.items` is `2=gpu`: "), "{refusal}");
    }
}
