//! Requests as a sharded job: all of it stands in `application.yaml`. The service that is asked is here, too, so that there
//! is something to see.

use std::io::IsTerminal as _;
use std::net::Ipv4Addr;

use anyhow::Context as _;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use elasticjob::prelude::*;
use tokio::net::TcpListener;

/// The service. The header says which item it is asked for.
async fn close_day(headers: HeaderMap) -> Result<String, StatusCode> {
    let context = headers.get("shardingContext").ok_or(StatusCode::BAD_REQUEST)?;
    println!(
        "asked to close the day: {}",
        String::from_utf8_lossy(context.as_bytes())
    );
    Ok("closed".to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .init();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = format!("http://{}/close-day", listener.local_addr()?);
    println!("the service is at {address}");
    let service = Router::new().route("/close-day", post(close_day));

    let jobs = ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        // In an application of yours this is a line of the file, too.
        .set("jobs.close_day.props.http.uri", address)
        .build()?;
    tokio::select! {
        ended = jobs.run() => ended.context("the jobs stopped"),
        ended = axum::serve(listener, service) => ended.context("the service stopped"),
    }
}
