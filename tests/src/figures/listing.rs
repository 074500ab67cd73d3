//! A look at 2,000 jobs on ZooKeeper.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::operation::Operations;
use elasticjob::prelude::*;
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use tokio::process::Command;
use tokio::time::Instant;

use super::{print, runtime};
use crate::programs;
use crate::zookeeper::Server;

const JOBS: usize = 2000;

/// Of so many looks the median and the longest are shown.
const LOOKS: usize = 11;

pub(super) fn measure() -> anyhow::Result<()> {
    let command_line = programs::program_of("elasticjob-cli", "elasticjob");
    let server = Server::start()?;
    let address = server.address().to_string();
    runtime()?.block_on(async {
        let registry = Arc::new(ZooKeeperRegistry::new(&address, "listing")?);
        let mut builder = ElasticJob::builder()
            .without_discovery()
            .environment([])
            .registry(Arc::clone(&registry) as _);
        for number in 0..JOBS {
            let never = job(format!("job-{number}"), async || {}).cron("0 0 0 1 1 ? 2099");
            builder = builder.job(never.sharding(3));
        }
        let application = builder.build()?.start().await?;

        // A session of its own each time, as an operator has.
        let mut looks = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            let began = Instant::now();
            let operations = Operations::new(Arc::clone(&registry) as _);
            let listing = operations.jobs().await?;
            looks.push(began.elapsed());
            ensure!(listing.jobs.len() == JOBS, "{} jobs", listing.jobs.len());
            operations.close().await;
        }
        print_looks("Operations::jobs, with its session", looks)?;
        let mut looks = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            let began = Instant::now();
            let output = Command::new(&command_line)
                .args(["jobs", "--server-lists", &address, "--namespace", "listing"])
                .output()
                .await?;
            looks.push(began.elapsed());
            let table = String::from_utf8(output.stdout)?;
            ensure!(output.status.success() && table.lines().count() > JOBS, "{table}");
        }
        print_looks("`elasticjob jobs`, the process", looks)?;
        application.shutdown(Duration::from_secs(5)).await;
        Ok(())
    })
}

fn print_looks(what: &str, mut looks: Vec<Duration>) -> anyhow::Result<()> {
    looks.sort_unstable();
    let milliseconds = |time: &Duration| format!("{:.0}", time.as_secs_f64() * 1000.0);
    let longest = looks.last().context("there were looks")?;
    print(
        format!("{JOBS} jobs listed by {what}: median"),
        milliseconds(&looks[LOOKS / 2]),
        "ms",
    );
    print(
        format!("{JOBS} jobs listed by {what}: longest"),
        milliseconds(longest),
        "ms",
    );
    Ok(())
}
