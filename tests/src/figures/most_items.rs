//! The memory of one instance that has all items of a large job, and of the removal of that job.
//!
//! The embedded registry is in the process, and takes its part of the memory. On ZooKeeper each measurement is in a process of its
//! own: this program again.

use std::fmt;
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::operation::Operations;
use elasticjob::registry::Registry;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::metered::Metered;
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use tokio::time::{Instant, interval, timeout};

use super::{print, process, runtime};
use crate::zookeeper::Server;

/// The argument that makes this program do some of these things, before them, the number of items, and the address of a server
/// or `EMBEDDED`.
pub const MOST_ITEMS: &str = "--most-items";

const EMBEDDED: &str = "embedded";

/// The last is the most that a job may have.
const EMBEDDED_ITEMS: [u32; 2] = [100_000, 1_000_000];

const ZOOKEEPER_ITEMS: u32 = 100_000;

const JOB: &str = "items";

/// Between two looks at what the instance has and asks.
const LOOK: Duration = Duration::from_secs(1);

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(1_200);

const GRACE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// An instance starts, shares all items out to itself, and stops.
    ShareOut,
    /// An instance of a job with existing items starts.
    StartAgain,
    Remove,
}

const DEEDS: [Deed; 3] = [Deed::ShareOut, Deed::StartAgain, Deed::Remove];

pub(super) fn measure() -> anyhow::Result<()> {
    for items in EMBEDDED_ITEMS {
        in_own_process(items, EMBEDDED, &DEEDS)?;
    }
    let server = Server::start()?;
    let address = server.address().to_string();
    DEEDS
        .iter()
        .try_for_each(|deed| in_own_process(ZOOKEEPER_ITEMS, &address, &[*deed]))
}

fn in_own_process(items: u32, address: &str, deeds: &[Deed]) -> anyhow::Result<()> {
    let deeds = deeds.iter().map(ToString::to_string);
    let arguments = [MOST_ITEMS.to_owned(), address.to_owned(), items.to_string()];
    let status = Command::new(std::env::current_exe()?)
        .args(arguments.into_iter().chain(deeds))
        .status()?;
    ensure!(status.success(), "{items} items, {address}: {status}");
    Ok(())
}

/// Does what the arguments behind [`MOST_ITEMS`] say, and prints the memory of this process.
///
/// # Errors
/// If the arguments are not understood, or something cannot be measured.
pub fn run_most_items(arguments: &[&str]) -> anyhow::Result<()> {
    let [address, items, deeds @ ..] = arguments else {
        bail!("an address, a number of items and deeds are expected");
    };
    let items = items.parse()?;
    let deeds = deeds
        .iter()
        .map(|deed| deed.parse())
        .collect::<Result<Vec<Deed>, _>>()?;
    match *address {
        EMBEDDED => all(EMBEDDED, MemoryRegistry::new(), items, &deeds),
        address => all(
            "zookeeper",
            ZooKeeperRegistry::new(address, "most-items")?,
            items,
            &deeds,
        ),
    }
}

fn all<R: Registry>(place: &str, registry: R, items: u32, deeds: &[Deed]) -> anyhow::Result<()> {
    let registry = Arc::new(Metered::new(registry));
    runtime()?.block_on(async {
        for deed in deeds {
            process::forget_peak_memory()?;
            let begin = Instant::now();
            match deed {
                Deed::ShareOut | Deed::StartAgain => hold(&registry, items).await?,
                Deed::Remove => remove(Arc::clone(&registry) as _).await?,
            }
            let name = format!("{items} items, {place}, {deed}");
            print(
                format!("{name}: memory at most"),
                megabytes(process::peak_memory()?),
                "MB",
            );
            print(
                format!("{name}: memory then"),
                megabytes(process::resident_memory()?),
                "MB",
            );
            print(format!("{name}: took"), begin.elapsed().as_secs(), "s");
        }
        Ok(())
    })
}

/// Starts an instance, waits until it has all items and asks for nothing more, and stops it.
async fn hold<R: Registry>(registry: &Arc<Metered<R>>, items: u32) -> anyhow::Result<()> {
    let running = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .registry(Arc::clone(registry) as _)
        .job(job(JOB, async || {}).cron("0 0 0 1 1 ? 2099").sharding(items))
        .build()?
        .start()
        .await?;
    let has_all = async {
        let mut looks = interval(LOOK);
        let mut before = None;
        loop {
            looks.tick().await;
            let counts = registry.counts();
            let asked = (counts.reads, counts.writes);
            if running.health().jobs[JOB].items.len() == items as usize && before == Some(asked) {
                return;
            }
            before = Some(asked);
        }
    };
    timeout(PATIENCE, has_all)
        .await
        .context("the instance has not all items")?;
    print(
        format!("{items} items: memory with all items"),
        megabytes(process::resident_memory()?),
        "MB",
    );
    running.shutdown(GRACE).await;
    Ok(())
}

async fn remove(registry: Arc<dyn Registry>) -> anyhow::Result<()> {
    let operations = Operations::new(registry);
    let nodes = operations.remove_job(JOB).await?;
    print("nodes removed", nodes, "nodes");
    operations.close().await;
    Ok(())
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShareOut => "shared-out",
            Self::StartAgain => "started-again",
            Self::Remove => "removed",
        })
    }
}

impl FromStr for Deed {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        DEEDS
            .into_iter()
            .find(|deed| deed.to_string() == text)
            .with_context(|| format!("nothing to be measured is called `{text}`"))
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}
