//! A cron job with its own sharding strategy: large machines get more items.

mod by_size;

use std::io::IsTerminal as _;

use elasticjob::prelude::*;

/// Makes small pictures of one part of the large ones.
#[elastic_job(cron = "0/5 * * * * ?", sharding = 8)]
async fn resize_images(shard: ShardingContext) {
    println!(
        "part {} on {}, scheduled {}",
        shard.sharding_item(),
        shard.instance_id(),
        shard.scheduled_time()
    );
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .with_env_filter("elasticjob=info")
        .init();
    ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        .build()?
        .run()
        .await
}
