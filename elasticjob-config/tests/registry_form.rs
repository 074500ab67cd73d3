//! The registry's `config` node: we write the same bytes as a Java member, and read all that a Java member may have written.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::BTreeMap;
use std::time::Duration;

use elasticjob_config::job::{Builder, JobConfig, MAX_SHARDING_TOTAL_COUNT};
use proptest::prelude::*;

const ONE_OFF: &str = "\
description: ''
disabled: false
failover: false
jobName: demo
jobParameter: ''
maxTimeDiffSeconds: -1
misfire: true
monitorExecution: true
overwrite: false
reconcileIntervalMinutes: 10
shardingItemParameters: ''
shardingTotalCount: 3
staticSharding: false
";

/// Java writes `props` in hash order, which means nothing; here they are sorted.
const EVERYTHING: &str = "\
cron: 0 0/5 * * * ?
description: |-
  line1
  line2 'q' \"d\"
disabled: true
failover: true
jobErrorHandlerType: DINGTALK
jobExecutorServiceHandlerType: SINGLE_THREAD
jobListenerTypes:
- l1
- l2
jobName: 订单任务
jobParameter: 'p=1: x # y'
jobShardingStrategyType: ROUND_ROBIN
label: lab
maxTimeDiffSeconds: 1000
misfire: false
monitorExecution: false
overwrite: true
props:
  dingtalk.webhook: http://x/y?z=1
  empty: ''
  num: '12'
  streaming.process: 'true'
reconcileIntervalMinutes: 0
shardingItemParameters: 0=北京,1=上海
shardingTotalCount: 10
staticSharding: true
timeZone: GMT+8:00
";

const TRACING: &str = "\
jobExtraConfigurations:
- !!org.apache.shardingsphere.elasticjob.tracing.yaml.YamlTracingConfiguration
  tracingStorageConfiguration: !!org.apache.shardingsphere.elasticjob.tracing.rdb.yaml.YamlDataSourceConfiguration
    dataSourceClassName: org.apache.commons.dbcp2.BasicDataSource
    props:
      connectionInitSqls: []
      driverClassName: org.h2.Driver
      password: secret
      url: jdbc:h2:mem:t
      username: sa
  type: RDB
";

fn demo() -> Builder {
    JobConfig::builder("demo").sharding_total_count(3)
}

fn everything() -> Builder {
    JobConfig::builder("订单任务")
        .cron("0 0/5 * * * ?")
        .description("line1\nline2 'q' \"d\"")
        .disabled(true)
        .failover(true)
        .error_handler("DINGTALK")
        .executor_service_handler("SINGLE_THREAD")
        .listener_type("l1")
        .listener_type("l2")
        .job_parameter("p=1: x # y")
        .sharding_strategy("ROUND_ROBIN")
        .label("lab")
        .max_time_diff(Some(Duration::from_secs(1000)))
        .misfire(false)
        .monitor_execution(false)
        .overwrite(true)
        .prop("dingtalk.webhook", "http://x/y?z=1")
        .prop("num", "12")
        .prop("streaming.process", "true")
        .prop("empty", "")
        .reconcile_interval(None)
        .sharding_item_parameters("0=北京,1=上海")
        .sharding_total_count(10)
        .static_sharding(true)
        .time_zone("GMT+8:00")
}

/// The line, or lines, of one setting.
fn written(config: Builder, key: &str) -> String {
    let yaml = config.build().unwrap().to_yaml();
    let (_, text) = yaml.split_once(&format!("{key}: ")).unwrap();
    let lines = text.split_inclusive('\n').enumerate();
    lines
        .take_while(|(index, line)| *index == 0 || line.starts_with([' ', '\n']))
        .map(|(_, line)| line)
        .collect()
}

fn read(settings: &str) -> JobConfig {
    JobConfig::from_yaml(&format!("jobName: demo\nshardingTotalCount: 3\n{settings}")).unwrap()
}

fn faults(settings: &str) -> String {
    JobConfig::from_yaml(&format!("jobName: demo\nshardingTotalCount: 3\n{settings}"))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_one_off_job_is_written_as_by_java() {
    let config = demo().build().unwrap();
    assert_eq!(config.to_yaml(), ONE_OFF);
    assert_eq!(JobConfig::from_yaml(ONE_OFF).unwrap(), config);
}

#[test]
fn a_full_job_is_written_as_by_java() {
    let config = everything().build().unwrap();
    let form = config.to_registry();
    assert_eq!(form.yaml, EVERYTHING);
    assert_eq!(form.warnings, []);
    assert_eq!(JobConfig::from_yaml(EVERYTHING).unwrap().to_yaml(), EVERYTHING);
}

#[test]
fn a_long_line_is_folded_as_by_java() {
    let parameters: Vec<_> = (0..9).map(|item| format!("{item}=value number {item}")).collect();
    let config = demo()
        .sharding_total_count(9)
        .sharding_item_parameters(parameters.join(","));
    assert_eq!(
        written(config.clone(), "shardingItemParameters"),
        "0=value number 0,1=value number 1,2=value number 2,3=value\n  \
           number 3,4=value number 4,5=value number 5,6=value number 6,7=value number 7,8=value\n  \
           number 8\n"
    );
    let config = config.build().unwrap();
    assert_eq!(
        JobConfig::from_yaml(&config.to_yaml()).unwrap().item_parameters(),
        config.item_parameters()
    );
}

#[test]
fn a_carriage_return_breaks_a_line_of_kept_keys_too() {
    let yaml = "jobName: demo\rshardingTotalCount: 3\r\nunknown: \r a\r\rother: 1\n";
    let config = JobConfig::from_yaml(yaml).unwrap();
    assert_eq!(config.sharding_total_count().get(), 3);
    let again = config.to_yaml();
    assert!(again.contains("unknown: \n a\n"), "{again}");
    assert_eq!(JobConfig::from_yaml(&again), Ok(config));
}

#[test]
fn each_text_should_be_written_in_javas_style() {
    for (text, yaml) in [
        ("plain text", "plain text"),
        ("it's: so", "'it''s: so'"),
        ("010", "'010'"),
        ("~", "'~'"),
        ("a\tb", "\"a\\tb\""),
        ("a\r\nb", "\"a\\r\\nb\""),
        ("\u{1}", "\"\\x01\""),
        ("é\u{7f}😀\u{a0}", "\"é\\x7f😀\\_\""),
        ("a\nb", "|-\n  a\n  b"),
        ("a\nb\n", "|\n  a\n  b"),
        ("a\n\n", "|+\n  a\n"),
        (" a\nb", "|2-\n   a\n  b"),
    ] {
        assert_eq!(
            written(demo().job_parameter(text), "jobParameter")
                .strip_suffix('\n')
                .unwrap(),
            yaml,
            "{text:?}"
        );
        assert_eq!(read(&format!("jobParameter: {yaml}\n")).job_parameter(), text);
    }
}

#[test]
fn a_long_quoted_text_is_folded_as_by_java() {
    let words = "word ".repeat(30);
    let single = written(demo().job_parameter(format!("# {words}x")), "jobParameter");
    assert!(
        single.starts_with("'# word") && single.contains("word\n  word"),
        "{single}"
    );
    let double = written(demo().job_parameter(format!("\t{words}x")), "jobParameter");
    assert!(
        double.starts_with("\"\\tword") && double.contains("word\\\n  \\ word"),
        "{double}"
    );
}

#[test]
fn settings_unknown_to_java_are_stored_as_props() {
    let config = demo()
        .time_zone("Asia/Shanghai")
        .sharding_strategy("STICKY")
        .error_handler("LOG")
        .build()
        .unwrap();
    let form = config.to_registry();
    assert!(
        form.yaml
            .contains("props:\n  elasticjob.sharding-strategy: STICKY\n  elasticjob.time-zone: Asia/Shanghai\n")
    );
    assert!(form.yaml.contains("jobErrorHandlerType: LOG\n"));
    assert!(!form.yaml.contains("timeZone:") && !form.yaml.contains("jobShardingStrategyType:"));
    let warnings: Vec<_> = form.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "`timeZone`: Java members of the job do not know `Asia/Shanghai` and use the zone of their own process",
            "`jobShardingStrategyType`: Java members of the job do not know `STICKY` and use AVG_ALLOCATION",
        ]
    );
    assert_eq!(JobConfig::from_yaml(&form.yaml).unwrap(), config);
}

#[test]
fn a_type_of_java_stays_where_java_reads_it() {
    let config = read("jobShardingStrategyType: COM_ACME\nprops:\n  elasticjob.sharding-strategy: STICKY\n");
    assert_eq!(config.sharding_strategy(), Some("COM_ACME"));
    assert!(config.to_yaml().contains("jobShardingStrategyType: COM_ACME\n"));
    let changed = config
        .to_builder()
        .sharding_strategy("STICKY")
        .build()
        .unwrap()
        .to_yaml();
    assert!(changed.contains("elasticjob.sharding-strategy: STICKY") && !changed.contains("jobShardingStrategyType"));
}

#[test]
fn the_pool_is_read_from_both_keys() {
    for key in ["jobExecutorServiceHandlerType", "jobExecutorThreadPoolSizeProviderType"] {
        let config = read(&format!("{key}: SINGLE_THREAD\n"));
        assert_eq!(config.executor_service_handler(), Some("SINGLE_THREAD"));
        assert!(config.to_yaml().contains(&format!("{key}: SINGLE_THREAD\n")));
    }
}

#[test]
fn settings_that_are_left_out_should_be_off() {
    let config = read("");
    let switches = [
        config.monitor_execution(),
        config.misfire(),
        config.failover(),
        config.disabled(),
    ];
    assert_eq!(switches, [false; 4]);
    assert_eq!((config.max_time_diff(), config.reconcile_interval()), (None, None));
    assert_eq!(
        JobConfig::from_yaml("jobName: demo").unwrap_err().to_string(),
        "invalid configuration of job `demo`: `shardingTotalCount` is `0`: the number of items is 1 to 1000000"
    );
}

#[test]
fn json_should_be_read() {
    let json = r#"{"jobName": "demo", "shardingTotalCount": 3, "cron": "0 0 * * * ?", "failover": true,
        "props": {"a": "b", "n": 1}, "jobListenerTypes": ["l1"], "description": null}"#;
    let config = JobConfig::from_yaml(json).unwrap();
    assert_eq!(config.cron().unwrap().to_string(), "0 0 * * * ?");
    assert!(config.failover());
    assert_eq!(config.props()["n"], "1");
    assert_eq!(config.listener_types(), ["l1"]);
}

#[test]
fn of_a_repeated_key_the_last_should_count() {
    let config = read("jobParameter: a\njobParameter: b\nprops: {x: '1'}\nprops: {y: '2'}\n");
    assert_eq!(config.job_parameter(), "b");
    assert_eq!(config.props().keys().collect::<Vec<_>>(), ["y"]);
}

#[test]
fn yaml_1_1_is_read_as_by_java() {
    let settings = "misfire: 'Yes'\nfailover: on\ndisabled: 'FALSE'\nmaxTimeDiffSeconds: 0x10\nreconcileIntervalMinutes: '010'\n\
        description: 1.0\njobParameter: 010\nprops: {b: yes, o: 010, f: 1e3, s: 'yes', d: 2020-01-01}\n";
    let config = read(settings);
    assert_eq!(
        (config.misfire(), config.failover(), config.disabled()),
        (true, true, false)
    );
    assert_eq!(config.max_time_diff(), Some(Duration::from_secs(16)));
    assert_eq!(config.reconcile_interval(), Some(Duration::from_secs(8 * 60)));
    assert_eq!((config.description(), config.job_parameter()), ("1.0", "010"));
    let props: Vec<_> = config
        .props()
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        props,
        [
            ("b", "true"),
            ("d", "2020-01-01"),
            ("f", "1000.0"),
            ("o", "8"),
            ("s", "yes")
        ]
    );
}

#[test]
fn a_binary_text_of_java_should_be_read() {
    assert_eq!(read("jobParameter: !!binary |-\n  YQBi\n").job_parameter(), "a\0b");
    assert!(faults("jobParameter: !!binary '*'\n").contains("`jobParameter` is `*`: is not the base64 of a text"));
}

#[test]
fn extra_configurations_should_be_kept_to_the_byte() {
    let stored = JobConfig::from_registry(&ONE_OFF.replace("jobName:", &format!("{TRACING}jobName:"))).unwrap();
    assert_eq!(stored.warnings, []);
    assert!(
        stored
            .config
            .extra_configurations()
            .unwrap()
            .contains("password: secret")
    );
    let changed = stored
        .config
        .to_builder()
        .job_parameter("new")
        .build()
        .unwrap()
        .to_yaml();
    assert_eq!(
        changed,
        ONE_OFF
            .replace("jobParameter: ''", "jobParameter: new")
            .replace("jobName:", &format!("{TRACING}jobName:"))
    );
}

#[test]
fn extra_configurations_in_json_should_be_kept() {
    let json = "{\"jobName\": \"demo\", \"jobExtraConfigurations\": [!!a.B {\"type\": \"RDB\"},\n {\"c\": [1]}], \"shardingTotalCount\": 3}";
    let yaml = JobConfig::from_yaml(json).unwrap().to_yaml();
    assert!(
        yaml.contains("jobExtraConfigurations: [!!a.B {\"type\": \"RDB\"},\n   {\"c\": [1]}]\n"),
        "{yaml}"
    );
    assert_eq!(JobConfig::from_yaml(&yaml).unwrap().to_yaml(), yaml);
}

#[test]
fn an_unknown_key_is_kept_with_a_warning() {
    let settings = "newKey:\n  - a # why\n  - {b: c}\n'other key': \"x\"\n";
    let stored = JobConfig::from_registry(&format!("jobName: demo\nshardingTotalCount: 3\n{settings}")).unwrap();
    let keys: Vec<_> = stored.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(keys, ["newKey", "other key"]);
    let yaml = stored.config.to_yaml();
    assert!(
        yaml.contains("newKey:\n  - a # why\n  - {b: c}\n") && yaml.contains("other key: \"x\"\n"),
        "{yaml}"
    );
    assert_eq!(JobConfig::from_yaml(&yaml).unwrap(), stored.config);
}

#[test]
fn an_alias_is_followed() {
    assert_eq!(read("description: &d text\njobParameter: *d\n").job_parameter(), "text");
    assert!(read("newKey: [&a x, *a]\n").to_yaml().contains("newKey: [&a x, *a]\n"));
    assert!(faults("description: &d text\nnewKey: [*d]\n").contains("`newKey`: refers to another part of the text"));
}

#[test]
fn all_faults_should_be_reported_at_once() {
    let text = "jobName: a/b\nshardingTotalCount: 0\nmisfire: maybe\nprops: text\njobListenerTypes: l1\nmaxTimeDiffSeconds: 1.5\n";
    assert_eq!(
        JobConfig::from_yaml(text).unwrap_err().to_string(),
        "6 faults in the configuration of job `a/b`:\n\
         - `misfire` is `maybe`: `true` or `false` is expected\n\
         - `props`: a map is expected\n\
         - `jobListenerTypes`: a list is expected\n\
         - `maxTimeDiffSeconds` is `1.5`: a whole number is expected\n\
         - `jobName`: the name `a/b` contains `/`, which separates the nodes of the registry\n\
         - `shardingTotalCount` is `0`: the number of items is 1 to 1000000"
    );
    for text in ["", "[]", "text"] {
        let message = JobConfig::from_yaml(text).unwrap_err().to_string();
        assert_eq!(message, "invalid configuration of a job: the text holds no settings");
    }
    let message = JobConfig::from_yaml("a: [b").unwrap_err().to_string();
    assert!(
        message.starts_with("invalid configuration of a job: not YAML: line "),
        "{message}"
    );
}

#[test]
fn a_builder_refuses_values_out_of_range() {
    let errors = JobConfig::builder("demo")
        .max_time_diff(Some(Duration::from_millis(1500)))
        .reconcile_interval(Some(Duration::from_secs(90)))
        .prop("elasticjob.time-zone", "UTC")
        .build()
        .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "4 faults in the configuration of job `demo`:\n\
         - `maxTimeDiffSeconds` is `1.5s`: the registry holds whole seconds\n\
         - `reconcileIntervalMinutes` is `90s`: the registry holds whole minutes\n\
         - `shardingTotalCount`: is missing: say into how many items the job is sharded\n\
         - `props.elasticjob.time-zone` is `UTC`: is where the registry keeps `timeZone`: set that instead"
    );
}

/// Texts with everything that is special in YAML, often.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{1,8}",
        2 => Just(" ".to_owned()),
        1 => "[ \\n:#'\"\\\\,\\[\\]{}&*!|>%@`?~=-]{1,3}",
        1 => any::<char>().prop_map(String::from),
        1 => Just("订单".to_owned()),
        1 => Just("😀\u{2028}\u{85}\u{feff}\t\r\n".to_owned()),
        1 => "(yes|010|1:30|~|---|null|2020-01-01|<<)",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn written_texts_are_read_as_they_were(
        parameter in text(),
        description in text(),
        label in prop::option::of(text()),
        listeners in prop::collection::vec(text().prop_filter("not blank", |text| !text.trim().is_empty()), 0..3),
        props in prop::collection::btree_map(text(), text(), 0..4),
        switches in any::<[bool; 6]>(),
        total in 1..=MAX_SHARDING_TOTAL_COUNT,
    ) {
        let mut config = JobConfig::builder("demo")
            .sharding_total_count(total)
            .job_parameter(parameter)
            .description(description)
            .monitor_execution(switches[0])
            .failover(switches[1])
            .misfire(switches[2])
            .disabled(switches[3])
            .overwrite(switches[4])
            .static_sharding(switches[5]);
        if let Some(label) = label {
            config = config.label(label);
        }
        for listener in listeners {
            config = config.listener_type(listener);
        }
        for (key, value) in props {
            config = config.prop(key, value);
        }
        let config = config.build().unwrap();
        let yaml = config.to_yaml();
        let read = JobConfig::from_yaml(&yaml);
        prop_assert_eq!(read.as_ref(), Ok(&config), "{}", yaml);
    }

    #[test]
    fn no_text_should_make_the_reader_panic(text in text(), settings in prop::collection::btree_map("[a-zA-Z]{1,12}", text(), 0..5)) {
        let _: Result<_, _> = JobConfig::from_yaml(&text);
        let settings: BTreeMap<_, _> = settings;
        let text: String = settings.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        if let Ok(config) = JobConfig::from_yaml(&format!("jobName: demo\nshardingTotalCount: 3\n{text}")) {
            prop_assert_eq!(JobConfig::from_yaml(&config.to_yaml()), Ok(config));
        }
    }
}
