//! The dump port, on real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use elasticjob::operation;
use elasticjob::prelude::*;
use elasticjob::starter::Error;
use proptest::prelude::{ProptestConfig, any, prop};
use proptest::{prop_assert, prop_oneof, proptest, strategy::Strategy as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn application(port: u16) -> elasticjob::Result<elasticjob::starter::Ready> {
    ElasticJob::builder()
        .without_discovery()
        .job(job("greet", async || {}).sharding(2))
        .environment([])
        .set("network.ip", "192.0.2.7")
        .set("dump.port", port.to_string())
        .build()
}

async fn started() -> elasticjob::Result<(ElasticJob, SocketAddr)> {
    let running = application(0)?.start().await?;
    running.ready().await?;
    let address = running.dump_address().expect("one is configured");
    Ok((running, address))
}

/// Returns what the port says to these bytes, to the end of the stream.
async fn said(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    timeout(PATIENCE, asked).await.expect("the port answers or hangs up")
}

#[tokio::test]
async fn a_dump_shows_no_addresses() -> elasticjob::Result<()> {
    let (running, address) = started().await?;
    assert!(address.ip().is_loopback(), "{address}");
    let dump = operation::dump(address, "greet").await.expect("the port answers");
    let lines: Vec<&str> = dump.lines().collect();
    assert!(lines.contains(&"/greet/servers/ip1 | ENABLED"), "{dump}");
    assert!(lines.contains(&"jobName: greet"), "{dump}");
    assert!(lines.iter().any(|line| line.starts_with("serverIp: ip1")), "{dump}");
    assert!(!dump.contains("192.0.2.7"), "{dump}");
    assert!(dump.ends_with('\n'));
    let position = |line: &str| lines.iter().position(|other| other.starts_with(line));
    assert!(
        position("/greet/servers | ") < position("/greet/instances | "),
        "descending: {dump}"
    );
    assert_eq!(
        operation::dump(address, "unknown").await.expect("the port answers"),
        "\n"
    );

    for ending in ["\n", "\r\n", "", "\nmore\n"] {
        let answer = said(address, format!("dump@greet{ending}").as_bytes())
            .await
            .expect("it answers");
        assert_eq!(String::from_utf8(answer).expect("it is text"), dump, "{ending:?}");
    }
    for refused in ["dump\n", "dump@\n", "dump@a@b\n", "hello\n", "\n", ""] {
        assert_eq!(
            said(address, refused.as_bytes()).await.expect("it hangs up"),
            b"",
            "{refused:?}"
        );
    }
    running.shutdown(PATIENCE).await;
    let refused = TcpStream::connect(address).await.expect_err("the port is closed");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    Ok(())
}

#[tokio::test]
async fn silent_clients_hold_up_no_others() -> elasticjob::Result<()> {
    let (running, address) = started().await?;
    let mut silent = Vec::new();
    for _ in 0..15 {
        silent.push(TcpStream::connect(address).await.expect("it accepts"));
    }
    assert_ne!(said(address, b"dump@greet\n").await.expect("it answers"), b"");
    // More than are served at a time: those that say nothing are left after some seconds.
    for _ in 0..5 {
        silent.push(TcpStream::connect(address).await.expect("it accepts"));
    }
    assert_ne!(said(address, b"dump@greet\n").await.expect("it answers"), b"");
    let mut left = silent.swap_remove(0);
    let mut nothing = Vec::new();
    let ended = timeout(PATIENCE, left.read_to_end(&mut nothing)).await;
    assert!(matches!(ended, Ok(Ok(0))), "{ended:?}");
    running.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn refuses_a_used_port_before_registering() -> elasticjob::Result<()> {
    let (running, address) = started().await?;
    let error = application(address.port())?
        .start()
        .await
        .expect_err("the port is in use");
    assert!(
        matches!(&error, Error::DumpPort { address: of, .. } if *of == address),
        "{error:?}"
    );
    let shown = format!("{error:?}");
    assert!(
        shown.contains(&address.to_string()) && shown.contains("in use"),
        "{shown}"
    );
    running.shutdown(PATIENCE).await;
    Ok(())
}

#[test]
fn any_bytes_get_an_answer_or_an_end() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let (running, address) = runtime.block_on(started()).expect("it starts");
    let request = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        "dump@[ -~]{0,40}\\n?".prop_map(String::into_bytes),
        "dump@(greet|\\.\\.|/|greet/config|\\PC{0,9})@{0,3}\\r?\\n?".prop_map(String::into_bytes),
    ];
    proptest!(ProptestConfig::with_cases(300), |(request in request)| {
        runtime.block_on(async {
            // A reset is an end, too: it throws away the bytes that were not read.
            let answer = said(address, &request).await.unwrap_or_default();
            let is_request = request.starts_with(b"dump@");
            prop_assert!(answer.is_empty() || is_request, "{answer:?}");
            prop_assert!(answer.is_empty() || answer.ends_with(b"\n"));
            Ok(())
        })?;
    });
    let answer = runtime.block_on(said(address, b"dump@greet\n")).expect("it answers");
    assert!(answer.starts_with(b"/greet/"), "{answer:?}");
    runtime.block_on(running.shutdown(PATIENCE));
}

mod crowds {
    use super::*;

    #[tokio::test]
    async fn of_silent_clients_keep_no_client_waiting() -> elasticjob::Result<()> {
        let (running, address) = started().await?;
        let mut held = Vec::new();
        for _ in 0..10 {
            for _ in 0..50 {
                let mut stream = TcpStream::connect(address).await.expect("it is accepted");
                stream.write_all(b"dump@gre").await.expect("there is room for it");
                held.push(stream);
            }
            let dumped = timeout(Duration::from_secs(2), operation::dump(address, "greet")).await;
            let dump = dumped.expect("it is answered in time").expect("the port answers");
            assert!(dump.contains("jobName: greet"), "{dump}");
        }
        running.shutdown(PATIENCE).await;
        Ok(())
    }
}
