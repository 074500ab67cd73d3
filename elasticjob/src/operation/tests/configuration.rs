//! Whole configurations that operators write.

use super::*;

#[tokio::test]
async fn changes_the_seen_version_and_keeps_foreign_keys() {
    let extra = "jobExtraConfigurations:\n- !!org.example.Tracing\n  url: jdbc\n";
    let cluster = cluster(&[&format!("/job/config={CONFIG}{extra}")]).await;
    let operations = &cluster.operations;
    let stored = operations.configuration("job").await.unwrap().unwrap();
    let config = stored.config.unwrap();
    let changed = config.with_settings([("cron", Some("0 0 2 * * ?"))]).unwrap();
    let version = operations
        .update_configuration("job", &changed, stored.version)
        .await
        .unwrap();
    assert_eq!(version, stored.version + 1);
    let text = cluster.get("/job/config").await.unwrap();
    assert!(
        text.contains("cron: 0 0 2 * * ?") && text.contains("!!org.example.Tracing"),
        "{text}"
    );

    let again = operations
        .update_configuration("job", &changed, stored.version)
        .await
        .unwrap();
    assert_eq!(again, version, "it is so already");
    let other = config.with_settings([("cron", Some("0 0 3 * * ?"))]).unwrap();
    let error = operations
        .update_configuration("job", &other, stored.version)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Changed { found, .. } if found == version),
        "{error}"
    );

    let heavy = config.to_builder().description("订".repeat(400_000)).build().unwrap();
    let error = operations
        .update_configuration("job", &heavy, version)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("at most 1048576 are read"), "{source}");
    assert_eq!(cluster.get("/job/config").await.unwrap(), text, "nothing was written");

    let foreign = JobConfig::builder("other").sharding_total_count(1).build().unwrap();
    let error = operations
        .update_configuration("job", &foreign, version)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration is that of job `other`, not of `job`"
    );
}
