//! The settings of a job as texts, by the names that the registry has for them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;

use super::setting::{self, Slot};
use super::{JobConfig, RawJobConfig};
use crate::secret;

/// What stands before the key of a property.
pub(super) const PROPS: &str = "props.";

/// The value of a setting, taken out of a configuration.
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Switch(Option<bool>),
    List(Vec<String>),
}

impl JobConfig {
    /// Returns all settings that have a value, by their names in the registry; properties as `props.KEY`.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, String> {
        RawJobConfig::from(self).settings()
    }

    /// Returns the value of a setting as it may be shown: `[provided]` for a secret, and for secrets that another value quotes.
    #[must_use]
    pub fn shown<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
        secret::shown(name, value)
    }
}

impl RawJobConfig {
    pub(super) fn settings(self) -> BTreeMap<String, String> {
        let mut settings = self.written_settings();
        settings.retain(|key, text| !text.is_empty() || key.starts_with(PROPS));
        settings
    }

    /// Returns the settings as [`settings`](Self::settings) does, also texts that are there and empty.
    pub(super) fn written_settings(mut self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        for (key, slot) in setting::stored() {
            let text = match self.take(slot) {
                Value::Text(text) => text,
                Value::Number(number) => number.map(|number| number.to_string()),
                Value::Switch(switch) => switch.map(|switch| switch.to_string()),
                Value::List(list) => (!list.is_empty()).then(|| list.join(",")),
            };
            settings.extend(text.map(|text| (key.to_owned(), text)));
        }
        let props = self.props.into_iter();
        settings.extend(props.map(|(key, value)| (format!("{PROPS}{key}"), value)));
        settings
    }

    /// Takes the value of a setting out.
    pub(super) fn take(&mut self, slot: Slot) -> Value {
        match slot {
            Slot::Text(of) => Value::Text(of(self).take()),
            Slot::Number(of) | Slot::Units(_, of) => Value::Number(of(self).take()),
            Slot::Switch(of) => Value::Switch(of(self).take()),
            Slot::List(of) => Value::List(mem::take(of(self))),
        }
    }
}
