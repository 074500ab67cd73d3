//! What the log says of a configuration that does otherwise than it seems to.

use super::*;
use crate::test_log::Log;

fn count(log: &Log, words: &str) -> usize {
    log.text().matches(words).count()
}

#[tokio::test(start_paused = true)]
async fn warn_once_of_failover_without_monitoring() {
    let (log, _here) = Log::record();
    let mut cluster = Cluster::new().await;
    let config = every_second(1)
        .to_builder()
        .failover(true)
        .monitor_execution(false)
        .build()
        .unwrap();
    let only = cluster.join("10.0.0.1", config, quick());
    cluster.until(10.0).await;
    only.link.expire();
    cluster.until(30.0).await;
    assert_eq!(count(&log, "has no effect while `monitorExecution` is off"), 1);
}

#[tokio::test(start_paused = true)]
async fn warn_of_a_pool_that_java_refuses() {
    let (log, _here) = Log::record();
    let mut cluster = Cluster::new().await;
    let config = every_second(1)
        .to_builder()
        .executor_service_handler("SINGLE_THREAD")
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", config, quick());
    cluster.until(10.0).await;
    let refused = "names `SINGLE_THREAD`: Java members from 3.0.5 on know another key, and do not start by this one";
    assert_eq!(count(&log, refused), 0);
    cluster.register_java("10.0.0.9@-@1").await;
    cluster.until(20.0).await;
    assert_eq!(count(&log, refused), 1);
}
