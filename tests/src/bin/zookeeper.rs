//! A ZooKeeper server in the foreground, for the examples: `cargo run -p elasticjob-tests --bin zookeeper [PORT]`.
//!
//! It listens on 127.0.0.1 alone, on port 2181 unless another is named, and forgets everything when it ends.

use anyhow::{Context as _, bail};
use elasticjob::starter::stop_signal;
use elasticjob_tests::zookeeper::Server;

const DEFAULT_PORT: u16 = 2181;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.as_slice() {
        [] => DEFAULT_PORT,
        [port] => port
            .parse()
            .with_context(|| format!("`{port}` is not a port: a number from 1 to 65535 is expected"))?,
        _ => bail!("one argument is expected at most: the port"),
    };
    let serving = async {
        let server = Server::start_on(port)?;
        println!(
            "zookeeper serves on {}; ctrl-c ends it and deletes its data",
            server.address()
        );
        std::future::pending().await
    };
    // Signals are listened for before anybody can know that it serves.
    tokio::select! {
        biased;
        () = stop_signal() => Ok(()),
        result = serving => result,
    }
}
