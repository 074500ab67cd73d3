//! The configuration of an application, layer upon layer.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::fs;
use std::time::Duration;

use elasticjob_config::sources::{
    Declared, Errors, Implementation, Loader, RegistrySettings, Settings, Sources, TracedJobs, ZooKeeperSettings,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn declared(name: &str, values: &[(&str, &str)]) -> Declared {
    let values = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Declared {
        name: name.to_owned(),
        origin: "src/main.rs:12".to_owned(),
        values,
    }
}

fn sync_orders() -> Declared {
    declared(
        "sync_orders",
        &[
            ("cron", "0 0 1 * * ?"),
            ("sharding-total-count", "2"),
            ("job-parameter", "attribute"),
        ],
    )
}

fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// Loads these files with one declared job.
fn load(files: &[(&str, &str)], adjust: impl FnOnce(Loader) -> Loader) -> Result<Settings, Errors> {
    let directory = directory(files);
    adjust(Loader::new().directory(directory.path()).declared(vec![sync_orders()])).load()
}

fn yaml(text: &str) -> Result<Settings, Errors> {
    load(&[("application.yaml", text)], |loader| loader)
}

/// The faults, with the directory's path left out.
fn faults(result: Result<Settings, Errors>) -> Vec<String> {
    let shorten = |text: String| match text.split_once("/application") {
        Some((directory, rest)) if directory.starts_with('/') => format!("application{rest}"),
        _ => text,
    };
    result
        .unwrap_err()
        .iter()
        .map(|error| shorten(error.to_string()))
        .collect()
}

fn parameter(settings: &Settings) -> &str {
    settings.jobs["sync_orders"].config.job_parameter()
}

fn zookeeper(settings: &Settings) -> &ZooKeeperSettings {
    match &settings.registry {
        RegistrySettings::ZooKeeper(zookeeper) => zookeeper,
        other => panic!("{other:?} is not ZooKeeper"),
    }
}

#[test]
fn an_attribute_alone_should_be_enough() {
    let settings = Loader::new().declared(vec![sync_orders()]).load().unwrap();
    assert!(settings.enabled);
    assert_eq!(settings.registry, RegistrySettings::Unnamed);
    assert_eq!(settings.grace_period, Duration::from_secs(30));
    let job = &settings.jobs["sync_orders"];
    assert_eq!(job.implementation, Implementation::Declared("sync_orders".to_owned()));
    assert_eq!(job.origin.to_string(), "attribute at src/main.rs:12");
    assert!(job.config.monitor_execution() && job.config.misfire());
    assert_eq!(job.config.reconcile_interval(), Some(Duration::from_secs(600)));
}

#[test]
fn each_layer_should_win_over_those_below_it() {
    let job = |value: &str| format!("elasticjob: {{jobs: {{sync_orders: {{job-parameter: {value}}}}}}}");
    let files = [
        ("application.yaml", job("file")),
        ("config/application.yaml", job("config")),
        ("application-prod.yaml", job("profile")),
        ("config/application-prod.yaml", job("config profile")),
    ];
    let variable = || environment(&[("ELASTICJOB_JOBS_SYNC_ORDERS_JOB_PARAMETER", "environment")]);
    let run = |count: usize, adjust: &dyn Fn(Loader) -> Loader| {
        let files: Vec<_> = files[..count]
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        parameter(&load(&files, adjust).unwrap()).to_owned()
    };
    assert_eq!(run(0, &|loader| loader), "attribute");
    assert_eq!(run(1, &|loader| loader), "file");
    assert_eq!(run(2, &|loader| loader), "config");
    assert_eq!(run(3, &|loader| loader), "config");
    assert_eq!(run(3, &|loader| loader.profile("prod")), "profile");
    assert_eq!(run(4, &|loader| loader.profile("prod")), "config profile");
    assert_eq!(
        run(4, &|loader| loader.profile("prod").environment(variable())),
        "environment"
    );
    let set = |loader: Loader| {
        loader
            .environment(variable())
            .set("jobs.sync_orders.job-parameter", "builder")
    };
    assert_eq!(run(1, &set), "builder");
}

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
fn of_several_formats_the_later_should_win() {
    let properties = (
        "application.properties",
        "elasticjob.jobs.sync_orders.job-parameter=properties",
    );
    let toml = ("application.toml", "elasticjob.jobs.sync_orders.job-parameter = 'toml'");
    let yaml = ("application.yaml", "elasticjob.jobs.sync_orders.job-parameter: yaml");
    let of = |files: &[(&str, &str)]| parameter(&load(files, |loader| loader).unwrap()).to_owned();
    assert_eq!(of(&[properties, toml, yaml]), "properties");
    assert_eq!(of(&[toml, yaml]), "toml");
}

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
fn a_job_with_dots_in_its_name_should_be_configurable() {
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
fn environment_variables_should_be_read_without_separators_between_words() {
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
fn an_environment_variable_that_means_nothing_should_be_a_fault() {
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
fn the_profile_should_come_from_code_or_environment_or_file() {
    let files = [
        ("application.yaml", "elasticjob: {profiles: {active: file}}"),
        (
            "application-file.toml",
            "elasticjob.jobs.sync_orders.job-parameter = 'file'",
        ),
        ("application-env.yaml", "elasticjob.jobs.sync_orders.job-parameter: env"),
        (
            "application-code.yaml",
            "elasticjob.jobs.sync_orders.job-parameter: code",
        ),
    ];
    let env = || environment(&[("ELASTICJOB_PROFILES_ACTIVE", "env")]);
    assert_eq!(parameter(&load(&files, |loader| loader).unwrap()), "file");
    assert_eq!(
        parameter(&load(&files, |loader| loader.environment(env())).unwrap()),
        "env"
    );
    assert_eq!(
        parameter(&load(&files, |loader| loader.environment(env()).profile("code")).unwrap()),
        "code"
    );
    let settings = load(&files, |loader| loader.profile("code, env")).unwrap();
    assert_eq!(
        (parameter(&settings), settings.profiles.as_slice()),
        ("env", ["code".to_owned(), "env".to_owned()].as_slice())
    );
    let errors = load(&files, |loader| loader.profile("prd")).unwrap_err().to_string();
    assert!(
        errors.contains("`elasticjob.profiles.active` is `prd`: no file `application-prd.*` in "),
        "{errors}"
    );
}

#[test]
fn a_profile_may_be_a_placeholder_and_its_file_empty() {
    let files = [
        ("application.yaml", "elasticjob.profiles.active: ${STAGE:dev}"),
        ("application-dev.yaml", ""),
    ];
    assert_eq!(load(&files, |loader| loader).unwrap().profiles, ["dev"]);
    let files = [
        ("application.yaml", "elasticjob.profiles.active: dev"),
        ("application-dev.yaml", "a: ["),
    ];
    let faults = faults(load(&files, |loader| loader));
    assert!(
        faults.len() == 1 && faults[0].contains("application-dev.yaml:"),
        "{faults:?}"
    );
}

#[test]
fn a_document_for_a_profile_should_count_only_with_it() {
    let text = "elasticjob.jobs.sync_orders.job-parameter: all\n---\nspring:\n  config.activate.on-profile: prod\n\
                elasticjob.jobs.sync_orders.job-parameter: prod\n";
    assert_eq!(parameter(&yaml(text).unwrap()), "all");
    assert_eq!(
        parameter(&load(&[("application.yaml", text)], |loader| loader.profile("prod")).unwrap()),
        "prod"
    );
}

#[test]
fn a_named_file_should_win_and_must_be_there() {
    let files = [
        ("application.yaml", "elasticjob.jobs.sync_orders.job-parameter: a"),
        ("other.toml", "[elasticjob.jobs.sync_orders]\njob-parameter = 'b'"),
    ];
    let directory = directory(&files);
    let load = |file: &str| {
        let loader = Loader::new()
            .directory(directory.path())
            .file(directory.path().join(file));
        loader.declared(vec![sync_orders()]).load()
    };
    assert_eq!(parameter(&load("other.toml").unwrap()), "b");
    assert!(
        load("absent.toml")
            .unwrap_err()
            .to_string()
            .contains("absent.toml: cannot be read: ")
    );
}

#[test]
fn placeholders_should_stand_for_variables_keys_and_defaults() {
    let check = |text: &str, expected: &str| {
        let yaml = format!(
            "app: {{name: orders, loop: '${{app.loop}}'}}\nelasticjob.jobs.sync_orders.job-parameter: '{text}'\n"
        );
        let variables = environment(&[("ZK", "zk:2181"), ("MY_HOST", "h")]);
        let settings = load(&[("application.yaml", &yaml)], |loader| loader.environment(variables)).unwrap();
        assert_eq!(parameter(&settings), expected, "{text}");
    };
    check("a ${ZK} b", "a zk:2181 b");
    check("${NONE:x:y}", "x:y");
    check("${NONE:${ZK}}", "zk:2181");
    check("${NONE:}", "");
    check("${app.name}-${elasticjob.jobs.syncOrders.cron:none}", "orders-none");
    check("${my.host}", "h");
    check("\\${ZK} $ZK {ZK}", "${ZK} $ZK {ZK}");
}

#[test]
fn a_placeholder_that_stands_for_nothing_should_be_a_fault() {
    let fault = |text: &str| {
        faults(yaml(&format!(
            "a: '${{b}}'\nb: '${{a}}'\nelasticjob.jobs.sync_orders.job-parameter: '{text}'"
        )))
    };
    let start = "application.yaml:3: `elasticjob.jobs.sync_orders.job-parameter` is";
    assert_eq!(
        fault("${NONE}"),
        [format!(
            "{start} `${{NONE}}`: `${{NONE}}` is neither an environment variable nor a key, and has no default: write `${{NONE:default}}`"
        )]
    );
    assert_eq!(
        fault("${a}"),
        [format!(
            "{start} `${{a}}`: the placeholder refers to itself: a -> b -> a"
        )]
    );
    assert_eq!(
        fault("${a"),
        [format!(
            "{start} `${{a`: a placeholder has no closing brace; write `\\${{` for the characters themselves"
        )]
    );
}

#[test]
fn every_fault_should_be_told_with_its_place() {
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
fn a_section_may_be_empty_but_an_unknown_key_may_not() {
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
fn an_item_beyond_the_total_should_be_a_fault() {
    let text = "elasticjob.jobs.sync_orders.sharding-item-parameters: 0=A,7=B";
    assert_eq!(
        faults(yaml(text)),
        [
            "application.yaml:1: `elasticjob.jobs.sync_orders.sharding-item-parameters` is `0=A,7=B`: there is no item 7: items are 0 to 1"
        ]
    );
}

#[test]
fn each_origin_should_be_named() {
    let parse = |name: &str, text: &str| faults(load(&[(name, text)], |loader| loader));
    assert_eq!(
        parse("application.toml", "\n[elasticjob.jobs.sync_orders]\nmisfire = 1\n"),
        ["application.toml:3: `elasticjob.jobs.sync_orders.misfire` is `1`: `true` or `false` is expected"]
    );
    assert_eq!(
        parse(
            "application.properties",
            "\n# x\nelasticjob.jobs.sync_orders.misfire = 1\n"
        ),
        ["application.properties:3: `elasticjob.jobs.sync_orders.misfire` is `1`: `true` or `false` is expected"]
    );
    let variables = environment(&[("ELASTICJOB_JOBS_SYNC_ORDERS_MISFIRE", "1")]);
    assert_eq!(
        faults(load(&[], |loader| loader.environment(variables))),
        [
            "environment variable ELASTICJOB_JOBS_SYNC_ORDERS_MISFIRE: `elasticjob.jobs.sync_orders.misfire` is `1`: `true` or `false` is expected"
        ]
    );
    assert_eq!(
        faults(load(&[], |loader| loader.set("elasticjob.jobs.sync_orders.misfire", "1"))),
        ["builder: `elasticjob.jobs.sync_orders.misfire` is `1`: `true` or `false` is expected"]
    );
    let wrong = declared("other", &[("misfire", "1"), ("shards", "2")]);
    assert_eq!(
        faults(load(&[], |loader| loader.declared(vec![wrong]))),
        [
            "attribute at src/main.rs:12: `shards`: is not a setting of ElasticJob",
            "attribute at src/main.rs:12: `elasticjob.jobs.other.misfire` is `1`: `true` or `false` is expected",
            "attribute at src/main.rs:12: `elasticjob.jobs.other.sharding-total-count`: is missing: say into how many items the job is sharded",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_parsed_should_be_told_with_its_line() {
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
fn a_setting_that_is_set_twice_should_be_a_fault() {
    let text = "elasticjob:\n  jobs:\n    sync_orders:\n      maxTimeDiffSeconds: 5\n      max-time-diff: 6s\n";
    assert_eq!(faults(yaml(text)).len(), 1);
    assert!(faults(yaml(text))[0].starts_with("application.yaml:5: `elasticjob.jobs.sync_orders.max-time-diff`: is set twice, first as `elasticjob.jobs.sync_orders.maxTimeDiffSeconds` ("));
}

#[test]
fn durations_should_be_read_as_text_and_in_javas_units() {
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
fn the_java_starters_file_should_be_read_as_it_is() {
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
fn a_job_that_nothing_works_for_should_be_a_fault() {
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

#[test]
fn metrics_should_be_shown_to_this_machine_alone_unless_told_otherwise() {
    let metrics = |text: &str| yaml(text).map(|settings| settings.metrics);
    assert_eq!(metrics("elasticjob: {jobs: {}}").unwrap(), None);
    let shown = metrics("elasticjob: {metrics: {port: 9100}}").unwrap().unwrap();
    assert_eq!((shown.host.to_string().as_str(), shown.port), ("127.0.0.1", 9100));
    let shown = metrics("elasticjob: {metrics: {host: '::', port: 0}}")
        .unwrap()
        .unwrap();
    assert_eq!((shown.host.to_string().as_str(), shown.port), ("::", 0));
    assert_eq!(
        faults(yaml("elasticjob: {metrics: {host: localhost}}")),
        [
            "application.yaml:1: `elasticjob.metrics.host` is `localhost`: an IP address is expected, such as 0.0.0.0",
            "`elasticjob.metrics.port`: is missing, so that nothing would listen: name a port",
        ]
    );
}

#[test]
fn the_dump_port_should_be_open_to_this_machine_alone_unless_told_otherwise() {
    let host = |text: &str| yaml(text).unwrap().dump.unwrap().host.to_string();
    assert_eq!(host("elasticjob: {dump: {port: 9888}}"), "127.0.0.1");
    assert_eq!(host("elasticjob: {dump: {port: 9888, host: 10.0.0.1}}"), "10.0.0.1");
}

#[test]
fn a_disabled_application_should_need_no_valid_settings() {
    let settings = yaml("elasticjob: {enabled: '${ON:false}', jobs: {x: {}}}").unwrap();
    assert!(!settings.enabled && settings.jobs.is_empty());
}

#[test]
fn nothing_at_all_names_no_registry() {
    let settings = Loader::new().directory("/nonexistent").load().unwrap();
    assert_eq!(settings.registry, RegistrySettings::Unnamed);
}

proptest! {
    #[test]
    fn no_file_and_no_variable_should_make_the_loader_panic(
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
