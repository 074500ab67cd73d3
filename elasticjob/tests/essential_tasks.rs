//! A fault of what all jobs depend on ends the application: it neither hangs nor goes on half.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use elasticjob::job::job;
use elasticjob::registry::decorator::{Decorated, Decorator};
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::{Answer, BoxFuture, Error, Read, Registry, Session, Step};
use elasticjob::starter::ElasticJob;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// When the registry panics, by a fault of its own, or gives no answer.
#[derive(Clone, Debug, Default)]
struct Faults {
    in_connect: Arc<AtomicBool>,
    in_read: Arc<AtomicBool>,
    in_close: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Faulty {
    registry: MemoryRegistry,
    faults: Faults,
}

impl Registry for Faulty {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        Box::pin(async {
            assert!(
                !self.faults.in_connect.load(Ordering::Relaxed),
                "no idea how to connect"
            );
            Ok(Decorated::new(self.registry.connect().await?, self.faults.clone()))
        })
    }

    fn describe(&self) -> String {
        "a faulty registry".to_owned()
    }
}

impl Decorator for Faults {
    fn read_at_once(&self, session: &dyn Session, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        assert!(!self.in_read.load(Ordering::Relaxed), "no idea how to read");
        session.read_at_once(reads)
    }

    fn close(&self, session: &dyn Session) -> BoxFuture<'static, ()> {
        if self.in_close.load(Ordering::Relaxed) {
            Box::pin(std::future::pending())
        } else {
            session.close()
        }
    }
}

/// Returns an application with one job on this registry.
async fn start(registry: &MemoryRegistry, faults: &Faults) -> elasticjob::Result<ElasticJob> {
    let faulty = Faulty {
        registry: registry.clone(),
        faults: faults.clone(),
    };
    let builder = ElasticJob::builder().without_discovery().environment([]);
    let builder = builder.set("network.ip", "127.0.0.1").registry(Arc::new(faulty));
    let ready = builder
        .job(job("tick", async || {}).sharding(1).cron("0 0 0 1 1 ? 2099"))
        .build()?;
    ready.start().await
}

#[tokio::test]
async fn a_panic_of_session_or_start_fails_the_start() {
    let registry = MemoryRegistry::new();
    let (connect, read) = (Faults::default(), Faults::default());
    connect.in_connect.store(true, Ordering::Relaxed);
    read.in_read.store(true, Ordering::Relaxed);
    for (faults, task, message) in [(connect, "session", "to connect"), (read, "start", "to read")] {
        let started = timeout(PATIENCE, start(&registry, &faults))
            .await
            .expect("it does not hang");
        let error = started.err().map(|error| error.to_string()).unwrap_or_default();
        let expected = format!("the jobs stopped unexpectedly: task `{task}` panicked: no idea how {message}");
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn a_worker_that_cannot_come_back_ends_the_application() {
    let (registry, faults) = (MemoryRegistry::new(), Faults::default());
    let running = start(&registry, &faults).await.unwrap();
    running.ready().await.unwrap();
    faults.in_read.store(true, Ordering::Relaxed);
    // The worker reads what has changed.
    let changed = Step::Set {
        path: "/tick/servers/127.0.0.1".to_owned(),
        data: b"ENABLED".to_vec(),
        version: None,
    };
    registry.connect().await.unwrap().write(vec![changed]).await.unwrap();
    let stopped = timeout(PATIENCE, running.stopped()).await.expect("it does not hang");
    let error = stopped.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("task `worker` panicked: no idea how to read"), "{error}");
    assert!(!running.health().is_live);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_close_is_left() {
    let (registry, faults) = (MemoryRegistry::new(), Faults::default());
    let running = start(&registry, &faults).await.unwrap();
    running.ready().await.unwrap();
    assert_eq!(running.operations().jobs().await.unwrap().jobs.len(), 1);
    faults.in_close.store(true, Ordering::Relaxed);
    let stopped = timeout(Duration::from_secs(5 + 31), running.shutdown(Duration::from_secs(5))).await;
    assert!(stopped.is_ok(), "30 s after the grace period at the latest");
}
