//! From merged texts to checked settings.
//!
//! Every setting is a text with its origin until here, whichever source it came from. Binding resolves its
//! placeholders, reads it as what the setting takes, and reports a fault with the place where it was written and,
//! unless it is a secret, its value. A setting that is at fault is treated as not given. One whose placeholders cannot be
//! resolved is noted as unusable, so that no second fault says that it is missing.

mod console;
mod etcd;
mod job;
mod registry;
mod sections;
mod zookeeper;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use super::error::{Error, Origin};
use super::key::{self, Key};
use super::layer::{Entry, Layer};
use super::placeholder::Lookup;
use super::registry_url;
use super::settings::{RegistrySettings, Settings, Sources, TracingSettings};
use super::value;
use crate::job::setting::Takes;
use crate::secret::{self, PROVIDED};

pub(super) use job::Declarations;

/// A text whose placeholders are resolved.
#[derive(Clone, Debug)]
struct Bound {
    written: String,
    /// With the unit that the key implies.
    text: String,
    /// The value as a message may show it.
    shown: String,
    origin: Origin,
}

/// Takes settings one by one, those of the application or those of one job, and collects faults.
pub(super) struct Binder<'a> {
    entries: BTreeMap<Key, Bound>,
    lookup: &'a Lookup<'a>,
    faults: Vec<Error>,
    /// Settings without a value that can be used, as a fault says.
    unusable: Vec<Key>,
}

impl<'a> Binder<'a> {
    /// Resolves the placeholders of all entries. What cannot be resolved is a fault and is left out.
    pub(super) fn new(entries: BTreeMap<Key, Entry>, lookup: &'a Lookup<'a>, faults: Vec<Error>) -> Self {
        let mut binder = Self {
            entries: BTreeMap::new(),
            lookup,
            faults,
            unusable: Vec::new(),
        };
        for (key, entry) in entries {
            let (is_secret, is_url) = (is_secret(&key), key == Key::Setting("reg-center.url"));
            let shown = |text: &str| {
                if is_secret {
                    PROVIDED.to_owned()
                } else if is_url {
                    registry_url::shown(text)
                } else {
                    secret::without_secrets(text).into_owned()
                }
            };
            match lookup.resolve(&entry.text) {
                Ok(resolved) => {
                    let unit = if resolved.trim().is_empty() { "" } else { entry.unit };
                    let text = format!("{}{unit}", if unit.is_empty() { &resolved } else { resolved.trim() });
                    let bound = Bound {
                        written: entry.written,
                        shown: shown(&resolved),
                        text,
                        origin: entry.origin,
                    };
                    binder.entries.insert(key, bound);
                }
                Err(problem) => {
                    let error = Error::new(entry.written, problem)
                        .value(shown(&entry.text))
                        .at(entry.origin);
                    binder.faults.push(error);
                    binder.unusable.push(key);
                }
            }
        }
        binder
    }

    /// Checks everything and tells all that is wrong. `jobs` is what is configured for each job.
    pub(super) fn bind(
        mut self,
        jobs: BTreeMap<String, Layer>,
        declarations: &Declarations<'_>,
        profiles: Vec<String>,
        sources: Sources,
    ) -> (Settings, Vec<Error>) {
        let settings = self.settings(jobs, declarations, profiles, sources);
        (settings, self.faults)
    }

    /// Checks where the registry is and nothing else, and tells all that is wrong with that.
    pub(super) fn bind_registry(mut self, sources: &Sources) -> (Option<RegistrySettings>, Vec<Error>) {
        let registry = self.registry(sources);
        (registry, self.faults)
    }

    /// Checks where history is recorded and nothing else, and tells all that is wrong with that.
    pub(super) fn bind_tracing(mut self) -> (Option<TracingSettings>, Vec<Error>) {
        let tracing = self.tracing();
        (tracing, self.faults)
    }

    /// Whether anything is to run: `enabled`.
    pub(super) fn is_enabled(&mut self) -> bool {
        self.bool(&Key::Setting("enabled")).unwrap_or(true)
    }

    /// A text that is not blank.
    fn bound(&self, key: &Key) -> Option<Bound> {
        self.entries
            .get(key)
            .filter(|bound| !bound.text.trim().is_empty())
            .cloned()
    }

    /// Returns a text that is not blank.
    fn text(&self, key: &Key) -> Option<String> {
        self.bound(key).map(|bound| bound.text)
    }

    /// A text as it is, also if it is blank.
    fn verbatim(&self, key: &Key) -> Option<String> {
        self.entries.get(key).map(|bound| bound.text.clone())
    }

    /// Reads a switch.
    fn bool(&mut self, key: &Key) -> Option<bool> {
        self.parsed(key, value::SWITCH, value::switch)
    }

    /// Reads a number, or anything that is parsed from a text. `expected` says in a fault what it should have been.
    fn number<T: FromStr>(&mut self, key: &Key, expected: &str) -> Option<T> {
        self.parsed(key, expected, value::number)
    }

    fn list(&mut self, key: &Key) -> Vec<String> {
        self.parsed(key, value::LIST, value::list).unwrap_or_default()
    }

    /// A duration that may be negative, which means none in some of Java's settings.
    fn signed_duration(&mut self, key: &Key) -> Option<SignedDuration> {
        self.parsed(key, value::DURATION, value::duration)
    }

    /// Reads a duration that cannot be negative.
    fn duration(&mut self, key: &Key) -> Option<Duration> {
        let bound = self.bound(key)?;
        let duration = self.signed_duration(key)?;
        let unsigned = Duration::try_from(duration);
        if unsigned.is_err() {
            self.fault(&bound, "a duration cannot be negative here");
        }
        unsigned.ok()
    }

    fn parsed<T>(&mut self, key: &Key, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let bound = self.bound(key)?;
        let value = parse(&bound.text);
        if value.is_none() {
            self.fault(&bound, expected);
        }
        value
    }

    /// Reports what is wrong with a setting, at its place.
    fn fault(&mut self, bound: &Bound, problem: impl Into<String>) {
        let error = Error::new(bound.written.clone(), problem)
            .value(bound.shown.clone())
            .at(bound.origin.clone());
        self.faults.push(error);
    }
}

/// Any setting of a data source may hold a password; a URL often does.
fn is_secret(key: &Key) -> bool {
    match key {
        Key::DataSource(_) => true,
        Key::Setting(name) => secret::is_secret(name),
        Key::Named { section, setting, .. } => key::takes_named(section, setting) == Some(Takes::Secret),
        Key::Prop(_, name) => secret::is_secret(name),
        Key::Job(_) | Key::JobSetting(..) => false,
    }
}
