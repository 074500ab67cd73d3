//! The keys of the attribute: its own, and those of the settings of a job.

use std::sync::LazyLock;

use elasticjob_config::job::setting::{Place, SETTINGS, Setting, Slot, Takes};

/// A key, with the kind of value it takes.
#[derive(Debug)]
pub(crate) struct Key {
    /// How it may be written: a short form if there is one, and the name of the setting.
    pub(crate) names: &'static [&'static str],
    pub(crate) kind: ValueKind,
    /// The name in configuration files, for a setting of the job; `props.` and a name for what is one of its props.
    pub(crate) property: Option<String>,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Text,
    /// A text that is not blank.
    Name,
    /// How long something takes.
    Duration,
    /// A whole number between two.
    Number {
        least: i64,
        most: i64,
    },
    Flag,
    Texts,
    /// Types, by their paths.
    Types,
    Props,
    Path,
}

/// All members of a cluster hold numbers in 32 bits, with a sign.
const MOST: i64 = i32::MAX as i64;

/// What is documented of a key that is no setting of the job.
struct Own {
    names: &'static [&'static str],
    kind: ValueKind,
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is made of it"))]
    default: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is made of it"))]
    about: &'static str,
}

pub(crate) const NAME: &str = "name";
pub(crate) const CRON: &str = "cron";
pub(crate) const TIME_ZONE: &str = "time_zone";
pub(crate) const SHARDING: &str = "sharding";
pub(crate) const ITEM_PARAMETERS: &str = "item_parameters";
pub(crate) const MONITOR_EXECUTION: &str = "monitor_execution";
pub(crate) const FAILOVER: &str = "failover";
pub(crate) const ONE_OFF: &str = "one_off";
pub(crate) const BOOTSTRAP: &str = "bootstrap";
pub(crate) const LISTENERS: &str = "listeners";
pub(crate) const LISTENER_TYPES: &str = "job_listener_types";
/// A prop of dataflow jobs.
pub(crate) const STREAMING: &str = "streaming";
pub(crate) const CRATE: &str = "crate";
const PROPS: &str = "props";

const OWN: [Own; 5] = [
    Own {
        names: &[NAME, "job_name"],
        kind: ValueKind::Text,
        default: "that of the function or type",
        about: "The name of the job.",
    },
    Own {
        names: &[LISTENERS],
        kind: ValueKind::Types,
        default: "",
        about: "The listeners of the job, as types with `#[job_listener]`.",
    },
    Own {
        names: &[PROPS],
        kind: ValueKind::Props,
        default: "",
        about: "The props of the job, its type and its error handler.",
    },
    Own {
        names: &[ONE_OFF],
        kind: ValueKind::Flag,
        default: "`false`",
        about: "Insists that the job has no schedule.",
    },
    Own {
        names: &[CRATE],
        kind: ValueKind::Path,
        default: "`::elasticjob`",
        about: "The crate `elasticjob`, if it is renamed.",
    },
];

pub(crate) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let own = OWN.iter().map(|own| Key {
        names: own.names,
        kind: own.kind,
        property: (own.names == [PROPS]).then(|| PROPS.to_owned()),
    });
    let settings = SETTINGS.iter().filter(|setting| !setting.attribute.is_empty());
    own.chain(settings.map(Key::of)).collect()
});

impl Key {
    fn of(setting: &'static Setting) -> Self {
        Self {
            names: setting.attribute,
            kind: ValueKind::of(setting),
            property: Some(match setting.place {
                Place::Prop(prop) => format!("{PROPS}.{prop}"),
                Place::Registry { .. } | Place::Application => setting.java_name(),
            }),
        }
    }

    pub(crate) fn find(written: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.is(written))
    }

    /// Whether this is how the key may be written.
    pub(crate) fn is(&self, written: &str) -> bool {
        self.names.contains(&written)
    }

    /// All that may be written.
    pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
        KEYS.iter().flat_map(|key| key.names.iter().copied())
    }
}

impl ValueKind {
    fn of(setting: &Setting) -> Self {
        match (setting.takes, &setting.place) {
            // Java's names, which say the unit.
            (
                Takes::Duration,
                Place::Registry {
                    slot: Slot::Units(units, _),
                    ..
                },
            ) => Self::Number {
                least: units.off,
                most: MOST,
            },
            (Takes::Duration, _) => Self::Duration,
            (Takes::Name, _) => Self::Name,
            (Takes::Switch, _) => Self::Flag,
            (Takes::Number(least, most), _) => Self::Number { least, most },
            (Takes::List, _) => Self::Texts,
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_name_should_belong_to_one_key() {
        let mut names: Vec<_> = Key::all_names().collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn keys_that_are_checked_exist() {
        for name in [
            NAME,
            CRON,
            TIME_ZONE,
            SHARDING,
            ITEM_PARAMETERS,
            MONITOR_EXECUTION,
            FAILOVER,
            ONE_OFF,
            BOOTSTRAP,
            LISTENERS,
            LISTENER_TYPES,
            STREAMING,
            CRATE,
        ] {
            assert!(Key::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn documentation_is_that_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/job/keys.md");
        let expected = documentation();
        if std::env::var_os("WRITE_REFERENCE").is_some() {
            fs::write(&path, &expected).expect("the file can be written");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "src/job/keys.md is not what the tables say: run this test with WRITE_REFERENCE=1"
        );
    }

    fn documentation() -> String {
        let mut table = String::from("| key | value | default | |\n|---|---|---|---|\n");
        let mut row = |names: &[&str], kind: ValueKind, unit: &str, default: &str, about: &str| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let value = in_words(kind, unit);
            writeln!(table, "| {} | {value} | {default} | {about} |", names.join(", ")).expect("a text takes all");
        };
        for own in &OWN {
            row(own.names, own.kind, "", own.default, own.about);
        }
        for setting in SETTINGS.iter().filter(|setting| !setting.attribute.is_empty()) {
            let unit = match setting.place {
                Place::Registry {
                    slot: Slot::Units(units, _),
                    ..
                } => units.unit.name(),
                _ => "",
            };
            let default = match setting.default_value() {
                Some(value) => format!("`{value}`"),
                None => setting.default.to_owned(),
            };
            row(setting.attribute, ValueKind::of(setting), unit, &default, setting.about);
        }
        table
    }

    fn in_words(kind: ValueKind, unit: &str) -> String {
        match kind {
            ValueKind::Text | ValueKind::Name => "text".to_owned(),
            ValueKind::Duration => "duration, `\"30s\"`".to_owned(),
            ValueKind::Number { least, .. } if !unit.is_empty() => format!("number of {unit}; {least}: off"),
            ValueKind::Number { least, most } => format!("number, {least} to {most}"),
            ValueKind::Flag => "flag".to_owned(),
            ValueKind::Texts => "`[\"A\", \"B\"]`".to_owned(),
            ValueKind::Types => "`[Audit, my::CleanUp]`".to_owned(),
            ValueKind::Props => "`props(\"email.host\" = \"localhost\", batch = 250)`".to_owned(),
            ValueKind::Path => "path".to_owned(),
        }
    }
}
