//! From the start of a process to its first registered instance.
//!
//! The process is this program again, which joins, says so and leaves.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use tokio::time::Instant;

use super::stopwatch::Stopwatch;
use super::{print, runtime};
use crate::zookeeper::Server;

/// The argument that makes this program join, before the address of a server.
pub const STARTED: &str = "--started";

/// Of so many starts the median is shown. The first, for which the server makes the job's nodes, is not among them.
const STARTS: usize = 11;

/// One start.
#[derive(Clone, Copy)]
struct Start {
    total: Duration,
    /// From `main` on; before that the system loads the program.
    in_main: Duration,
    waited: Duration,
    calls: u64,
}

pub(super) fn measure() -> anyhow::Result<()> {
    let server = Server::start()?;
    let address = server.address().to_string();
    start(&address)?;
    let starts = (0..STARTS)
        .map(|_| start(&address))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let median = |of: fn(&Start) -> Duration| {
        let mut times: Vec<_> = starts.iter().map(of).collect();
        times.sort_unstable();
        format!("{:.1}", times[STARTS / 2].as_secs_f64() * 1000.0)
    };
    print(
        "process start to first registered instance",
        median(|start| start.total),
        "ms",
    );
    print("of it, waited for zookeeper", median(|start| start.waited), "ms");
    print(
        "of it, beyond zookeeper",
        median(|start| start.total - start.waited),
        "ms",
    );
    print(
        "of it, beyond zookeeper, in main",
        median(|start| start.in_main - start.waited),
        "ms",
    );
    print("calls of the registry until then", starts[0].calls, "calls");
    Ok(())
}

fn start(address: &str) -> anyhow::Result<Start> {
    let begin = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args([STARTED, address])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("it has no output")?).read_line(&mut line)?;
    let total = begin.elapsed();
    ensure!(child.wait()?.success(), "the started process failed");
    let numbers = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>()?;
    let [in_main, waited, calls] = numbers[..] else {
        anyhow::bail!("three numbers are expected, not `{line}`");
    };
    Ok(Start {
        total,
        in_main: Duration::from_micros(in_main),
        waited: Duration::from_micros(waited),
        calls,
    })
}

/// Joins, says on standard output how long it took, and leaves.
///
/// # Errors
/// When it cannot join.
pub fn run_started(address: &str) -> anyhow::Result<()> {
    let begin = Instant::now();
    runtime()?.block_on(async {
        let registry = Arc::new(Stopwatch::new(ZooKeeperRegistry::new(address, "start")?));
        let running = ElasticJob::builder()
            .registry(Arc::clone(&registry) as _)
            .job(job("job", async || {}).cron("0 0 0 1 1 ?").sharding(3))
            .build()?
            .start()
            .await?;
        let (calls, waited) = registry.read();
        println!("{} {} {calls}", begin.elapsed().as_micros(), waited.as_micros());
        running.shutdown(Duration::ZERO).await;
        Ok(())
    })
}
