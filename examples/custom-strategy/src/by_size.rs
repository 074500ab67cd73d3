//! The strategy. It is a function of what it is asked, so its tests need neither a registry nor a second process.

use elasticjob::prelude::*;
use elasticjob::property::{self, Properties, Reader, accept};
use elasticjob::sharding::{Assignment, Candidate, ShardingRequest, ShardingStrategy};

/// `BY_SIZE`: instances with the label `large` get so many times as many items as the others, and items stay where they
/// are as far as that allows.
#[derive(Default)]
struct BySize;

/// How many times as many: the prop `by-size.large`.
struct Sizes {
    large: u32,
}

impl Properties for Sizes {
    const PREFIXES: &'static [&'static str] = &["by-size."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let large = reader.with_default("by-size.large", &accept::POSITIVE, "2")?;
        Some(Self { large: large.get() })
    }
}

impl Sizes {
    fn of(&self, instance: &Candidate<'_>) -> u32 {
        if instance.has_label("large") { self.large } else { 1 }
    }
}

#[sharding_strategy(name = "BY_SIZE")]
impl ShardingStrategy for BySize {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        // `check` reports faults of the props before a job runs.
        let Ok(sizes) = property::read::<Sizes>(request.props()) else {
            return Assignment::from_fn(request, |_| None);
        };
        let mut room = shares(request, &sizes);
        let mut take = |instance: usize| {
            let has_room = room[instance] > 0;
            room[instance] -= u32::from(has_room);
            has_room.then_some(instance)
        };
        let stay: Vec<Option<usize>> = (0..request.total_count())
            .map(|item| take(request.current(item)?))
            .collect();
        // The room that is left is as much as the items that have to move.
        Assignment::from_fn(request, |item| {
            stay[item as usize].or_else(|| (0..request.instances().len()).find_map(&mut take))
        })
    }

    fn check(&self, _total_count: u32, props: &mut Reader<'_>) {
        props.read::<Sizes>();
    }
}

/// Returns how many items each instance gets: one after another goes to the instance with the fewest for its size (D'Hondt).
fn shares(request: &ShardingRequest<'_>, sizes: &Sizes) -> Vec<u32> {
    let mut shares = vec![0; request.instances().len()];
    for _ in 0..request.total_count() {
        let burden = |index: &usize| {
            // With this item. Compared as fractions of a size that all sizes divide.
            let others = if sizes.of(&request.instances()[*index]) == 1 {
                sizes.large
            } else {
                1
            };
            (shares[*index] + 1) * others
        };
        if let Some(next) = (0..shares.len()).min_by_key(burden) {
            shares[next] += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// How many items each of three instances has, of which the last is large, after they were owned by these.
    fn owners(large: &str, current: &[(u32, &str)]) -> Vec<Option<usize>> {
        let props = BTreeMap::from([("by-size.large".to_owned(), large.to_owned())]);
        let label = ["large".to_owned()];
        let instances = [
            Candidate::new("10.0.0.3@-@1"),
            Candidate::new("10.0.0.2@-@1"),
            Candidate::new("10.0.0.1@-@1").with_labels(&label),
        ];
        let request = ShardingRequest::new("resize_images", 10, instances)
            .with_props(&props)
            .with_current(current.iter().copied());
        BySize.assign(&request).owners().to_vec()
    }

    fn count(owners: &[Option<usize>], instance: usize) -> usize {
        owners.iter().filter(|owner| **owner == Some(instance)).count()
    }

    #[test]
    fn a_large_instance_should_get_so_many_times_as_many_items() {
        for (large, expected) in [("1", [4, 3, 3]), ("3", [2, 2, 6]), ("8", [1, 1, 8])] {
            let owners = owners(large, &[]);
            assert_eq!([0, 1, 2].map(|instance| count(&owners, instance)), expected, "{large}");
        }
    }

    #[test]
    fn items_should_stay_where_there_is_room_for_them() {
        let current: Vec<(u32, &str)> = (0..10).map(|item| (item, "10.0.0.2@-@1")).collect();
        let owners = owners("3", &current);
        assert_eq!(owners[..2], [Some(1), Some(1)]);
        assert_eq!((count(&owners, 0), count(&owners, 2)), (2, 6));
    }

    #[test]
    fn assigns_nothing_without_an_instance() {
        let request = ShardingRequest::new("resize_images", 2, []);
        assert_eq!(BySize.assign(&request).owners(), [None, None]);
    }
}
