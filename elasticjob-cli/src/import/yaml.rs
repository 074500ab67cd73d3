//! Writes an `application.yaml`.
//!
//! It is written as text and not by a library, since people go on from it: keys in the order of the files, and remarks
//! above as a comment. Every text stands in quotes, so that none is taken for a number or a switch.

use std::fmt::Write as _;

use super::Remark;
use super::assembly::{Application, Job, Section, Settings};

/// Writes the application, the remarks as a comment above it.
pub(super) fn write(application: &Application, remarks: &[Remark]) -> String {
    let mut text = String::new();
    if !remarks.is_empty() {
        text.push_str("# Not carried over, or to be completed:\n");
        for remark in remarks {
            // A line feed in a value would end the comment.
            let remark = remark.to_string().replace(char::is_control, " ");
            line(&mut text, 0, format_args!("# - {remark}"));
        }
    }
    let sections = application.sections.iter().filter(|section| !section.is_empty());
    for (index, section) in sections.enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        self::section(&mut text, section);
    }
    text
}

impl Section {
    /// Returns whether nothing of it is to be written.
    fn is_empty(&self) -> bool {
        self.registry.is_none() && self.jobs.is_empty() && self.tracing.is_none() && self.dump_port.is_none()
    }
}

/// Writes one document, with its condition if it has one.
fn section(text: &mut String, section: &Section) {
    if !section.profiles.is_empty() {
        let profiles: Vec<String> = section.profiles.iter().map(|profile| quoted(profile)).collect();
        let profiles = profiles.join(", ");
        line(text, 0, format_args!("spring:"));
        line(text, 1, format_args!("config:"));
        line(text, 2, format_args!("activate:"));
        line(text, 3, format_args!("on-profile: [{profiles}]"));
    }
    line(text, 0, format_args!("elasticjob:"));
    if let Some(registry) = &section.registry {
        line(text, 1, format_args!("reg-center:"));
        settings(text, 2, registry);
    }
    if let Some(tracing) = &section.tracing {
        line(text, 1, format_args!("tracing:"));
        line(text, 2, format_args!("type: RDB"));
        if !tracing.only.is_empty() {
            line(text, 2, format_args!("include-job-names:"));
            for job in &tracing.only {
                line(text, 3, format_args!("- {}", quoted(job)));
            }
        }
        line(text, 2, format_args!("data-source:"));
        settings(text, 3, &tracing.data_source);
    }
    if let Some(port) = &section.dump_port {
        line(text, 1, format_args!("dump:"));
        line(text, 2, format_args!("port: {}", scalar(port)));
    }
    if !section.jobs.is_empty() {
        line(text, 1, format_args!("jobs:"));
    }
    for job in &section.jobs {
        self::job(text, job);
    }
}

/// Writes a job.
fn job(text: &mut String, job: &Job) {
    line(text, 2, format_args!("{}:", key(&job.name)));
    settings(text, 3, &job.settings);
    if !job.props.is_empty() {
        line(text, 3, format_args!("props:"));
        for (name, value) in &job.props {
            // Java's properties are texts, also those that look like numbers.
            line(text, 4, format_args!("{}: {}", prop(name), quoted(value)));
        }
    }
}

/// Writes keys with their values, in a line each.
fn settings(text: &mut String, depth: usize, settings: &Settings) {
    for (key, value) in settings {
        line(text, depth, format_args!("{key}: {}", scalar(value)));
    }
}

/// Writes a line, indented by so many levels.
fn line(text: &mut String, depth: usize, content: std::fmt::Arguments<'_>) {
    let indent = depth * 2;
    writeln!(text, "{:indent$}{content}", "").expect("a text takes all that is written to it");
}

/// A name as a key of a map, in one piece: a dot in it would begin another map.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && !is_word_of_yaml(name);
    if is_plain {
        name.to_owned()
    } else if name.contains('.') {
        quoted(&format!("[{name}]"))
    } else {
        quoted(name)
    }
}

/// The key of a property, which has dots that separate nothing.
fn prop(name: &str) -> String {
    let is_plain = |part: &str| key(part) == part;
    if name.split('.').all(is_plain) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A number and a switch as they are, all else in quotes.
fn scalar(value: &str) -> String {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_number = digits == "0"
        || (digits.starts_with(|first: char| ('1'..='9').contains(&first))
            && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if is_number || value == "true" || value == "false" {
        value.to_owned()
    } else {
        quoted(value)
    }
}

/// Returns whether some reader of YAML takes this for something else than a text.
fn is_word_of_yaml(name: &str) -> bool {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    words.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// A text in double quotes: a string of JSON is one of YAML.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always a string of JSON")
}
