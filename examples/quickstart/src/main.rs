//! A cron job with three sharding items, in one process.

use elasticjob::prelude::*;

/// Copies one city's new orders.
#[elastic_job(
    cron = "0/5 * * * * ?",
    sharding = 3,
    item_parameters = "0=Beijing,1=Shanghai,2=Guangzhou"
)]
async fn sync_orders(shard: ShardingContext, city: ItemParameter<String>) {
    println!(
        "item {} of {}: orders of {}",
        shard.sharding_item(),
        shard.sharding_total_count(),
        *city
    );
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt().init();
    ElasticJob::run().await
}
