//! How much of anything a configuration may hold, and what is said of more.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use elasticjob_config::job::{JobConfig, MAX_SHARDING_TOTAL_COUNT};
use elasticjob_config::sources::{Declared, Loader};

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
