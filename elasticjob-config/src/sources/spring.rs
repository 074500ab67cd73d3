//! The data source of the application itself, as Spring's settings name it.
//!
//! Java's starter records history in the application's own `DataSource`, which stands below `spring.datasource`. If
//! `tracing.type` is given and `tracing.data-source` names no database, we use that data source, too. Other keys
//! below `spring.datasource` belong to others and are ignored, unless no database can be read from the section.

use std::collections::BTreeMap;

use super::error::Origin;
use super::key::{Key, canonical};
use super::layer::Entry;
use super::tree::Leaf;

/// Settings below `spring.datasource`, or below `hikari` there, and their names below `tracing.data-source`.
const READ: [(&str, &str); 6] = [
    ("url", URL),
    ("jdbc-url", URL),
    ("username", "username"),
    ("password", "password"),
    ("driver-class-name", "driver-class-name"),
    ("maximum-pool-size", "maximum-pool-size"),
];

const URL: &str = "url";
const POOL: &str = "hikari";

/// What `spring.datasource` holds.
#[derive(Default)]
pub(super) struct DataSource {
    /// By their names below `tracing.data-source`.
    read: BTreeMap<&'static str, Entry>,
    /// The same of the pool, which wins in Spring, whichever file it stands in.
    of_pool: BTreeMap<&'static str, Entry>,
    /// What is not understood.
    unread: BTreeMap<String, Entry>,
}

impl DataSource {
    /// Reads it from all sources, of which the later ones win, and from the environment, which wins over them.
    pub(super) fn read<'a>(leaves: impl Iterator<Item = &'a Leaf>, environment: &BTreeMap<String, String>) -> Self {
        let mut data_source = Self::default();
        for leaf in leaves {
            if let Some(below) = below(&leaf.path) {
                data_source.add(below, entry(leaf.path.join("."), &leaf.text, leaf.origin.clone()));
            }
        }
        for (variable, text) in environment {
            let spelt = canonical(variable);
            let known = |(name, _): &(&str, &str)| {
                let name = canonical(name);
                let plain = spelt == format!("springdatasource{name}");
                let of_pool = spelt == format!("springdatasource{POOL}{name}");
                (plain || of_pool).then_some(of_pool).map(|of_pool| (of_pool, name))
            };
            if let Some((of_pool, name)) = READ.iter().find_map(known) {
                let path = if of_pool {
                    vec![POOL.to_owned(), name]
                } else {
                    vec![name]
                };
                let origin = Origin::Environment(variable.clone());
                data_source.add(
                    &path,
                    entry(format!("spring.datasource.{}", path.join(".")), text, origin),
                );
            }
        }
        data_source
    }

    fn add(&mut self, path: &[String], entry: Entry) {
        let named = |written: &String| {
            let known = READ.iter().find(|(name, _)| canonical(name) == canonical(written));
            known.map(|(_, ours)| *ours)
        };
        let known = match path {
            [name] => named(name).map(|name| self.read.insert(name, entry.clone())),
            [pool, name] if canonical(pool) == POOL => named(name).map(|name| self.of_pool.insert(name, entry.clone())),
            _ => None,
        };
        if known.is_none() {
            self.unread.insert(path.join("."), entry);
        }
    }

    /// Completes the settings of the application, if history is to be recorded and they do not say where.
    ///
    /// If no database can be read, all settings are passed on, so that each is refused at its place.
    pub(super) fn complete(self, application: &mut BTreeMap<Key, Entry>) {
        let is_recorded = application
            .get(&Key::Setting("tracing.type"))
            .is_some_and(|entry| !entry.text.trim().is_empty());
        let is_named =
            |key: &Key| matches!(key, Key::DataSource(name) if matches!(&*canonical(name), "url" | "jdbcurl"));
        if !is_recorded || application.keys().any(is_named) {
            return;
        }
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (name, entry) in self.read.into_iter().chain(self.of_pool) {
            entries.insert(name.to_owned(), entry);
        }
        if !entries.contains_key(URL) {
            entries.extend(self.unread);
        }
        for (name, entry) in entries {
            application.entry(Key::DataSource(name)).or_insert(entry);
        }
    }
}

/// The path below `spring.datasource`.
fn below(path: &[String]) -> Option<&[String]> {
    match path {
        [spring, data_source, rest @ ..] if canonical(spring) == "spring" && canonical(data_source) == "datasource" => {
            (!rest.is_empty()).then_some(rest)
        }
        _ => None,
    }
}

fn entry(written: String, text: &str, origin: Origin) -> Entry {
    Entry {
        written,
        text: text.to_owned(),
        unit: "",
        origin,
    }
}
