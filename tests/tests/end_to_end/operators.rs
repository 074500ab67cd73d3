//! What the Java console does, it does by writing to the registry.

use anyhow::ensure;
use elasticjob_tests::cluster::{SHARE, all_items, host_of, ip};
use elasticjob_tests::proxy::{Close, Proxy};
use elasticjob_tests::zookeeper::Server;
use jiff::Timestamp;

use crate::{NEVER, cluster, members};

#[tokio::test]
async fn moves_items_off_a_disabled_server() -> anyhow::Result<()> {
    let cluster = cluster("operator-server")?;
    let _members = members(&cluster, &[1, 2, 3])?;
    cluster.shared_by(&[1, 2, 3]).await;
    let server = format!("/{SHARE}/servers/{}", ip(2));
    cluster.set(&server, "DISABLED").await?;
    cluster.shared_by(&[1, 3]).await;
    let times = cluster.runs_without_gap(&all_items(), 2).await;
    let of_disabled = cluster
        .runs()?
        .into_iter()
        .find(|run| times.contains(&run.id.scheduled) && host_of(&run.id.instance).is_ok_and(|host| host == 2));
    assert_eq!(of_disabled, None);

    cluster.set(&server, "ENABLED").await?;
    cluster.shared_by(&[1, 2, 3]).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    Ok(())
}

#[tokio::test]
async fn keeps_a_server_disabled_over_a_restart() -> anyhow::Result<()> {
    let cluster = cluster("operator-server-stays")?;
    let proxy = Proxy::start(Server::shared().address()).await?;
    let _first = cluster.member(1).start()?;
    let second = cluster
        .member(2)
        .with("ELASTICJOB_REG_CENTER_SERVER_LISTS", proxy.address())
        .start()?;
    cluster.shared_by(&[1, 2]).await;
    let server = format!("/{SHARE}/servers/{}", ip(2));
    cluster.set(&server, "DISABLED").await?;
    cluster.shared_by(&[1]).await;

    let is_there_again = async |before: &str| {
        cluster
            .until("the second is there again, disabled", async || {
                let instances = cluster.instances(SHARE).await?;
                ensure!(instances.get(&2).is_some_and(|id| id != before), "{instances:?}");
                Ok(instances[&2].clone())
            })
            .await
    };
    let before = cluster.instances(SHARE).await?[&2].clone();
    proxy.cut(Close::Reset);
    cluster
        .until("its session is over", async || {
            let instances = cluster.instances(SHARE).await?;
            ensure!(!instances.contains_key(&2), "{instances:?}");
            Ok(())
        })
        .await;
    proxy.heal();
    let after_loss = is_there_again(&before).await;
    cluster.runs_without_gap(&all_items(), 1).await;
    second.kill().await?;
    let _again = cluster.member(2).start()?;
    is_there_again(&after_loss).await;
    let times = cluster.runs_without_gap(&all_items(), 2).await;
    assert_eq!(cluster.text(&server).await?.as_deref(), Some("DISABLED"));
    let of_disabled = cluster
        .runs()?
        .into_iter()
        .find(|run| times.contains(&run.id.scheduled) && host_of(&run.id.instance).is_ok_and(|host| host == 2));
    assert_eq!(of_disabled, None);
    Ok(())
}

#[tokio::test]
async fn runs_no_disabled_item() -> anyhow::Result<()> {
    let cluster = cluster("operator-item")?;
    let _members = members(&cluster, &[1, 2])?;
    cluster.shared_by(&[1, 2]).await;
    let disabled = format!("/{SHARE}/sharding/4/disabled");
    cluster.create(&disabled, "").await?;
    let others: Vec<u32> = all_items().into_iter().filter(|item| *item != 4).collect();
    let times = cluster.runs_without_gap(&others, 2).await;
    let of_item = cluster
        .runs()?
        .into_iter()
        .find(|run| run.id.item == 4 && run.id.scheduled >= times[0]);
    assert_eq!(of_item, None);

    cluster.delete(&disabled).await?;
    cluster.runs_without_gap(&all_items(), 1).await;
    Ok(())
}

#[tokio::test]
async fn runs_the_items_of_a_triggered_instance_once() -> anyhow::Result<()> {
    let cluster = cluster("operator-trigger")?;
    let _members = [1, 2].map(|host| cluster.member(host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER).start());
    let owners = cluster.shared_by(&[1, 2]).await;
    let triggered_at = Timestamp::now();
    cluster.create(&format!("/{SHARE}/trigger"), "").await?;
    for id in cluster.instances(SHARE).await?.values() {
        cluster.create(&format!("/{SHARE}/trigger/{id}"), "").await?;
    }
    let runs = cluster
        .until("all items have run", async || {
            let runs = cluster.runs()?;
            let ended = runs.iter().filter(|run| run.end.is_some()).count();
            ensure!(ended == all_items().len(), "{runs:?}");
            Ok(runs)
        })
        .await;
    for run in runs {
        assert_eq!(owners.get(&run.id.item), Some(&run.id.instance));
        assert!(run.id.scheduled >= triggered_at - crate::MILLISECOND, "{run:?}");
    }
    assert!(cluster.children(&format!("/{SHARE}/trigger")).await?.is_empty());
    cluster.assert_lawful();
    Ok(())
}

#[tokio::test]
async fn shuts_down_only_the_job_of_a_removed_instance() -> anyhow::Result<()> {
    let cluster = cluster("operator-instance")?;
    let members = members(&cluster, &[1, 2])?;
    cluster.shared_by(&[1, 2]).await;
    let removed = cluster.instances(SHARE).await?[&2].clone();
    cluster.delete(&format!("/{SHARE}/instances/{removed}")).await?;
    cluster.shared_by(&[1]).await;
    cluster.runs_without_gap(&all_items(), 2).await;

    assert!(
        cluster.instances("rebuild").await?.contains_key(&2),
        "the other job stays"
    );
    assert!(
        !cluster.instances(SHARE).await?.contains_key(&2),
        "it is not taken for a lost session"
    );
    let log = members[1].log();
    assert!(
        log.contains("shut down by an operator") && !log.contains("session lost"),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn removes_marks_of_a_dead_instance() -> anyhow::Result<()> {
    let cluster = cluster("operator-stale-mark")?;
    // As a Java member with failover leaves it if it dies while no other member is there.
    for (path, text) in [
        ("/share", ""),
        ("/share/sharding", ""),
        ("/share/sharding/3", ""),
        ("/share/sharding/3/instance", "127.0.0.9@-@4711"),
        ("/share/sharding/3/running", "127.0.0.9@-@4711"),
    ] {
        cluster.create(path, text).await?;
    }
    let member = cluster
        .member(1)
        .with("ELASTICJOB_JOBS_SHARE_FAILOVER", "true")
        .start()?;
    cluster.shared_by(&[1]).await;
    cluster.runs_without_gap(&all_items(), 2).await;
    let log = member.log();
    assert!(
        log.contains("marks of dead instances removed") && log.contains("items=[3]"),
        "{log}"
    );
    Ok(())
}
