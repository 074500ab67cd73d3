use super::*;

const SCRIPT: &str = "elastic-job-type: SCRIPT, sharding-total-count: 1";

fn parameter(settings: &Settings, job: &str) -> String {
    settings.jobs[job].config.job_parameter().to_owned()
}

#[test]
fn hold_names_with_dots_in_brackets_with_a_dot_before_them_or_without() {
    for key in [
        "elasticjob.jobs[my.job]",
        "elasticjob.jobs.[my.job]",
        "elasticjob[jobs][my.job]",
    ] {
        let lines = ["elastic-job-type=SCRIPT", "sharding-total-count=1", "job-parameter=x"];
        let text = lines.map(|line| format!("{key}.{line}")).join("\n");
        assert_eq!(parameter(&properties(&text).unwrap(), "my.job"), "x", "{key}");
    }
    let settings = yaml(&format!("elasticjob:\n  jobs[my.job]: {{{SCRIPT}, jobParameter: x}}\n"));
    assert_eq!(parameter(&settings.unwrap(), "my.job"), "x");
}

#[test]
fn that_are_numbers_or_switches_are_printed_by_java() {
    let text =
        format!("elasticjob:\n  jobs:\n    on: {{{SCRIPT}}}\n    010: {{{SCRIPT}, props: {{yes: a, 'no': b}}}}\n");
    let settings = yaml(&text).unwrap();
    assert_eq!(settings.jobs.keys().collect::<Vec<_>>(), ["8", "true"]);
    let props = settings.jobs["8"].config.props();
    assert_eq!((props["true"].as_str(), props["no"].as_str()), ("a", "b"));
}

#[test]
fn of_merged_maps_count_in_the_order_of_yaml() {
    let text = "\
a: &a {sharding-total-count: 3, job-parameter: a}
b: &b {job-parameter: b, description: b, elastic-job-type: SCRIPT}
elasticjob:
  jobs:
    first: {<<: [*a, *b]}
    second: {<<: [*b, *a], sharding-total-count: 5}
";
    let settings = yaml(text).unwrap();
    let shown = |job: &str| {
        let config = &settings.jobs[job].config;
        let total = config.sharding_total_count().get();
        (
            config.job_parameter().to_owned(),
            config.description().to_owned(),
            total,
        )
    };
    assert_eq!(shown("first"), ("a".to_owned(), "b".to_owned(), 3));
    assert_eq!(shown("second"), ("b".to_owned(), "b".to_owned(), 5));
    let wrong = faults(yaml(
        "elasticjob:\n  jobs:\n    a: {<<: [x, y], elastic-job-type: SCRIPT, sharding-total-count: 1}\n",
    ));
    assert_eq!(
        wrong,
        ["application.yml:3: `elasticjob.jobs.a.<<`: is not a setting of ElasticJob"]
    );
}

#[test]
fn of_java_alone_are_refused_with_what_to_do() {
    let faults = faults(yaml("elasticjob.tracing: {type: RDB, dataSourceBeanName: db}\n"));
    assert_eq!(
        faults,
        [
            "application.yml:1: `elasticjob.tracing.dataSourceBeanName`: names a bean of Java: give the database itself by \
              `tracing.data-source`, or by `spring.datasource`"
        ]
    );
}

#[test]
fn may_name_the_type_of_registry() {
    let load = |kind: &str| {
        yaml(&format!(
            "elasticjob.reg-center: {{type: {kind}, server-lists: 'a:1', namespace: n}}\n"
        ))
    };
    assert!(load("ZooKeeper").is_ok());
    assert_eq!(
        faults(load("etcd")),
        ["application.yml:1: `elasticjob.reg-center.type` is `etcd`: the types are `ZOOKEEPER` and `EMBEDDED`"]
    );
}
