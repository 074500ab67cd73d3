//! Reads the registry's `config` node.
//!
//! The text may be that of a Java member, of ours, or of a person with an editor. It is read as a Java member would: by
//! its keys, with the types of YAML 1.1, and with Java's defaults for what is missing. What is not understood is kept
//! word for word, so that the next write by a member of ours takes nothing away that another member needs.

use std::collections::BTreeMap;

use super::extension::{EXTENSIONS, Spelling};
use super::raw::Origin;
use super::setting::{self, Place, Setting, Slot};
use super::{Errors, Fault, JobConfig, RawJobConfig, Warning};
use crate::text;
use crate::yaml::resolve::{self, Type};
use crate::yaml::tree::{self, Content, Limits, Node};
use crate::yaml::value;
use crate::yaml::verbatim::{Unkept, Verbatim};

/// A configuration that was read from the registry, and what was odd about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredJobConfig {
    /// The configuration.
    pub config: JobConfig,
    /// What was found and is not understood, or contradicts itself.
    pub warnings: Vec<Warning>,
}

impl JobConfig {
    /// Reads the text of the registry's `config` node, which any member or operator may have written.
    ///
    /// Missing switches and numbers are off and 0, as Java reads them, and not the defaults of [`builder`](Self::builder).
    /// Unknown keys are kept for the next [`to_registry`](Self::to_registry), with a warning: a Java member of the job fails on
    /// them.
    ///
    /// # Errors
    /// If the text is not YAML, or no job could run by it. All faults at once.
    pub fn from_registry(yaml: &str) -> Result<StoredJobConfig, Errors> {
        Reader::read(yaml)?.finish()
    }

    /// Reads a stored text that no job can run by, with some settings changed as by [`with_settings`](Self::with_settings): what
    /// is wrong with a setting does not count if that is changed. `name` is the job's; the text may have lost it.
    ///
    /// ```
    /// # use elasticjob_config::job::JobConfig;
    /// let broken = "jobName: sync\ncron: 61 * * * * ?\nshardingTotalCount: many\nowner: team-a\n";
    /// let errors = JobConfig::repaired("sync", broken, [("cron", Some("0 0 2 * * ?"))]).unwrap_err();
    /// assert_eq!(errors.faults()[0].value.as_deref(), Some("many"), "{errors}");
    /// let changes = [("cron", Some("0 0 2 * * ?")), ("sharding-total-count", Some("2"))];
    /// let repaired = JobConfig::repaired("sync", broken, changes)?;
    /// assert!(repaired.to_yaml().contains("owner: team-a"));
    /// # Ok::<(), elasticjob_config::job::Errors>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not YAML, or no job could run by it even so. All faults at once.
    pub fn repaired<'a>(
        name: &str,
        yaml: &str,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, Errors> {
        let mut reader = Reader::read(yaml).map_err(|errors| errors.of(name))?;
        reader.take_extensions();
        name.clone_into(&mut reader.raw.job_name);
        reader.faults.retain(|fault| fault.key != "jobName");
        let changed = reader.raw.change(changes);
        let mut config = changed.check(reader.raw, reader.faults)?;
        config.kept.foreign_types = foreign_types(&config);
        Ok(config)
    }

    /// Returns the settings of a stored text as [`settings`](Self::settings) does, as far as they can be read, whether or not a job
    /// can run by them. Of a text that is not YAML there are none.
    #[must_use]
    pub fn legible_settings(yaml: &str) -> BTreeMap<String, String> {
        let Ok(mut reader) = Reader::read(yaml) else {
            return BTreeMap::new();
        };
        reader.take_extensions();
        let settings = reader.raw.clone().settings();
        reader.legible(settings)
    }

    /// As [`legible_settings`](Self::legible_settings), as a Java member reads the text: settings that Java does not have are among the
    /// properties where they are stored, a setting with several names has that of the text, and a text may be empty.
    ///
    /// ```
    /// # use elasticjob_config::job::JobConfig;
    /// let stored = "jobName: sync\nprops: {elasticjob.time-zone: Europe/Berlin}\n";
    /// assert_eq!(JobConfig::legible_settings(stored)["timeZone"], "Europe/Berlin");
    /// let as_java = JobConfig::legible_in_java(stored);
    /// assert_eq!(as_java["props.elasticjob.time-zone"], "Europe/Berlin");
    /// assert!(!as_java.contains_key("timeZone"));
    /// ```
    #[must_use]
    pub fn legible_in_java(yaml: &str) -> BTreeMap<String, String> {
        let Ok(reader) = Reader::read(yaml) else {
            return BTreeMap::new();
        };
        let newer = reader.raw.kept.newer_keys.clone();
        let settings = reader.raw.clone().written_settings();
        let mut settings = reader.legible(settings);
        for (key, newer) in newer {
            if let Some(value) = settings.remove(key) {
                settings.insert(newer.to_owned(), value);
            }
        }
        settings
    }

    /// As [`from_registry`](Self::from_registry), without the warnings.
    ///
    /// # Errors
    /// As there.
    pub fn from_yaml(yaml: &str) -> Result<Self, Errors> {
        Ok(Self::from_registry(yaml)?.config)
    }
}

impl Reader {
    /// Returns the settings that could be read, and of a setting that could not, its text.
    fn legible(self, mut settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
        for fault in self.faults {
            match fault.value {
                Some(value) => drop(settings.insert(fault.key, value)),
                None => drop(settings.remove(&fault.key)),
            }
        }
        settings
    }
}

/// Collects the settings of one text. Of a repeated key the last counts, because it simply comes later.
struct Reader {
    raw: RawJobConfig,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

impl Reader {
    /// Reads all entries of a text.
    fn read(yaml: &str) -> Result<Self, Errors> {
        let broken = |problem: String| Errors::new("", vec![Fault::new("", None, problem)]);
        let text = text::without_mark(yaml);
        let (documents, lines) =
            tree::read(text, Limits::STORED).map_err(|error| broken(format!("not YAML: {error}")))?;
        let root = match documents.as_slice() {
            [root] if matches!(root.content, Content::Mapping(_)) => root,
            [] | [_] => return Err(broken("the text holds no settings".to_owned())),
            [_, second, ..] => {
                let problem = format!(
                    "line {}: a second document begins, and one is expected",
                    second.start.line
                );
                return Err(broken(problem));
            }
        };
        let verbatim = Verbatim::new(&lines, root);
        let mut reader = Self::new();
        for (index, (key, value)) in root.entries().iter().enumerate() {
            reader.entry(&verbatim, index, key, value);
        }
        Ok(reader)
    }

    /// Starts with a text that leaves everything out: for Java, switches and numbers are off and 0 then.
    fn new() -> Self {
        let mut raw = RawJobConfig::new("");
        for (_, slot) in setting::stored() {
            match slot {
                Slot::Switch(of) => *of(&mut raw) = Some(false),
                Slot::Number(of) => *of(&mut raw) = Some(0),
                Slot::Units(units, of) => *of(&mut raw) = Some(units.off),
                Slot::Text(_) | Slot::List(_) => {}
            }
        }
        Self {
            raw,
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes one entry of the text: a setting, or something that is kept.
    fn entry(&mut self, verbatim: &Verbatim<'_>, index: usize, key: &Node, value: &Node) {
        let Some(name) = key.scalar().filter(|_| key.kind() == Type::Text) else {
            let problem = format!("line {}: a key is not a text", key.start.line);
            self.faults.push(Fault::new("", None, problem));
            return;
        };
        match (name, Setting::of_key(name).map(|setting| &setting.place)) {
            ("jobName", _) => self.raw.job_name = self.text(name, value).unwrap_or_default(),
            ("props", _) => self.props(value),
            ("jobExtraConfigurations", _) => self.raw.kept.extra_configurations = self.keep(verbatim, index, name),
            (_, Some(Place::Registry { keys, slot })) => {
                self.note_key(keys, name);
                self.setting(name, *slot, value);
            }
            (unknown, _) => {
                if let Some(text) = self.keep(verbatim, index, unknown) {
                    self.raw.kept.unknown.insert(unknown.to_owned(), text);
                }
                let message = "is not a setting of ElasticJob 3.0; it is kept, but Java members of the job fail on it";
                self.warn(unknown, message.to_owned());
            }
        }
    }

    /// Takes the value of a setting, in the type that it has.
    fn setting(&mut self, name: &str, slot: Slot, value: &Node) {
        match slot {
            Slot::Text(of) => *of(&mut self.raw) = self.text(name, value),
            Slot::Number(of) => *of(&mut self.raw) = Some(self.int(name, value).unwrap_or(0)),
            Slot::Units(units, of) => *of(&mut self.raw) = Some(self.int(name, value).unwrap_or(units.off)),
            Slot::Switch(of) => *of(&mut self.raw) = Some(self.bool(name, value)),
            Slot::List(of) => *of(&mut self.raw) = self.texts(name, value),
        }
    }

    /// Notes under which of its keys a setting stands.
    fn note_key(&mut self, keys: &'static [&'static str], name: &str) {
        let ([first, newer @ ..], newer_keys) = (keys, &mut self.raw.kept.newer_keys) else {
            return;
        };
        match newer.iter().find(|key| **key == name) {
            Some(key) => newer_keys.insert(first, key),
            None => newer_keys.remove(first),
        };
    }

    /// Checks what was read.
    fn finish(mut self) -> Result<StoredJobConfig, Errors> {
        self.take_extensions();
        let name = self.raw.job_name.clone();
        match self.raw.check_from(Origin::Registry) {
            Ok(mut config) if self.faults.is_empty() => {
                config.kept.foreign_types = foreign_types(&config);
                Ok(StoredJobConfig {
                    config,
                    warnings: self.warnings,
                })
            }
            Ok(_) => Err(Errors::new(name, self.faults)),
            Err(errors) => Err(errors.after(name, self.faults)),
        }
    }

    /// Moves our own settings from `props` to where they belong.
    ///
    /// We never write both the Java key and ours. If both are there, an operator or a Java member has set the Java key since.
    fn take_extensions(&mut self) {
        for extension in &EXTENSIONS {
            let ours = self.raw.props.remove(extension.prop);
            let slot = (extension.slot)(&mut self.raw);
            let Some(java) = slot.clone() else {
                *slot = ours;
                continue;
            };
            if let Some(ours) = ours {
                let message = format!("`{java}` replaces `{}`, which is `{ours}`", extension.prop);
                self.warn(extension.java_key, message);
            }
            if extension.is_open_in_java {
                self.raw.kept.foreign_types.insert(extension.java_key, java);
            }
        }
    }

    /// Reads a text; `None` for YAML's null, and after a fault.
    fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        let Some(text) = node.scalar() else {
            self.faults
                .push(Fault::new(key, None, "a text is expected, not a list or a map"));
            return None;
        };
        if node.tag == "!!binary" {
            return self.decoded(key, text);
        }
        let is_null = node.is_plain() && resolve::resolve(text) == Type::Null;
        (!is_null).then(|| text.to_owned())
    }

    /// SnakeYAML writes a text with control characters as the base64 of its bytes.
    fn decoded(&mut self, key: &str, text: &str) -> Option<String> {
        let decoded = base64(text).and_then(|bytes| String::from_utf8(bytes).ok());
        if decoded.is_none() {
            self.faults
                .push(Fault::new(key, Some(text), "is not the base64 of a text"));
        }
        decoded
    }

    fn int(&mut self, key: &str, node: &Node) -> Option<i64> {
        let text = self.text(key, node)?;
        let number = value::int_value(&text);
        if number.is_none() {
            self.faults
                .push(Fault::new(key, Some(&text), "a whole number is expected"));
        }
        number
    }

    fn bool(&mut self, key: &str, node: &Node) -> bool {
        let Some(text) = self.text(key, node) else { return false };
        let switch = value::bool_value(&text);
        if switch.is_none() {
            self.faults
                .push(Fault::new(key, Some(&text), "`true` or `false` is expected"));
        }
        switch.unwrap_or(false)
    }

    /// Reads a list of texts, for which null stands, too: an empty one.
    fn texts(&mut self, key: &str, node: &Node) -> Vec<String> {
        match &node.content {
            Content::Sequence(items) => items.iter().filter_map(|item| self.text(key, item)).collect(),
            Content::Scalar { .. } if self.text(key, node).is_none() => Vec::new(),
            Content::Scalar { .. } | Content::Mapping(_) => {
                self.faults.push(Fault::new(key, None, "a list is expected"));
                Vec::new()
            }
        }
    }

    /// Java keeps `props` in an untyped map, so a value without quotes is what Java prints of it.
    fn props(&mut self, node: &Node) {
        if matches!(&node.content, Content::Sequence(_))
            || node.scalar().is_some() && self.text("props", node).is_some()
        {
            self.faults.push(Fault::new("props", None, "a map is expected"));
            return;
        }
        self.raw.props.clear();
        for (key, value) in node.entries() {
            let Some(name) = key.scalar() else {
                self.faults.push(Fault::new(
                    "props",
                    None,
                    format!("line {}: a key is not a text", key.start.line),
                ));
                continue;
            };
            let path = format!("props.{name}");
            let text = match self.text(&path, value) {
                Some(text) if value.is_plain() => value::printed_by_java(&text),
                text => text,
            };
            if let Some(text) = text {
                self.raw.props.insert(name.to_owned(), text);
            } else if value.scalar().is_some() {
                self.warn(
                    &path,
                    "has no value and is left out; Java members of the job fail on it".to_owned(),
                );
            }
        }
    }

    /// Returns an entry word for word, or reports that it cannot be kept.
    fn keep(&mut self, verbatim: &Verbatim<'_>, index: usize, key: &str) -> Option<String> {
        let problem = match verbatim.of_entry(index) {
            Ok(text) => return Some(text),
            Err(Unkept::RefersElsewhere) => {
                "refers to another part of the text by an alias, so it cannot be kept on its own"
            }
            Err(Unkept::Unreadable) => "cannot be written again with the same meaning, so it cannot be kept",
        };
        self.faults.push(Fault::new(key, None, problem));
        None
    }

    fn warn(&mut self, key: &str, message: String) {
        self.warnings.push(Warning {
            key: key.to_owned(),
            message,
        });
    }
}

/// Of the types that stood under a Java key, those that Java does not bring itself.
fn foreign_types(config: &JobConfig) -> BTreeMap<&'static str, String> {
    let mut foreign = config.kept.foreign_types.clone();
    for extension in &EXTENSIONS {
        if let Some(Spelling::Java(_)) = (extension.value)(config) {
            foreign.remove(extension.java_key);
        }
    }
    foreign
}

/// Decodes base64, with line breaks anywhere.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut bits = 0u32;
    let mut count = 0;
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace() && *c != b'=') {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
