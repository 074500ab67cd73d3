//! What the configuration in the registry says otherwise than the application's own: said in the log and where operators look.

use super::*;
use crate::test_log::Log;

/// What a Java member stores of the same job, with its defaults spelt out.
const JAVA: &str = "\
cron: '* * * * * ?'
description: ''
disabled: false
failover: false
jobErrorHandlerType: LOG
jobExecutorServiceHandlerType: CPU
jobExtraConfigurations: []
jobListenerTypes: []
jobName: job
jobParameter: ''
jobShardingStrategyType: AVG_ALLOCATION
maxTimeDiffSeconds: -1
misfire: true
monitorExecution: true
overwrite: true
props:
  streaming.process: 'false'
reconcileIntervalMinutes: 10
shardingItemParameters: ''
shardingTotalCount: 2
staticSharding: false
timeZone: GMT
";

fn warnings(log: &Log) -> Vec<String> {
    let text = log.text();
    let warnings = text.lines().filter(|line| line.contains("has another configuration"));
    warnings.map(ToOwned::to_owned).collect()
}

fn differences(instance: &Instance) -> Option<String> {
    instance.handle.status.now().differences
}

async fn said_by(cluster: &Cluster, instance: &Instance) -> String {
    let path = format!("/job/ledger/members/{}", instance.id());
    cluster.data(&path).await.unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn are_warned_of_once_setting_by_setting_without_secrets() {
    let (log, _guard) = Log::record();
    let mut cluster = Cluster::new().await;
    let stored = every_second(2)
        .to_builder()
        .prop("sink.password", "tiger")
        .prop("batch", "9");
    cluster.create("/job", "").await;
    cluster
        .create("/job/config", &stored.build().unwrap().to_registry().yaml)
        .await;
    let own = every_second(3)
        .to_builder()
        .failover(true)
        .prop("sink.password", "lion");
    let only = cluster.join("10.0.0.1", own.build().unwrap(), quick());
    cluster.until(2.5).await;
    let expected = "failover is false in the registry, true here; props.batch is 9 in the registry, left out here; \
                    props.sink.password is [provided] in the registry, [provided] here; \
                    shardingTotalCount is 2 in the registry, 3 here";
    assert_eq!(differences(&only).as_deref(), Some(expected));
    assert!(said_by(&cluster, &only).await.contains(expected), "for `explain`");
    let [warning] = &warnings(&log)[..] else {
        panic!("{:?}", warnings(&log));
    };
    assert!(warning.contains("WARN") && warning.contains(expected), "{warning}");

    only.link.expire();
    cluster.until(12.5).await;
    assert_eq!(warnings(&log).len(), 1, "it is known");
    assert!(said_by(&cluster, &only).await.contains(expected));
}

#[tokio::test(start_paused = true)]
async fn are_none_between_instances_of_one_application() {
    let (log, _guard) = Log::record();
    let mut cluster = Cluster::new().await;
    let config = || {
        let config = every_second(2)
            .to_builder()
            .sharding_strategy("STICKY")
            .error_handler("LOG");
        config
            .prop("elasticjob.retry", "2")
            .executor_service_handler("FIXED(4)")
            .build()
            .unwrap()
    };
    let instances = [
        cluster.join("10.0.0.1", config(), quick()),
        cluster.join("10.0.0.2", config(), quick()),
    ];
    cluster.until(3.5).await;
    assert_eq!(instances.each_ref().map(differences), [None, None]);
    assert_eq!(warnings(&log), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn are_none_from_what_a_java_member_spells_out() {
    let (log, _guard) = Log::record();
    let mut cluster = Cluster::new().await;
    cluster.create("/job", "com.acme.Job").await;
    cluster.create("/job/config", JAVA).await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(2.5).await;
    assert_eq!((differences(&only), warnings(&log)), (None, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn that_an_operator_makes_are_shown_while_they_last() {
    let (log, _guard) = Log::record();
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(2.5).await;
    cluster.set("/job/config", &every_second(3).to_registry().yaml).await;
    cluster.until(4.5).await;
    let expected = "shardingTotalCount is 3 in the registry, 2 here";
    assert_eq!(differences(&only).as_deref(), Some(expected));
    assert!(said_by(&cluster, &only).await.contains(expected));
    cluster.set("/job/config", &every_second(2).to_registry().yaml).await;
    cluster.until(6.5).await;
    assert_eq!(differences(&only), None);
    assert_eq!(
        said_by(&cluster, &only).await,
        r#"{"draining":false,"obeysPause":true,"obeysCancels":true,"obeysRequests":true}"#
    );
    assert_eq!(warnings(&log), [""; 0]);
}
