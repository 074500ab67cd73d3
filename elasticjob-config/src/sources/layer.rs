//! One layer of settings, and how layers are put upon each other.

use std::collections::BTreeMap;

use super::error::{Error, Origin};
use super::key::{self, Key};
use super::tree::Leaf;

/// A value as it was written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key in the spelling of its writer.
    pub(super) written: String,
    pub(super) text: String,
    /// The unit that the key implies for its number.
    pub(super) unit: &'static str,
    pub(super) origin: Origin,
}

/// Settings of one source.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) entries: BTreeMap<Key, Entry>,
}

impl Layer {
    /// Keeps what is ElasticJob's of some leaves.
    pub(super) fn of_leaves(leaves: &[Leaf], faults: &mut Vec<Error>) -> Self {
        let mut layer = Self::default();
        for Leaf { path, text, origin } in leaves {
            let written = path.join(".");
            let job = key::job_of(&path[1..]);
            match key::find(&path[1..]) {
                Ok((Key::Job(_), _)) if !text.is_empty() => {
                    let problem = "settings are expected below this key, not a text";
                    faults.push(Error::new(written, problem).at(origin.clone()).of(job));
                }
                Ok((key, unit)) => {
                    let entry = Entry {
                        written,
                        text: text.clone(),
                        unit,
                        origin: origin.clone(),
                    };
                    layer.set(key, entry, faults);
                }
                // `reg-center:` with nothing below it.
                Err(_) if text.is_empty() && key::is_section(&path[1..]) => {}
                Err(unknown) => faults.push(unknown_key(written, unknown).at(origin.clone()).of(job)),
            }
        }
        layer
    }

    /// Adds an entry. A second entry for the same key is a fault, because it would be unclear which one is in force.
    pub(super) fn set(&mut self, key: Key, entry: Entry, faults: &mut Vec<Error>) {
        let is_job = matches!(key, Key::Job(_));
        if let (Some(first), false) = (self.entries.get(&key), is_job) {
            let problem = format!("is set twice, first as `{}` ({})", first.written, first.origin);
            let error = Error::new(entry.written.clone(), problem).at(entry.origin.clone());
            faults.push(error.of(key.job()));
        }
        self.entries.insert(key, entry);
    }
}

pub(super) fn unknown_key(written: impl Into<String>, unknown: key::Unknown) -> Error {
    let problem = match unknown {
        key::Unknown::Nothing(None) => "is not a setting of ElasticJob".to_owned(),
        key::Unknown::Nothing(Some(nearest)) => format!("is not a setting of ElasticJob, did you mean `{nearest}`?"),
        key::Unknown::OfJava(instead) => instead.to_owned(),
        key::Unknown::Ambiguous(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            format!("may mean each of {}: set these in a file or by code", keys.join(", "))
        }
    };
    Error::new(written, problem)
}

/// Puts layers upon each other; of each setting the last counts.
pub(super) fn merge(layers: impl IntoIterator<Item = Layer>) -> BTreeMap<Key, Entry> {
    layers.into_iter().flat_map(|layer| layer.entries).collect()
}

/// The settings of the application, and those of each job.
pub(super) fn by_owner(merged: BTreeMap<Key, Entry>) -> (BTreeMap<Key, Entry>, BTreeMap<String, Layer>) {
    let (mut application, mut jobs) = (BTreeMap::new(), BTreeMap::<String, Layer>::new());
    for (key, entry) in merged {
        let owned = match key.job() {
            Some(job) => &mut jobs.entry(job.to_owned()).or_default().entries,
            None => &mut application,
        };
        owned.insert(key, entry);
    }
    (application, jobs)
}
