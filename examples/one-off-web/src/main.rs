//! A one-off job that is run by HTTP.

mod routes;

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use elasticjob::prelude::*;
use elasticjob::starter::stop_signal;
use tokio::net::TcpListener;

/// How long running items may take to end when the application stops.
const GRACE: Duration = Duration::from_secs(30);

/// Builds the search index of one region. Without a `cron` the job runs when it is triggered.
///
/// The year is given with each trigger, so that there is none in the configuration.
#[elastic_job(sharding = 3)]
async fn rebuild_index(region: ItemParameter<String>, year: JobParameter<u16>) -> Result<(), String> {
    println!("building the index of {} in {}", *region, *year);
    tokio::time::sleep(Duration::from_millis(300)).await;
    println!("built the index of {} in {}", *region, *year);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .init();

    // First the steps that may be refused: an application that cannot serve should not run jobs either.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port()?));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; PORT in the environment chooses another port"))?;
    let jobs = ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        .build()?
        .start()
        .await?;

    println!("listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, routes::router(jobs.clone())).with_graceful_shutdown(stop_signal());
    tokio::select! {
        served = server.into_future() => served?,
        failed = jobs.stopped() => failed?,
    }
    // The requests are answered; now the items may finish.
    jobs.shutdown(GRACE).await;
    Ok(())
}

fn port() -> anyhow::Result<u16> {
    match std::env::var("PORT") {
        Ok(text) => text
            .parse()
            .with_context(|| format!("PORT is `{text}`; a port is a number from 0 to 65535, 0 for any that is free")),
        Err(_) => Ok(3000),
    }
}
