//! One document of a file: what it says, and which profiles it is for.
//!
//! A condition that is there and cannot be read is a fault, and its document never counts.

use super::condition::Expression;
use super::error::Error;
use super::key;
use super::placeholder::Lookup;
use super::tree::{Leaf, Tree};

/// A document, or a configuration that was handed in.
pub(super) struct Document {
    pub(super) leaves: Vec<Leaf>,
    /// What is wrong with it, if it counts.
    pub(super) faults: Vec<Error>,
    condition: Written,
    is_of_profile: bool,
}

/// A condition as it was written.
enum Written {
    Nothing,
    Once(Leaf),
    /// Not as it has to be.
    Faulty(Vec<Error>),
}

impl Document {
    /// `is_of_profile` says that it stands in the file of a profile.
    pub(super) fn new(tree: Tree, is_of_profile: bool) -> Self {
        let mut faults = Vec::new();
        let leaves = tree.leaves(&mut faults);
        let is_of_condition = |error: &Error| concerns_profiles(&key::parts(&error.key));
        let (of_condition, faults): (Vec<_>, Vec<_>) = faults.into_iter().partition(is_of_condition);
        let condition = if of_condition.is_empty() {
            written(&leaves)
        } else {
            Written::Faulty(of_condition)
        };
        Self {
            leaves,
            faults,
            condition,
            is_of_profile,
        }
    }

    /// Returns whether it applies to all profiles, so that it may choose the active ones.
    pub(super) fn is_for_all(&self) -> bool {
        matches!(self.condition, Written::Nothing) && !self.is_of_profile
    }

    /// When it counts; always if it says nothing.
    ///
    /// # Errors
    /// Faults of the condition: the document applies to no profile.
    pub(super) fn condition(&self, lookup: &Lookup<'_>) -> Result<Option<Expression>, Vec<Error>> {
        let leaf = match &self.condition {
            Written::Nothing => return Ok(None),
            Written::Once(leaf) => leaf,
            Written::Faulty(faults) => return Err(faults.clone()),
        };
        let parsed = lookup.resolve(&leaf.text).and_then(|text| Expression::parse(&text));
        parsed.map(Some).map_err(|problem| vec![fault(leaf, problem)])
    }

    /// What chooses profiles although it counts for some of them alone. Spring refuses that, too.
    pub(super) fn misplaced(&self) -> impl Iterator<Item = Error> {
        let is_for_all = self.is_for_all();
        let leaves = self
            .leaves
            .iter()
            .filter(move |leaf| !is_for_all && chooses(&leaf.path));
        leaves.map(|leaf| {
            let problem = "stands in a file or document for some profiles, but profiles are chosen before that is read: \
                           set it in a document for all";
            fault(leaf, problem)
        })
    }
}

fn written(leaves: &[Leaf]) -> Written {
    let mut found: Option<&Leaf> = None;
    let mut faults = Vec::new();
    for leaf in leaves.iter().filter(|leaf| concerns_profiles(&leaf.path)) {
        match key::identity(&leaf.path).as_str() {
            "spring.config.activate.onprofile" => {}
            // Nothing stands below it.
            "spring.config.activate" | "spring.profiles" if leaf.text.trim().is_empty() => continue,
            // How Spring Boot wrote it until 2.3.
            "spring.profiles" => {}
            below if below.starts_with("spring.profiles.") => continue,
            _ => {
                let problem =
                    "is a condition that is not understood here: the only one is `spring.config.activate.on-profile`";
                faults.push(fault(leaf, problem));
                continue;
            }
        }
        if let Some(first) = found.replace(leaf) {
            let problem = format!(
                "is a second condition, the first is `{}` ({})",
                first.path.join("."),
                first.origin
            );
            faults.push(fault(leaf, problem));
        }
    }
    match found {
        _ if !faults.is_empty() => Written::Faulty(faults),
        Some(leaf) => Written::Once(leaf.clone()),
        None => Written::Nothing,
    }
}

fn fault(leaf: &Leaf, problem: impl Into<String>) -> Error {
    Error::new(leaf.path.join("."), problem)
        .value(leaf.text.clone())
        .at(leaf.origin.clone())
}

/// Whether a key says which profiles a document is for, or which are active.
pub(super) fn concerns_profiles(path: &[String]) -> bool {
    match path {
        [spring, profiles, ..] if key::canonical(profiles) == "profiles" => key::canonical(spring) == "spring",
        [spring, config, activate, ..] => {
            key::canonical(activate) == "activate"
                && key::canonical(config) == "config"
                && key::canonical(spring) == "spring"
        }
        _ => false,
    }
}

/// Whether a key chooses profiles.
fn chooses(path: &[String]) -> bool {
    let is_of_spring = |identity: &str| {
        let rest = identity.strip_prefix("spring.profiles.").unwrap_or_default();
        matches!(rest, "active" | "include" | "default") || rest.starts_with("group.")
    };
    is_ours(path) || (concerns_profiles(path) && is_of_spring(&key::identity(path)))
}

/// Whether a key is `elasticjob.profiles.active`.
pub(super) fn is_ours(path: &[String]) -> bool {
    path.len() <= 3 && key::canonical(&path.concat()) == "elasticjobprofilesactive"
}
