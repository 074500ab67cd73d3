//! The reference is what the table says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::sources::Loader;

#[test]
fn page_is_that_of_the_table() {
    check("docs/settings.md", &page());
}

#[test]
fn schema_is_that_of_the_table() {
    let schema = serde_json::to_string_pretty(&schema()).expect("JSON");
    check("docs/application.schema.json", &(schema + "\n"));
}

#[test]
fn defaults_are_what_the_setting_takes() {
    let short = SHORT.iter().map(|(setting, _)| setting);
    for setting in APPLICATION.iter().chain(JOB).chain(short) {
        let Setting {
            name, default, about, ..
        } = setting;
        let is_word = is_word(default);
        let is_taken = match setting.takes {
            Switch => default.parse::<bool>().is_ok(),
            Number(least, most) => default.parse().is_ok_and(|number| (least..=most).contains(&number)),
            Duration | Age => default.parse::<jiff::SignedDuration>().is_ok(),
            OneOf(texts) => texts.contains(default),
            Text | Secret | List => true,
        };
        assert!(is_word || is_taken, "`{name}` is `{default}` by default");
        assert!(about.ends_with('.') && !about.contains('|'), "`{name}`: {about}");
    }
}

/// Whether a default is no value but says in words what counts.
fn is_word(default: &str) -> bool {
    matches!(default, "" | "none" | "the machine's")
}

#[test]
fn defaults_are_what_counts_without_the_setting() {
    // Names of implementations are kept as they are written, and looked up by the application.
    let is_looked_up = |setting: &Setting| setting.name.ends_with("-type") && setting.name.starts_with("job-");
    let with_defaults = |settings: &'static [Setting], below: &'static str| {
        let settings = settings
            .iter()
            .filter(move |setting| !is_word(setting.default) && !is_looked_up(setting));
        settings.map(move |setting| (format!("{below}{}", setting.name), setting.default))
    };
    let defaults: Vec<_> = with_defaults(APPLICATION, "")
        .chain(with_defaults(JOB, "jobs.a."))
        .collect();
    assert!(defaults.len() > 15, "{defaults:?}");
    let load = |default: Option<&(String, &str)>| {
        let given = [
            ("reg-center.server-lists", "zk:2181"),
            ("reg-center.namespace", "n"),
            ("metrics.port", "1"),
            ("dump.port", "2"),
            ("jobs.a.elastic-job-type", "SCRIPT"),
            ("jobs.a.sharding-total-count", "1"),
        ];
        let loader = given
            .into_iter()
            .fold(Loader::new(), |loader, (key, value)| loader.set(key, value));
        let loader = default
            .into_iter()
            .fold(loader, |loader, (key, value)| loader.set(key, *value));
        let mut settings = loader.load().unwrap_or_else(|errors| panic!("{default:?}: {errors}"));
        settings.origins.clear();
        settings.jobs.values_mut().for_each(|job| job.origins.clear());
        settings
    };
    let without = load(None);
    for default in &defaults {
        assert_eq!(load(Some(default)), without, "{default:?}");
    }
}

/// Compares a file of the repository with what it should be, or writes it if that is asked for.
#[track_caller]
fn check(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("WRITE_REFERENCE").is_some() {
        fs::write(&path, expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} is not what the table of settings says: run this test with WRITE_REFERENCE=1"
    );
}

fn page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         All settings of `application.yaml` and its siblings in TOML and `.properties`. The page is made of the table that the\n\
         settings are read by (`elasticjob-config/src/sources/reference.rs`), and a test holds it there. Where values come from, and\n\
         which wins, is in [configuration.md](configuration.md).\n\n\
         A key is known by its letters and digits: `reg-center`, `regCenter` and `reg_center` are one. In the environment\n\
         `elasticjob.reg-center.max-retries` is `ELASTICJOB_REG_CENTER_MAX_RETRIES`. Java's names are taken, too, with numbers in Java's\n\
         units. Editors complete and check the file by [application.schema.json](application.schema.json); in YAML the first line names\n\
         it. It knows keys that are nested, not those with dots:\n\n\
         ```yaml\n\
         # yaml-language-server: $schema=https://../application.schema.json\n\
         ```\n",
    );
    page += "\n## Of the application, below `elasticjob`\n\n";
    page += &table(APPLICATION.iter());
    page += "\nBelow `tracing.data-source` stands the database, as [history.md](history.md) describes it.\n";
    page += "\n## Of a job, below `elasticjob.jobs.NAME`\n\n";
    page += &table(JOB.iter());
    page += "\nProperties of the job stand below `props`. These have a short name as well:\n\n";
    page += &table(SHORT.iter().map(|(setting, _)| setting));
    page += "\n| short | as a property |\n|---|---|\n";
    for (short, prop) in SHORT {
        writeln!(page, "| `{}` | `props.{prop}` |", short.name).expect("a text takes all");
    }
    page
}

fn table<'a>(settings: impl Iterator<Item = &'a Setting>) -> String {
    let mut table = String::from("| setting | value | without it | |\n|---|---|---|---|\n");
    for setting in settings {
        let Setting {
            name, default, about, ..
        } = setting;
        let java: Vec<String> = java_names(name)
            .map(|(java, unit)| match unit {
                "" => format!("`{}`", camel_case(java)),
                unit => format!("`{}` in {}", camel_case(java), unit_in_words(unit)),
            })
            .collect();
        let java = match java.is_empty() {
            true => String::new(),
            false => format!(" In Java {}.", java.join(", ")),
        };
        let default = match is_word(default) {
            true => (*default).to_owned(),
            false => format!("`{default}`"),
        };
        let value = in_words(setting.takes);
        writeln!(table, "| `{name}` | {value} | {default} | {about}{java} |").expect("a text takes all");
    }
    table
}

fn java_names(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let named = JAVA_NAMES.iter().filter(move |(_, ours, _)| *ours == name);
    named.map(|(java, _, unit)| (*java, *unit))
}

fn unit_in_words(unit: &str) -> &'static str {
    match unit {
        "ms" => "milliseconds",
        "s" => "seconds",
        "m" => "minutes",
        other => panic!("`{other}` has no word"),
    }
}

fn in_words(takes: Takes) -> String {
    match takes {
        Text => "text".to_owned(),
        Secret => "secret text".to_owned(),
        Switch => "`true` or `false`".to_owned(),
        Number(least, MOST) => format!("number from {least}"),
        Number(least, most) => format!("number, {least} to {most}"),
        Duration => "duration, `10s`".to_owned(),
        Age => "duration or days, `30d`".to_owned(),
        List => "list".to_owned(),
        OneOf(texts) => texts
            .iter()
            .map(|text| format!("`{text}`"))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

/// `max-sleep-time` as `maxSleepTime`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name + letters.as_str()
    })
}

fn schema() -> Value {
    let mut application = Map::new();
    for setting in APPLICATION {
        place(&mut application, setting.name, &value(setting));
    }
    for (java, ours, unit) in JAVA_NAMES {
        if let Some(setting) = APPLICATION.iter().find(|setting| setting.name == *ours) {
            place(&mut application, java, &java_value(setting, unit));
        }
    }
    let database = json!({
        "description": "The database in which history is recorded; without it `spring.datasource`, or a file.",
        "type": "object",
    });
    place(&mut application, "tracing.data-source", &database);

    let mut job = Map::new();
    let short = SHORT.iter().map(|(setting, _)| setting);
    for setting in JOB.iter().chain(short) {
        place(&mut job, setting.name, &value(setting));
    }
    for (java, ours, unit) in JAVA_NAMES {
        if let Some(setting) = JOB.iter().find(|setting| setting.name == *ours) {
            place(&mut job, java, &java_value(setting, unit));
        }
    }
    let props = json!({
        "description": "Properties of the job, of its type and its error handler.",
        "type": ["object", "null"],
    });
    job.insert("props".to_owned(), props);
    let jobs = json!({
        "description": "The jobs by their names.",
        "type": ["object", "null"],
        "additionalProperties": section("", job),
    });
    application.insert("jobs".to_owned(), jobs);

    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "ElasticJob for Rust: application.yaml",
        "type": "object",
        "properties": {
            "elasticjob": section("The settings of ElasticJob.", application),
        },
    })
}

/// Puts a setting in its section, by its name and as Java's files have it.
fn place(section_of: &mut Map<String, Value>, name: &str, value: &Value) {
    let (first, rest) = name
        .split_once('.')
        .map_or((name, None), |(first, rest)| (first, Some(rest)));
    let mut spellings = vec![first.to_owned(), camel_case(first)];
    spellings.dedup();
    for spelling in spellings {
        match rest {
            None => drop(section_of.insert(spelling, value.clone())),
            Some(rest) => {
                let below = section_of.entry(spelling).or_insert_with(|| section("", Map::new()));
                let properties = below.get_mut("properties").and_then(Value::as_object_mut);
                place(properties.expect("a section has properties"), rest, value);
            }
        }
    }
}

fn section(description: &str, properties: Map<String, Value>) -> Value {
    let mut section = json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": properties,
    });
    if !description.is_empty() {
        section["description"] = json!(description);
    }
    section
}

/// A placeholder may stand for anything.
fn or_placeholder(value: Value) -> Value {
    json!([value, { "type": "string", "pattern": "\\$\\{" }, { "type": "null" }])
}

fn value(setting: &Setting) -> Value {
    let described = |any_of: Value| {
        let mut value = json!({ "description": setting.about, "anyOf": any_of });
        if !is_word(setting.default) {
            value["default"] = json!(setting.default);
        }
        value
    };
    described(match setting.takes {
        Text | Secret => json!([{ "type": ["string", "number", "boolean", "null"] }]),
        Switch => or_placeholder(json!({ "type": "boolean" })),
        Number(least, most) => or_placeholder(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Duration | Age => json!([{ "type": ["string", "null"] }, { "const": 0 }]),
        List => json!([{ "type": ["string", "null"] }, { "type": "array", "items": { "type": "string" } }]),
        OneOf(texts) => {
            let lower = texts.iter().map(|text| text.to_lowercase());
            let either: Vec<String> = texts.iter().map(ToString::to_string).chain(lower).collect();
            or_placeholder(json!({ "enum": either }))
        }
    })
}

/// A number in the unit that the name says.
fn java_value(setting: &Setting, unit: &str) -> Value {
    match unit {
        "" => value(setting),
        _ => json!({ "description": setting.about, "anyOf": or_placeholder(json!({ "type": "integer" })) }),
    }
}
