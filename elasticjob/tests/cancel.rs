//! Runs that an operator cancels, as the code of the job sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use elasticjob::job::Registration;
use elasticjob::operation::{CancelOutcome, Cancelled, Operations};
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::starter::ItemOutcome;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns an application with this job.
async fn application(job: Registration) -> elasticjob::Result<ElasticJob> {
    let running = ElasticJob::builder()
        .without_discovery()
        .job(job.sharding(1))
        .registry(Arc::new(MemoryRegistry::new()))
        .environment([])
        .build()?
        .start()
        .await?;
    running.ready().await?;
    Ok(running)
}

async fn cancel(operations: &Operations) -> Cancelled {
    let note = operations.note(Some("alice"), Some("文件错了"));
    operations.cancel("export", None, Some(note)).await.expect("it runs")
}

/// Returns what became of the run within this time.
async fn became(operations: &Operations, cancelled: &Cancelled, within: Duration) -> CancelOutcome {
    let report = operations.cancelled(cancelled, within).await.expect("it is there");
    report.items[&0].clone()
}

fn by_alice() -> CancelOutcome {
    let cause = "by alice: 文件错了".to_owned();
    let end = ItemOutcome::Cancelled { cause };
    CancelOutcome::Ended { end }
}

/// Sends when it is dropped.
struct Dropped(mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

#[tokio::test]
async fn drops_the_future_of_the_job() -> elasticjob::Result<()> {
    let (begun, mut has_begun) = mpsc::channel(1);
    let (dropped, mut was_dropped) = mpsc::channel(1);
    let export = job("export", move || {
        let (begun, dropped) = (begun.clone(), Dropped(dropped.clone()));
        async move {
            let _dropped = dropped;
            begun.send(()).await?;
            std::future::pending::<Result<(), BoxError>>().await
        }
    });
    let running = application(export).await?;
    let operations = running.operations();
    let requested = operations.trigger("export", None).await.expect("it is there");
    has_begun.recv().await.expect("it begins");
    let cancelled = cancel(&operations).await;
    was_dropped.recv().await.expect("it was dropped");
    assert_eq!(became(&operations, &cancelled, PATIENCE).await, by_alice());
    let answer = operations.outcome(&requested, PATIENCE).await.expect("it is there");
    assert_eq!(
        CancelOutcome::Ended {
            end: answer.items[&0].clone()
        },
        by_alice()
    );
    running.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn is_shown_to_blocking_work_which_keeps_its_claim() -> elasticjob::Result<()> {
    let (begun, mut has_begun) = mpsc::channel(1);
    let (seen, mut was_seen) = mpsc::channel(1);
    let go_on = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&go_on);
    let export = job("export", move |run: RunContext, cancellation: CancellationToken| {
        let (begun, seen, held) = (begun.clone(), seen.clone(), Arc::clone(&held));
        async move {
            let here = tokio::runtime::Handle::current();
            let work = move || {
                here.block_on(async {
                    begun.send(()).await.ok();
                    cancellation.cancelled().await;
                    seen.send(()).await.ok();
                    held.acquire().await.map(drop)
                })
            };
            run.run_blocking(work).await??;
            Ok::<(), BoxError>(())
        }
    });
    let running = application(export).await?;
    let operations = running.operations();
    operations.trigger("export", None).await.expect("it is there");
    has_begun.recv().await.expect("it begins");
    let cancelled = cancel(&operations).await;
    was_seen.recv().await.expect("it sees the cancellation");
    let outcome = became(&operations, &cancelled, Duration::ZERO).await;
    assert_eq!(outcome, CancelOutcome::Running, "it has not ended");
    let explained = operations.explain("export").await.expect("it is there");
    let explained = explained.items[0].findings.iter().map(ToString::to_string);
    let explained = explained.collect::<Vec<_>>().join("; ");
    assert!(
        explained.contains("is being cancelled") && explained.contains("by alice: 文件错了"),
        "{explained}"
    );

    go_on.add_permits(1);
    assert_eq!(became(&operations, &cancelled, PATIENCE).await, by_alice());
    running.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn ends_the_pause_before_the_next_try() -> elasticjob::Result<()> {
    let tries = Arc::new(AtomicU32::new(0));
    let (tried, mut was_tried) = mpsc::channel(8);
    let counted = Arc::clone(&tries);
    let export = job("export", move || {
        let (tried, counted) = (tried.clone(), Arc::clone(&counted));
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            tried.send(()).await?;
            Err::<(), BoxError>("no network".into())
        }
    });
    let pause = Duration::from_secs(3600);
    let export = export.retry(9).retry_backoff(pause).retry_max_backoff(pause);
    let running = application(export).await?;
    let operations = running.operations();
    operations.trigger("export", None).await.expect("it is there");
    was_tried.recv().await.expect("it begins");
    let cancelled = cancel(&operations).await;
    assert_eq!(became(&operations, &cancelled, PATIENCE).await, by_alice());
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    running.shutdown(PATIENCE).await;
    Ok(())
}
