//! Which setting a key or a variable means.

use super::*;

#[test]
fn keys_should_be_one_however_they_are_spelt() {
    for keys in [
        ["regCenter", "serverLists"],
        ["reg-center", "server-lists"],
        ["reg_center", "SERVER_LISTS"],
    ] {
        let [section, servers] = keys;
        let settings = yaml(&format!(
            "elasticjob:\n  {section}: {{{servers}: 'a:1', namespace: n}}\n"
        ))
        .unwrap();
        assert_eq!(zookeeper(&settings).connect_string(), "a:1");
    }
}

#[test]
fn names_of_jobs_may_have_dots() {
    let declare = |loader: Loader| loader.declared(vec![declared("my.job", &[("sharding-total-count", "1")])]);
    for (name, text) in [
        (
            "application.yaml",
            "elasticjob:\n  jobs:\n    my.job:\n      job-parameter: x",
        ),
        ("application.yaml", "elasticjob.jobs.[my.job].job-parameter: x"),
        ("application.toml", "[elasticjob.jobs.'my.job']\njob-parameter = 'x'"),
        ("application.properties", "elasticjob.jobs.[my.job].job-parameter=x"),
    ] {
        let settings = load(&[(name, text)], declare).unwrap();
        assert_eq!(settings.jobs["my.job"].config.job_parameter(), "x", "{text}");
    }
}

#[test]
fn variables_need_no_separators_between_words() {
    let text = "elasticjob: {jobs: {sync_orders: {props: {my.customKey: old}}, sync: {elastic-job-type: SCRIPT, sharding-total-count: 1}}}";
    let variables = [
        ("ELASTICJOB_REG_CENTER_SERVER_LISTS", "zk:2181"),
        ("ELASTICJOB_REGCENTER_NAMESPACE", "shop"),
        ("ELASTICJOB_REG_CENTER_MAX_RETRIES", "7"),
        ("ELASTICJOB_JOBS_SYNC_ORDERS_CRON", "0 0 3 * * ?"),
        ("ELASTICJOB_JOBS_SYNC_ORDERS_JOB_LISTENER_TYPES", "a, b"),
        ("ELASTICJOB_JOBS_SYNC_CRON", "0 0 4 * * ?"),
        ("ELASTICJOB_JOBS_SYNC_PROPS_SCRIPT_COMMAND_LINE", "./x.sh"),
        ("ELASTICJOB_JOBS_SYNC_ORDERS_PROPS_MY_CUSTOM_KEY", "new"),
        ("ELASTICJOB_JOBS_SYNC_ORDERS_PROPS_EMAIL_USE_SSL", "false"),
        ("ELASTICJOB_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ];
    let settings = load(&[("application.yaml", text)], |loader| {
        loader.environment(environment(&variables))
    })
    .unwrap();
    assert_eq!(zookeeper(&settings).max_retries, 7);
    let config = &settings.jobs["sync_orders"].config;
    assert_eq!(config.cron().unwrap().to_string(), "0 0 3 * * ?");
    assert_eq!(config.listener_types(), ["a", "b"]);
    assert_eq!(
        (
            config.props()["my.customKey"].as_str(),
            config.props()["email.useSsl"].as_str()
        ),
        ("new", "false")
    );
    let script = &settings.jobs["sync"].config;
    assert_eq!(script.cron().unwrap().to_string(), "0 0 4 * * ?");
    assert_eq!(script.props()["script.command.line"], "./x.sh");
}

#[test]
fn an_unknown_variable_is_a_fault() {
    let variables = [
        ("ELASTICJOB_REG_CENTER_SERVER_LIST", "zk:2181"),
        ("ELASTICJOB_JOBS_SYNC_ORDERS_CORN", "x"),
        ("ELASTICJOB_JOBS_OTHER_CRON", "x"),
    ];
    assert_eq!(
        faults(load(&[], |loader| loader.environment(environment(&variables)))),
        [
            "environment variable ELASTICJOB_JOBS_OTHER_CRON: names no job and setting; the jobs are: `sync_orders`",
            "environment variable ELASTICJOB_JOBS_SYNC_ORDERS_CORN: `JOBS_SYNC_ORDERS_CORN`: is not a setting of ElasticJob, did you mean `cron`?",
            "environment variable ELASTICJOB_REG_CENTER_SERVER_LIST: `REG_CENTER_SERVER_LIST`: is not a setting of ElasticJob, did you mean `reg-center.server-lists`?",
        ]
    );
}

#[test]
fn a_setting_that_is_set_twice_is_a_fault() {
    let text = "elasticjob:\n  jobs:\n    sync_orders:\n      maxTimeDiffSeconds: 5\n      max-time-diff: 6s\n";
    assert_eq!(faults(yaml(text)).len(), 1);
    assert!(faults(yaml(text))[0].starts_with("application.yaml:5: `elasticjob.jobs.sync_orders.max-time-diff`: is set twice, first as `elasticjob.jobs.sync_orders.maxTimeDiffSeconds` ("));
}
