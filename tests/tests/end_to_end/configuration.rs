//! The configuration in the registry is changed while jobs run.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob_tests::center::Center;
use elasticjob_tests::cluster::{Cluster, PERIOD, SHARE, all_items, times_after};
use elasticjob_tests::history::Run;
use jiff::{SignedDuration, Timestamp};

use crate::{MEMBER, NEVER, cluster, members};

const CONFIG: &str = "/share/config";

/// Replaces a line of the configuration, as the console does.
async fn change(cluster: &Cluster, key: &str, value: &str) -> anyhow::Result<()> {
    let text = cluster.text(CONFIG).await?.context("the job has a configuration")?;
    let changed = text.lines().map(|line| {
        if line.starts_with(&format!("{key}: ")) {
            format!("{key}: {value}\n")
        } else {
            format!("{line}\n")
        }
    });
    cluster.set(CONFIG, &changed.collect::<String>()).await
}

/// Returns the times on odd seconds after the next one on an even second.
fn odd_times(count: i32) -> Vec<Timestamp> {
    let second = SignedDuration::from_secs(1);
    times_after(Timestamp::now(), count)
        .into_iter()
        .map(|time| time + second)
        .collect()
}

pub(crate) async fn a_new_cron_expression_should_be_followed_at_once(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "configuration-cron")?;
    let _members = members(&cluster, &[1, 2])?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_without_gap(&all_items(), 1).await;

    change(&cluster, "cron", "1/2 * * * * ?").await?;
    let times = odd_times(2);
    cluster.runs_at(&all_items(), &times).await;
    let after = cluster.runs()?.into_iter().filter(|run| run.id.scheduled >= times[0]);
    let seconds: BTreeSet<i64> = after
        .map(|run| run.id.scheduled.as_second() % PERIOD.as_secs())
        .collect();
    assert_eq!(seconds, BTreeSet::from([1]), "nothing runs by the old expression");
    Ok(())
}

pub(crate) async fn a_new_total_count_should_be_shared_out_at_once(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "configuration-count")?;
    let _members = members(&cluster, &[1, 2])?;
    cluster.shared_by(&[1, 2]).await;
    for count in [4, 13] {
        change(&cluster, "shardingTotalCount", &count.to_string()).await?;
        cluster.shares(count, &[1, 2]).await;
        let items: Vec<u32> = (0..count).collect();
        let times = cluster.runs_without_gap(&items, 1).await;
        let run: BTreeSet<u32> = cluster
            .runs()?
            .iter()
            .filter(|run| times.contains(&run.id.scheduled))
            .map(|run| run.id.item)
            .collect();
        assert!(run.iter().eq(&items), "{run:?}");
        let nodes: BTreeSet<u32> = cluster
            .children("/share/sharding")
            .await?
            .iter()
            .map(|item| item.parse())
            .collect::<Result<_, _>>()?;
        assert!(nodes.iter().eq(&items), "{nodes:?}");
    }
    Ok(())
}

#[tokio::test]
async fn keeps_the_last_valid_configuration() -> anyhow::Result<()> {
    let cluster = cluster("configuration-invalid")?;
    let members = members(&cluster, &[1])?;
    cluster.shared_by(&[1]).await;
    change(&cluster, "shardingTotalCount", "0").await?;
    cluster
        .until("the refusal is said", async || {
            let log = members[0].log();
            ensure!(log.contains("the one before stays in force"), "nothing of that");
            Ok(())
        })
        .await;
    cluster.runs_without_gap(&all_items(), 2).await;
    Ok(())
}

#[tokio::test]
async fn prefers_the_registry_unless_set_to_overwrite() -> anyhow::Result<()> {
    let cluster = cluster("configuration-overwrite")?;
    let _first = cluster.member(1).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER).start()?;
    cluster.shared_by(&[1]).await;
    let stored = cluster.text(CONFIG).await?.context("the job has a configuration")?;

    let _second = cluster.member(2).start()?;
    cluster.shared_by(&[1, 2]).await;
    assert_eq!(cluster.text(CONFIG).await?, Some(stored.clone()));
    assert_eq!(cluster.runs()?, []);

    let _third = cluster
        .member(3)
        .with("ELASTICJOB_JOBS_SHARE_OVERWRITE", "true")
        .start()?;
    cluster.shared_by(&[1, 2, 3]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    let overwritten = stored
        .replace(NEVER, "0/2 * * * * ?")
        .replace("overwrite: false", "overwrite: true");
    assert_eq!(cluster.text(CONFIG).await?, Some(overwritten));
    Ok(())
}

#[tokio::test]
async fn keeps_foreign_parts_of_a_configuration() -> anyhow::Result<()> {
    let cluster = cluster("configuration-kept")?;
    let extra = "jobExtraConfigurations:\n- !!com.acme.Extra\n  url: jdbc:h2:mem\n";
    let stored = format!(
        "cron: {NEVER}\n{extra}jobName: {SHARE}\nmonitorExecution: true\nshardingTotalCount: 10\ntimeZone: GMT\n"
    );
    cluster.create("/share", "").await?;
    cluster.create(CONFIG, &stored).await?;
    let _member = cluster
        .member(1)
        .with("ELASTICJOB_JOBS_SHARE_OVERWRITE", "true")
        .start()?;
    cluster.shared_by(&[1]).await;
    let text = cluster.text(CONFIG).await?.context("the job has a configuration")?;
    assert!(text.contains(extra) && text.contains("cron: 0/2 * * * * ?"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_new_pool_should_be_filled_at_once() -> anyhow::Result<()> {
    let cluster = cluster("configuration-pool")?;
    let member = |host| {
        let member = cluster.member(host).working(Duration::from_millis(200));
        member.with("ELASTICJOB_JOBS_SHARE_JOB_EXECUTOR_SERVICE_HANDLER_TYPE", "FIXED(3)")
    };
    let _members = [member(1).start()?, member(2).start()?];
    cluster.shared_by(&[1, 2]).await;
    assert_eq!(at_once(&cluster).await?, 3);
    for (pool, expected) in [("UNBOUNDED", 5), ("PAIR", 2), ("SINGLE_THREAD", 1)] {
        change(&cluster, "  elasticjob.executor-service-handler", pool).await?;
        cluster
            .until("the pool is in force", async || {
                let at_once = at_once(&cluster).await?;
                ensure!(at_once == expected, "{at_once} at once in {pool}");
                Ok(())
            })
            .await;
    }
    Ok(())
}

/// Returns how many items a process runs at once at most, of a firing from now on.
async fn at_once(cluster: &Cluster) -> anyhow::Result<usize> {
    let [time] = cluster.runs_without_gap(&all_items(), 1).await[..] else {
        anyhow::bail!("one time was asked for");
    };
    let runs: Vec<Run> = cluster
        .runs()?
        .into_iter()
        .filter(|run| run.id.scheduled == time)
        .collect();
    let beside = |run: &Run| {
        let is_beside =
            |other: &&Run| other.id.instance == run.id.instance && (other.first..=other.last).contains(&run.first);
        runs.iter().filter(is_beside).count()
    };
    runs.iter().map(beside).max().context("nothing ran")
}
