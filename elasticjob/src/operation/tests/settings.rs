//! Changes of single settings.

use super::*;

/// The configuration in the registry once these settings are changed.
async fn set(stored: &str, changes: &[(&str, Option<&str>)]) -> Result<String, String> {
    let cluster = cluster(&[&format!("/job/config={stored}")]).await;
    let operations = &cluster.operations;
    let stored = operations.configuration("job").await.unwrap().unwrap();
    let text = |error: Error| error.chain().to_string();
    let changed = stored.with_settings(changes.iter().copied()).map_err(text)?;
    let version = operations.update_configuration("job", &changed, stored.version).await;
    assert_eq!(version.map_err(text)?, stored.version + 1);
    Ok(cluster.get("/job/config").await.unwrap())
}

#[tokio::test]
async fn are_taken_as_files_spell_them() {
    let changes = [
        ("timeout", Some("3s")),
        ("retry", Some("2")),
        ("retry-backoff", Some("500ms")),
        ("streaming", Some("true")),
        ("max-time-diff", Some("1m 30s")),
        ("reconcile-interval", Some("1h")),
        ("job-executor-thread-pool-size-provider-type", Some("SINGLE_THREAD")),
        ("SHARDING_TOTAL_COUNT", Some("4")),
        ("misfire", Some("off")),
    ];
    let text = set(CONFIG, &changes).await.unwrap();
    for line in [
        "  elasticjob.timeout: 3s\n",
        "  elasticjob.retry: '2'\n",
        "  elasticjob.retry.backoff: 500ms\n",
        "  streaming.process: 'true'\n",
        "maxTimeDiffSeconds: 90\n",
        "reconcileIntervalMinutes: 60\n",
        "jobExecutorServiceHandlerType: SINGLE_THREAD\n",
        "shardingTotalCount: 4\n",
        "misfire: false\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let unset = set(&text, &[("timeout", None), ("retry", None)]).await.unwrap();
    assert!(
        !unset.contains("elasticjob.timeout") && unset.contains("elasticjob.retry.backoff"),
        "{unset}"
    );
}

#[tokio::test]
async fn that_no_member_could_run_by_are_refused_before_anything_is_written() {
    for (changes, expected) in [
        ([("timeout", Some("soon"))], "`props.elasticjob.timeout` is `soon`"),
        ([("retry", Some("9999"))], "a whole number from 0 to 1000"),
        (
            [("props.elasticjob.failover-attempts", Some("0"))],
            "elasticjob.failover-attempts",
        ),
        (
            [("reconcile-interval", Some("90s"))],
            "the registry holds whole minutes",
        ),
        ([("max-time-diff", Some("30"))], "a duration is expected"),
        ([("timeuot", Some("3s"))], "did you mean `timeout`?"),
        ([("elastic-job-class", Some("x"))], "belongs to the application"),
    ] {
        let error = set(CONFIG, &changes).await.unwrap_err();
        assert!(
            error.contains("job `job`") && error.contains(expected),
            "{changes:?}: {error}"
        );
    }
}

#[tokio::test]
async fn repair_a_configuration_that_no_job_can_run_by() {
    let broken = "jobName: job\ncron: 61 * * * * ?\nshardingTotalCount: 2\nowner: 组长\n";
    let text = set(broken, &[("cron", Some("0 0 2 * * ?"))]).await.unwrap();
    assert!(
        text.contains("cron: 0 0 2 * * ?") && text.contains("owner: 组长"),
        "{text}"
    );
    let worse = broken.replace(": 2", ": many");
    let error = set(&worse, &[("cron", Some("0 0 2 * * ?"))]).await.unwrap_err();
    assert!(
        error.contains("many") && !error.contains("61") && error.matches("shardingTotalCount").count() == 1,
        "what is still wrong, once: {error}"
    );
    let both = [("cron", None), ("sharding-total-count", Some("3"))];
    let text = set(&worse, &both).await.unwrap();
    assert!(
        text.contains("shardingTotalCount: 3") && !text.contains("cron"),
        "{text}"
    );
    for (stored, key, value, line) in [
        (
            "jobName: job\nshardingTotalCount: 2\nmisfire: perhaps\n",
            "misfire",
            "on",
            "misfire: true\n",
        ),
        (
            "jobName: job\nshardingTotalCount: 2\njobListenerTypes: {a: b}\n",
            "job-listener-types",
            "",
            "shardingTotalCount: 2\n",
        ),
        (
            "jobName: job\nshardingTotalCount: 2\njobExecutorThreadPoolSizeProviderType: [a]\n",
            "job-executor-service-handler-type",
            "CPU",
            "PoolSizeProviderType: CPU\n",
        ),
        (
            "jobName: job\nshardingTotalCount: 2\nprops:\n  elasticjob.time-zone: [a]\n",
            "time-zone",
            "Asia/Shanghai",
            "elasticjob.time-zone: Asia/Shanghai\n",
        ),
        (
            "jobName: job\nshardingTotalCount: 2\nprops:\n  批: {a: b}\n",
            "props.批",
            "7",
            "批: '7'\n",
        ),
        ("shardingTotalCount: 2\n", "failover", "true", "jobName: job\n"),
        (
            "jobName: other\nshardingTotalCount: 2\n",
            "failover",
            "true",
            "jobName: job\n",
        ),
    ] {
        let text = set(stored, &[(key, Some(value))]).await.expect(stored);
        assert!(text.contains(line), "{stored}: {text}");
    }
    let error = set("{", &both).await.unwrap_err();
    assert!(error.contains("not YAML"), "{error}");
}

#[tokio::test]
async fn are_shown_beside_what_could_not_be_used() {
    let broken = "jobName: job\ncron: 61 * * * * ?\nshardingTotalCount: many\nprops: {sink.password: tiger}\n";
    let cluster = cluster(&[&format!("/job/config={broken}")]).await;
    let stored = cluster.operations.configuration("job").await.unwrap().unwrap();
    let settings = [("cron", Some("0 0 2 * * ?")), ("sharding-total-count", Some("3"))];
    let changes = stored.changes(&stored.with_settings(settings).unwrap());
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let expected = ["cron: 61 * * * * ? -> 0 0 2 * * ?", "shardingTotalCount: many -> 3"];
    assert_eq!(changes, expected);
}
