//! Stored configurations go to and fro between ours and SnakeYAML, in each version that Java members have: random ones, each
//! from a seed of its own. `ELASTICJOB_TEXTS` says how many.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use elasticjob::configuration::job::{JobConfig, RawJobConfig};
use elasticjob_tests::snakeyaml::{SnakeYaml, VERSIONS};
use fastrand::Rng;
use serde_json::{Value, json};

/// How many there are unless it is said: some seconds.
const FEW: u64 = 1_000;

fn seeds() -> impl Iterator<Item = u64> {
    let count = std::env::var("ELASTICJOB_TEXTS").map(|text| text.parse().expect("ELASTICJOB_TEXTS is a number"));
    0..count.unwrap_or(FEW)
}

fn all_versions() -> anyhow::Result<Vec<SnakeYaml>> {
    VERSIONS.into_iter().map(SnakeYaml::start).collect()
}

/// What texts are made of: words, all that means something in YAML 1.1, numbers for some version, ends of lines, and
/// characters of each length.
const PARTS: [&str; 72] = [
    "a",
    "bb ccc",
    "word ",
    "verylongword ",
    "北京 ",
    "😀",
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\u{feff}",
    "\n",
    "\n\n",
    " ",
    "  ",
    "\t",
    "\r",
    "\0",
    "\u{7}",
    "é",
    "\u{a0}",
    "\u{3000}",
    "08",
    "09",
    "0_8",
    "-",
    "1",
    "_",
    ".",
    "e",
    "E",
    "+",
    ":",
    "0x",
    "0b",
    "yes",
    "null",
    "~",
    "<<",
    "=",
    "?",
    "!",
    "#",
    " #",
    ": ",
    "'",
    "\"",
    "\\",
    "%",
    "@",
    "`",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&",
    "*",
    "|",
    ">",
    "---",
    "...",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{7f}",
    "\u{9f}",
    "2020-01-01",
    "long_word_without_blanks_that_is_quite_long_0123456789",
    "\u{10ffff}",
    "$",
    "\u{1f}",
];

/// Texts that each mean something else to some version if they stand without quotes.
const ODD: [&str; 24] = [
    "",
    " ",
    "08",
    "09",
    "0089",
    "-08",
    "0_8",
    "-_",
    "+_1",
    "0b_",
    "0x_",
    "010",
    "1_000",
    "1:30",
    "1e3",
    ".5",
    "._1",
    "yes",
    "Off",
    "null",
    "~",
    "<<",
    "=",
    "2020-01-01 10:00:00",
];

/// Texts of one configuration: either any characters, or those alone that every version writes alike.
struct Texts {
    rng: Rng,
    are_common: bool,
}

impl Texts {
    fn text(&mut self) -> String {
        match self.rng.u8(..12) {
            0 => self.rng.choice(ODD).unwrap_or_default().to_owned(),
            1 => self.some(40),
            _ => self.some(6),
        }
    }

    fn some(&mut self, most: usize) -> String {
        let parts = (0..self.rng.usize(..=most)).map(|_| *self.rng.choice(&PARTS).expect("there are some"));
        let parts: Vec<&str> = parts.collect();
        let is_wanted = |part: &&str| !self.are_common || part.chars().all(is_common);
        parts.into_iter().filter(is_wanted).collect()
    }

    fn maybe(&mut self) -> Option<String> {
        self.rng.bool().then(|| self.text())
    }

    /// Settings under Java's names. Those that are `null` or empty are not written.
    fn settings(&mut self) -> Value {
        let item = self.text().replace(['=', ','], ";");
        let listeners: Vec<String> = (0..self.rng.usize(..3)).map(|_| format!("l{}", self.text())).collect();
        let props: BTreeMap<String, String> = (0..self.rng.usize(..5)).map(|_| (self.text(), self.text())).collect();
        let handlers = ["LOG", "DINGTALK", "com.acme.Handler", "08"];
        let mut settings = json!({
            "jobName": "demo",
            "cron": self.rng.bool().then_some("0 0/5 * * * ?"),
            "timeZone": self.rng.bool().then_some("GMT+8:00"),
            "shardingTotalCount": self.rng.u32(1..2_000),
            "shardingItemParameters": if self.rng.bool() { format!("0=a{item}z") } else { String::new() },
            "jobParameter": self.text(),
            "monitorExecution": self.rng.bool(),
            "failover": self.rng.bool(),
            "misfire": self.rng.bool(),
            "maxTimeDiffSeconds": self.rng.i32(-1..100),
            "reconcileIntervalMinutes": self.rng.i32(0..100),
            "jobShardingStrategyType": self.maybe().filter(|text| !text.is_empty()),
            "jobErrorHandlerType": self.rng.bool().then(|| *self.rng.choice(&handlers).expect("there are some")),
            "jobListenerTypes": listeners,
            "description": self.text(),
            "props": props,
            "disabled": self.rng.bool(),
            "overwrite": self.rng.bool(),
            "label": self.maybe(),
            "staticSharding": self.rng.bool(),
        });
        let object = settings.as_object_mut().expect("it is one");
        object.retain(|_, value| !value.is_null() && *value != json!([]) && *value != json!({}));
        settings
    }
}

/// Returns whether ours writes a character as SnakeYAML 2.2 does: see `docs/configuration.md`.
fn is_common(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}')
        && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns the settings of ours as `SnakeYaml::read` shows them.
fn shown(config: &JobConfig) -> Value {
    let raw = RawJobConfig::from(config);
    json!({
        "jobName": raw.job_name,
        "cron": raw.cron,
        "timeZone": raw.time_zone,
        "shardingTotalCount": raw.sharding_total_count,
        "shardingItemParameters": raw.sharding_item_parameters,
        "jobParameter": raw.job_parameter,
        "monitorExecution": raw.monitor_execution,
        "failover": raw.failover,
        "misfire": raw.misfire,
        "maxTimeDiffSeconds": raw.max_time_diff_seconds,
        "reconcileIntervalMinutes": raw.reconcile_interval_minutes,
        "jobShardingStrategyType": raw.job_sharding_strategy_type,
        "jobExecutorServiceHandlerType": raw.job_executor_service_handler_type,
        "jobErrorHandlerType": raw.job_error_handler_type,
        "jobListenerTypes": if raw.job_listener_types.is_empty() { Value::Null } else { json!(raw.job_listener_types) },
        "description": raw.description,
        "props": raw.props,
        "disabled": raw.disabled,
        "overwrite": raw.overwrite,
        "label": raw.label,
        "staticSharding": raw.static_sharding,
    })
}

/// Returns what Java reads of its own text, where it does not lose that: it writes props and listeners with control characters as
/// `!!binary`, and reads bytes again. What ours reads of those is compared to what was written; a key that is another one for
/// Java, since it holds U+0085, leads to none.
fn without_bytes(mut read: Value, written: &Value, ours: &Value) -> Value {
    for key in ["props", "jobListenerTypes"] {
        let original = |place: &dyn Fn(&Value) -> Value| match place(&written[key]) {
            Value::Null => place(&ours[key]),
            original => original,
        };
        match &mut read[key] {
            Value::Object(props) => {
                for (name, value) in props.iter_mut().filter(|(_, value)| !value.is_string()) {
                    *value = original(&|values| values[name.as_str()].clone());
                }
            }
            Value::Array(items) => {
                for (at, value) in items.iter_mut().enumerate().filter(|(_, value)| !value.is_string()) {
                    *value = original(&|values| values[at].clone());
                }
            }
            _ => {}
        }
    }
    read
}

/// Returns whether a key of the props is bytes for Java, so that nothing can be compared.
fn has_odd_key(read: &Value) -> bool {
    read["props"]
        .as_object()
        .is_some_and(|props| props.keys().any(|key| key.starts_with("not a text")))
}

#[test]
fn are_read_alike_and_written_to_the_byte() -> anyhow::Result<()> {
    let mut versions = all_versions()?;
    let mut equal_bytes = 0;
    for seed in seeds() {
        let mut texts = Texts {
            rng: Rng::with_seed(seed),
            are_common: seed % 2 == 0,
        };
        let settings = texts.settings();
        let mut of_java = Vec::new();
        let mut of_ours = BTreeSet::new();
        for version in &mut versions {
            let text = version.write(&settings)?;
            let read = version.read(&text)?;
            let config = JobConfig::from_yaml(&text).with_context(|| format!("seed {seed}: {text}"))?;
            if !has_odd_key(&read) {
                let ours = shown(&config);
                let expected = without_bytes(read, &settings, &ours);
                ensure!(ours == expected, "seed {seed}: {text}\n{ours}\n{expected}");
            }
            let parameter = texts.text();
            let changed = config.to_builder().job_parameter(parameter).build()?;
            of_ours.insert((config.to_readable_yaml()?, shown(&config).to_string()));
            of_ours.insert((changed.to_readable_yaml()?, shown(&changed).to_string()));
            of_java.push((text, config.to_yaml()));
        }
        for (text, expected) in &of_ours {
            for version in &mut versions {
                let read = version.read(text).with_context(|| format!("seed {seed}: {text}"))?;
                let found = read.to_string();
                ensure!(
                    found == *expected,
                    "seed {seed}, {}: {text}\n{found}\n{expected}",
                    version.version()
                );
            }
        }
        let [(of_1_26, _), (of_1_33, _), (of_2_2, ours)] = of_java.as_slice() else {
            unreachable!("three versions")
        };
        ensure!(of_1_33 == of_2_2, "seed {seed}: {of_1_33}\n{of_2_2}");
        if texts.are_common && has_one_order(&settings) && !has_number(&settings) {
            ensure!(ours == of_2_2, "seed {seed}:\n{of_2_2}\n{ours}");
            let has_pairs = settings.to_string().chars().any(|c| c > '\u{ffff}');
            ensure!(of_1_26 == of_2_2 || has_pairs, "seed {seed}:\n{of_1_26}\n{of_2_2}");
            equal_bytes += 1;
        }
    }
    ensure!(equal_bytes * 6 > seeds().count() as u64, "{equal_bytes}");
    Ok(())
}

/// Returns whether a text may be a number to one version and none to another, so that ours has it in quotes.
fn has_number(value: &Value) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| "0123456789_+-.:xabcdefABCDEF".contains(c));
    match value {
        Value::String(text) => is_number(text),
        Value::Array(items) => items.iter().any(has_number),
        Value::Object(entries) => entries.iter().any(|(key, value)| is_number(key) || has_number(value)),
        _ => false,
    }
}

/// Returns whether Java's order of strings is ours for the props.
fn has_one_order(settings: &Value) -> bool {
    let props = settings["props"].as_object();
    let keys: Vec<&String> = props.into_iter().flat_map(|props| props.keys()).collect();
    keys.is_sorted_by_key(|key| key.encode_utf16().collect::<Vec<_>>())
}

/// Entries that are not ours, and texts in each notation that people and tools use.
struct Entries {
    rng: Rng,
}

impl Entries {
    fn words(&mut self) -> String {
        let words = [
            "a", "team b", "订单", "Größe", "😀", "it's", "x: y", "#1", "yes", "010", "a,b", "[c]", "\u{a0}",
        ];
        let some = (0..self.rng.usize(1..5)).map(|_| *self.rng.choice(&words).expect("there are some"));
        some.collect::<Vec<_>>().join(" ")
    }

    fn quoted(&mut self) -> String {
        format!("'{}'", self.words().replace('\'', "''"))
    }

    /// A block of text with its header.
    fn block(&mut self) -> String {
        let header = *self
            .rng
            .choice(&["|", "|-", "|+", ">", ">-", ">+", "|2", "|2-", "| # 谁"])
            .expect("there are some");
        let end = *self
            .rng
            .choice(&["\n", "\n", "\n", "\u{2028}", "\u{85}", "\n\n", "\n   "])
            .expect("there are some");
        let end = if header.starts_with('>') && end == "\u{2028}" {
            "\n"
        } else {
            end
        };
        let lines: Vec<String> = (0..self.rng.usize(1..4)).map(|_| self.words()).collect();
        let blank = "\n".repeat(self.rng.usize(..3));
        format!(" {header}\n  {}\n{blank}", lines.join(&format!("{end}  ")))
    }

    fn value(&mut self) -> String {
        match self.rng.u8(..14) {
            0..=3 => self.block(),
            4 => format!(" {}\n", self.quoted()),
            5 => format!(" \"{}\" # {}\n", self.words().replace(['"', '\\'], ""), self.words()),
            6 => format!("\n- {}\n- {}\n", self.quoted(), self.quoted()),
            7 => format!(
                "\n  k:\n    - {} # b\n    - {{c: 010, d: 2020-01-01, e: ~}}\n",
                self.quoted()
            ),
            8 => format!(" !!a.B.C {{d: [é, yes, {}]}}\n", self.quoted()),
            9 => " &a [x, *a]\n".to_owned(),
            10 => format!(" [&b x, *b, {}]\n", self.quoted()),
            11 => format!(" {}\n", self.rng.choice(ODD).unwrap_or_default()),
            12 => format!(" plain {}\n", self.rng.u32(..)),
            _ => format!(
                "\n- !!a.B\n  url: jdbc:mysql://db:3306/jobs?useSSL=false\n  d: {}\n",
                self.quoted()
            ),
        }
    }

    /// A stored configuration with entries of others. Its last line may have no line feed.
    fn stored(&mut self) -> String {
        let keys = ["owner", "'订单 a'", "\"\\U0001F600\"", "? other\n", "x-b"];
        let long = format!("? {}\n", "k".repeat(300));
        let mut entries: Vec<String> = Vec::new();
        for key in keys.into_iter().chain([long.as_str()]) {
            if self.rng.u8(..3) == 0 {
                entries.push(format!("{key}:{}", self.value()));
            }
        }
        entries.push(format!("description:{}", self.block()));
        entries.push(format!("label: {}\n", self.quoted()));
        self.rng.shuffle(&mut entries);
        let mut text = format!("jobName: demo\nshardingTotalCount: 3\n{}", entries.concat());
        if self.rng.bool() {
            text.truncate(text.trim_end_matches('\n').len());
        }
        text
    }
}

/// Returns the entries of a document by their keys, except those that our instances always write.
fn entries(document: &Value) -> BTreeMap<String, Value> {
    let parts = document["value"].as_array().map(Vec::as_slice).unwrap_or_default();
    let entries = parts
        .chunks(2)
        .map(|entry| (entry[0]["value"].to_string(), normal(&entry[1])));
    let is_set = |key: &str| {
        JobConfig::builder("demo")
            .sharding_total_count(1)
            .build()
            .is_ok_and(|config| {
                let key = key.trim_matches('"');
                !matches!(key, "description")
                    && config
                        .to_yaml()
                        .lines()
                        .any(|line| line.starts_with(&format!("{key}:")))
            })
    };
    entries.filter(|(key, _)| !is_set(key)).collect()
}

/// Returns a node with one notation of nothing.
fn normal(node: &Value) -> Value {
    match node {
        Value::Array(parts) => parts.iter().map(normal).collect(),
        Value::Object(parts) if parts["tag"] == "tag:yaml.org,2002:null" => Value::Null,
        Value::Object(parts) => json!([parts["tag"], normal(&parts["value"])]),
        other => other.clone(),
    }
}

#[test]
fn of_others_are_kept_through_a_change() -> anyhow::Result<()> {
    let mut versions = all_versions()?;
    let mut kept = 0;
    for seed in seeds() {
        let text = Entries {
            rng: Rng::with_seed(seed),
        }
        .stored();
        // What ours refuses is not written by ours; it is counted, so that it is not most of them.
        let Ok(config) = JobConfig::from_yaml(&text) else {
            continue;
        };
        let changed = config.to_builder().job_parameter("changed").build()?;
        let written = changed.to_readable_yaml()?;
        for version in &mut versions {
            let Ok(before) = version.nodes(&text) else { continue };
            let after = version
                .nodes(&written)
                .with_context(|| format!("seed {seed}: {text}\n->\n{written}"))?;
            let (before, after) = (entries(&before), entries(&after));
            ensure!(
                before == after,
                "seed {seed}, {}:\n{text}\n->\n{written}\n{before:?}\n{after:?}",
                version.version()
            );
            kept += 1;
        }
    }
    ensure!(kept > 2 * seeds().count(), "{kept}");
    Ok(())
}
