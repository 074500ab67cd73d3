//! The mark that some editors put at the beginning of a text: it is no part of the first key.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::fs;

use elasticjob_config::job::JobConfig;
use elasticjob_config::sources::{Declared, Loader};
use elasticjob_config::text;

/// What the labels of the application are, by a file.
fn labels(name: &str, text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(name), text).unwrap();
    let settings = Loader::new().directory(directory.path()).load();
    settings.unwrap_or_else(|errors| panic!("{errors}")).labels
}

mod before_the_first_key {
    use super::*;

    #[test]
    fn of_a_file_is_left_out() {
        for (name, text) in [
            ("application.yaml", "elasticjob.labels: gpu\n"),
            ("application.yml", "{elasticjob: {labels: [gpu]}}"),
            ("application.yaml", "---\nelasticjob:\n  labels: gpu\n"),
            ("application.properties", "elasticjob.labels=gpu\n"),
            ("application.toml", "elasticjob.labels = 'gpu'\n"),
        ] {
            assert_eq!(labels(name, &format!("\u{feff}{text}")), ["gpu"], "{name}");
        }
    }

    #[test]
    fn of_a_named_file_and_of_one_for_a_profile_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("application-eu.properties"), "\u{feff}elasticjob.labels=gpu\n").unwrap();
        fs::write(path("more.yaml"), "\u{feff}elasticjob.shutdown.grace-period: 7s\n").unwrap();
        let loader = Loader::new()
            .directory(directory.path())
            .profile("eu")
            .file(path("more.yaml"));
        let settings = loader.load().unwrap();
        assert_eq!(settings.labels, ["gpu"]);
        assert_eq!(settings.grace_period.as_secs(), 7);
    }

    #[test]
    fn of_a_stored_configuration_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.yaml");
        let stored = "\u{feff}cron: 0 0 3 * * ?\njobName: demo\nshardingTotalCount: 3\n";
        fs::write(&path, stored).unwrap();
        let of_file = text::read(&path, text::LARGEST_STORED).unwrap();
        for text in [stored, &of_file] {
            let config = JobConfig::from_yaml(text).unwrap();
            assert_eq!(config.cron().unwrap().to_string(), "0 0 3 * * ?");
            assert!(config.to_readable_yaml().unwrap().starts_with("cron: 0 0 3 * * ?\n"));
        }
    }

    #[test]
    fn is_left_out_once() {
        let declared = Declared {
            name: "demo".to_owned(),
            origin: "src/main.rs:12".to_owned(),
            values: vec![("sharding-total-count".to_owned(), "3".to_owned())],
        };
        let directory = tempfile::tempdir().unwrap();
        let text = "\u{feff}elasticjob.jobs.demo.job-parameter: \u{feff}x\u{feff}\n";
        fs::write(directory.path().join("application.yaml"), text).unwrap();
        let settings = Loader::new()
            .directory(directory.path())
            .declared(vec![declared])
            .load()
            .unwrap();
        assert_eq!(settings.jobs["demo"].config.job_parameter(), "\u{feff}x\u{feff}");
    }
}
