//! The endpoint for Prometheus and Kubernetes, asked over a real socket.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Metrics are those of the process: what one application shows another would, too.
static ALONE: Mutex<()> = Mutex::const_new(());

const GRACE: Duration = Duration::from_secs(5);

fn application(port: u16) -> elasticjob::starter::Builder {
    ElasticJob::builder()
        .without_discovery()
        .environment([])
        .registry(std::sync::Arc::new(MemoryRegistry::new()))
        .set("metrics.port", port.to_string())
        .job(
            job("tick", async |shard: ShardingContext| {
                (shard.sharding_item() == 0).then_some(()).ok_or("only item 0 works")
            })
            .sharding(2)
            .cron("* * * * * ?"),
        )
}

async fn started() -> (ElasticJob, SocketAddr) {
    let ready = application(0).build().expect("it is in order");
    let running = ready.start().await.expect("any port will do");
    let address = running.metrics_address().expect("it is configured");
    (running, address)
}

/// Returns the status and the body of the answer to a request.
async fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("{request} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers in text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    (status, body.to_owned())
}

/// Asks until the answer is as wanted.
async fn until(address: SocketAddr, path: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let asking = async {
        loop {
            let (_, body) = ask(address, &format!("GET {path}")).await;
            if is_wanted(&body) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking)
        .await
        .unwrap_or_else(|_| panic!("{path} never answers as wanted"))
}

#[tokio::test]
async fn metrics_and_health_are_shown() {
    let _alone = ALONE.lock().await;
    let (running, address) = started().await;
    assert!(address.ip().is_loopback());
    let metrics = until(address, "/metrics", |body| {
        body.contains(r#"elasticjob_runs_total{job="tick",outcome="failed"}"#)
            && !body.contains(r#"elasticjob_runs_total{job="tick",outcome="failed"} 0"#)
            && body.contains(r#"elasticjob_items_owned{job="tick"} 2"#)
            && body.contains(r#"elasticjob_last_success_timestamp_seconds{job="tick",item="0"} 1"#)
    })
    .await;
    for line in [
        "# HELP elasticjob_firings_total Firings that began",
        "# TYPE elasticjob_start_delay_seconds histogram",
        r#"elasticjob_start_delay_seconds_bucket{job="tick",le="+Inf"}"#,
        r#"elasticjob_run_duration_seconds_count{job="tick"}"#,
        r#"elasticjob_items_owned{job="tick"} 2"#,
        r#"elasticjob_unaccounted_times{job="tick"} 0"#,
        r#"elasticjob_session_state{state="connected"} 1"#,
        r#"elasticjob_session_state{state="lost"} 0"#,
        r#"elasticjob_registry_requests_total{operation="write",outcome="answered"}"#,
        r#"elasticjob_registry_request_duration_seconds_count{operation="connect"}"#,
    ] {
        assert!(metrics.contains(line), "no `{line}` in:\n{metrics}");
    }
    let with_item: Vec<&str> = metrics.lines().filter(|line| line.contains("item=")).collect();
    assert_eq!(
        with_item.len(),
        1,
        "item 1 never succeeds, and no other label names an item: {with_item:?}"
    );

    // The metrics may be those of an application before this one.
    until(address, "/readyz", |body| body.contains(r#""last_firing":""#)).await;
    let (status, body) = ask(address, "GET /readyz").await;
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &health["ready"]), (200, &true.into()), "{body}");
    assert_eq!(health["jobs"]["tick"]["items"], serde_json::json!([0, 1]));
    assert!(health["jobs"]["tick"]["last_firing"].is_string());
    let failing = until(address, "/readyz", |body| body.contains(r#""failing":{"1":"#)).await;
    assert!(failing.contains(r#""ready":true"#), "{failing}");
    assert_eq!(ask(address, "GET /healthz").await.0, 200);
    assert_eq!(ask(address, "POST /metrics").await.0, 405);
    assert_eq!(ask(address, "GET /").await.0, 404);

    running.shutdown(GRACE).await;
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn slow_clients_hold_up_no_answer() {
    let _alone = ALONE.lock().await;
    let (running, address) = started().await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metr").await.unwrap();
        slow.push(stream);
    }
    let mut nonsense = TcpStream::connect(address).await.unwrap();
    nonsense.write_all(&[0xff; 4096]).await.unwrap();
    assert_eq!(ask(address, "GET /healthz").await.0, 200);
    let stopping = tokio::time::timeout(GRACE * 2, running.shutdown(GRACE));
    stopping.await.expect("no slow client holds up the end");
}

#[tokio::test]
async fn refuses_a_used_port_before_starting() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = application(port)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("`elasticjob.metrics`: cannot listen on 127.0.0.1:{port}: ")),
        "{error}"
    );
}

mod crowds {
    use super::*;

    const SILENT: usize = 1_000;

    /// How long Kubernetes waits for a probe by default.
    const PROBE_LIMIT: Duration = Duration::from_secs(1);

    async fn probe(address: SocketAddr) {
        let probed = tokio::time::timeout(PROBE_LIMIT, ask(address, "GET /healthz")).await;
        assert_eq!(probed.expect("a probe is answered in time").0, 200);
    }

    /// Connections that say nothing. Those that are cut meanwhile are kept, as a silent caller does not look.
    async fn silent(address: SocketAddr, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            streams.push(TcpStream::connect(address).await.expect("it is accepted"));
        }
        streams
    }

    #[tokio::test]
    async fn of_silent_callers_keep_no_probe_waiting() {
        let _alone = ALONE.lock().await;
        let (running, address) = started().await;
        let mut held = Vec::new();
        for _ in 0..10 {
            held.extend(silent(address, SILENT / 10).await);
            probe(address).await;
        }
        assert_eq!(held.len(), SILENT);
        for _ in 0..20 {
            // Some that come again for each that is cut.
            held.drain(..SILENT / 20);
            held.extend(silent(address, SILENT / 20).await);
            probe(address).await;
        }
        running.shutdown(GRACE).await;
    }

    #[tokio::test]
    async fn of_dripping_callers_keep_no_probe_waiting_and_are_cut() {
        let _alone = ALONE.lock().await;
        let (running, address) = started().await;
        let mut dripping = silent(address, 200).await;
        let cut = async {
            loop {
                let mut open = 0;
                for stream in &mut dripping {
                    open += usize::from(stream.write_all(b"x").await.is_ok());
                }
                probe(address).await;
                if open == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), cut)
            .await
            .expect("a request that does not end is cut");
        running.shutdown(GRACE).await;
    }

    #[tokio::test]
    async fn that_ask_for_metrics_and_read_nothing_keep_no_probe_waiting() {
        let _alone = ALONE.lock().await;
        let (running, address) = started().await;
        let mut held = silent(address, 400).await;
        for stream in &mut held {
            // The oldest are cut already.
            let _ = stream
                .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await;
        }
        for _ in 0..20 {
            probe(address).await;
        }
        running.shutdown(GRACE).await;
    }
}
