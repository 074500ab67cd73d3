//! The session that operations share.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::registry::{self, BoxFuture};

/// Counts the sessions that were opened.
#[derive(Debug)]
struct Counting {
    registry: MemoryRegistry,
    sessions: AtomicUsize,
}

impl Registry for Counting {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, registry::Error>> {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            tokio::task::yield_now().await;
            self.registry.connect().await
        })
    }

    fn describe(&self) -> String {
        self.registry.describe()
    }
}

#[tokio::test]
async fn is_shared_by_calls_that_come_at_once() {
    let counting = Arc::new(Counting {
        registry: MemoryRegistry::new(),
        sessions: AtomicUsize::new(0),
    });
    let operations = Operations::new(counting.clone());
    let calls = futures_util::future::join_all((0..10).map(|_| operations.jobs())).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(counting.sessions.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_lost_session_should_be_followed_by_the_next() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}")]).await;
    assert_eq!(cluster.operations.jobs().await.unwrap().jobs.len(), 1);
    cluster.operations.close().await;
    assert_eq!(cluster.operations.jobs().await.unwrap().jobs.len(), 1);
}
