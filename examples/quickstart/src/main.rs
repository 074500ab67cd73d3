//! A cron job with three sharding items, in one process.

use std::io::IsTerminal as _;

use elasticjob::prelude::*;
use elasticjob_console::Console;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Copies one city's new orders. Which cities there are stands in `application.yaml`.
#[elastic_job(cron = "0/5 * * * * ?", sharding = 3)]
async fn sync_orders(shard: ShardingContext, city: ItemParameter<String>) {
    println!(
        "item {} ({}) on {}, scheduled {}, next {}",
        shard.sharding_item(),
        *city,
        shard.instance_id(),
        time_of_day(shard.scheduled_time()),
        shard.next_scheduled_time().map_or("never".to_owned(), time_of_day),
    );
}

fn time_of_day(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .init();
    // Where `application.yaml` lies beside the program, `ElasticJob::run().await` is all it takes.
    ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        .with(Console::new())
        .build()?
        .run()
        .await
}
