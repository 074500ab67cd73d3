//! How soon items run again after all servers of an ensemble were killed and started again.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::history::since_boot;
use crate::zookeeper::{Ensemble, Server};

use super::member::member;
use super::percentiles::print_times;
use super::runtime;

const HOSTS: [u8; 3] = [1, 2, 3];

const RESTARTS: usize = 5;

/// How long servers may take to elect a leader, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn measure() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let mut ensemble = block_in_place(|| Ensemble::start(3))?;
        let cluster = Cluster::new(std::env::current_exe()?, ensemble.connect_string(), "recovery")?;
        let mut members = Vec::new();
        for host in HOSTS {
            members.push(member(&cluster, host, Duration::ZERO).start()?);
        }
        let mut recovered = Vec::new();
        for _ in 0..RESTARTS {
            cluster.shared_by(&HOSTS).await;
            recovered.push(recovery(&mut ensemble, &cluster).await?);
        }
        print_times(
            "from the restart of all servers to the first item run, of it up to 2,000 until one is due",
            recovered,
        )
    })
}

/// Kills all servers and starts them at once; gives how long after they serve again an item is run.
async fn recovery(ensemble: &mut Ensemble, cluster: &Cluster) -> anyhow::Result<Duration> {
    block_in_place(|| {
        ensemble.servers().iter_mut().for_each(Server::kill);
        ensemble.servers().iter_mut().try_for_each(Server::start_again)
    })?;
    let deadline = Instant::now() + PATIENCE;
    while !block_in_place(|| ensemble.servers().iter().all(Server::is_serving)) {
        ensure!(Instant::now() < deadline, "the servers do not serve again");
        sleep(LOOK).await;
    }
    let serving = since_boot();
    let begun = cluster.until("an item is run", async || {
        let runs = cluster.runs()?;
        let first = runs.iter().find(|run| run.first > serving);
        Ok(first.context("none is")?.first)
    });
    Ok(begun.await - serving)
}
