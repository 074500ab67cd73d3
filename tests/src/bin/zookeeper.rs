//! A ZooKeeper server in the foreground, for the examples: `cargo run -p elasticjob-tests --bin zookeeper [PORT]`.
//!
//! It listens on 127.0.0.1 alone, on port 2181 unless another is named, and forgets everything when it ends.

mod usage;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use elasticjob::starter::stop_signal;
use elasticjob_tests::zookeeper::Server;

const DEFAULT_PORT: u16 = 2181;

const USAGE: &str = "zookeeper [PORT]";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match port(&arguments) {
        Ok(port) => port,
        Err(error) => return Ok(usage::refused(&error, USAGE)),
    };
    let serving = async {
        let server = Server::start_on(port)?;
        println!(
            "zookeeper serves on {}; ctrl-c ends it and deletes its data",
            server.address()
        );
        std::future::pending().await
    };
    // It listens for signals before a client can know that it serves.
    tokio::select! {
        biased;
        () = stop_signal() => Ok(ExitCode::SUCCESS),
        result = serving => result,
    }
}

fn port(arguments: &[String]) -> anyhow::Result<u16> {
    let port = match arguments {
        [] => return Ok(DEFAULT_PORT),
        [port] => port,
        _ => bail!("one port is expected at most, and not {}", arguments.len()),
    };
    let number = port.parse().ok().filter(|number| *number > 0);
    number.with_context(|| format!("`{port}` is no port: a number from 1 to 65535 is expected"))
}
