//! The settings of one job by any of the names that files have for them, for callers that change them elsewhere.

use super::key::{self, Unknown};
use crate::job::setting::{Place, SETTINGS, Setting};
use crate::spelling::canonical;

/// What stands before the key of a property.
const PROPS: &str = "props.";

/// A setting of a job.
pub(crate) enum Spelt {
    /// One of the table.
    Setting {
        setting: &'static Setting,
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
        let parts = key::parts(written);
        if let [first, keys @ ..] = parts.as_slice()
            && canonical(first) == "props"
        {
            let key = Some(keys.join(".")).filter(|key| !key.is_empty());
            return key
                .map(Self::Prop)
                .ok_or_else(|| "names no property: `props.KEY` is expected".to_owned());
        }
        match key::setting_of_job(&parts.join(".")) {
            Ok((setting, unit)) => Ok(match setting.place {
                Place::Prop(prop) => Self::Prop(prop.to_owned()),
                Place::Registry { .. } | Place::Application => Self::Setting { setting, unit },
            }),
            Err(Unknown::Nothing(Some(near))) => Err(format!("is no setting of a job, did you mean `{near}`?")),
            Err(_) => {
                let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
                Err(format!(
                    "is no setting of a job; these are: {}, and props.KEY",
                    names.join(", ")
                ))
            }
        }
    }
}
