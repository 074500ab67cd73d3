//! The vectors that describe their input in words.

use elasticjob_config::job::JobConfig;

use super::*;

const SCRIPT: &str = "elastic-job-type: SCRIPT, sharding-total-count: 1";

fn parameter(given: &Given<'_>, job: &str) -> String {
    given.load().unwrap().jobs[job].config.job_parameter().to_owned()
}

#[test]
fn have_a_test_each() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../vectors/spring-boot.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    let notes = cases.iter().filter(|case| !case["input"].is_object());
    let mut ids: Vec<&str> = notes.map(|case| case["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let tested = ["b1", "e1-dots", "e1-index", "e1-relaxed", "n2", "n3", "y1", "z13", "z6"];
    assert_eq!(ids, tested);
}

#[test]
fn b1_a_mark_before_a_condition_does_not_hide_it() {
    for (name, separator) in [("application.yaml", "---"), ("application.properties", "#---")] {
        let text = format!(
            "\u{feff}spring.config.activate.on-profile: prod\nelasticjob.jobs.a.job-parameter: prod\n{separator}\n\
                 elasticjob.jobs.a.elastic-job-type: SCRIPT\nelasticjob.jobs.a.sharding-total-count: 1\n\
                 elasticjob.jobs.b.elastic-job-type: SCRIPT\nelasticjob.jobs.b.sharding-total-count: 1\n"
        );
        let files = [(name, text.as_str())];
        for (environment, expected) in [(&[][..], ""), (&[("SPRING_PROFILES_ACTIVE", "prod")], "prod")] {
            let given = Given {
                files: &files,
                environment,
            };
            assert_eq!(parameter(&given, "a"), expected, "{name}, {environment:?}");
        }
    }
}

#[test]
fn y1_yml_wins_over_yaml_beside_it() {
    let job = |parameter: &str| format!("elasticjob.jobs: {{a: {{{SCRIPT}, job-parameter: {parameter}}}}}");
    let (yml, yaml, more) = (job("yml"), job("yaml"), "elasticjob.jobs.a.description: yaml");
    let both = [("application.yml", &*yml), ("application.yaml", &*yaml)];
    let given = Given {
        files: &both,
        ..Given::default()
    };
    assert_eq!(parameter(&given, "a"), "yml");
    let files = [("application.yaml", more), ("application.yml", &*yml)];
    let given = Given {
        files: &files,
        ..Given::default()
    };
    let settings = given.load().unwrap();
    assert_eq!(
        settings.jobs["a"].config.description(),
        "yaml",
        "the other is read, too"
    );
    let profiles = [
        ("application.yaml", &*yaml),
        ("application-eu.yml", "elasticjob.jobs.a.job-parameter: yml"),
        ("application-eu.yaml", "elasticjob.jobs.a.job-parameter: yaml"),
    ];
    let given = Given {
        files: &profiles,
        environment: &[("SPRING_PROFILES_ACTIVE", "eu")],
    };
    assert_eq!(parameter(&given, "a"), "yml", "of a profile");
}

#[test]
fn e1_variables_are_spelt_in_springs_ways() {
    let file = format!("elasticjob.jobs: {{JOB: {{{SCRIPT}}}, JOB-A: {{{SCRIPT}}}}}");
    let files = [("application.yaml", &*file)];
    let environment = [
        ("ELASTICJOB_REGCENTER_SERVERLISTS", "relaxed:2181"),
        ("elasticjob.reg-center.namespace", "dots"),
        ("ELASTICJOB_JOBS_JOB_A_JOBPARAMETER", "bound"),
        ("ELASTICJOB_JOBS_JOB_A_JOBLISTENERTYPES_0_", "x"),
    ];
    let given = Given {
        files: &files,
        environment: &environment,
    };
    let settings = given.load().unwrap();
    let RegistrySettings::ZooKeeper(zookeeper) = &settings.registry else {
        panic!("{:?}", settings.registry)
    };
    assert_eq!(
        (zookeeper.connect_string(), &*zookeeper.namespace),
        ("relaxed:2181".to_owned(), "dots")
    );
    let job = &settings.jobs["JOB-A"].config;
    assert_eq!(
        (job.job_parameter(), job.listener_types()),
        ("bound", &["x".to_owned()][..])
    );
    assert_eq!(settings.jobs["JOB"].config.job_parameter(), "");
}

#[test]
fn n2_n3_names_that_are_alike_are_two_jobs() {
    let job = |name: &str| format!("elasticjob.jobs: {{{name}: {{{SCRIPT}}}}}");
    let (base, dev) = (job("task1-1"), job("task11"));
    let files = [("application.yml", &*base), ("application-dev.yml", &*dev)];
    let given = Given {
        files: &files,
        environment: &[("SPRING_PROFILES_ACTIVE", "dev")],
    };
    let names: Vec<String> = given.load().unwrap().jobs.into_keys().collect();
    assert_eq!(names, ["task1-1", "task11"]);
    let both = yaml(&format!(
        "elasticjob.jobs: {{syncOrders: {{{SCRIPT}}}, sync-orders: {{{SCRIPT}}}}}"
    ));
    assert!(both.unwrap().jobs.into_keys().eq(["sync-orders", "syncOrders"]));
}

#[test]
fn z6_names_of_any_letters_are_jobs() {
    let names = ["订单 同步(1)", "a.b@c;d'e\"f", "-x", "zookeeper"];
    let lines = names.map(|name| format!("    {:?}: {{{SCRIPT}}}\n", format!("[{name}]")));
    let settings = yaml(&format!("elasticjob:\n  jobs:\n{}", lines.concat())).unwrap();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert!(settings.jobs.keys().eq(&expected), "{:?}", settings.jobs.keys());
    for job in settings.jobs.values() {
        assert_eq!(JobConfig::from_yaml(&job.config.to_yaml()).as_ref(), Ok(&job.config));
    }
}

#[test]
fn z13_a_mark_before_a_cron_does_not_lose_it() {
    let stored = JobConfig::from_yaml("\u{feff}cron: 0/5 * * * * ?\njobName: a\nshardingTotalCount: 1\n").unwrap();
    assert_eq!(stored.cron().unwrap().to_string(), "0/5 * * * * ?");
}
