//! A job as it is deployed. What differs from place to place is in `config/application.yaml` of the working directory, and in the
//! environment: nothing of it is in the code.

use std::io::IsTerminal as _;
use std::time::Duration;

use elasticjob::prelude::*;

/// Closes the books of one region.
#[elastic_job(cron = "0/5 * * * * ?", sharding = 4, failover)]
async fn close_books(shard: ShardingContext) {
    tokio::time::sleep(Duration::from_millis(200)).await;
    tracing::info!(token = shard.fencing_token(), "books closed");
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .init();
    ElasticJob::run().await
}
