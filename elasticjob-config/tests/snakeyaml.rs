//! What the YAML library of Java members writes, text by text.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use elasticjob_config::job::JobConfig;
use serde_json::Value;

#[test]
fn texts_are_written_as_by_snakeyaml() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/snakeyaml.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 150);
    for case in cases {
        let [text, list, value, props] = ["text", "list", "value", "props"].map(|key| case[key].as_str().unwrap());
        let config = JobConfig::builder("demo")
            .sharding_total_count(1)
            .listener_type(text)
            .job_parameter(text)
            .prop("k", text)
            .prop(format!("k{text}"), "v")
            .build()
            .unwrap();
        let yaml = config.to_yaml();
        let between = |start: &str, end: &str| {
            let (_, rest) = yaml.split_once(start).unwrap();
            rest.rsplit_once(end).unwrap().0.to_owned()
        };
        assert_eq!(between("jobListenerTypes:\n", "jobName: demo"), list, "{text:?}");
        assert_eq!(between("jobParameter:", "maxTimeDiffSeconds: "), value, "{text:?}");
        assert_eq!(between("\nprops:\n", "reconcileIntervalMinutes: "), props, "{text:?}");
        assert_eq!(JobConfig::from_yaml(&yaml), Ok(config), "{yaml}");
    }
}
