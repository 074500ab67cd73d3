//! An order and the run that ships it are stored by one transaction: both or neither.

mod routes;
mod shop;

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use elasticjob::prelude::*;
use elasticjob::starter::stop_signal;
use tokio::net::TcpListener;

use shop::Shop;

/// How long running items may take to end when the application stops.
const GRACE: Duration = Duration::from_secs(30);

/// Ships one order. Each order is a trigger of its own, with its number as the parameter.
#[elastic_job(sharding = 1)]
async fn ship(order: JobParameter<i64>, shop: Component<Shop>) -> Result<(), BoxError> {
    let article = shop.ship(*order).await?;
    println!("shipped order {}: {article}", *order);
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
    let url = std::env::var("DATABASE_URL")
        .context("DATABASE_URL is not set; postgres://USER:PASSWORD@HOST/DATABASE is expected")?;
    let shop = Shop::open(&url)
        .await
        .context("cannot open the database at DATABASE_URL")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port()?));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; PORT in the environment chooses another port"))?;
    let jobs = ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        .component(shop.clone())
        .build()?
        .start()
        .await?;

    println!("listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, routes::router(jobs.clone(), shop)).with_graceful_shutdown(stop_signal());
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
