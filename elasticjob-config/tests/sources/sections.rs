//! The settings of the application.

use super::*;

#[test]
fn show_metrics_to_this_machine_by_default() {
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
fn open_the_dump_port_to_this_machine_by_default() {
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
