//! How soon other members do the work that a killed or stopped member leaves undone.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::registry::{Session, WatchEvent};
use futures_util::future::try_join_all;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::cluster::{Cluster, SHARE};
use crate::history::{Run, since_boot};
use crate::process::Member;
use crate::zookeeper::Server;

use super::member::member;
use super::percentiles::print_times;
use super::runtime;

const HOSTS: [u8; 3] = [1, 2, 3];

/// Clusters beside each other, since most of the time is waited for sessions to end.
const CLUSTERS: usize = 6;

/// Kills in each cluster: thirty in all, and as many stops.
const KILLS: usize = 5;

/// Long enough that members are killed while they run items.
const WORK: Duration = Duration::from_millis(1200);

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn measure() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let server = block_in_place(Server::start)?;
        let (mut taken_over, mut handed_over) = (Vec::new(), Vec::new());
        let clusters = (0..CLUSTERS).map(|number| kills_and_stops(&server, number));
        for (killed, stopped) in try_join_all(clusters).await? {
            taken_over.extend(killed);
            handed_over.extend(stopped);
        }
        print_times(
            "from the end of a killed member's session to its item run elsewhere",
            taken_over,
        )?;
        print_times("from sigterm to the new owner of an item", handed_over)
    })
}

/// Returns what it took to take items over from members that were killed, and to hand over those of members that were stopped.
async fn kills_and_stops(server: &Server, number: usize) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let cluster = Cluster::new(
        std::env::current_exe()?,
        server.address(),
        &format!("failover-{number}"),
    )?;
    let mut members: BTreeMap<u8, Member> = BTreeMap::new();
    for host in HOSTS {
        members.insert(host, member(&cluster, host, WORK).start()?);
    }
    let (mut killed, mut stopped) = (Vec::new(), Vec::new());
    for round in 0..KILLS {
        let host = HOSTS[round % HOSTS.len()];
        cluster.shared_by(&HOSTS).await;
        let victim = members.remove(&host).context("it is there")?;
        killed.extend(kill(&cluster, host, victim).await?);
        members.insert(host, member(&cluster, host, WORK).start()?);

        cluster.shared_by(&HOSTS).await;
        let leaver = members.get_mut(&host).context("it is there")?;
        stopped.push(stop(&cluster, host, leaver).await?);
        members.insert(host, member(&cluster, host, WORK).start()?);
    }
    Ok((killed, stopped))
}

/// Kills a member; gives how long after the end of its session each item that it ran was begun elsewhere.
async fn kill(cluster: &Cluster, host: u8, victim: Member) -> anyhow::Result<Vec<Duration>> {
    let id = cluster.instances(SHARE).await?.remove(&host).context("it is there")?;
    let session = cluster.registry().connect().await?;
    let deleted = deletion_of(session, format!("/{SHARE}/instances/{id}")).await?;
    cluster
        .until("it runs items", async || {
            let runs = runs_of(cluster, &id)?;
            ensure!(runs.last().is_some_and(|run| run.end.is_none()), "{:?}", runs.last());
            Ok(())
        })
        .await;
    victim.kill().await?;
    let mut cut_short = runs_of(cluster, &id)?;
    cut_short.retain(|run| run.end.is_none());
    let ended = deleted.await?;
    let again = cluster.until("what it ran is run elsewhere", async || {
        let runs = cluster.runs()?;
        let again = |before: &Run| {
            let is_next = |run: &&Run| run.id.run == before.id.run && run.id.attempt == before.id.attempt + 1;
            runs.iter().find(is_next).map(|run| run.first)
        };
        cut_short
            .iter()
            .map(|before| again(before).with_context(|| format!("not run again: {before:?}")))
            .collect::<anyhow::Result<Vec<Duration>>>()
    });
    // What was begun before we had heard of the end was begun at once.
    Ok(again
        .await
        .into_iter()
        .map(|begun| begun.saturating_sub(ended))
        .collect())
}

fn runs_of(cluster: &Cluster, instance: &str) -> anyhow::Result<Vec<Run>> {
    let mut runs = cluster.runs()?;
    runs.retain(|run| run.id.instance == instance);
    Ok(runs)
}

/// Stops a member that runs nothing. Returns how long it took until one of its items had a new owner.
async fn stop(cluster: &Cluster, host: u8, leaver: &mut Member) -> anyhow::Result<Duration> {
    let id = cluster.instances(SHARE).await?.remove(&host).context("it is there")?;
    let owners = cluster.owners(SHARE).await?;
    let item = *owners
        .iter()
        .find(|(_, owner)| **owner == id)
        .context("it has items")?
        .0;
    cluster
        .until("it has just run its items", async || {
            let runs = runs_of(cluster, &id)?;
            ensure!(
                !runs.is_empty() && runs.iter().all(|run| run.end.is_some()),
                "{:?}",
                runs.last()
            );
            let mark = cluster.text(&format!("/{SHARE}/sharding/{item}/running")).await?;
            ensure!(mark.is_none(), "it is marked");
            Ok(())
        })
        .await;
    let session = cluster.registry().connect().await?;
    let deleted = deletion_of(session, format!("/{SHARE}/sharding/{item}/instance")).await?;
    let begin = since_boot();
    leaver.terminate()?;
    let given_away = deleted.await?;
    let (status, log) = leaver.ended().await?;
    ensure!(status.success(), "{status}: {log}");
    // It is created again in the transaction that deletes it.
    Ok(given_away - begin)
}

/// When a node is deleted, as we hear of it. Listens once this returns.
async fn deletion_of(
    session: Arc<dyn Session>,
    path: String,
) -> anyhow::Result<impl Future<Output = anyhow::Result<Duration>>> {
    let mut watch = session.watch(&path).await?;
    Ok(async move {
        // It lives for as long as it is listened to.
        let _session = session;
        let deleted = async {
            loop {
                match poll_fn(|cx| watch.poll_next(cx)).await {
                    WatchEvent::Deleted(deleted) if deleted == path => return Ok(since_boot()),
                    WatchEvent::Closed => anyhow::bail!("our own session ended"),
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, deleted).await.context("the node is still there")?
    })
}
