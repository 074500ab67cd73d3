//! The fields of the form, and what it sends. Pure.

use elasticjob::configuration::job::setting::{Place, SETTINGS, Setting, Takes};

use crate::masks::{PROPS, Settings};

/// What stands before the name of a setting among the fields that are sent.
const SETTING: &str = "s.";

/// A field of the form.
pub(crate) struct Field {
    /// The setting by its name in the registry.
    pub(crate) key: &'static str,
    pub(crate) setting: &'static Setting,
}

/// How a setting is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Text,
    Switch,
}

/// The settings that the registry holds, in the order of the table.
pub(crate) static FIELDS: std::sync::LazyLock<Vec<Field>> = std::sync::LazyLock::new(|| {
    let field = |setting: &'static Setting| match setting.place {
        Place::Registry { keys, .. } => keys.first().map(|&key| Field { key, setting }),
        _ => None,
    };
    SETTINGS.iter().filter_map(field).collect()
});

impl Field {
    pub(crate) fn name(&self) -> String {
        format!("{SETTING}{}", self.key)
    }

    pub(crate) fn input(&self) -> Input {
        match self.setting.takes {
            Takes::Switch => Input::Switch,
            _ => Input::Text,
        }
    }
}

/// What a form sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// The version that the visitor looked at.
    pub(super) version: Option<i32>,
    pub(super) settings: Settings,
    /// All of it as YAML, instead of the settings.
    pub(super) yaml: Option<String>,
    pub(super) is_save: bool,
}

impl Sent {
    pub(super) fn parse(fields: Vec<(String, String)>) -> Self {
        let mut sent = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "version" => sent.version = value.parse().ok(),
                "yaml" => sent.yaml = Some(value),
                "do" => sent.is_save = value == "save",
                "props" => sent.settings.extend(props(&value)),
                name => {
                    // An empty field stands for a setting that is left out.
                    if let Some(key) = name.strip_prefix(SETTING).filter(|_| !value.is_empty()) {
                        sent.settings.insert(key.to_owned(), value.replace("\r\n", "\n"));
                    }
                }
            }
        }
        sent
    }
}

/// Reads properties, one a line: `key=value`. `\n` in a value is a line end, and `\\` a backslash.
fn props(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        (format!("{PROPS}{}", key.trim()), unescaped(value))
    })
}

/// Writes the properties among settings, one a line.
pub(crate) fn props_text(settings: &Settings) -> String {
    let lines = settings.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix(PROPS)?;
        let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        Some(format!("{key}={value}\n"))
    });
    lines.collect()
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (c, rest.clone().next()) {
            ('\\', Some(next @ ('n' | 'r' | '\\'))) => {
                rest.next();
                text.push(match next {
                    'n' => '\n',
                    'r' => '\r',
                    _ => '\\',
                });
            }
            (c, _) => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_settings_of_the_registry() {
        let keys: Vec<&str> = FIELDS.iter().map(|field| field.key).collect();
        for key in ["cron", "timeZone", "shardingTotalCount", "failover", "description"] {
            assert!(keys.contains(&key), "{keys:?}");
        }
        let failover = FIELDS.iter().find(|field| field.key == "failover").unwrap();
        assert_eq!((failover.input(), &*failover.name()), (Input::Switch, "s.failover"));
    }

    #[test]
    fn gives_back_each_property_as_it_was() {
        let settings: Settings = [
            ("props.a", "1 = 2"),
            ("props.line", "one\ntwo\r\\n"),
            ("props.空", "  blanks  "),
            ("props.empty", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        // Browsers send line ends of their own.
        let sent = Sent::parse(vec![("props".to_owned(), props_text(&settings).replace('\n', "\r\n"))]);
        assert_eq!(sent.settings, settings);
    }

    #[test]
    fn takes_an_empty_field_for_the_default() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let sent = Sent::parse(vec![
            field("version", "7"),
            field("s.cron", "0 0 2 * * ?"),
            field("s.description", ""),
            field("do", "save"),
        ]);
        assert_eq!((sent.version, sent.is_save, sent.settings.len()), (Some(7), true, 1));
    }
}
