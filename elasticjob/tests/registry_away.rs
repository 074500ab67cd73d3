//! An application without its registry centre.

use std::sync::Arc;
use std::time::Duration;

use elasticjob::prelude::*;
use elasticjob::registry::{self, BoxFuture, Registry, Session};
use tokio::time::timeout;

/// A registry centre that does not answer.
#[derive(Debug)]
struct Away;

impl Registry for Away {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, registry::Error>> {
        Box::pin(async { Err(registry::Error::Unreachable("no server is there".into())) })
    }

    fn describe(&self) -> String {
        "nowhere".into()
    }
}

fn greet() -> elasticjob::job::Registration {
    job("greet", async || {}).sharding(1)
}

#[tokio::test(start_paused = true)]
async fn a_waiting_application_stops_at_once() -> elasticjob::Result<()> {
    let builder = ElasticJob::builder().job(greet()).registry(Arc::new(Away));
    let running = builder.environment([]).build()?.start().await?;
    assert!(!running.is_ready());
    let stopped = timeout(Duration::from_secs(5), running.shutdown(Duration::from_secs(600))).await;
    assert_eq!(stopped, Ok(()));
    running.stopped().await
}

#[cfg(feature = "zookeeper")]
#[tokio::test]
async fn fail_fast_gives_up_after_its_retries() -> elasticjob::Result<()> {
    // A port without a listener, since it is closed again.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let ready = ElasticJob::builder()
        .job(greet())
        .environment([])
        .set("reg-center.server-lists", &address)
        .set("reg-center.namespace", "shop")
        .set("reg-center.fail-fast", "true")
        .set("reg-center.max-retries", "2")
        .set("reg-center.base-sleep-time", "1ms")
        .build()?;
    let error = timeout(Duration::from_secs(30), ready.start())
        .await
        .expect("it gives up")
        .expect_err("no server is there");
    assert!(error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains(&address), "{error:?}");
    Ok(())
}
