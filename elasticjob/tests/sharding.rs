//! The built-in sharding strategies, against those of Java.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

use std::collections::BTreeMap;

use elasticjob::sharding::{Assignment, Candidate, ShardingRequest, Strategies};
use proptest::prelude::*;
use serde_json::Value;

const STRATEGIES: [&str; 3] = ["AVG_ALLOCATION", "ODEVITY", "ROUND_ROBIN"];

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
fn without_instances_nobody_should_own_anything() {
    for strategy in STRATEGIES {
        assert_eq!(assign(strategy, "job", 3, &[]).owners(), [None; 3], "{strategy}");
    }
}

proptest! {
    #[test]
    fn every_item_should_have_an_owner_and_no_instance_two_items_more_than_another(
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
}
