//! A member that cannot run a job as the registry has it, beside one that can.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::ElasticJob;
use elasticjob::error_handler::{Failure, JobErrorHandler, Reaction};
use elasticjob::job::{Registration, job};
use elasticjob::operation::Finding;
use elasticjob::starter::{Builder, JobState};
use elasticjob_tests::cluster::Cluster;
use elasticjob_tests::zookeeper::Server;

use crate::cluster;

/// What a Java member of the same cluster may have, and this one has not.
struct Theirs;

impl JobErrorHandler for Theirs {
    fn handle(&self, _failure: &Failure<'_>) -> Reaction {
        Reaction::Continue
    }
}

fn each_second(name: &'static str) -> Registration {
    job(name, async || {}).sharding(4).cron("* * * * * ?")
}

/// Returns an application on this address that has the job `tock`.
fn application(cluster: &Cluster, ip: &str) -> Builder {
    ElasticJob::builder()
        .without_discovery()
        .environment([])
        .set("network.ip", ip)
        .set("reg-center.server-lists", Server::shared().address().to_string())
        .set("reg-center.namespace", cluster.namespace())
        .job(each_second("tock"))
}

/// Returns the one finding on a member that stands by.
async fn stands_by(running: &ElasticJob) -> anyhow::Result<String> {
    let explained = running.operations().explain("tick").await?;
    let mut found = explained.findings.iter().filter_map(|finding| match finding {
        Finding::StandsBy { .. } => Some(finding.to_string()),
        _ => None,
    });
    found.next().context("no member stands by")
}

#[tokio::test]
async fn a_member_without_the_handler_leaves_all_items_to_the_other() -> anyhow::Result<()> {
    let cluster = cluster("standby")?;
    let with_handler = job("tick", async || {}).sharding(4).cron("* * * * * ?");
    let able = application(&cluster, "127.0.0.1").error_handler("THEIRS", Theirs);
    let able = able.job(with_handler.set("job-error-handler-type", "THEIRS"));
    let able = able.build()?.start().await?;
    able.ready().await?;
    let unable = application(&cluster, "127.0.0.2").job(each_second("tick"));
    let unable = unable.build()?.start().await?;
    unable.ready().await?;

    let said = cluster
        .until("a member stands by and says why", async || stands_by(&able).await)
        .await;
    ensure!(said.starts_with("127.0.0.2@-@") && said.contains("`THEIRS`"), "{said}");
    let health = unable.health();
    assert_eq!(health.jobs["tick"].state, JobState::StandingBy);
    ensure!(health.is_live && !health.is_ready, "{health:?}");
    let problems = health.problems();
    ensure!(
        problems.iter().any(|problem| problem.contains("`THEIRS`")),
        "{problems:?}"
    );
    cluster
        .until("each job is run by who can run it", async || {
            let items = |running: &ElasticJob, job: &str| running.health().jobs[job].items.len();
            ensure!(items(&able, "tick") == 4 && items(&unable, "tick") == 0);
            ensure!(
                items(&able, "tock") == 2 && items(&unable, "tock") == 2,
                "the other job runs on both"
            );
            ensure!(able.health().jobs["tick"].last_firing.is_some());
            Ok(())
        })
        .await;
    assert_eq!(cluster.instances("tick").await?.len(), 1);

    let operations = able.operations();
    let stored = operations.configuration("tick").await?.context("it is stored")?;
    let changed = stored.config?.to_builder().error_handler("LOG").build()?;
    operations
        .update_configuration("tick", &changed, stored.version)
        .await?;
    cluster
        .until("the other joins", async || {
            ensure!(unable.is_ready() && unable.health().jobs["tick"].items.len() == 2);
            ensure!(unable.health().jobs["tick"].last_firing.is_some());
            Ok(())
        })
        .await;
    ensure!(stands_by(&able).await.is_err());
    able.shutdown(Duration::from_secs(5)).await;
    unable.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test]
async fn a_cron_that_is_refused_keeps_that_job_alone_from_running() -> anyhow::Result<()> {
    let cluster = cluster("standby-cron")?;
    let text = "jobName: tick\ncron: 0 0 3 ? * MONDAY\nshardingTotalCount: 4\n";
    cluster.create("/tick", "").await?;
    cluster.create("/tick/config", text).await?;
    let running = application(&cluster, "127.0.0.1").job(each_second("tick"));
    let running = running.build()?.start().await?;
    running.ready().await?;
    cluster
        .until("the other job runs", async || {
            let health = running.health();
            ensure!(health.jobs["tock"].last_firing.is_some());
            assert_eq!(health.jobs["tick"].state, JobState::StandingBy);
            Ok(())
        })
        .await;
    ensure!(stands_by(&running).await?.contains("MONDAY"));
    assert!(cluster.children("/tick/instances").await?.is_empty());
    running.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
