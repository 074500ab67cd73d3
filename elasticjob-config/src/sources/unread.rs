//! What was probably meant for us and is not read.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Error, Origin};
use super::key;
use super::profile;
use super::tree::{self, Leaf};
use crate::spelling::{canonical, nearest};

const OURS: &str = "elasticjob";

/// Spring's settings that say where more is to be read.
const POINTERS: [&str; 5] = [
    "spring.config.import",
    "spring.config.location",
    "spring.config.additional.location",
    "spring.config.name",
    "spring.application.json",
];

/// Keys at the top that were probably meant to be `elasticjob`: nothing below them counts.
pub(super) fn misspelt(leaves: &[Leaf]) -> Vec<Error> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for Leaf { path, origin, .. } in leaves.iter().filter(|leaf| !tree::is_ours(&leaf.path)) {
        let written = match path.as_slice() {
            [first, second, rest @ ..] if canonical(&format!("{first}{second}")) == OURS && key::find(rest).is_ok() => {
                format!("{first}.{second}")
            }
            [first, ..] => first.clone(),
            [] => continue,
        };
        if seen.insert(written.clone()) && is_near(&written) {
            faults.push(Error::new(written, "is not read, did you mean `elasticjob`?").at(origin.clone()));
        }
    }
    faults
}

/// Whether a name is ours or nearly so. The beginning alone is of others: `elastic`.
pub(super) fn is_near(name: &str) -> bool {
    canonical(name).len() + 2 >= OURS.len() && nearest(name, [OURS].into_iter()).is_some()
}

/// The variable that was probably meant by one that does not begin with `ELASTICJOB_`, if the rest of it is a setting.
pub(super) fn misspelt_variable(variable: &str, is_setting: impl Fn(&[&str]) -> bool) -> Option<String> {
    let tokens: Vec<&str> = variable
        .split(['_', '.', '-'])
        .filter(|token| !token.is_empty())
        .collect();
    (1..=2.min(tokens.len())).find_map(|end| {
        let (prefix, rest) = tokens.split_at(end);
        let rest: Vec<String> = rest.iter().map(|token| token.to_uppercase()).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let is_meant = is_near(&prefix.concat()) && !rest.is_empty() && is_setting(&rest);
        is_meant.then(|| format!("ELASTICJOB_{}", rest.join("_")))
    })
}

/// Settings of Spring that lead to more files there.
pub(super) fn pointers(leaves: &[Leaf]) -> Vec<Error> {
    let of_spring = leaves
        .iter()
        .filter(|leaf| leaf.path.first().is_some_and(|first| canonical(first) == "spring"));
    let pointers = of_spring.filter(|leaf| {
        let written = key::identity(&leaf.path);
        POINTERS
            .iter()
            .any(|pointer| canonical(pointer) == written.replace('.', ""))
    });
    pointers
        .map(|leaf| unfollowed(&leaf.path.join(".")).at(leaf.origin.clone()))
        .collect()
}

/// Variables that lead to more files in Spring.
pub(super) fn pointers_of_environment(environment: &BTreeMap<String, String>) -> Vec<Error> {
    let variables = environment.keys().filter_map(|variable| {
        let spelt = profile::spelt(variable);
        POINTERS
            .contains(&&*spelt)
            .then(|| unfollowed(&spelt).at(Origin::Environment(variable.clone())))
    });
    variables.collect()
}

/// Without the value, which may hold a password.
fn unfollowed(key: &str) -> Error {
    Error::new(key, "is not followed: what Spring reads by it is not read")
}
