//! The configuration of a job that members of both kinds run: written, read and changed by either.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, PERIOD, SHARE, all_items, times_after};
use elasticjob_tests::history::gaps;
use elasticjob_tests::java::Operator;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Java, Kind, Ours, are_there, cluster, is_led_by, operations};

const CONFIG: &str = "/share/config";

/// On odd seconds.
const ODD: &str = "1/2 * * * * ?";

async fn stored(cluster: &Cluster) -> anyhow::Result<String> {
    cluster.text(CONFIG).await?.context("the job has a configuration")
}

/// Waits until all items run on odd seconds, twice in a row, and on no others any more.
async fn runs_on_odd_seconds(cluster: &Cluster) -> anyhow::Result<()> {
    let since = Timestamp::now() + PERIOD;
    cluster
        .until("all items run on odd seconds", async || {
            let runs = cluster.runs()?;
            let second = SignedDuration::from_secs(1);
            let times: Vec<Timestamp> = times_after(since, 15).into_iter().map(|time| time + second).collect();
            let missing = gaps(&runs, SHARE, &all_items(), &times);
            let is_whole = |time: &Timestamp| !missing.iter().any(|(missing, _)| missing == time);
            let row = times.windows(2).find(|row| row.iter().all(is_whole));
            row.map(drop).with_context(|| format!("not run: {missing:?}"))
        })
        .await;
    cluster.assert_lawful();
    // What Java makes up for is due at no whole second.
    let of_schedule = |time: Timestamp| time > since && time.subsec_nanosecond() == 0;
    let runs = cluster.runs()?;
    let seconds = runs
        .iter()
        .map(|run| run.id.scheduled)
        .filter(|time| of_schedule(*time));
    let seconds: BTreeSet<i64> = seconds.map(|time| time.as_second() % PERIOD.as_secs()).collect();
    assert_eq!(seconds, BTreeSet::from([1]));
    Ok(())
}

/// Waits until so many items are shared out and run, and no others.
async fn runs(cluster: &Cluster, count: u32) -> anyhow::Result<()> {
    cluster.shares(count, &[1, 2]).await;
    let items: Vec<u32> = (0..count).collect();
    let times = cluster.runs_regularly(&items, 2).await;
    let run: BTreeSet<u32> = cluster
        .runs()?
        .iter()
        .filter(|run| times.contains(&run.id.scheduled))
        .map(|run| run.id.item)
        .collect();
    assert!(run.iter().eq(&items), "{run:?}");
    let nodes = cluster.children(&format!("/{SHARE}/sharding")).await?;
    assert_eq!(nodes.len(), items.len(), "{nodes:?}");
    Ok(())
}

async fn changed_by_either(namespace: &str, leader: Kind) -> anyhow::Result<()> {
    let cluster = cluster(namespace)?;
    let _first = leader.member(&cluster, 1).start()?;
    is_led_by(&cluster, 1).await;
    let _second = leader.other().member(&cluster, 2).start()?;
    cluster.shared_by(&[1, 2]).await;
    let mut java = Operator::start(&cluster, None)?;
    let ours = operations(&cluster);

    java.ask("update", SHARE, json!({ "changes": { "shardingTotalCount": 4 } }))
        .await?;
    runs(&cluster, 4).await?;
    java.ask(
        "update",
        SHARE,
        json!({ "changes": { "shardingTotalCount": 10, "cron": ODD } }),
    )
    .await?;
    runs_on_odd_seconds(&cluster).await?;

    let before = ours.configuration(SHARE).await?.context("there is one")?;
    let twelve = before
        .config?
        .to_builder()
        .sharding_total_count(12)
        .cron("0/2 * * * * ?");
    ours.update_configuration(SHARE, &twelve.build()?, before.version)
        .await?;
    runs(&cluster, 12).await?;
    assert_eq!(
        java.ask("configuration", SHARE, json!({})).await?,
        json!(stored(&cluster).await?),
        "what Java reads is what is there"
    );
    Ok(())
}

#[tokio::test]
async fn changes_by_either_should_be_followed_by_both_where_java_leads() -> anyhow::Result<()> {
    changed_by_either("configuration-java-leads", Java).await
}

#[tokio::test]
async fn changes_by_either_should_be_followed_by_both_where_we_lead() -> anyhow::Result<()> {
    changed_by_either("configuration-we-lead", Ours).await
}

#[tokio::test]
async fn the_same_configuration_should_be_stored_as_the_same_bytes() -> anyhow::Result<()> {
    let folded: Vec<String> = (0..10).map(|item| format!("{item}=value number {item}")).collect();
    let folded = folded.join(",");
    let variants: [&[(&str, &str)]; 4] = [
        &[],
        &[
            ("FAILOVER", "true"),
            ("MONITOR_EXECUTION", "true"),
            ("MISFIRE", "false"),
        ],
        &[
            ("SHARDING_ITEM_PARAMETERS", &folded),
            ("DESCRIPTION", "yes"),
            ("JOB_PARAMETER", "p=1: x # y"),
            ("MAX_TIME_DIFF_SECONDS", "3600"),
            ("RECONCILE_INTERVAL_MINUTES", "0"),
        ],
        &[
            ("SHARDING_ITEM_PARAMETERS", "0=北京,1=上海"),
            ("DESCRIPTION", "line 1\nline 2 'q' \"d\""),
            ("JOB_PARAMETER", "010"),
            ("JOB_SHARDING_STRATEGY_TYPE", "ROUND_ROBIN"),
            ("JOB_EXECUTOR_SERVICE_HANDLER_TYPE", "SINGLE_THREAD"),
            ("OVERWRITE", "true"),
        ],
    ];
    for (number, settings) in variants.iter().enumerate() {
        let store = async |kind: Kind| {
            let cluster = cluster(&format!("configuration-bytes-{number}-{kind:?}"))?;
            let setup = settings.iter().fold(kind.member(&cluster, 1), |setup, (key, value)| {
                setup.with(&format!("ELASTICJOB_JOBS_SHARE_{key}"), value)
            });
            let _member = setup.start()?;
            are_there(&cluster, SHARE, &[1]).await;
            stored(&cluster).await
        };
        let (java, ours) = (store(Java).await?, store(Ours).await?);
        assert_eq!(java, ours, "{settings:?}");
    }
    Ok(())
}

#[tokio::test]
async fn settings_that_java_does_not_know_should_leave_it_running_and_be_kept() -> anyhow::Result<()> {
    let cluster = cluster("configuration-props")?;
    let _ours = Ours
        .member(&cluster, 1)
        .with("ELASTICJOB_JOBS_SHARE_TIME_ZONE", "Europe/Berlin")
        .start()?;
    are_there(&cluster, SHARE, &[1]).await;
    let props = "props:\n  elasticjob.time-zone: Europe/Berlin\n";
    let text = stored(&cluster).await?;
    assert!(text.contains(props), "{text}");
    let _java = Java.member(&cluster, 2).start()?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_regularly(&all_items(), 2).await;

    let mut java = Operator::start(&cluster, None)?;
    java.ask("update", SHARE, json!({ "changes": { "description": "by Java" } }))
        .await?;
    let text = stored(&cluster).await?;
    assert!(text.contains("description: by Java\n"), "{text}");
    assert!(text.contains(props), "{text}");
    cluster.runs_regularly(&all_items(), 2).await;
    Ok(())
}

#[tokio::test]
async fn keeps_the_configuration_of_the_first_member() -> anyhow::Result<()> {
    for first in [Java, Ours] {
        let cluster = cluster(&format!("configuration-wins-{first:?}"))?;
        let _first = first.member(&cluster, 1).start()?;
        are_there(&cluster, SHARE, &[1]).await;
        let text = stored(&cluster).await?;
        let second = first
            .other()
            .member(&cluster, 2)
            .with("ELASTICJOB_JOBS_SHARE_CRON", ODD);
        let _second = second.start()?;
        cluster.shared_by(&[1, 2]).await;
        cluster.runs_regularly(&all_items(), 2).await;
        assert_eq!(stored(&cluster).await?, text, "{first:?}");

        let third = first
            .other()
            .member(&cluster, 3)
            .with("ELASTICJOB_JOBS_SHARE_CRON", ODD);
        let _third = third.with("ELASTICJOB_JOBS_SHARE_OVERWRITE", "true").start()?;
        cluster
            .until("it is overwritten", async || {
                let now = stored(&cluster).await?;
                ensure!(now.contains(ODD), "{now}");
                Ok(())
            })
            .await;
        cluster.shared_by(&[1, 2, 3]).await;
        runs_on_odd_seconds(&cluster).await?;
    }
    Ok(())
}

/// All days, as Quartz takes them and ours does not.
const BY_LONG_NAMES: &str = "0/2 * * ? * MONDAY,TUESDAY,WEDNESDAY,THURSDAY,FRIDAY,SATURDAY,SUNDAY";

#[tokio::test]
async fn a_member_that_refuses_the_configuration_leaves_all_items_to_java() -> anyhow::Result<()> {
    let cluster = cluster("java-configuration-refused")?;
    let _java = Java.member(&cluster, 1).start()?;
    cluster.shared_by(&[1]).await;
    let before = stored(&cluster).await?;
    let lines = before.lines().map(|line| {
        if line.starts_with("cron: ") {
            format!("cron: {BY_LONG_NAMES}\n")
        } else {
            format!("{line}\n")
        }
    });
    cluster.set(CONFIG, &lines.collect::<String>()).await?;

    let _ours = Ours.member(&cluster, 2).start()?;
    let standby = format!("/{SHARE}/ledger/standby");
    let word = cluster
        .until("ours stands by", async || {
            let member = cluster.children(&standby).await?.pop_first().context("no word of it")?;
            cluster
                .text(&format!("{standby}/{member}"))
                .await?
                .context("it is gone")
        })
        .await;
    ensure!(word.contains("MONDAY"), "{word}");
    cluster.runs_regularly(&all_items(), 2).await;
    let instances = cluster.instances(SHARE).await?;
    assert_eq!(instances.keys().collect::<Vec<_>>(), [&1], "{instances:?}");

    cluster.set(CONFIG, &before).await?;
    cluster.shared_by(&[1, 2]).await;
    cluster.runs_regularly(&all_items(), 2).await;
    assert!(cluster.children(&standby).await?.is_empty());
    Ok(())
}
