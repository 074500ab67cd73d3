//! A dataflow job that never runs out of data, on several processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob_tests::cluster::{Cluster, host_of};
use elasticjob_tests::lines::Tail;
use elasticjob_tests::process::MemberSetup;
use elasticjob_tests::stream::{Batch, STREAM};

use crate::{NEVER, cluster};

/// Of the job's two items.
const ITEMS: [u32; 2] = [0, 1];

/// What was streamed, in the order in which it was.
struct Streams<'a> {
    cluster: &'a Cluster,
    tail: Tail<Batch>,
    batches: Vec<Batch>,
}

impl<'a> Streams<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            tail: Tail::of(&file(cluster)),
            batches: Vec::new(),
        }
    }

    /// Waits until these hosts alone stream the items. Returns the newest batch of each item.
    async fn by(&mut self, what: &str, hosts: &[u8]) -> BTreeMap<u32, Batch> {
        let cluster = self.cluster;
        let newest = cluster.until(what, async || {
            let known = self.batches.len();
            self.batches.extend(self.tail.read()?);
            let newest: BTreeMap<u32, Batch> = self.batches[known..]
                .iter()
                .map(|batch| (batch.item, batch.clone()))
                .collect();
            let mut found = newest
                .values()
                .map(|batch| host_of(&batch.instance))
                .collect::<Result<Vec<u8>, _>>()?;
            found.sort_unstable();
            ensure!(found == hosts, "streamed by {found:?}");
            Ok(newest)
        });
        newest.await
    }

    /// Panics if two members streamed an item at once: the last one that began must be the only one from then on.
    fn check(&self) {
        for item in ITEMS {
            let batches = self.batches.iter().filter(|batch| batch.item == item);
            let tokens: Vec<i64> = batches.map(|batch| batch.token).collect();
            assert!(tokens.is_sorted(), "item {item}: {tokens:?}");
        }
    }
}

fn file(cluster: &Cluster) -> PathBuf {
    cluster.directory().join("stream")
}

fn member(cluster: &Cluster, host: u8) -> MemberSetup {
    let member = cluster.member(host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
    member
        .with("MEMBER_STREAM", file(cluster).display())
        .with("ELASTICJOB_JOBS_STREAM_FAILOVER", "true")
}

/// Returns which of two is the same run as before.
fn same_run(before: &BTreeMap<u32, Batch>, now: &BTreeMap<u32, Batch>) -> Vec<u32> {
    let is_same = |item: &u32| before[item].run == now[item].run;
    ITEMS.into_iter().filter(is_same).collect()
}

#[tokio::test]
async fn ends_the_stream_of_an_item_that_moves() -> anyhow::Result<()> {
    let cluster = cluster("streams-move")?;
    let mut streams = Streams::of(&cluster);
    let mut first = member(&cluster, 1).start()?;
    let alone = streams.by("both items on the only one", &[1, 1]).await;

    let mut second = member(&cluster, 2).start()?;
    let shared = streams.by("an item on each", &[1, 2]).await;
    let stayed = same_run(&alone, &shared);
    assert_eq!(stayed.len(), 1, "{alone:?} {shared:?}");
    assert_eq!(host_of(&shared[&stayed[0]].instance)?, 1);

    // An operator switches the second off, and on again. What comes to the first does not wait for what it streams.
    let server = format!("/{STREAM}/servers/127.0.0.2");
    cluster.set(&server, "DISABLED").await?;
    let alone = streams.by("both items on the first", &[1, 1]).await;
    assert_eq!(same_run(&shared, &alone), [0; 0]);
    cluster.set(&server, "ENABLED").await?;
    let shared = streams.by("an item on each again", &[1, 2]).await;
    assert_eq!(same_run(&alone, &shared).len(), 1);

    // It leaves, and with it the last batch is over.
    second.terminate()?;
    let (status, log) = second.ended().await?;
    assert!(status.success(), "{status}: {log}");
    assert!(!log.contains("item stopped"), "it ended by itself: {log}");
    streams.by("both items on the one that is left", &[1, 1]).await;
    first.terminate()?;
    let (status, log) = first.ended().await?;
    assert!(status.success(), "{status}: {log}");
    assert!(!log.contains("item stopped"), "it ended by itself: {log}");
    streams.check();
    for item in ITEMS {
        assert_eq!(cluster.text(&format!("/{STREAM}/sharding/{item}/running")).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn continues_the_stream_of_a_killed_process() -> anyhow::Result<()> {
    let cluster = cluster("streams-killed")?;
    let mut streams = Streams::of(&cluster);
    let _first = member(&cluster, 1).start()?;
    let second = member(&cluster, 2).start()?;
    let before = streams.by("an item on each", &[1, 2]).await;
    second.kill().await?;
    let after = streams.by("both items on the one that lives", &[1, 1]).await;
    let lost = before
        .values()
        .find(|batch| host_of(&batch.instance).is_ok_and(|host| host == 2));
    let lost = lost.context("the second had one")?;
    let again = &after[&lost.item];
    assert_eq!(
        (again.attempt, &again.run),
        (lost.attempt + 1, &lost.run),
        "{lost:?} {again:?}"
    );

    // It is not one batch that it goes on for: the survivor has the item now.
    cluster
        .until("the item belongs to it", async || {
            let owner = cluster.owners(STREAM).await?.remove(&lost.item);
            ensure!(owner.as_ref() == Some(&again.instance), "it belongs to {owner:?}");
            Ok(())
        })
        .await;
    let longer = again.at + Duration::from_secs(2);
    loop {
        let now = streams.by("it goes on", &[1, 1]).await;
        assert_eq!(same_run(&after, &now), ITEMS);
        if now[&lost.item].at > longer {
            break;
        }
    }
    streams.check();
    Ok(())
}
