//! What the scenarios share.

mod access;
mod chroot;
mod configuration;
mod console;
mod dump;
mod failover;
mod history;
mod listeners;
mod misfire;
mod one_off;
mod operators;
mod sharing;
mod stored_texts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use elasticjob::operation::Operations;
use elasticjob_tests::cluster::{Cluster, SHARE, host_of};
use elasticjob_tests::history::Run;
use elasticjob_tests::java;
use elasticjob_tests::process::MemberSetup;
use elasticjob_tests::zookeeper::Server;

use Kind::{Java, Ours};

/// The application that members of ours run.
const MEMBER: &str = env!("CARGO_BIN_EXE_member");

/// A schedule that is not reached while tests run.
const NEVER: &str = "0 0 0 1 1 ? 2099";

/// Work that can be caught in the act.
const LONG: Duration = Duration::from_millis(400);

/// The kind of a member's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Java,
    Ours,
}

impl Kind {
    /// Returns a member of this kind to be.
    fn member(self, cluster: &Cluster, host: u8) -> MemberSetup {
        match self {
            Java => cluster.member_of(java::member(), host),
            // Up to 3.0.2 Java members want to read a name of their own in the job's root node.
            Ours => cluster
                .member(host)
                .with("ELASTICJOB_JOBS_SHARE_ELASTIC_JOB_CLASS", "elasticjob.peer.ShareJob")
                .with(
                    "ELASTICJOB_JOBS_REBUILD_ELASTIC_JOB_CLASS",
                    "elasticjob.peer.RebuildJob",
                ),
        }
    }

    fn other(self) -> Self {
        match self {
            Java => Ours,
            Ours => Java,
        }
    }
}

/// Returns a cluster on the server that tests share.
fn cluster(namespace: &str) -> anyhow::Result<Cluster> {
    Cluster::new(MEMBER, Server::shared().address(), namespace)
}

/// Returns what operates a cluster by our own API.
fn operations(cluster: &Cluster) -> Operations {
    Operations::new(Arc::clone(cluster.registry()))
}

/// Waits until exactly these hosts have an instance of a job.
async fn are_there(cluster: &Cluster, job: &str, hosts: &[u8]) {
    cluster
        .until(&format!("the hosts {hosts:?} have instances of {job}"), async || {
            let instances = cluster.instances(job).await?;
            ensure!(instances.keys().eq(hosts), "{instances:?}");
            Ok(())
        })
        .await;
}

/// Waits until a member on this host leads the cron job.
async fn is_led_by(cluster: &Cluster, host: u8) {
    cluster
        .until(&format!("host {host} leads"), async || {
            let leader = cluster.text(&format!("/{SHARE}/leader/election/instance")).await?;
            let leader = leader.as_deref().map(host_of).transpose()?;
            ensure!(leader == Some(host), "{leader:?} leads");
            Ok(())
        })
        .await;
}

/// Waits until exactly these hosts have an instance of a job, and its items are theirs, or its leader has flagged that
/// they are to be shared out: a Java member that is asked before runs nothing, and that was it.
async fn are_to_share(cluster: &Cluster, job: &str, hosts: &[u8]) {
    are_there(cluster, job, hosts).await;
    cluster
        .until(
            &format!("the items of {job} are those of {hosts:?}, or to be so"),
            async || {
                let is_flagged = cluster
                    .node(&format!("/{job}/leader/sharding/necessary"))
                    .await?
                    .is_some();
                let owners = cluster.owners(job).await?;
                let with_items: BTreeSet<u8> = owners.values().map(|id| host_of(id)).collect::<Result<_, _>>()?;
                let are_theirs = with_items.iter().all(|host| hosts.contains(host));
                let is_shared = are_theirs && with_items.len() == hosts.len().min(owners.len()) && !owners.is_empty();
                ensure!(is_flagged || is_shared, "{owners:?}");
                Ok(())
            },
        )
        .await;
}

/// Triggers the cron job, as a console does.
async fn trigger(cluster: &Cluster) -> anyhow::Result<()> {
    let trigger = format!("/{SHARE}/trigger");
    if cluster.node(&trigger).await?.is_none() {
        cluster.create(&trigger, "").await?;
    }
    for id in cluster.instances(SHARE).await?.values() {
        cluster.create(&format!("{trigger}/{id}"), "").await?;
    }
    Ok(())
}

/// Returns the runs of the cron job that came to their ends, or did not.
fn runs_that<const ENDED: bool>(cluster: &Cluster) -> anyhow::Result<Vec<Run>> {
    let mut runs = cluster.runs()?;
    runs.retain(|run| run.id.job == SHARE && run.end.is_some() == ENDED);
    Ok(runs)
}

/// Waits until these items of the cron job, and no others, are being run; gives the runs.
async fn are_being_run(cluster: &Cluster, items: &[u32]) -> Vec<Run> {
    let what = format!("the items {items:?} are being run");
    cluster
        .until(&what, async || {
            let running = runs_that::<false>(cluster)?;
            let which: BTreeSet<u32> = running.iter().map(|run| run.id.item).collect();
            ensure!(which.iter().eq(items), "{which:?}");
            Ok(running)
        })
        .await
}

/// Waits until nothing of a firing or of a take-over is left in the registry. A Java member that is asked before, drops it.
async fn is_cleared_up(cluster: &Cluster, job: &str, items: &[u32]) {
    cluster
        .until("nothing is left of what ran", async || {
            for item in items {
                let left = cluster.children(&format!("/{job}/sharding/{item}")).await?;
                ensure!(left.iter().eq(["instance"]), "item {item} has {left:?}");
            }
            let waiting = cluster.children(&format!("/{job}/leader/failover/items")).await?;
            ensure!(waiting.is_empty(), "{waiting:?} wait to be taken over");
            Ok(())
        })
        .await;
}
