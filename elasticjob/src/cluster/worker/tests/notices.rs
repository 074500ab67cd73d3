//! What the log says of a configuration that does otherwise than it seems to.

use std::io;

use super::*;

/// What is logged by this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn count(&self, words: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(words).count()
    }
}

impl io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what is logged until the guard is dropped.
fn listening() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    (lines, tracing::subscriber::set_default(subscriber.finish()))
}

#[tokio::test(start_paused = true)]
async fn failover_without_monitoring_is_said_to_have_no_effect_once() {
    let (lines, _here) = listening();
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
    assert_eq!(lines.count("has no effect while `monitorExecution` is off"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_some_java_versions_refuse_is_told_once_there_is_a_java_member() {
    let (lines, _here) = listening();
    let mut cluster = Cluster::new().await;
    let config = every_second(1)
        .to_builder()
        .executor_service_handler("SINGLE_THREAD")
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", config, quick());
    cluster.until(10.0).await;
    let refused = "names `SINGLE_THREAD`: Java members from 3.0.5 on know another key, and do not start by this one";
    assert_eq!(lines.count(refused), 0);
    cluster.register_java("10.0.0.9@-@1").await;
    cluster.until(20.0).await;
    assert_eq!(lines.count(refused), 1);
}
