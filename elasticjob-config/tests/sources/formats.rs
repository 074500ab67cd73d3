//! What files of each format say.

use super::*;

#[test]
fn every_format_should_say_the_same() {
    let yaml = "elasticjob:\n  reg-center: {server-lists: 'zk:2181', namespace: shop}\n  jobs:\n    sync_orders:\n      \
                job-listener-types: [a, b]\n      props: {script: {command: {line: ./x.sh}}, n: '010'}\n";
    let toml = "[elasticjob.reg-center]\nserver-lists = 'zk:2181'\nnamespace = 'shop'\n[elasticjob.jobs.sync_orders]\n\
                job-listener-types = ['a', 'b']\n[elasticjob.jobs.sync_orders.props]\nscript.command.line = './x.sh'\nn = '010'\n";
    let properties = "elasticjob.reg-center.server-lists = zk:2181\nelasticjob.reg-center.namespace: shop\n\
                      elasticjob.jobs.sync_orders.job-listener-types[0]=a\nelasticjob.jobs.sync_orders.jobListenerTypes[1] b\n\
                      ! comment\nelasticjob.jobs.sync_orders.props.script.command.line=./x\\\n   .sh\n\
                      elasticjob.jobs.sync_orders.props.n=01\\u0030\n";
    let properties = properties.replace("jobListenerTypes[1] b", "job-listener-types[1] b");
    let of = |name: &str, text: &str| {
        let mut settings = load(&[(name, text)], |loader| loader).unwrap();
        // All but where it stands.
        settings.sources = Sources::default();
        settings.origins.clear();
        settings.jobs.values_mut().for_each(|job| job.origins.clear());
        settings
    };
    let expected = of("application.yaml", yaml);
    assert_eq!(zookeeper(&expected).connect_string(), "zk:2181");
    let config = &expected.jobs["sync_orders"].config;
    assert_eq!(config.listener_types(), ["a", "b"]);
    assert_eq!(
        (
            config.props()["script.command.line"].as_str(),
            config.props()["n"].as_str()
        ),
        ("./x.sh", "010")
    );
    assert_eq!(of("application.yml", yaml), expected);
    assert_eq!(of("application.toml", toml), expected);
    assert_eq!(of("application.properties", &properties), expected);
}

#[test]
fn the_file_of_the_java_starter_is_read_as_it_is() {
    let text = "\
server:
  port: 8080
spring:
  datasource:
    url: jdbc:h2:mem:x
  kafka: [{a: b}]
elasticjob:
  tracing:
    type: RDB
    excludeJobNames: [ job-a ]
  dump:
    port: 9888
  regCenter:
    serverLists: localhost:6181
    namespace: elasticjob-lite-springboot
  jobs:
    simpleJob:
      elasticJobClass: org.apache.shardingsphere.elasticjob.lite.example.job.SyncOrders
      cron: 0/5 * * * * ?
      timeZone: GMT+08:00
      shardingTotalCount: 3
      shardingItemParameters: 0=Beijing,1=Shanghai,2=Guangzhou
    scriptJob:
      elasticJobType: SCRIPT
      cron: 0/10 * * * * ?
      shardingTotalCount: 3
      props:
        script.command.line: \"echo Manual SCRIPT Job: \"
    manualScriptJob:
      elasticJobType: SCRIPT
      jobBootstrapBeanName: manualScriptJobBean
      shardingTotalCount: 9
      props:
        script.command.line: \"echo Manual SCRIPT Job: \"
";
    let settings = yaml(text).unwrap();
    assert_eq!(zookeeper(&settings).namespace, "elasticjob-lite-springboot");
    assert_eq!(
        settings.jobs.keys().collect::<Vec<_>>(),
        ["manualScriptJob", "scriptJob", "simpleJob"]
    );
    let simple = &settings.jobs["simpleJob"];
    assert_eq!(
        simple.implementation,
        Implementation::Declared("sync_orders".to_owned())
    );
    assert!(simple.class.as_deref().unwrap().ends_with("SyncOrders"));
    assert_eq!(
        (
            simple.config.job_parameter(),
            simple.config.sharding_total_count().get()
        ),
        ("attribute", 3)
    );
    let manual = &settings.jobs["manualScriptJob"];
    assert_eq!(manual.implementation, Implementation::Type("SCRIPT".to_owned()));
    assert_eq!(
        (manual.bootstrap.as_deref(), manual.config.cron()),
        (Some("manualScriptJobBean"), None)
    );
    assert_eq!(manual.config.props()["script.command.line"], "echo Manual SCRIPT Job: ");
    assert_eq!(
        settings.tracing.as_ref().unwrap().jobs,
        TracedJobs::AllBut(vec!["job-a".to_owned()])
    );
    assert_eq!(settings.dump.as_ref().unwrap().port, 9888);
}

#[test]
fn refuse_an_unreadable_file_with_its_line() {
    let parse = |name: &str, text: &str| faults(load(&[(name, text)], |loader| loader)).remove(0);
    let message = parse("application.yaml", "a: b\nc: [d\n");
    assert!(message.starts_with("application.yaml:3: not YAML: "), "{message}");
    let message = parse("application.toml", "a = 1\nb = \n");
    assert!(message.starts_with("application.toml:2: not TOML: "), "{message}");
    let message = parse("application.properties", "a=\\u12");
    assert_eq!(
        message,
        "application.properties:1: not a properties file: `\\u` is followed by four hexadecimal digits"
    );
}

#[test]
fn durations_are_read_as_text_and_in_units_of_java() {
    let settings = yaml(
        "elasticjob:\n  regCenter: {serverLists: 'a:1,[::1]:2/x', namespace: n, sessionTimeoutMilliseconds: 4000, connection-timeout: 1m 30s, maxSleepTimeMilliseconds: 0}\n  \
         jobs: {sync_orders: {maxTimeDiffSeconds: 5, reconcile-interval: 1h}}\n  shutdown.grace-period: 500ms\n",
    )
    .unwrap();
    let zookeeper = zookeeper(&settings);
    assert_eq!(zookeeper.connect_string(), "a:1,[::1]:2/x");
    assert_eq!(zookeeper.session_timeout, Duration::from_secs(4));
    assert_eq!(zookeeper.connection_timeout, Duration::from_secs(90));
    assert_eq!(
        (zookeeper.base_sleep_time, zookeeper.max_sleep_time),
        (Duration::from_secs(1), Duration::from_secs(3))
    );
    let config = &settings.jobs["sync_orders"].config;
    assert_eq!(config.max_time_diff(), Some(Duration::from_secs(5)));
    assert_eq!(config.reconcile_interval(), Some(Duration::from_secs(3600)));
    assert_eq!(settings.grace_period, Duration::from_millis(500));
    let off = yaml("elasticjob.jobs.sync_orders: {maxTimeDiffSeconds: -1, reconcileIntervalMinutes: 0}").unwrap();
    let off = &off.jobs["sync_orders"].config;
    assert_eq!((off.max_time_diff(), off.reconcile_interval()), (None, None));
}
