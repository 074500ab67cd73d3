//! Names of jobs, which are never taken for each other.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::fs;

use elasticjob_config::sources::{Declared, Errors, Implementation, Loader, Settings};

const SCRIPT: &str = "elasticJobType: SCRIPT, shardingTotalCount: 1";

fn declared(name: &str) -> Declared {
    Declared {
        name: name.to_owned(),
        origin: "src/main.rs:12".to_owned(),
        values: vec![
            ("sharding-total-count".to_owned(), "1".to_owned()),
            ("props.my.customKey".to_owned(), "attribute".to_owned()),
        ],
    }
}

/// Loads `application.yaml`, and `application-dev.yaml` as the profile `dev` if it is given.
fn load(base: &str, dev: Option<&str>, adjust: impl FnOnce(Loader) -> Loader) -> Result<Settings, Errors> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("application.yaml"), base).unwrap();
    let mut loader = Loader::new().directory(directory.path());
    if let Some(dev) = dev {
        fs::write(directory.path().join("application-dev.yaml"), dev).unwrap();
        loader = loader.profile("dev");
    }
    adjust(loader).load()
}

fn jobs(settings: &Settings) -> Vec<&str> {
    settings.jobs.keys().map(String::as_str).collect()
}

fn parameters(settings: &Settings) -> Vec<&str> {
    settings.jobs.values().map(|job| job.config.job_parameter()).collect()
}

fn variable(name: &str, value: &str) -> [(String, String); 1] {
    [(name.to_owned(), value.to_owned())]
}

mod in_files {
    use super::*;

    #[test]
    fn stay_apart_between_base_and_profile() {
        let base = format!("elasticjob: {{jobs: {{task1-1: {{{SCRIPT}, jobParameter: base}}}}}}");
        let dev = format!("elasticjob: {{jobs: {{task11: {{{SCRIPT}, jobParameter: dev}}}}}}");
        let settings = load(&base, Some(&dev), |loader| loader).unwrap();
        assert_eq!(jobs(&settings), ["task1-1", "task11"]);
        assert_eq!(parameters(&settings), ["base", "dev"]);
    }

    #[test]
    fn stay_apart_in_one_file() {
        let text = "elasticjob:\n  jobs:\n    syncOrders: {elasticJobClass: com.acme.SyncOrders, cron: \"0 0 1 * * ?\"}\n    \
                    sync-orders: {elasticJobClass: com.acme.SyncOrders, cron: \"0 0 2 * * ?\"}\n";
        let settings = load(text, None, |loader| loader.declared(vec![declared("sync_orders")])).unwrap();
        assert_eq!(jobs(&settings), ["sync-orders", "syncOrders"]);
        let crons: Vec<String> = settings
            .jobs
            .values()
            .map(|job| job.config.cron().unwrap().to_string())
            .collect();
        assert_eq!(crons, ["0 0 2 * * ?", "0 0 1 * * ?"]);
    }

    #[test]
    fn are_those_that_java_members_use() {
        let text = "elasticjob: {jobs: {syncOrders: {elastic-job-class: com.acme.SyncOrders}}}";
        let settings = load(text, None, |loader| loader.declared(vec![declared("sync_orders")])).unwrap();
        assert_eq!(jobs(&settings), ["syncOrders"]);
        assert_eq!(
            settings.jobs["syncOrders"].implementation,
            Implementation::Declared("sync_orders".to_owned())
        );
    }

    #[test]
    fn that_nothing_works_for_get_a_hint() {
        let text = "elasticjob: {jobs: {syncOrders: {jobParameter: camel}}}";
        let errors = load(text, None, |loader| loader.declared(vec![declared("sync_orders")])).unwrap_err();
        let shown = errors.to_string();
        assert!(
            shown.contains("`elasticjob.jobs.syncOrders`: nothing does this job's work: the program declares `sync_orders`, did you mean `sync_orders`?"),
            "{shown}"
        );
        let base = format!("elasticjob: {{jobs: {{task1-1: {{{SCRIPT}}}}}}}");
        let dev = "elasticjob: {jobs: {task11: {shardingTotalCount: 2}}}";
        let shown = load(&base, Some(dev), |loader| loader).unwrap_err().to_string();
        assert!(
            shown.contains("`elasticjob.jobs.task11`: nothing does this job's work: ")
                && shown.contains("did you mean `task1-1`?"),
            "{shown}"
        );
    }

    #[test]
    fn are_distinct_by_placeholders() {
        let text = format!(
            "elasticjob:\n  jobs:\n    a-b: {{{SCRIPT}, jobParameter: one, props: {{x-y: 1, xy: 2}}}}\n    \
             ab: {{{SCRIPT}, jobParameter: two}}\n    \
             c: {{{SCRIPT}, jobParameter: '${{elasticjob.jobs.a-b.job-parameter}} ${{elasticjob.jobs.ab.jobParameter}} ${{elasticjob.jobs.a-b.props.x-y}}'}}\n"
        );
        let settings = load(&text, None, |loader| loader).unwrap();
        assert_eq!(settings.jobs["c"].config.job_parameter(), "one two 1");
    }
}

mod in_code {
    use super::*;

    #[test]
    fn stay_apart() {
        let text = format!("elasticjob: {{jobs: {{task1-1: {{{SCRIPT}}}, task11: {{{SCRIPT}}}}}}}");
        let set = |loader: Loader| {
            loader
                .set("jobs.task1-1.job-parameter", "old")
                .set("jobs.task11.job-parameter", "other")
                .set("jobs.task1-1.jobParameter", "new")
        };
        let settings = load(&text, None, set).unwrap();
        assert_eq!(parameters(&settings), ["new", "other"]);
    }

    #[test]
    fn are_known_to_variables() {
        let set = |loader: Loader| {
            loader
                .set("jobs.taskOne.elastic-job-type", "SCRIPT")
                .set("jobs.taskOne.sharding-total-count", "1")
                .environment(variable("ELASTICJOB_JOBS_TASK_ONE_JOB_PARAMETER", "x"))
        };
        assert_eq!(parameters(&load("", None, set).unwrap()), ["x"]);
    }
}

mod in_variables {
    use super::*;

    fn with(text: &str, name: &str) -> Result<Settings, Errors> {
        load(text, None, |loader| {
            let declared = vec![declared("sync_orders")];
            loader.declared(declared).environment(variable(name, "variable"))
        })
    }

    #[test]
    fn mean_the_only_job_that_is_alike() {
        let text = format!("elasticjob: {{jobs: {{JOB: {{{SCRIPT}}}, JOB-A: {{{SCRIPT}}}, 订单-同步: {{{SCRIPT}}}}}}}");
        for (name, job) in [
            ("ELASTICJOB_JOBS_JOB_A_JOBPARAMETER", "JOB-A"),
            ("ELASTICJOB_JOBS_JOB_JOB_PARAMETER", "JOB"),
            ("ELASTICJOB_JOBS_SYNCORDERS_JOBPARAMETER", "sync_orders"),
            ("ELASTICJOB_JOBS_订单_同步_JOB_PARAMETER", "订单-同步"),
        ] {
            let settings = with(&text, name).unwrap();
            for (other, settings) in &settings.jobs {
                let expected = if other == job { "variable" } else { "" };
                assert_eq!(settings.config.job_parameter(), expected, "{name} in {other}");
            }
        }
    }

    #[test]
    fn mean_the_name_that_a_class_gives_to_a_declared_job() {
        let text = "elasticjob: {jobs: {syncOrders: {elastic-job-class: com.acme.SyncOrders}}}";
        let settings = with(text, "ELASTICJOB_JOBS_SYNC_ORDERS_JOB_PARAMETER").unwrap();
        assert_eq!(
            (jobs(&settings), parameters(&settings)),
            (vec!["syncOrders"], vec!["variable"])
        );
        let settings = with(text, "ELASTICJOB_JOBS_SYNC_ORDERS_PROPS_MY_CUSTOM_KEY").unwrap();
        assert_eq!(settings.jobs["syncOrders"].config.props()["my.customKey"], "variable");
    }

    #[test]
    fn that_are_ambiguous_are_refused() {
        let check = |jobs: &str, name: &str, meanings: &str| {
            let shown = with(&format!("elasticjob: {{jobs: {{{jobs}}}}}"), name)
                .unwrap_err()
                .to_string();
            let expected = format!(
                "invalid configuration: environment variable {name}: `{}`: may mean each of {meanings}: set these in a file or by code",
                name.strip_prefix("ELASTICJOB_").unwrap()
            );
            assert_eq!(shown, expected);
        };
        check(
            &format!("task1-1: {{{SCRIPT}}}, task11: {{{SCRIPT}}}"),
            "ELASTICJOB_JOBS_TASK11_CRON",
            "`elasticjob.jobs.task1-1.cron`, `elasticjob.jobs.task11.cron`",
        );
        check(
            &format!("a: {{{SCRIPT}, props: {{b.cron: x}}}}, a-props-b: {{{SCRIPT}}}"),
            "ELASTICJOB_JOBS_A_PROPS_B_CRON",
            "`elasticjob.jobs.a-props-b.cron`, `elasticjob.jobs.a.props.b.cron`",
        );
        check(
            &format!("a: {{{SCRIPT}, props: {{my.key: x, myKey: y}}}}"),
            "ELASTICJOB_JOBS_A_PROPS_MY_KEY",
            "`elasticjob.jobs.a.props.my.key`, `elasticjob.jobs.a.props.myKey`",
        );
    }

    #[test]
    fn that_are_spelt_exactly_mean_that_job() {
        let text = format!("elasticjob: {{jobs: {{sync: {{{SCRIPT}}}, SYNC: {{{SCRIPT}}}}}}}");
        let settings = with(&text, "ELASTICJOB_JOBS_SYNC_JOB_PARAMETER").unwrap();
        assert_eq!(settings.jobs["SYNC"].config.job_parameter(), "variable");
        assert_eq!(settings.jobs["sync"].config.job_parameter(), "");
    }
}

mod of_classes {
    use super::*;

    #[test]
    fn that_several_declared_jobs_are_like_are_refused() {
        let text = "elasticjob: {jobs: {a: {elastic-job-class: com.acme.Task11}}}";
        let both = || vec![declared("task_11"), declared("task_1_1")];
        let shown = load(text, None, |loader| loader.declared(both()))
            .unwrap_err()
            .to_string();
        assert!(
            shown.contains("`elasticjob.jobs.a.elastic-job-class` is `com.acme.Task11`: may mean each of the declared jobs `task_11`, `task_1_1`: give the whole name of one"),
            "{shown}"
        );
        let settings = load(&text.replace("Task11", "task_11"), None, |loader| {
            loader.declared(both())
        })
        .unwrap();
        assert_eq!(jobs(&settings), ["a", "task_1_1"]);
    }
}
