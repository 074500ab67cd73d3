//! What is wrong is said, all of it, before anything is registered.

use anyhow::ensure;
use elasticjob_tests::cluster::{Cluster, SHARE, all_items};
use elasticjob_tests::process::MemberSetup;

use crate::{cluster, members};

/// Starts a member that must end by itself with a message that holds all of these; gives the message.
async fn check(setup: MemberSetup, expected: &[&str]) -> anyhow::Result<String> {
    let (status, log) = setup.start()?.ended().await?;
    assert!(!status.success(), "it ended well: {log}");
    for text in expected {
        assert!(log.contains(text), "nothing of `{text}` in: {log}");
    }
    Ok(log)
}

async fn assert_untouched(cluster: &Cluster) -> anyhow::Result<()> {
    let found = cluster.children("/").await?;
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn reports_key_value_and_place_of_each_fault() -> anyhow::Result<()> {
    let cluster = cluster("bad-input-file")?;
    let yaml = |text: &str| cluster.member(1).configured(&format!("elasticjob:\n  jobs:\n{text}"));
    let cases: [(&str, &[&str]); 8] = [
        (
            "    shaer: { cron: 0 0 1 * * ? }\n",
            &["shaer", "application.yaml:3", "did you mean `share`?"],
        ),
        (
            "    share: { cronn: 0 0 1 * * ? }\n",
            &["cronn", "application.yaml:3", "did you mean `cron`?"],
        ),
        (
            "    share: { cron: 61 * * * * ? }\n",
            &[
                "jobs.share.cron",
                "`61 * * * * ?`",
                "seconds are 0 to 59, not 61",
                "application.yaml:3",
            ],
        ),
        (
            "    share: { time-zone: Mars/Olympus }\n",
            &["jobs.share.time-zone", "Mars/Olympus", "application.yaml:3"],
        ),
        (
            "    share: { sharding-item-parameters: \"0=a,12=b\" }\n",
            &["sharding-item-parameters", "12", "application.yaml:3"],
        ),
        (
            "    share: { sharding-item-parameters: nothing }\n",
            &["sharding-item-parameters", "nothing", "application.yaml:3"],
        ),
        (
            "    share: { sharding-total-count: 0 }\n",
            &["jobs.share.sharding-total-count", "0", "application.yaml:3"],
        ),
        (
            "    share: { job-sharding-strategy-type: AVERAGE }\n",
            &["share", "AVERAGE", "AVG_ALLOCATION"],
        ),
    ];
    for (text, expected) in cases {
        check(yaml(text), expected).await?;
    }
    assert_untouched(&cluster).await
}

#[tokio::test]
async fn reports_all_faults_with_their_variables() -> anyhow::Result<()> {
    let cluster = cluster("bad-input-all")?;
    let member = cluster
        .member(1)
        .configured("elasticjob:\n  jobs:\n    shaer: { cron: 0 0 1 * * ? }\n  colour: red\n")
        .with("ELASTICJOB_JOBS_SHARE_CRON", "0 0 25 * * ?")
        .with("ELASTICJOB_NETWORK_IP", "nowhere");
    let expected = [
        "shaer",
        "colour",
        "ELASTICJOB_JOBS_SHARE_CRON",
        "0 0 25 * * ?",
        "ELASTICJOB_NETWORK_IP",
        "nowhere",
    ];
    check(member, &expected).await?;
    assert_untouched(&cluster).await
}

#[tokio::test]
async fn ends_if_it_cannot_run_its_jobs() -> anyhow::Result<()> {
    let cluster = cluster("bad-input-program")?;
    let flawed = |flaw| cluster.member(1).with("MEMBER_FLAW", flaw);
    check(flawed("no-component"), &["share", "Work", "member.rs"]).await?;
    check(flawed("no-job"), &["there is no job"]).await?;
    let twins = check(flawed("twins"), &["several jobs are named share"]).await?;
    assert_eq!(twins.matches("member.rs:").count(), 2, "both places: {twins}");
    assert_untouched(&cluster).await
}

#[tokio::test]
async fn refuses_all_jobs_if_one_is_another_in_the_registry() -> anyhow::Result<()> {
    let cluster = cluster("bad-input-conflict")?;
    let class = |host, class: &str| {
        cluster
            .member(host)
            .with("ELASTICJOB_JOBS_SHARE_ELASTIC_JOB_CLASS", class)
    };
    let _first = class(1, "com.acme.Share").start()?;
    cluster.shared_by(&[1]).await;
    check(
        class(2, "com.acme.Other"),
        &["share", "com.acme.Share", "com.acme.Other"],
    )
    .await?;
    for job in [SHARE, "rebuild"] {
        let servers = cluster.children(&format!("/{job}/servers")).await?;
        assert!(servers.iter().eq(["127.0.0.1"]), "{servers:?}");
    }
    // A member without a value of its own uses the stored one.
    let _third = members(&cluster, &[3])?;
    cluster.shared_by(&[1, 3]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    assert_eq!(cluster.text("/share").await?.as_deref(), Some("com.acme.Share"));
    Ok(())
}

#[tokio::test]
async fn keeps_out_only_the_job_with_a_bad_configuration() -> anyhow::Result<()> {
    let cluster = cluster("bad-input-stored")?;
    cluster.create("/share", "").await?;
    cluster
        .create("/share/config", "jobName: share\nshardingTotalCount: 0\n")
        .await?;
    let members = members(&cluster, &[1])?;
    cluster
        .until("the refusal is said, and the other job registered", async || {
            let log = members[0].log();
            for text in ["takes no items", "share", "the registry", "shardingTotalCount"] {
                ensure!(log.contains(text), "nothing of `{text}`");
            }
            ensure!(cluster.instances("rebuild").await?.len() == 1);
            Ok(())
        })
        .await;
    assert!(cluster.children("/share/instances").await?.is_empty());
    Ok(())
}
