//! What is wrong with a configuration, all at once.

use super::*;

#[test]
fn report_each_fault_with_its_place() {
    let text = "\
server: {port: 8080}
elasticjob:
  reg-center:
    server-lists: zk1, zk2:70000, ::1:2181
    namespace: /shop
    max-retries: many
    session-timeout: 10
    digest: nobody
  shutdown:
    grace-period: soon
  network:
    ip: 300.1.1.1
  jobs:
    sync_orders:
      cron: 61 * * * * ?
      sharding-total-count: 0
      monitor-execution: maybe
      time-zone: Mars
      sharding-item-parameters: 0=A,7=B
      reconcile-interval: 90s
      corn: x
";
    assert_eq!(
        faults(yaml(text)),
        [
            "application.yaml:21: `elasticjob.jobs.sync_orders.corn`: is not a setting of ElasticJob, did you mean `cron`?",
            "application.yaml:4: `elasticjob.reg-center.server-lists` is `zk1, zk2:70000, ::1:2181`: `zk2:70000` has no valid port: ports are 1 to 65535, not `70000`",
            "application.yaml:4: `elasticjob.reg-center.server-lists` is `zk1, zk2:70000, ::1:2181`: `::1:2181` is not `host:port`; an IPv6 address stands in brackets: `[::1]:2181`",
            "application.yaml:5: `elasticjob.reg-center.namespace` is `/shop`: a namespace is written `name` or `name/name`, without `/` at an end",
            "application.yaml:6: `elasticjob.reg-center.max-retries` is `many`: a whole number from 0 is expected",
            "application.yaml:7: `elasticjob.reg-center.session-timeout` is `10`: a duration is expected, such as `10s`, `500ms` or `1m 30s`",
            "application.yaml:8: `elasticjob.reg-center.digest` is `[provided]`: user and password are expected, separated by a colon",
            "application.yaml:17: `elasticjob.jobs.sync_orders.monitor-execution` is `maybe`: `true` or `false` is expected",
            "application.yaml:20: `elasticjob.jobs.sync_orders.reconcile-interval` is `90s`: the registry holds whole minutes",
            "application.yaml:15: `elasticjob.jobs.sync_orders.cron` is `61 * * * * ?`: seconds are 0 to 59, not 61",
            "application.yaml:18: `elasticjob.jobs.sync_orders.time-zone` is `Mars`: unknown time zone `Mars`: expected an IANA name such as `Asia/Shanghai`, or an offset from `GMT-23:59` to `GMT+23:59`",
            "application.yaml:16: `elasticjob.jobs.sync_orders.sharding-total-count` is `0`: the number of items is 1 to 1000000",
            "application.yaml:10: `elasticjob.shutdown.grace-period` is `soon`: a duration is expected, such as `10s`, `500ms` or `1m 30s`",
            "application.yaml:12: `elasticjob.network.ip` is `300.1.1.1`: an IP address is expected",
        ]
    );
}

#[test]
fn a_section_may_be_empty_and_known() {
    let settings = yaml("elasticjob:\n  reg-center:\n  jobs:\n    sync_orders:\n").unwrap();
    assert_eq!(settings.registry, RegistrySettings::Unnamed);
    assert_eq!(
        faults(yaml(
            "elasticjob:\n  reg-centre:\n  jobs:\n    sync_orders: text\n    token_job: {cron: x}\n"
        ))[..2],
        [
            "application.yaml:2: `elasticjob.reg-centre`: is not a setting of ElasticJob, did you mean `reg-center`?",
            "application.yaml:4: `elasticjob.jobs.sync_orders`: settings are expected below this key, not a text",
        ]
    );
}

#[test]
fn an_item_beyond_the_total_is_a_fault() {
    let text = "elasticjob.jobs.sync_orders.sharding-item-parameters: 0=A,7=B";
    assert_eq!(
        faults(yaml(text)),
        [
            "application.yaml:1: `elasticjob.jobs.sync_orders.sharding-item-parameters` is `0=A,7=B`: there is no item 7: items are 0 to 1"
        ]
    );
}

#[test]
fn no_secret_should_ever_be_shown() {
    let text = "elasticjob:\n  reg-center: {server-lists: 'a:1', namespace: n, digest: 'user:hunter2'}\n  \
                tracing: {type: RDB, data-source: {url: 'jdbc:x?password=hunter2', password: 'hunter2'}}\n  \
                jobs:\n    sync_orders:\n      props: {email.password: 'hunter2', wechat.webhook: 'http://x/hunter2', plain: visible}\n";
    let settings = yaml(text).unwrap();
    let shown = format!(
        "{settings:?} {settings:#?} {:?}",
        settings.jobs["sync_orders"].config.to_builder()
    );
    assert!(
        shown.contains("visible") && shown.contains("[provided]") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert_eq!(zookeeper(&settings).digest.as_ref().unwrap().reveal(), "user:hunter2");
    let data_source = settings.tracing.as_ref().unwrap().data_source.as_ref().unwrap();
    assert_eq!(data_source.get("PASSWORD"), Some("hunter2"));
    let errors = yaml(&text.replace("hunter2", "hunter2${NONE}").replace("user:", "")).unwrap_err();
    let shown = format!("{errors} {errors:?}");
    assert!(errors.iter().count() >= 5 && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_job_without_code_or_type_is_a_fault() {
    let text = "\
elasticjob:
  jobs:
    sync_order: {sharding-total-count: 1}
    a: {elastic-job-class: com.acme.Other, sharding-total-count: 1}
    b: {elastic-job-class: com.acme.SyncOrders, elastic-job-type: SCRIPT, sharding-total-count: 1}
    sync_orders: {elastic-job-type: HTTP}
    c: {elastic-job-type: SCRIPT, sharding-total-count: 1, job-bootstrap-bean-name: x}
    d: {elastic-job-type: SCRIPT, sharding-total-count: 1, job-bootstrap-bean-name: x}
";
    assert_eq!(
        faults(yaml(text)),
        [
            "application.yaml:4: `elasticjob.jobs.a.elastic-job-class` is `com.acme.Other`: no job is declared under this name; the program declares `sync_orders`",
            "application.yaml:5: `elasticjob.jobs.b.elastic-job-type` is `SCRIPT`: a job has a type or a class, not both; its class is `com.acme.SyncOrders`",
            "application.yaml:8: `elasticjob.jobs.d.job-bootstrap-bean-name` is `x`: job `c` is called so too",
            "application.yaml:3: `elasticjob.jobs.sync_order`: nothing does this job's work: the program declares `sync_orders`, did you mean `sync_orders`? Otherwise set `elastic-job-type` or `elastic-job-class`",
            "application.yaml:6: `elasticjob.jobs.sync_orders.elastic-job-type` is `HTTP`: the program does this job's work (attribute at src/main.rs:12): leave the type out",
        ]
    );
}

#[test]
fn sections_should_be_refused_when_they_contradict_themselves() {
    assert_eq!(
        faults(yaml(
            "elasticjob:\n  tracing: {type: MONGO, include-job-names: a, exclude-job-names: b}\n  reg-center: {namespace: n}\n  dump: {port: x}\n"
        )),
        [
            "`elasticjob.reg-center.server-lists`: is missing: name the servers, or set `reg-center.type: EMBEDDED` for the embedded registry",
            "application.yaml:2: `elasticjob.tracing.exclude-job-names` is `b`: either names jobs to include or jobs to exclude, not both",
            "application.yaml:4: `elasticjob.dump.port` is `x`: ports are 0 to 65535",
        ]
    );
    assert_eq!(
        faults(yaml("elasticjob.tracing.include-job-names: a")),
        ["`elasticjob.tracing.type`: is missing, so that the rest of `tracing` does nothing: write `type: RDB`"]
    );
}

proptest! {
    #[test]
    fn nothing_makes_the_loader_panic(
        file in "[a-z.=:\\[\\]{}'\"\\\\$#\n -]{0,60}",
        section in "(reg-center|jobs|jobs.sync_orders|tracing|network|props)",
        value in "[-0-9a-z\\\\${}:;,/.\\[\\] é😀]{0,20}",
        variable in "ELASTICJOB_[A-Z_]{0,30}",
    ) {
        let values = [
            ("application.yaml", format!("elasticjob:\n  {section}:\n    {file}\n")),
            ("application.yaml", format!("elasticjob.reg-center: {{server-lists: '{value}', namespace: '{value}'}}")),
            ("application.toml", format!("[elasticjob.{section}]\n{file}\n")),
            ("application.properties", format!("elasticjob.{section}.{file}={value}\nelasticjob.jobs.x.cron={value}")),
        ];
        for (name, text) in values {
            let loaded = load(&[(name, &text)], |loader| loader.environment(environment(&[(&variable, &value)])));
            if let Err(errors) = loaded {
                prop_assert!(errors.iter().all(|error| !error.problem.is_empty()), "{errors}");
            }
        }
    }
}
