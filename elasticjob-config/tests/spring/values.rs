use super::*;

fn job(settings: &str) -> Result<Settings, Errors> {
    yaml(&format!(
        "elasticjob.jobs.a: {{elastic-job-type: SCRIPT, sharding-total-count: 1, {settings}}}\n"
    ))
}

#[test]
fn without_quotes_are_those_of_yaml_1_1() {
    let settings = job(
        "reconcileIntervalMinutes: 010, maxTimeDiffSeconds: 60_000, jobParameter: 1.50, description: yes, \
                            failover: ON, props: {a: 0x5, b: '0x5', c: 1:30, d: ~, e: 2024-01-01, f: !!str 010}",
    )
    .unwrap();
    let config = &settings.jobs["a"].config;
    assert_eq!(config.reconcile_interval().unwrap().as_secs(), 8 * 60);
    assert_eq!(config.max_time_diff().unwrap().as_secs(), 60_000);
    assert_eq!((config.job_parameter(), config.description()), ("1.5", "true"));
    assert!(config.failover());
    let props: Vec<&str> = config.props().values().map(String::as_str).collect();
    assert_eq!(props, ["5", "0x5", "90", "", "2024-01-01", "010"]);
}

#[test]
fn that_need_quotes_get_a_hint() {
    for cron in ["* * * * * ?", "*/5 * * * * ?", "@daily"] {
        let fault = faults(yaml(&format!("elasticjob:\n  jobs:\n    a:\n      cron: {cron}\n"))).remove(0);
        let expected = format!(
            "application.yml:4: not YAML: a value that begins with `{}` has to stand in quotes: `\"{cron}\"`",
            &cron[..1]
        );
        assert!(fault.starts_with(&expected), "{fault}");
    }
}

#[test]
fn of_other_files_are_texts_in_which_numbers_may_be_hexadecimal() {
    let text = "elasticjob.jobs.a.elastic-job-type=SCRIPT\nelasticjob.jobs.a.sharding-total-count=0x10\n\
                    elasticjob.jobs.a.job-parameter=010\n";
    let settings = properties(text).unwrap();
    let config = &settings.jobs["a"].config;
    assert_eq!(
        (config.sharding_total_count().get(), config.job_parameter()),
        (16, "010")
    );
    let refused = faults(properties(&text.replace("0x10", "1_0")));
    assert_eq!(refused.len(), 1, "{refused:?}");
    let files = [(
        "application.toml",
        "[elasticjob.jobs.a]\nelastic-job-type = 'SCRIPT'\nsharding-total-count = 1_0\n",
    )];
    let settings = Given {
        files: &files,
        ..Given::default()
    }
    .load()
    .unwrap();
    assert_eq!(settings.jobs["a"].config.sharding_total_count().get(), 10);
}

#[test]
fn of_lists_in_properties_are_numbered_in_order() {
    let fault = |text: &str| faults(properties(text)).remove(0);
    assert_eq!(
        fault("elasticjob.labels[1]=b\nelasticjob.labels[0]=a\n"),
        "application.properties:1: `elasticjob.labels[1]`: the items of a list are numbered from 0 on, in their order: [0] \
             is next"
    );
    assert!(fault("elasticjob.labels[0]=a\nelasticjob.labels[0]=b\n").contains("[1] is next"));
}
