//! The settings of one job by any of the names that files have for them, for callers that change them elsewhere.

use super::key::{self, Key, Unknown};
use super::reference::{JAVA_NAMES, JOB, SHORT, Takes};

/// What stands before the key of a property.
const PROPS: &str = "props.";

/// A setting of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spelt {
    /// One of the table.
    Setting {
        name: &'static str,
        takes: Takes,
        /// What the name says that the number behind it counts: `s` in `maxTimeDiffSeconds`.
        unit: &'static str,
    },
    /// A property, by its key.
    Prop(String),
}

impl Spelt {
    /// Finds the setting that a name means.
    ///
    /// # Errors
    /// Says why there is none, and which was probably meant.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        // As settings are shown: the key may hold what is a separator elsewhere.
        if let Some(key) = written.strip_prefix(PROPS).filter(|key| !key.is_empty()) {
            return Ok(Self::Prop(key.to_owned()));
        }
        match key::of_job(&key::parts(written)) {
            Ok((Key::JobSetting(_, name), unit)) => {
                let takes = JOB
                    .iter()
                    .find(|setting| setting.name == name)
                    .map(|setting| setting.takes);
                let takes = takes.expect("the key of a setting is one of the table");
                Ok(Self::Setting { name, takes, unit })
            }
            Ok((Key::Prop(_, key), _)) if !key.is_empty() => Ok(Self::Prop(key)),
            Ok(_) => Err("names no property: `props.KEY` is expected".to_owned()),
            Err(Unknown::OfJava(instead)) => Err(instead.to_owned()),
            Err(Unknown::Nothing(Some(near))) => Err(format!("is no setting of a job, did you mean `{near}`?")),
            Err(Unknown::Nothing(None) | Unknown::Ambiguous(_)) => {
                let short = SHORT.iter().map(|(short, _)| short.name);
                let names: Vec<&str> = JOB.iter().map(|setting| setting.name).chain(short).collect();
                Err(format!(
                    "is no setting of a job; these are: {}, and props.KEY",
                    names.join(", ")
                ))
            }
        }
    }
}

/// All names that Java has for a setting, beside its own.
pub(crate) fn java_names(setting: &str) -> impl Iterator<Item = &'static str> {
    let named = JAVA_NAMES.iter().filter(move |(_, ours, _)| *ours == setting);
    named.map(|(java, ..)| *java)
}

/// The names of all settings of a job, the short ones of properties among them.
#[cfg(test)]
pub(crate) fn job_settings() -> impl Iterator<Item = &'static str> {
    let short = SHORT.iter().map(|(short, _)| short.name);
    JOB.iter().map(|setting| setting.name).chain(short)
}
