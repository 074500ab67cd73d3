//! A job that one can watch: its runs are in a database, how it does in metrics.

use std::io::IsTerminal as _;
use std::time::Duration;

use elasticjob::prelude::*;

/// Fetches the prices of one market, which is away at times.
#[elastic_job(
    cron = "* * * * * ?",
    sharding = 3,
    item_parameters = "0=Shanghai,1=London,2=New York"
)]
async fn fetch_prices(market: ItemParameter<String>) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(20..200))).await;
    match fastrand::u8(..10) {
        0 => Err(format!("{} does not answer", *market)),
        _ => Ok(()),
    }
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .init();
    let application = ElasticJob::builder().directory(env!("CARGO_MANIFEST_DIR")).build()?;
    application.run().await
}
