//! Which layer wins, and where a value comes from.

use super::*;

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
fn a_named_file_wins_and_must_exist() {
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
