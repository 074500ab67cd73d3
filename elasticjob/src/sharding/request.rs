//! The question to a sharding strategy.
//!
//! Instances come in descending order of their ids, as Java has it: strategies that count on that order give the same
//! answer here and there.

use std::collections::BTreeMap;
use std::fmt;

/// What a [`ShardingStrategy`](super::ShardingStrategy) is asked: these items, for these instances.
///
/// The framework makes it; tests of a strategy make their own:
///
/// ```
/// use std::collections::BTreeMap;
/// use elasticjob::sharding::{Candidate, ShardingRequest};
///
/// let labels = ["gpu".to_owned()];
/// let instances = [Candidate::new("10.0.0.1@-@7").with_labels(&labels), Candidate::new("10.0.0.2@-@7")];
/// let props = BTreeMap::from([("weight".to_owned(), "2".to_owned())]);
/// let request = ShardingRequest::new("train", 2, instances)
///     .with_current([(0, "10.0.0.1@-@7"), (1, "10.0.0.9@-@7")])
///     .with_props(&props)
///     .with_label("gpu");
/// // Instances come by descending id, and an owner that is gone is none.
/// assert_eq!(request.instances()[1].labels(), labels);
/// assert_eq!((request.current(0), request.current(1)), (Some(1), None));
/// ```
#[derive(Clone, Debug)]
pub struct ShardingRequest<'a> {
    job_name: &'a str,
    total_count: u32,
    instances: Vec<Candidate<'a>>,
    /// Of each item; as long as there are items.
    current: Vec<Option<usize>>,
    props: &'a BTreeMap<String, String>,
    label: &'a str,
}

/// Of a request that is made without any.
static NO_PROPS: BTreeMap<String, String> = BTreeMap::new();

impl<'a> ShardingRequest<'a> {
    /// A request for the items `0..total_count` of a job. The instances may be given in any order.
    pub fn new(job_name: &'a str, total_count: u32, instances: impl IntoIterator<Item = Candidate<'a>>) -> Self {
        let mut instances: Vec<_> = instances.into_iter().collect();
        instances.sort_by(|left, right| right.id.cmp(left.id));
        Self {
            job_name,
            total_count,
            instances,
            current: vec![None; total_count as usize],
            props: &NO_PROPS,
            label: "",
        }
    }

    /// Sets the id of the instance that owns each item now. An owner that is not among the instances is none.
    #[must_use]
    pub fn with_current<'b>(mut self, owners: impl IntoIterator<Item = (u32, &'b str)>) -> Self {
        for (item, owner) in owners {
            if let Some(slot) = self.current.get_mut(item as usize) {
                // Descending, so the other way round.
                *slot = self.instances.binary_search_by(|instance| owner.cmp(instance.id)).ok();
            }
        }
        self
    }

    /// With the job's props.
    #[must_use]
    pub fn with_props(mut self, props: &'a BTreeMap<String, String>) -> Self {
        self.props = props;
        self
    }

    /// With the job's label; a blank one is none.
    #[must_use]
    pub fn with_label(mut self, label: &'a str) -> Self {
        self.label = label;
        self
    }

    /// The name of the job.
    #[must_use]
    pub fn job_name(&self) -> &str {
        self.job_name
    }

    /// How many items the job has: they are `0..total_count`.
    /// It is 1 or more for a job of the cluster.
    #[must_use]
    pub fn total_count(&self) -> u32 {
        self.total_count
    }

    /// The instances that can run items, ordered by descending id as text. An [`Assignment`](super::Assignment)
    /// names them by their index.
    #[must_use]
    pub fn instances(&self) -> &[Candidate<'a>] {
        &self.instances
    }

    /// The props of the job. Those that a strategy looks at it should name in
    /// [`check`](super::ShardingStrategy::check).
    #[must_use]
    pub fn props(&self) -> &'a BTreeMap<String, String> {
        self.props
    }

    /// The label of the job, if it has one.
    #[must_use]
    pub fn label(&self) -> Option<&'a str> {
        Some(self.label).filter(|label| !label.trim().is_empty())
    }

    /// Returns the index of the instance that owns the item now; `None` if it has no owner, or the owner is gone.
    #[must_use]
    pub fn current(&self, item: u32) -> Option<usize> {
        self.current.get(item as usize).copied().flatten()
    }
}

/// An instance that can run items.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    id: &'a str,
    labels: &'a [String],
}

impl<'a> Candidate<'a> {
    /// An instance by its id, which is `{ip}@-@{process}`.
    #[must_use]
    pub fn new(id: &'a str) -> Self {
        Self { id, labels: &[] }
    }

    /// The labels that the instance gave itself: `elasticjob.labels` in its configuration.
    #[must_use]
    pub fn with_labels(mut self, labels: &'a [String]) -> Self {
        self.labels = labels;
        self
    }

    /// The id of the instance.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// The address of the instance: its id up to the first `@-@`.
    #[must_use]
    pub fn ip(&self) -> &'a str {
        self.id.split_once("@-@").map_or(self.id, |(ip, _)| ip)
    }

    /// The labels that the instance gave itself.
    /// Java members have none.
    #[must_use]
    pub fn labels(&self) -> &'a [String] {
        self.labels
    }

    /// Returns whether it gave itself this label.
    /// Labels are compared exactly.
    #[must_use]
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|own| own == label)
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)?;
        match self.labels {
            [] => Ok(()),
            labels => write!(f, " [{}]", labels.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 3] = ["10.0.0.10@-@1", "10.0.0.2@-@1", "10.0.0.2@-@9"];

    #[test]
    fn instances_should_be_ordered_by_descending_text() {
        let request = ShardingRequest::new("job", 1, IDS.map(Candidate::new));
        let ids: Vec<_> = request.instances().iter().map(Candidate::id).collect();
        assert_eq!(ids, ["10.0.0.2@-@9", "10.0.0.2@-@1", "10.0.0.10@-@1"]);
    }

    #[test]
    fn an_owner_that_is_gone_should_be_none() {
        let request = ShardingRequest::new("job", 3, IDS.map(Candidate::new)).with_current([
            (0, IDS[0]),
            (1, "10.0.0.99@-@1"),
            (2, IDS[2]),
            (7, IDS[1]),
        ]);
        assert_eq!(
            [0, 1, 2, 7].map(|item| request.current(item)),
            [Some(2), None, Some(0), None]
        );
    }

    #[test]
    fn the_address_should_end_at_the_first_separator() {
        assert_eq!(Candidate::new("10.0.0.2@-@7@-@8").ip(), "10.0.0.2");
        assert_eq!(Candidate::new("TRIGGER").ip(), "TRIGGER");
    }
}
