//! How much of anything a configuration may hold, and what is said of more.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::fs;

use elasticjob_config::job::{JobConfig, MAX_SHARDING_TOTAL_COUNT};
use elasticjob_config::sources::{Declared, Loader};
use elasticjob_config::text::LARGEST_FILE;

mod sharding_total_count {
    use super::*;

    const PROBLEM: &str = "the number of items is 1 to 1000000";

    fn declared() -> Loader {
        Loader::new().declared(vec![Declared {
            name: "demo".to_owned(),
            origin: "src/main.rs:12".to_owned(),
            values: Vec::new(),
        }])
    }

    /// What is said of this many items, whichever way they come.
    fn said(count: u32) -> Vec<Result<(), String>> {
        let text = count.to_string();
        let variable = "ELASTICJOB_JOBS_DEMO_SHARDING_TOTAL_COUNT".to_owned();
        let two = JobConfig::builder("demo").sharding_total_count(2).build().unwrap();
        let loaded = |loader: Loader| loader.load().map(drop).map_err(|errors| errors.to_string());
        let checked = |result: Result<JobConfig, elasticjob_config::job::Errors>| {
            result.map(drop).map_err(|errors| errors.to_string())
        };
        vec![
            loaded(declared().environment([(variable, text.clone())])),
            loaded(declared().set("jobs.demo.sharding-total-count", &*text)),
            checked(JobConfig::builder("demo").sharding_total_count(count).build()),
            checked(two.to_builder().sharding_total_count(count).build()),
            checked(JobConfig::from_yaml(&format!(
                "jobName: demo\nshardingTotalCount: {text}\n"
            ))),
            checked(two.with_settings([("sharding-total-count", Some(&*text))])),
        ]
    }

    #[test]
    fn is_bounded_wherever_it_enters() {
        for entered in said(MAX_SHARDING_TOTAL_COUNT) {
            assert_eq!(entered, Ok(()));
        }
        for count in [MAX_SHARDING_TOTAL_COUNT + 1, 2_000_000_000, u32::MAX] {
            for entered in said(count) {
                let message = entered.unwrap_err();
                assert!(message.ends_with(&format!("is `{count}`: {PROBLEM}")), "{message}");
            }
        }
    }
}

mod files {
    use super::*;

    /// What is said of this text in a file of this name, without the path in front of it; nothing if the file is taken.
    fn said(name: &str, text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        match Loader::new().directory(directory.path()).load() {
            Ok(_) => String::new(),
            Err(errors) => {
                let [error] = errors.iter().collect::<Vec<_>>()[..] else {
                    panic!("{errors}")
                };
                error.to_string().replace(path.to_str().unwrap(), "")
            }
        }
    }

    const NAMES: [&str; 4] = [
        "application.yaml",
        "application.yml",
        "application.toml",
        "application.properties",
    ];

    #[test]
    fn have_so_many_bytes() {
        let text = "#".repeat(LARGEST_FILE);
        for name in NAMES {
            assert_eq!(said(name, &text), "", "{name}");
            let expected = ": cannot be read: it has more than 16777216 bytes";
            assert_eq!(said(name, &format!("{text}#")), expected, "{name}");
        }
    }

    #[test]
    fn have_so_many_documents() {
        assert_eq!(said("application.yaml", &"---\na: 1\n".repeat(1_000)), "");
        let error = said("application.yaml", &"---\na: 1\n".repeat(1_001));
        assert_eq!(error, ":2001: not YAML: more than 1000 documents (column 1)");
    }

    #[test]
    fn are_so_deep() {
        let key = |levels: usize| format!("elasticjob.jobs.a.props{}", ".k".repeat(levels - 4));
        let error = said("application.properties", &format!("{}=v\n", key(65)));
        assert_eq!(error, format!(":1: `{}`: is nested deeper than 64 levels", key(64)));
    }

    #[test]
    fn have_placeholders_of_so_much() {
        let links = |index: usize, next: &str| format!("k{index}=${{{next}}}${{{next}}}\n");
        let chain: String = (0..40).map(|index| links(index, &format!("k{}", index + 1))).collect();
        let text = format!("{chain}k40={}\nelasticjob.labels=${{k0}}\n", "x".repeat(1 << 10));
        let error = said("application.properties", &text);
        let expected = ":42: `elasticjob.labels` is `${k0}`: placeholders make a text longer than 1048576 bytes";
        assert_eq!(error, expected);
        let chain: String = (0..30_000)
            .map(|index| format!("k{index}=${{k{}}}\n", index + 1))
            .collect();
        let error = said(
            "application.properties",
            &format!("{chain}k30000=x\nelasticjob.labels=${{k0}}\n"),
        );
        let expected = ":30002: `elasticjob.labels` is `${k0}`: placeholders lead deeper than 64 levels: \
                        `k0` -> `k1` -> `k2` -> and so on";
        assert_eq!(error, expected);
    }

    #[test]
    fn repeat_so_much_by_aliases() {
        let shared: String = (0..1_000).map(|index| format!("  k{index}: v\n")).collect();
        let uses = |count: usize| -> String { (0..count).map(|index| format!("b{index}: *a\n")).collect() };
        assert_eq!(said("application.yaml", &format!("a: &a\n{shared}{}", uses(200))), "");
        let error = said("application.yaml", &format!("a: &a\n{shared}{}", uses(1_000)));
        assert!(
            error.ends_with(": not YAML: aliases repeat more than 500000 nodes (column 7)"),
            "{error}"
        );
    }
}
