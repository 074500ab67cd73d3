//! A job that never runs out of data, and the file that says which batches it has processed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elasticjob::job::{Registration, ShardingContext, dataflow};
use serde::{Deserialize, Serialize};

use crate::history::since_boot;
use crate::lines::Appender;

/// Its name.
pub const STREAM: &str = "stream";

/// Between two batches.
const PAUSE: Duration = Duration::from_millis(50);

/// A batch that was processed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// Since the machine's start.
    pub at: Duration,
    /// The sharding item.
    pub item: u32,
    /// The instance.
    pub instance: String,
    /// The framework's name for the run.
    pub run: String,
    /// Which attempt it is.
    pub attempt: u32,
    /// The fencing token.
    pub token: i64,
}

/// Returns the job, with two items that are due each second; it writes its batches to this file.
///
/// # Errors
/// When the file cannot be opened.
pub fn job(path: &Path) -> anyhow::Result<Registration> {
    let batches = Arc::new(Appender::open(path)?);
    let fetch = || async {
        tokio::time::sleep(PAUSE).await;
        vec![()]
    };
    let process = move |shard: ShardingContext, _: Vec<()>| {
        let batches = Arc::clone(&batches);
        async move {
            batches.append(&Batch {
                at: since_boot(),
                item: shard.sharding_item(),
                instance: shard.instance_id().to_owned(),
                run: shard.run_id().to_owned(),
                attempt: shard.attempt(),
                token: shard.fencing_token(),
            });
        }
    };
    let job = dataflow(STREAM, fetch, process).cron("* * * * * ?").sharding(2);
    Ok(job.set("time-zone", "GMT").streaming())
}
