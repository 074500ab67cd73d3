//! Stored configurations of any origin: a rewrite loses nothing, and no text causes a panic.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use elasticjob_config::job::JobConfig;
use proptest::prelude::*;
use yaml_rust2::{Yaml, YamlLoader};

const SETTINGS: &str = "jobName: demo\nshardingTotalCount: 3\n";

/// The configuration with another parameter, written; that both say the same beside it is checked.
#[track_caller]
fn rewritten(text: &str) -> String {
    let stored = JobConfig::from_yaml(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let changed = stored.to_builder().job_parameter("changed").build().unwrap();
    let written = changed.to_yaml();
    match JobConfig::from_yaml(&written) {
        // What is kept may be in another notation the second time.
        Ok(read) => assert_eq!(read.keeping(&changed), changed, "\n{text}\n->\n{written}"),
        Err(errors) => panic!("{errors}\n{text}\n->\n{written}"),
    }
    // Another reader may not take what we take, such as a key that is there twice. It knows neither the lines of YAML 1.1
    // nor how a block ends in a line without line feed: `scripts/test-java` asks SnakeYAML.
    let is_common = !text.contains(['\u{85}', '\u{2028}', '\u{2029}']) && text.ends_with('\n');
    if let Some(expected) = foreign(text).filter(|_| is_common) {
        assert_eq!(foreign(&written), Some(expected), "\n{text}\n->\n{written}");
    }
    written
}

/// What another reader of YAML finds under keys that are not ours, by key.
fn foreign(text: &str) -> Option<Vec<(String, Yaml)>> {
    let document = YamlLoader::load_from_str(text).ok()?.remove(0);
    let mut entries: Vec<(String, Yaml)> = Vec::new();
    for (key, value) in document.into_hash()? {
        let Yaml::String(key) = key else { continue };
        if key.starts_with("x-") || key == "jobExtraConfigurations" {
            entries.push((key, value));
        }
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Some(entries)
}

mod rewriting {
    use super::*;

    #[test]
    fn keeps_what_follows_text_of_several_bytes() {
        for text in [
            "description: |\n  每天凌晨三点对账\nowner: team-a\n",
            "description: |\n  Überfällige Aufträge schließen\nowner: team-a\njobExtraConfigurations:\n- !!a.B\n  c: d\n",
            "description: >-\n  订单\n\n  😀\n\"owner\": 'team a' # 谁\n",
            "'x-名字': |\n  订单😀\n? x-long\n: - 订单\n",
        ] {
            let written = rewritten(&format!("{SETTINGS}{text}"));
            let kept = ["owner: team-a\n", "owner: 'team a' # 谁\n", "x-long: [\"订单\"]\n"];
            assert!(kept.iter().any(|kept| written.contains(kept)), "{written}");
        }
    }

    #[test]
    fn keeps_each_notation() {
        for (entry, kept) in [
            ("x-a: b # why\n", "x-a: b # why\n"),
            ("x-a:\n  - b\n  -   c: d\n", "x-a:\n  - b\n  -   c: d\n"),
            ("x-a:\n- b\n# a comment\n", "x-a:\n- b\n# a comment\n"),
            ("? x-a\n: b\n", "x-a: b\n"),
            ("? x-a # why\n\n: b\n", "x-a: b\n"),
            ("? x-a\n  b\n: |\n  c\n", "x-a b: |\n  c\n"),
            ("'x-''a: b': c\n", "'x-''a: b': c\n"),
            ("\"x-\\\"a: \\u8ba2\": c\n", "'x-\"a: 订': c\n"),
            (
                "? x-a\n: b: c\n  d: [e, 010]\n",
                "x-a: {\"b\": \"c\", \"d\": [\"e\", 010]}\n",
            ),
            ("x-a: |+\n  b\n\n\n", "x-a: \"b\\n\\n\\n\"\n"),
            ("x-a: &b c\nx-d: e\n", "x-a: &b c\n"),
            ("x-a: !!c.D {e: f}\n", "x-a: !!c.D {e: f}\n"),
            ("x-a: \"b\u{2028}c\"\n", "x-a: \"b\\Lc\"\n"),
            ("x-a:\n", "x-a:\n"),
        ] {
            let written = rewritten(&format!("{entry}{SETTINGS}"));
            assert!(written.contains(kept), "{entry}->\n{written}");
        }
        let long = "y".repeat(2000);
        let written = rewritten(&format!("? x-{long}\n: [1, 2]\n{SETTINGS}"));
        assert!(written.contains(&format!("? x-{long}\n: [1, 2]\n")), "{written}");
    }

    #[test]
    fn refuses_keys_that_are_no_texts() {
        for (entry, line) in [(": x: true\n", 3), ("~: a\n", 3), ("1: a\n", 3), ("? [a]\n: b\n", 3)] {
            let errors = JobConfig::from_yaml(&format!("{SETTINGS}{entry}")).unwrap_err();
            let expected = format!("invalid configuration of job `demo`: line {line}: a key is not a text");
            assert_eq!(errors.to_string(), expected, "{entry}");
        }
    }

    /// What SnakeYAML 1.26 to 2.2 find.
    mod as_java_reads {
        use super::*;

        #[track_caller]
        fn check(text: &str, label: &str, parameter: &str) {
            let read = JobConfig::from_yaml(&format!("{SETTINGS}{text}")).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(
                (read.label().unwrap_or_default(), read.job_parameter()),
                (label, parameter),
                "{text:?}"
            );
            rewritten(&format!("{SETTINGS}{text}"));
        }

        #[test]
        fn separators_in_literal_blocks() {
            check("label: |\n  x\u{2028}  y\njobParameter: c\n", "x\u{2028}y\n", "c");
            check(
                "label: |-\n  x\u{2028}  y\u{2029}  z\njobParameter: c\n",
                "x\u{2028}y\u{2029}z",
                "c",
            );
            check("label: |\n  x\u{2028}jobParameter: c\n", "x\u{2028}", "c");
            check("label: |\n  x\u{2028}\n  y\njobParameter: c\n", "x\u{2028}\ny\n", "c");
            check("label: |\n\u{2028}  y\njobParameter: c\n", "\u{2028}y\n", "c");
            check("label: |+\n  y\n\u{2028}\njobParameter: c\n", "y\n\u{2028}\n", "c");
            check(
                "label: |2-\n\n  x\u{2028}  y\njobParameter: |-\n  c\u{2028}  d\n",
                "\nx\u{2028}y",
                "c\u{2028}d",
            );
        }

        #[test]
        fn ends_of_lines_in_quotes() {
            check(
                "label: 'x\u{2028}y'\njobParameter: \"c\u{2029}\\\\\u{2028}d\"\n",
                "x\u{2028}y",
                "c\u{2029}\\\u{2028}d",
            );
            check(
                "label: 'x\u{85}y'\n\"jobParameter\": \"\u{e000}\u{2028}\\L\"\n",
                "x y",
                "\u{e000}\u{2028}\u{2028}",
            );
        }

        #[test]
        fn next_lines_as_line_feeds() {
            check("label: |-\n  x\u{85}  y\njobParameter: c\n", "x\ny", "c");
            check("label: x\u{85}jobParameter: c\n", "x", "c");
            check("label: x\u{85}  y\njobParameter: c\n", "x y", "c");
            check("label: x # é\r\njobParameter: c\r", "x", "c");
        }

        #[test]
        fn the_end_of_a_block_in_a_line_without_line_feed() {
            for (block, label) in [
                ("|\n  x", "x"),
                ("|+\n  x", "x"),
                ("|-\n  x", "x"),
                (">\n  x\n  y", "x y"),
                (">+\n  x", "x"),
                ("|\n  x\n  ", "x\n"),
                ("|+\n  x\n  ", "x\n"),
                ("|\n  x\n ", "x\n"),
                ("|\n  x\n# c", "x\n"),
                ("|\n  x\n# c\n    # d", "x\n"),
                ("|\n  x\n   y", "x\n y"),
                ("|", ""),
                ("|\n", ""),
                ("|\n\n", ""),
                ("|+\n", ""),
                ("|+\n\n", "\n"),
                ("|\n  ", ""),
            ] {
                check(&format!("jobParameter: c\nlabel: {block}"), label, "c");
            }
            check("jobParameter: |+\n\nlabel: x", "x", "\n");
        }

        #[test]
        fn a_byte_order_mark_once() {
            let read = |text: &str| JobConfig::from_yaml(text).unwrap();
            let config = read("\u{feff}cron: 0 0 3 * * ?\njobName: demo\nshardingTotalCount: 3\n");
            assert_eq!(config.cron().unwrap().to_string(), "0 0 3 * * ?");
            let twice = read(&format!("\u{feff}\u{feff}x-a: b\n{SETTINGS}"));
            assert!(
                twice.to_yaml().ends_with("\u{feff}x-a: b\n") || twice.to_yaml().contains("\\ufeffx-a"),
                "{}",
                twice.to_yaml()
            );
            check("label: '\u{feff}x'\njobParameter: c\n", "\u{feff}x", "c");
        }
    }

    #[test]
    fn refuses_separators_elsewhere() {
        for (text, line, column, code) in [
            ("label: x\u{2028}  y\n", 3, 9, "2028"),
            ("label: x\u{2029}\n", 3, 9, "2029"),
            ("label: x # \u{2028}\njobParameter: |\n  a\u{2028}  b\n", 3, 12, "2028"),
            ("label: |\n  a\u{2028}  b\nx-a: \u{2029}\n", 6, 6, "2029"),
        ] {
            let errors = JobConfig::from_yaml(&format!("{SETTINGS}{text}"))
                .unwrap_err()
                .to_string();
            let expected = format!(
                "line {line}, column {column}: the character U+{code} ends a line for Java members, so it must be written as an \
                 escape, in double quotes"
            );
            assert!(errors.ends_with(&expected), "{errors}");
        }
    }

    #[test]
    fn refuses_a_second_document() {
        let errors = JobConfig::from_yaml(&format!("{SETTINGS}---\nx-a: b\n")).unwrap_err();
        let expected = "invalid configuration of a job: line 4: a second document begins, and one is expected";
        assert_eq!(errors.to_string(), expected);
    }
}

/// A text of one line, as people and tools write it into a configuration.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-z]{1,6}",
        2 => "[0-9äöß订单名😀é]{1,4}",
        1 => Just("a: b".to_owned()),
        1 => Just("it's #1".to_owned()),
        1 => Just("yes".to_owned()),
        1 => Just("\u{2028}\u{85}".to_owned()),
    ];
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What can stand behind a colon, from the blank on: all notations of a text, and lists and maps of these.
fn value() -> impl Strategy<Value = String> {
    let lines = || prop::collection::vec(words(), 1..4);
    let indicator = "[|>][+-]?( # [a-z订]{1,3})?";
    let text = prop_oneof![
        words().prop_map(|text| format!(" {}\n", quoted(&text))),
        words().prop_map(|text| format!(" \"{}\"  # {text}\n", text.replace(['"', '\\'], ""))),
        "[a-z订ü]{1,5}( [a-z单]{1,3})*".prop_map(|text| format!(" {text}\n")),
        (indicator, lines(), 0..3usize).prop_map(|(indicator, lines, blank)| {
            format!(" {indicator}\n    {}\n{}", lines.join("\n    "), "\n".repeat(blank))
        }),
        Just("\n".to_owned()),
        Just(" ~\n".to_owned()),
        Just(" 2020-01-01 # 日\n".to_owned()),
        Just(" !!a.B.C {d: [é, 010, 'ü']}\n".to_owned()),
        Just(" &a [x, *a0]\n".to_owned()),
    ];
    let list = (any::<bool>(), lines()).prop_map(|(is_indented, lines)| {
        let indent = if is_indented { "  " } else { "" };
        let items = lines.iter().map(|line| format!("{indent}- {}\n", quoted(line)));
        format!("\n{}", items.collect::<String>())
    });
    let map = lines().prop_map(|lines| {
        let entries = lines.iter().enumerate();
        let entries = entries.map(|(index, line)| format!("  k{index}: # {line}\n   - {}\n", quoted(line)));
        format!("\n{}", entries.collect::<String>())
    });
    prop_oneof![6 => text, 1 => list, 1 => map]
}

fn entry() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        3 => "x-[a-z]{1,3}",
        1 => "'x-[a-z订é ]{1,4}'",
        1 => "\"x-[a-zä😀]{1,3}\"",
        1 => Just("jobExtraConfigurations".to_owned()),
        1 => Just("? x-q\n".to_owned()),
    ];
    let foreign = (key, value()).prop_map(|(key, value)| format!("{key}:{value}"));
    let ours = (
        prop_oneof![
            Just("description"),
            Just("label"),
            Just("jobParameter"),
            Just("shardingItemParameters")
        ],
        words(),
        any::<bool>(),
    );
    let ours = ours.prop_map(|(key, text, is_block)| match (key, is_block) {
        ("shardingItemParameters", _) => format!("{key}: '0={}'\n", text.replace(['=', ',', '\''], " ") + "x"),
        (_, true) => format!("{key}: |\n  {text}\n"),
        (_, false) => format!("{key}: {}\n", quoted(&text)),
    });
    prop_oneof![
        3 => foreign,
        2 => ours,
        1 => words().prop_map(|text| format!("# {text}\n")),
        1 => words().prop_map(|text| format!("props:\n  订: {}\n  a: |\n    {text}\n", quoted(&text))),
    ]
}

/// Configurations that are mostly well formed.
fn stored() -> impl Strategy<Value = String> {
    (prop::collection::vec(entry(), 0..8), any::<prop::sample::Index>()).prop_map(|(mut entries, place)| {
        let place = place.index(entries.len() + 1);
        entries.insert(place, SETTINGS.to_owned());
        entries.concat()
    })
}

proptest! {
    #[test]
    fn what_is_stored_should_be_rewritten_without_loss(text in stored()) {
        if JobConfig::from_yaml(&text).is_ok() {
            rewritten(&text);
        }
    }

    #[test]
    fn damaged_texts_are_refused_or_rewritten_without_loss(
        text in stored(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[-?:,{}&*!|>'\"%@ \n\t#a订\u{2028}]{0,2}"), 1..4),
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        for (place, piece) in damage {
            let place = place.index(chars.len());
            chars.splice(place..=place, piece.chars());
        }
        let text: String = chars.into_iter().collect();
        if JobConfig::from_yaml(&text).is_ok() {
            rewritten(&text);
        }
    }

    #[test]
    fn no_indicators_make_the_reader_panic(text in "[-?:,{}\\[\\]&*!|>'\"%@ \n\ta订0<]{0,60}") {
        if JobConfig::from_yaml(&format!("{SETTINGS}{text}")).is_ok() {
            rewritten(&format!("{SETTINGS}{text}"));
        }
        let _ = JobConfig::from_yaml(&text);
    }
}
