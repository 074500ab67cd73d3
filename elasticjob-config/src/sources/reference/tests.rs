//! The reference is what the table says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::job::setting::Takes::{Name, Verbatim};
use crate::job::setting::{Place, SETTINGS, Setting, dashed};
use crate::sources::Loader;

/// The settings of a job that are not short for a prop.
fn of_job() -> impl Iterator<Item = Entry> {
    let settings = SETTINGS
        .iter()
        .filter(|setting| !matches!(setting.place, Place::Prop(_)));
    settings.map(of)
}

/// The settings of a job that are short for a prop, and the prop.
fn short() -> impl Iterator<Item = (Entry, &'static str)> {
    SETTINGS.iter().filter_map(|setting| match setting.place {
        Place::Prop(prop) => Some((of(setting), prop)),
        Place::Registry { .. } | Place::Application => None,
    })
}

fn of(setting: &Setting) -> Entry {
    entry(setting.name, setting.takes, setting.default, setting.about)
}

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
    let named = NAMED.iter().flat_map(|(_, entries)| entries.iter().copied());
    for setting in APPLICATION.iter().copied().chain(named).chain(SETTINGS.iter().map(of)) {
        let Entry {
            name,
            takes,
            default,
            about,
        } = setting;
        let is_word = is_word(default);
        let is_taken = match takes {
            Switch => default.parse::<bool>().is_ok(),
            Number(least, most) => default.parse().is_ok_and(|number| (least..=most).contains(&number)),
            Duration | Age => default.parse::<jiff::SignedDuration>().is_ok(),
            OneOf(texts) => texts.contains(&default),
            Text | Name | Verbatim | Secret | List => true,
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
    let is_looked_up = |entry: &Entry| entry.name.ends_with("-type") && entry.name.starts_with("job-");
    let of_application = APPLICATION.iter().map(|entry| ("", *entry));
    let defaults: Vec<_> = of_application
        .chain(of_job().map(|entry| ("jobs.a.", entry)))
        .filter(|(_, entry)| !is_word(entry.default) && !is_looked_up(entry))
        .map(|(below, entry)| (format!("{below}{}", entry.name), entry.default))
        .collect();
    assert!(defaults.len() > 15, "{defaults:?}");
    let load = |default: Option<&(String, &str)>| {
        let given = [
            ("reg-center.server-lists", "zk:2181"),
            ("reg-center.namespace", "n"),
            ("metrics.port", "1"),
            ("dump.port", "2"),
            ("tracing.type", "RDB"),
            ("console.port", "3"),
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
         All settings of `application.yaml` and its siblings in TOML and `.properties`. The page is made of the tables that the\n\
         settings are read by (`reference.rs` in `elasticjob-config/src/sources/`, `setting.rs` in `elasticjob-config/src/job/`), and\n\
         a test holds it there. Where values come from, and which wins, is in [configuration.md](configuration.md).\n\n\
         A key is known by its letters and digits: `reg-center`, `regCenter` and `reg_center` are one. In the environment\n\
         `elasticjob.reg-center.max-retries` is `ELASTICJOB_REG_CENTER_MAX_RETRIES`. Java's names are taken, too, with numbers in Java's\n\
         units. Editors complete and check the file by [application.schema.json](application.schema.json); in YAML the first line names\n\
         it. It knows keys that are nested, not those with dots:\n\n\
         ```yaml\n\
         # yaml-language-server: $schema=https://../application.schema.json\n\
         ```\n",
    );
    page += "\n## Of the application, below `elasticjob`\n\n";
    page += &table(APPLICATION.iter().copied());
    page += "\nBelow `tracing.data-source` stands the database, as [history.md](history.md) describes it.\n";
    for (section, entries) in NAMED {
        write!(page, "\n## Below `elasticjob.{section}.NAME`\n\n").expect("a text takes all");
        page += &table(entries.iter().copied());
    }
    page += "\n## Of a job, below `elasticjob.jobs.NAME`\n\n";
    page += &table(of_job());
    page += "\nProperties of the job stand below `props`: [properties.md](properties.md) lists them. These have a short name as well:\n\n";
    page += &table(short().map(|(entry, _)| entry));
    page += "\n| short | as a property |\n|---|---|\n";
    for (short, prop) in short() {
        writeln!(page, "| `{}` | `props.{prop}` |", short.name).expect("a text takes all");
    }
    page
}

fn table(entries: impl Iterator<Item = Entry>) -> String {
    let mut table = String::from("| setting | value | without it | |\n|---|---|---|---|\n");
    for entry in entries {
        let Entry {
            name, default, about, ..
        } = entry;
        let java: Vec<String> = java_names(name)
            .map(|(java, unit)| match unit {
                "" => format!("`{}`", camel_case(&java)),
                unit => format!("`{}` in {}", camel_case(&java), unit_in_words(unit)),
            })
            .collect();
        let java = if java.is_empty() {
            String::new()
        } else {
            format!(" In Java {}.", java.join(", "))
        };
        let default = if is_word(default) {
            default.to_owned()
        } else {
            format!("`{default}`")
        };
        let value = in_words(entry.takes);
        writeln!(table, "| `{name}` | {value} | {default} | {about}{java} |").expect("a text takes all");
    }
    table
}

/// Java's names for a setting that are not its own, with the unit of the number.
fn java_names(name: &str) -> impl Iterator<Item = (String, &'static str)> {
    let of_application = JAVA_NAMES.iter().filter(move |(_, ours, _)| *ours == name);
    let of_application = of_application.map(|(java, _, unit)| ((*java).to_owned(), *unit));
    let setting = SETTINGS.iter().find(move |setting| setting.name == name);
    let of_job = setting.into_iter().flat_map(|setting| {
        let keys = setting.java_keys().iter().map(|key| dashed(key));
        let others = keys.filter(|key| key != setting.name);
        others.map(|key| (key, setting.suffix()))
    });
    of_application.chain(of_job)
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
        Text | Name | Verbatim => "text".to_owned(),
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
    for entry in APPLICATION {
        place(&mut application, entry.name, &value(entry));
        for (java, unit) in java_names(entry.name) {
            place(&mut application, &java, &java_value(entry, unit));
        }
    }
    let database = json!({
        "description": "The database in which history is recorded; without it `spring.datasource`, or a file.",
        "type": "object",
    });
    place(&mut application, "tracing.data-source", &database);

    for (name, entries) in NAMED {
        let mut named = Map::new();
        for entry in *entries {
            place(&mut named, entry.name, &value(entry));
        }
        let by_name = json!({ "type": ["object", "null"], "additionalProperties": section("", named) });
        place(&mut application, name, &by_name);
    }

    let mut job = Map::new();
    for entry in SETTINGS.iter().map(of) {
        place(&mut job, entry.name, &value(&entry));
        for (java, unit) in java_names(entry.name) {
            place(&mut job, &java, &java_value(&entry, unit));
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

fn value(entry: &Entry) -> Value {
    let described = |any_of: Value| {
        let mut value = json!({ "description": entry.about, "anyOf": any_of });
        if !is_word(entry.default) {
            value["default"] = json!(entry.default);
        }
        value
    };
    described(match entry.takes {
        Text | Name | Verbatim | Secret => json!([{ "type": ["string", "number", "boolean", "null"] }]),
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
fn java_value(entry: &Entry, unit: &str) -> Value {
    match unit {
        "" => value(entry),
        _ => json!({ "description": entry.about, "anyOf": or_placeholder(json!({ "type": "integer" })) }),
    }
}
