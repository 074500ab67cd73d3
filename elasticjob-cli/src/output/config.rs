use std::collections::BTreeMap;

use elasticjob::configuration::job::JobConfig;
use elasticjob::operation::{Change, StoredConfiguration};
use serde::Serialize;

use super::table::{Table, optional, plain};
use super::{Show, Style, Tone};

/// A configuration in the registry, setting by setting. Values of secrets are not shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsReport {
    job_name: String,
    version: i32,
    settings: BTreeMap<String, String>,
}

/// How two configurations differ, or what was changed in one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeReport {
    pub(crate) job_name: String,
    /// Of the configuration in the registry, after the change.
    pub(crate) version: i32,
    pub(crate) changes: Vec<Change>,
    /// Whether it was only looked what would be changed.
    pub(crate) is_trial: bool,
    /// What a setting does that may not be what was meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl SettingsReport {
    pub(crate) fn new(stored: &StoredConfiguration, config: &JobConfig) -> Self {
        let shown = |(key, value): (String, String)| {
            let value = JobConfig::shown(&key, &value).into_owned();
            (key, value)
        };
        Self {
            job_name: stored.job_name.clone(),
            version: stored.version,
            settings: config.settings().into_iter().map(shown).collect(),
        }
    }
}

impl Show for SettingsReport {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["SETTING", "VALUE"]);
        for (key, value) in &self.settings {
            table.row([plain(key), plain(value)]);
        }
        let version = format!("version {}", self.version);
        table.text("Nothing is set.") + &style.paint(Tone::Quiet, &version) + "\n"
    }
}

impl Show for ChangeReport {
    fn text(&self, style: Style) -> String {
        if self.changes.is_empty() {
            return "No difference.\n".to_owned();
        }
        let mut table = Table::new(style, &["SETTING", "BEFORE", "AFTER"]);
        for change in &self.changes {
            table.row([
                plain(&change.key),
                optional(change.before.as_ref()),
                optional(change.after.as_ref()),
            ]);
        }
        let mut text = table.text("");
        if let Some(note) = &self.note {
            text.push_str(&style.paint(Tone::Notable, note));
            text.push('\n');
        }
        text
    }
}
