//! Configuration that the application has read with `figment` or `config`.

#![cfg(all(feature = "config", feature = "figment"))]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use elasticjob_config::sources::{Declared, Errors, Loader, RegistrySettings, Settings};
use figment::Figment;
use figment::providers::Serialized;
use serde_json::{Value, json};

/// Values below one key.
fn figment_of(key: &str, values: &Value) -> Figment {
    Figment::from(Serialized::default(key, values))
}

/// One value.
fn config_of(key: &str, value: &str) -> config::Config {
    let builder = config::Config::builder().set_override(key, value).unwrap();
    builder.build().unwrap()
}

/// A program that declares the job `sync_orders`.
fn loader() -> Loader {
    let declared = Declared {
        name: "sync_orders".into(),
        origin: "src/main.rs:1".into(),
        values: vec![("sharding-total-count".into(), "1".into())],
    };
    Loader::new().declared(vec![declared])
}

fn load_figment(key: &str, values: Value) -> Result<Settings, Errors> {
    loader().figment(figment_of(key, &values)).load()
}

#[test]
fn values_of_both_are_read() {
    let values = json!({
        "regCenter": {"serverLists": ["a:1", "b:2"], "namespace": "n"},
        "jobs": {"sync_orders": {"failover": true, "sharding-total-count": 4}}
    });
    let parameter = config_of("elasticjob.jobs.sync_orders.job_parameter", "config");
    let loader = loader().figment(figment_of("elasticjob", &values)).config(parameter);
    let settings = loader.load().unwrap();
    let RegistrySettings::ZooKeeper(zookeeper) = &settings.registry else {
        panic!("{:?}", settings.registry);
    };
    assert_eq!(zookeeper.connect_string(), "a:1,b:2");
    let job = &settings.jobs["sync_orders"].config;
    assert_eq!((job.sharding_total_count().get(), job.failover()), (4, true));
    assert_eq!(job.job_parameter(), "config");
}

#[test]
fn the_last_call_wins() {
    const KEY: &str = "elasticjob.jobs.sync_orders.job_parameter";
    let figment = figment_of(
        "elasticjob",
        &json!({"jobs": {"sync_orders": {"job-parameter": "figment"}}}),
    );
    let parameter = |loader: Loader| {
        let settings = loader.load().unwrap();
        settings.jobs["sync_orders"].config.job_parameter().to_owned()
    };
    let config = || config_of(KEY, "config");
    assert_eq!(parameter(loader().figment(figment.clone()).config(config())), "config");
    assert_eq!(parameter(loader().config(config()).figment(figment)), "figment");
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let refused = load_figment("elasticjob", json!({"jobs": {"sync_orders": {"corn": 1}}})).unwrap_err();
    let shown = refused.to_string();
    let expected = "`elasticjob.jobs.sync_orders.corn`: is not a setting of ElasticJob, did you mean `cron`?";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn a_misspelt_root_is_refused() {
    let shown = load_figment("elasticJobs", json!({"regCenter": {"namespace": "n"}}));
    let shown = shown.unwrap_err().to_string();
    let expected = "`elasticJobs`: is not read, did you mean `elasticjob`?";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn roots_in_spellings_of_spring_are_ours() {
    let settings = load_figment("elasticJob.regCenter.type", json!("EMBEDDED")).unwrap();
    assert_eq!(settings.registry, RegistrySettings::Embedded);
}

#[test]
fn nothing_names_no_registry() {
    let settings = Loader::new().figment(Figment::new()).load().unwrap();
    assert_eq!(settings.registry, RegistrySettings::Unnamed);
}
