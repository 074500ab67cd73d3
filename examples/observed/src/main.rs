//! A job that one can watch: its runs and their logs are in a database, how it does in metrics, and all of it in the console.

use std::io::IsTerminal as _;
use std::time::Duration;

use elasticjob::prelude::*;
use elasticjob::trace::RunLog;
use elasticjob_console::Console;
use tracing::debug;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// Fetches the prices of one market, which is away at times.
#[elastic_job(
    cron = "* * * * * ?",
    sharding = 3,
    item_parameters = "0=Shanghai,1=London,2=New York"
)]
async fn fetch_prices(market: ItemParameter<String>) -> Result<(), String> {
    debug!(market = market.as_str(), "asking");
    tokio::time::sleep(Duration::from_millis(fastrand::u64(20..200))).await;
    match fastrand::u8(..10) {
        0 => Err(format!("{} does not answer", *market)),
        _ => Ok(()),
    }
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    // The filter is that of the log of the process alone: the logs of runs have more.
    let written = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stdout().is_terminal())
        .with_filter(LevelFilter::INFO);
    tracing_subscriber::registry()
        .with(written)
        .with(RunLog::layer())
        .init();
    ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        .with(Console::new())
        .build()?
        .run()
        .await
}
