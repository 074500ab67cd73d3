//! Finds settings by their names, and reads durations in the units of their numbers.

use jiff::SignedDuration;

use super::{Place, SETTINGS, Setting, Slot, Unit};
use crate::spelling::canonical;

impl Setting {
    /// Finds a setting by any of its names in files, with the unit of the number if the name says one: `s` in `maxTimeDiffSeconds`.
    pub(crate) fn find(written: &str) -> Option<(&'static Self, &'static str)> {
        let wanted = canonical(written);
        if let Some(setting) = SETTINGS.iter().find(|setting| canonical(setting.name) == wanted) {
            return Some((setting, ""));
        }
        let has_key = |setting: &&Self| setting.java_keys().iter().any(|key| canonical(key) == wanted);
        SETTINGS.iter().find(has_key).map(|setting| (setting, setting.suffix()))
    }

    /// Finds a setting by a key of the registry.
    pub(crate) fn of_key(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.java_keys().contains(&key))
    }

    /// What stands behind a number under a key of Java's, for it to be a duration.
    pub(crate) fn suffix(&self) -> &'static str {
        match self.place {
            Place::Registry {
                slot: Slot::Units(units, _),
                ..
            } => units.unit.suffix(),
            _ => "",
        }
    }
}

impl Unit {
    fn suffix(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Minutes => "m",
        }
    }

    /// Returns how many of these a duration is.
    ///
    /// # Errors
    /// If it is no whole number of them.
    pub(crate) fn count(self, duration: SignedDuration) -> Result<i64, String> {
        let unit = i64::from(self.seconds());
        if duration.subsec_nanos() != 0 || duration.as_secs() % unit != 0 {
            return Err(format!("the registry holds whole {}", self.name()));
        }
        Ok(duration.as_secs() / unit)
    }
}
