//! The built-in sharding strategies, against those of Java.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use elasticjob::sharding::{Assignment, Candidate, ShardingRequest, Strategies};
use proptest::prelude::*;
use serde_json::Value;

const STRATEGIES: [&str; 5] = [
    "AVG_ALLOCATION",
    "ODEVITY",
    "ROUND_ROBIN",
    "SINGLE_SHARDING_BALANCE",
    "STICKY",
];

/// Ids of which the first in descending order ends in 0, the next in 1, as the vectors number them.
fn ids(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| format!("10.0.{}.1@-@{index}", 255 - index))
        .collect()
}

fn assign(strategy: &str, job: &str, items: u32, ids: &[String]) -> Assignment {
    let candidates = ids.iter().map(|id| Candidate::new(id));
    let request = ShardingRequest::new(job, items, candidates);
    Strategies::built_in().get(strategy).unwrap().assign(&request)
}

#[test]
fn every_vector_recorded_from_java_should_be_met() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/sharding.json")).unwrap();
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), 54);
    for vector in vectors {
        check(vector);
    }
}

fn check(vector: &Value) {
    let number = |key: &str| vector[key].as_u64().unwrap();
    let (strategy, job) = (vector["strategy"].as_str().unwrap(), vector["job"].as_str().unwrap());
    let assignment = assign(
        strategy,
        job,
        number("items") as u32,
        &ids(number("instances") as usize),
    );
    let Some(allocation) = vector["allocation"].as_array() else {
        // Java fails here, and we begin at the first instance.
        let expected = assign(
            "AVG_ALLOCATION",
            job,
            number("items") as u32,
            &ids(number("instances") as usize),
        );
        assert_eq!(assignment, expected, "{vector}");
        return;
    };
    for pair in allocation {
        let instance = pair[0].as_u64().unwrap() as usize;
        let expected: Vec<_> = pair[1]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item.as_u64().unwrap() as u32)
            .collect();
        assert_eq!(
            assignment.items_of(instance).collect::<Vec<_>>(),
            expected,
            "instance {instance} of {vector}"
        );
    }
}

#[test]
fn assigns_nothing_without_instances() {
    for strategy in STRATEGIES {
        assert_eq!(assign(strategy, "job", 3, &[]).owners(), [None; 3], "{strategy}");
    }
}

proptest! {
    #[test]
    fn items_are_spread_evenly(
        strategy in prop::sample::select(&STRATEGIES),
        job in ".{1,12}",
        items in 1..200_u32,
        instances in 1..40_usize,
    ) {
        let assignment = assign(strategy, &job, items, &ids(instances));
        prop_assert_eq!(assignment.owners().len(), items as usize);
        let mut load: BTreeMap<_, usize> = (0..instances).map(|index| (index, 0)).collect();
        for owner in assignment.owners() {
            *load.get_mut(&owner.expect("an owner")).expect("an instance there is") += 1;
        }
        let (least, most) = (load.values().min().unwrap(), load.values().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", load);
    }

    #[test]
    fn single_sharding_balance_answers_as_java_could(
        job in ".{1,12}",
        items in 1..50_u32,
        instances in 1..20_usize,
    ) {
        let ids = ids(instances);
        let given = assign("SINGLE_SHARDING_BALANCE", &job, items, &ids);
        let average = assign("AVG_ALLOCATION", &job, items, &ids);
        // Java rotates the instances by an offset that the time gives.
        let rotated = |offset: usize| average.owners().iter().map(move |owner| owner.map(|owner| (owner + offset) % instances));
        prop_assert!((0..instances).any(|offset| rotated(offset).eq(given.owners().iter().copied())), "{given:?}");
    }

    #[test]
    fn single_sharding_balance_moves_few_jobs(
        job in ".{1,12}",
        instances in 2..20_usize,
        other in any::<prop::sample::Index>(),
    ) {
        let all = ids(instances);
        let mut others = all.clone();
        let changing = others.remove(other.index(instances));
        let owner = |ids: &[String]| {
            let owner = assign("SINGLE_SHARDING_BALANCE", &job, 1, ids).owner(0).expect("an owner");
            // The ids are in the order of requests.
            ids[owner].clone()
        };
        prop_assert!(owner(&all) == changing || owner(&all) == owner(&others));
    }

    #[test]
    fn sticky_moves_the_fewest_items(
        job in ".{1,12}",
        (instances, before) in (1..12_usize).prop_flat_map(|instances| {
            // Beyond the instances: no owner, or an instance that is gone.
            (Just(instances), prop::collection::vec(0..instances + 3, 1..120))
        }),
    ) {
        let ids = ids(instances);
        let assignment = sticky(&job, &ids, &before);
        let items = before.len();
        let loads: Vec<usize> = (0..instances).map(|index| assignment.items_of(index).count()).collect();
        prop_assert_eq!(loads.iter().sum::<usize>(), items);
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{:?}", loads);

        let stayed = (0..).zip(&before).filter(|(item, owner)| assignment.owner(*item) == Some(**owner)).count();
        let held = |index: usize| before.iter().filter(|owner| **owner == index).count();
        let (share, left_over) = (items / instances, items % instances);
        // Each may keep its share, and as many as there is something left over for one item more.
        let shares: usize = (0..instances).map(|index| held(index).min(share)).sum();
        let beyond = (0..instances).filter(|index| held(*index) > share).count();
        prop_assert_eq!(stayed, shares + beyond.min(left_over));

        let after: Vec<usize> = assignment.owners().iter().map(|owner| owner.expect("an owner")).collect();
        prop_assert_eq!(sticky(&job, &ids, &after), assignment, "nothing moves without a change");
    }

    #[test]
    fn label_keeps_items_on_their_instances(
        carried in prop::collection::vec(prop::collection::btree_set(0..LABELS.len(), 0..3), 1..8),
        items in prop::collection::vec((prop::collection::btree_set(0..LABELS.len(), 0..3), 0..10_usize), 1..60),
    ) {
        let (needed, before): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let may_run = |item: usize, instance: usize| carried[instance].is_superset(&needed[item]);
        let assignment = label(&carried, &needed, &before);
        let load = |index: usize| assignment.items_of(index).count();
        for (item, owner) in assignment.owners().iter().enumerate() {
            let able: Vec<usize> = (0..carried.len()).filter(|index| may_run(item, *index)).collect();
            match owner {
                None => prop_assert!(able.is_empty(), "{item} could be run"),
                Some(owner) => {
                    prop_assert!(able.contains(owner), "{item} is on {owner}");
                    let least = able.iter().map(|index| load(*index)).min().unwrap();
                    prop_assert!(load(*owner) <= least + 1, "{item} would be better elsewhere");
                }
            }
        }
        let after: Vec<usize> = assignment.owners().iter().map(|owner| owner.unwrap_or(usize::MAX)).collect();
        prop_assert_eq!(label(&carried, &needed, &after), assignment, "nothing moves without a change");
    }
}

const LABELS: [&str; 3] = ["gpu", "eu", "tape"];

/// Returns what `LABEL` says where instances carry these labels, and items need these and are owned by the instance of that
/// index.
fn label(carried: &[BTreeSet<usize>], needed: &[BTreeSet<usize>], owners: &[usize]) -> Assignment {
    let ids = ids(carried.len());
    let named = |labels: &BTreeSet<usize>| labels.iter().map(|label| LABELS[*label].to_owned()).collect::<Vec<_>>();
    let carried: Vec<Vec<String>> = carried.iter().map(named).collect();
    let candidates = ids
        .iter()
        .zip(&carried)
        .map(|(id, labels)| Candidate::new(id).with_labels(labels));
    let items = needed.iter().enumerate().filter(|(_, labels)| !labels.is_empty());
    let items: Vec<String> = items
        .map(|(item, labels)| format!("{item}={}", named(labels).join("&")))
        .collect();
    let props = BTreeMap::from([("label.items".to_owned(), items.join(","))]);
    let owner = |owner: &usize| ids.get(*owner).map_or("gone@-@1", String::as_str);
    let request = ShardingRequest::new("job", needed.len() as u32, candidates).with_props(&props);
    let request = request.with_current((0..).zip(owners.iter().map(owner)));
    Strategies::built_in().get("LABEL").unwrap().assign(&request)
}

/// Returns what `STICKY` says where each item is owned by the instance of that index.
fn sticky(job: &str, ids: &[String], owners: &[usize]) -> Assignment {
    let candidates = ids.iter().map(|id| Candidate::new(id));
    let owner = |owner: &usize| ids.get(*owner).map_or("gone@-@1", String::as_str);
    let request = ShardingRequest::new(job, owners.len() as u32, candidates);
    let request = request.with_current((0..).zip(owners.iter().map(owner)));
    Strategies::built_in().get("STICKY").unwrap().assign(&request)
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "only a test that is far too slow is to be noticed"
)]
fn sticky_is_quick_with_many_items() {
    // As good as everything is to move: all is on a tenth of the instances.
    let (ids, items) = (ids(250), 10_000);
    let owners: Vec<usize> = (0..items).map(|item| item % 25).collect();
    let began = std::time::Instant::now();
    let assignment = sticky("job", &ids, &owners);
    assert!(
        began.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert!((0..250).all(|index| assignment.items_of(index).count() == items / 250));
}
