//! What a row of the table of settings says.

use crate::job::RawJobConfig;

/// A setting of a job.
pub struct Setting {
    /// The name in files, below `elasticjob.jobs.NAME`.
    pub name: &'static str,
    /// The keys of the attribute `elastic_job`: a short one if there is one, then Java's. Empty if the attribute cannot set it.
    pub attribute: &'static [&'static str],
    /// What the value may be.
    pub takes: Takes,
    /// Where the value is kept.
    pub place: Place,
    /// What counts without it, as a value or in words; empty if nothing does.
    pub default: &'static str,
    /// What it is for: one sentence.
    pub about: &'static str,
}

/// What the value of a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takes {
    /// A text, which counts as left out if it is blank.
    Text,
    /// A text that is not blank: the attribute refuses it otherwise.
    Name,
    /// A text that counts as it is, also if it is blank.
    Verbatim,
    /// A text that nothing shows.
    Secret,
    /// `true` or `false`.
    Switch,
    /// A whole number between two.
    Number(i64, i64),
    /// `10s`, `500ms`, `1m 30s`.
    Duration,
    /// A duration, or a number of days: `30d`.
    Age,
    /// Texts: a list, or separated by commas.
    List,
    /// One of these texts.
    OneOf(&'static [&'static str]),
}

/// Where the value of a setting is kept.
pub enum Place {
    /// In the registry's `config` node.
    Registry {
        /// Java's keys: the one that we write, then those of newer versions.
        keys: &'static [&'static str],
        /// The field that holds it until all are checked.
        slot: Slot,
    },
    /// In the job's props, under this key: the setting is a short name for it.
    Prop(&'static str),
    /// In the application alone.
    Application,
}

/// A field of [`RawJobConfig`].
#[derive(Clone, Copy)]
pub enum Slot {
    /// A text.
    Text(fn(&mut RawJobConfig) -> &mut Option<String>),
    /// A whole number.
    Number(fn(&mut RawJobConfig) -> &mut Option<i64>),
    /// A duration, as a whole number of a unit.
    Units(Units, fn(&mut RawJobConfig) -> &mut Option<i64>),
    /// A switch.
    Switch(fn(&mut RawJobConfig) -> &mut Option<bool>),
    /// Texts.
    List(fn(&mut RawJobConfig) -> &mut Vec<String>),
}

/// How the registry holds a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// The unit of the number.
    pub unit: Unit,
    /// The largest number that means "off"; smaller ones do as well.
    pub off: i64,
}

/// A unit in which the registry holds whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
}

impl Setting {
    /// Java's keys; none if the registry does not hold the setting.
    pub fn java_keys(&self) -> &'static [&'static str] {
        match self.place {
            Place::Registry { keys, .. } => keys,
            Place::Prop(_) | Place::Application => &[],
        }
    }

    /// The default, if it is a value and no word for it.
    #[must_use]
    pub fn default_value(&self) -> Option<&'static str> {
        (!matches!(self.default, "" | "none" | "the machine's")).then_some(self.default)
    }

    /// Returns the name in Java's XML, and in files if the value is in Java's unit: `max-time-diff-seconds`.
    #[must_use]
    pub fn java_name(&self) -> String {
        self.java_keys()
            .first()
            .map_or_else(|| self.name.to_owned(), |key| dashed(key))
    }
}

/// `maxTimeDiffSeconds` as `max-time-diff-seconds`.
pub(crate) fn dashed(key: &str) -> String {
    key.chars().fold(String::new(), |mut name, c| {
        if c.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
        name
    })
}

impl Unit {
    pub(in crate::job) fn seconds(self) -> u32 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
        }
    }

    /// In words, for more than one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
        }
    }
}
