//! Which profiles are active.
//!
//! The first that says anything counts: the program, `ELASTICJOB_PROFILES_ACTIVE`, `elasticjob.profiles.active` in a
//! document for all, `SPRING_PROFILES_ACTIVE`, `spring.profiles.active`. What `spring.profiles.include` names comes before
//! these, and the members of a group (`spring.profiles.group.prod`) after it, as in Spring Boot 2.7. If none is active, the
//! profiles of `spring.profiles.default` count, which is `default` unless it is set.

use std::collections::{BTreeMap, BTreeSet};

use super::document;
use super::error::{Error, Origin};
use super::key;
use super::placeholder::Lookup;
use super::tree::Leaf;

/// Spring's name for the profile that counts where no other is active.
const DEFAULT: &str = "default";

const ACTIVE: &str = "spring.profiles.active";

/// The profiles that count, in their order: later ones win.
pub(super) struct Profiles {
    pub(super) active: Vec<String>,
    by_default: Vec<String>,
    /// Named by our own means, so that there has to be something for each.
    promised: Vec<String>,
    groups: BTreeMap<String, Vec<String>>,
    /// Spring's choice, if it is another than ours.
    pub(super) ignored: Option<Error>,
}

/// Where profiles are chosen. Environment and documents are read by their keys, `spring.profiles.active`.
pub(super) struct Choice<'a> {
    /// The program's word: profiles, else a setting.
    pub(super) by_code: Option<Vec<String>>,
    pub(super) by_setting: Option<&'a Leaf>,
    pub(super) environment: &'a BTreeMap<String, String>,
    /// What the documents for all say, those that win last.
    pub(super) for_all: &'a [&'a Leaf],
    pub(super) lookup: &'a Lookup<'a>,
}

/// The names in a list with commas.
pub(super) fn names(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

impl Profiles {
    /// What is accepted: the active profiles, or those that count where there is none.
    pub(super) fn accepted(&self) -> &[String] {
        if self.active.is_empty() {
            &self.by_default
        } else {
            &self.active
        }
    }

    /// The profiles that our own means name and nothing is for: no file, no document, no group.
    pub(super) fn without_anything<'a>(&'a self, known: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
        let is_unknown = |name: &&String| !known.contains(*name) && !self.groups.contains_key(*name);
        self.promised.iter().filter(is_unknown).map(String::as_str)
    }
}

impl Choice<'_> {
    /// Finds the profiles. What cannot be resolved is a fault.
    pub(super) fn profiles(&self, faults: &mut Vec<Error>) -> Profiles {
        let groups = self.groups(faults);
        let ours = self.ours(faults);
        let springs = self.of_spring(ACTIVE, faults);
        let is_ignored = springs.is_some() && ours.is_some() && springs != ours;
        let mut active = self.included(faults);
        active.extend(ours.clone().or(springs).unwrap_or_default());
        let by_default = self
            .of_spring("spring.profiles.default", faults)
            .unwrap_or_else(|| vec![DEFAULT.to_owned()]);
        Profiles {
            active: expand(&active, &groups),
            by_default: expand(&by_default, &groups),
            promised: ours.unwrap_or_default(),
            groups,
            ignored: is_ignored.then(|| self.ignored()),
        }
    }

    fn ignored(&self) -> Error {
        let error = Error::new(
            ACTIVE,
            "does nothing: other profiles are named by ElasticJob's own means, which win",
        );
        let variable = self
            .environment
            .keys()
            .find(|variable| spelt(variable).starts_with(ACTIVE));
        let leaf = self.for_all.iter().rev().find(|leaf| is_key(leaf, ACTIVE));
        match (variable, leaf) {
            (Some(variable), _) => error.at(Origin::Environment(variable.clone())),
            (None, Some(leaf)) => error.at(leaf.origin.clone()),
            (None, None) => error,
        }
    }

    fn ours(&self, faults: &mut Vec<Error>) -> Option<Vec<String>> {
        let of_environment = || {
            let keys = ["elasticjob.profiles.active", "elasticjob.profile.active"];
            keys.iter().find_map(|key| self.variable(key))
        };
        if self.by_code.is_some() {
            return self.by_code.clone();
        }
        let text = match self.by_setting {
            Some(leaf) => self.resolved(leaf, faults),
            None => of_environment().or_else(|| {
                let leaf = self.for_all.iter().rev().find(|leaf| document::is_ours(&leaf.path))?;
                self.resolved(leaf, faults)
            }),
        };
        text.map(|text| names(&text))
    }

    /// What environment and documents say under one of Spring's keys; the environment wins.
    fn of_spring(&self, key: &str, faults: &mut Vec<Error>) -> Option<Vec<String>> {
        let text = self.variable(key).or_else(|| {
            let leaf = self.for_all.iter().rev().find(|leaf| is_key(leaf, key))?;
            self.resolved(leaf, faults)
        })?;
        Some(names(&text))
    }

    /// All that is included: every source adds to it, those that win first.
    fn included(&self, faults: &mut Vec<Error>) -> Vec<String> {
        const KEY: &str = "spring.profiles.include";
        let mut texts: Vec<String> = self.variable(KEY).into_iter().collect();
        let leaves = self.for_all.iter().rev().filter(|leaf| is_key(leaf, KEY));
        texts.extend(leaves.filter_map(|leaf| self.resolved(leaf, faults)));
        texts.iter().flat_map(|text| names(text)).collect()
    }

    fn groups(&self, faults: &mut Vec<Error>) -> BTreeMap<String, Vec<String>> {
        const PREFIX: &str = "spring.profiles.group.";
        let mut groups = BTreeMap::new();
        let leaves = self
            .for_all
            .iter()
            .filter(|leaf| document::concerns_profiles(&leaf.path));
        for leaf in leaves.filter(|leaf| key::identity(&leaf.path).starts_with(PREFIX)) {
            let members = self.resolved(leaf, faults).map(|text| names(&text)).unwrap_or_default();
            groups.insert(leaf.path[3..].join("."), members);
        }
        let variables = self.environment.keys().map(|variable| spelt(variable));
        let of_variables: BTreeSet<String> = variables
            .filter_map(|key| Some(without_index(key.strip_prefix(PREFIX)?).to_owned()))
            .collect();
        for name in of_variables {
            let text = self.variable(&format!("{PREFIX}{name}")).unwrap_or_default();
            groups.insert(name, names(&text));
        }
        groups
    }

    /// The variable that spells this key: `SPRING_PROFILES_ACTIVE`, `spring.profiles.active`, or the items of a list,
    /// `SPRING_PROFILES_ACTIVE_0`.
    fn variable(&self, key: &str) -> Option<String> {
        let mut items: Vec<(usize, &str)> = Vec::new();
        for (variable, text) in self.environment {
            let spelt = spelt(variable);
            if spelt == key {
                return Some(text.clone());
            }
            if let Some(index) = spelt
                .strip_prefix(key)
                .and_then(|rest| rest.strip_prefix('.')?.parse().ok())
            {
                items.push((index, text));
            }
        }
        items.sort_unstable();
        let texts: Vec<&str> = items.iter().map(|(_, text)| *text).collect();
        (!texts.is_empty()).then(|| texts.join(","))
    }

    fn resolved(&self, leaf: &Leaf, faults: &mut Vec<Error>) -> Option<String> {
        let Leaf { path, text, origin } = leaf;
        match self.lookup.resolve(text) {
            Ok(text) => Some(text),
            Err(problem) => {
                faults.push(Error::new(path.join("."), problem).value(text).at(origin.clone()));
                None
            }
        }
    }
}

fn is_key(leaf: &Leaf, key: &str) -> bool {
    document::concerns_profiles(&leaf.path) && key::identity(&leaf.path) == key
}

/// The key that a variable's name spells, in lower case with dots between its words.
pub(super) fn spelt(variable: &str) -> String {
    let words = variable
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(".")
}

fn without_index(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((list, index)) if index.bytes().all(|c| c.is_ascii_digit()) => list,
        _ => key,
    }
}

/// Puts the members of a group behind its name, each profile once.
fn expand(profiles: &[String], groups: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut expanded: Vec<String> = Vec::new();
    let mut waiting: Vec<&String> = profiles.iter().rev().collect();
    while let Some(name) = waiting.pop() {
        if !expanded.contains(name) {
            expanded.push(name.clone());
            waiting.extend(groups.get(name).into_iter().flatten().rev());
        }
    }
    expanded
}
