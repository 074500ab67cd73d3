//! Operations on applications that run.

mod log;

use std::sync::Arc;
use std::time::Duration;

use elasticjob::operation::{ItemStatus, Operations, Target};
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::starter::ItemOutcome;
use tokio::sync::mpsc;

use self::log::Log;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns an application with one job of four items, which sends what it is given.
async fn application(registry: &MemoryRegistry, given: mpsc::Sender<(u32, String)>) -> elasticjob::Result<ElasticJob> {
    let rebuild = job("rebuild", move |shard: ShardingContext| {
        let given = given.clone();
        async move {
            let parameter = shard.job_parameter().to_owned();
            let sent = given.send((shard.sharding_item(), parameter)).await;
            sent.map_err(|error| error.to_string())
        }
    });
    let running = ElasticJob::builder()
        .without_discovery()
        .job(rebuild.sharding(4).parameter("all"))
        .registry(Arc::new(registry.clone()))
        .environment([])
        .build()?
        .start()
        .await?;
    running.ready().await?;
    Ok(running)
}

/// Reads until the condition holds.
async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, looking).await.is_ok(),
        "waited for this: {what}"
    );
}

async fn shares(operations: &Operations) -> Vec<usize> {
    let instances = operations.job("rebuild").await.expect("it is there").instances;
    instances.iter().map(|instance| instance.items.len()).collect()
}

#[tokio::test]
async fn a_triggered_run_has_its_parameter() -> elasticjob::Result<()> {
    let (sender, mut given) = mpsc::channel(64);
    let running = application(&MemoryRegistry::new(), sender).await?;
    let operations = running.operations();
    for parameter in [Some("2026-01"), None] {
        let requested = operations.trigger("rebuild", parameter).await.expect("it is there");
        let run = operations.outcome(&requested, PATIENCE).await.expect("it is there");
        assert_eq!(run.items.len(), 4);
        for _ in 0..4 {
            let (_, received) = given.recv().await.expect("each item sends");
            assert_eq!(received, parameter.unwrap_or("all"));
        }
        assert!(run.is_over(), "{run:?}");
    }
    running.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn a_waiting_caller_learns_the_obstacles() -> elasticjob::Result<()> {
    // The runtime of the test has one thread.
    let (log, _here) = Log::record();
    let (sender, _given) = mpsc::channel(64);
    let running = application(&MemoryRegistry::new(), sender).await?;
    let operations = running.operations();
    let job = running.one_off_named("rebuild")?;
    let server = operations.servers().await.expect("it is there")[0].server_ip.clone();
    let target = Target::server(&server);
    let note = operations.note(Some("alice"), Some("new disk"));
    operations.disable(&target, Some(note)).await.expect("it is there");

    let held_up = job.execute_and_wait(Duration::from_secs(1)).await?;
    assert!(
        held_up.items.values().all(|outcome| *outcome == ItemOutcome::Pending),
        "{held_up:?}"
    );
    let said: Vec<String> = held_up
        .obstacles
        .iter()
        .map(|obstacle| obstacle.finding.to_string())
        .collect();
    assert_eq!(said[0], "all servers that have instances are switched off");
    let text = log.text();
    let held_up = |line: &&str| line.contains("a triggered run is held up");
    let warnings: Vec<&str> = text.lines().filter(held_up).collect();
    assert!(
        warnings
            .iter()
            .all(|line| line.contains("WARN") && line.contains("job=\"rebuild\"")),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("by alice: new disk"), "{warnings:?}");

    let ended = tokio::join!(job.execute_and_wait(PATIENCE), async {
        operations.enable(&target).await.expect("it is there");
    });
    let ended = ended.0?;
    assert!(ended.is_success() && ended.obstacles.is_empty(), "{ended:?}");
    running.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn a_triggered_run_skips_a_disabled_item() -> elasticjob::Result<()> {
    let (sender, mut given) = mpsc::channel(64);
    let running = application(&MemoryRegistry::new(), sender).await?;
    let operations = running.operations();
    operations.disable_item("rebuild", 2, None).await.expect("it is there");
    let requested = operations.trigger("rebuild", None).await.expect("it is there");
    let run = operations.outcome(&requested, PATIENCE).await.expect("it is there");
    assert!(matches!(run.items[&2], ItemOutcome::Skipped { .. }), "{run:?}");
    given.close();
    let mut ran = Vec::new();
    while let Some((item, _)) = given.recv().await {
        ran.push(item);
    }
    ran.sort_unstable();
    assert_eq!(ran, [0, 1, 3]);
    assert_eq!(
        operations.items("rebuild").await.expect("it is there")[2].status,
        ItemStatus::Disabled
    );
    running.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn a_drained_instance_gives_its_items_away() -> elasticjob::Result<()> {
    let registry = MemoryRegistry::new();
    let (sender, _given) = mpsc::channel(64);
    let one = application(&registry, sender.clone()).await?;
    let other = application(&registry, sender).await?;
    let operations = one.operations();
    until("both have items", async || shares(&operations).await == [2, 2]).await;
    let instances = operations.job("rebuild").await.expect("it is there").instances;
    let drained = operations.drain(&instances[0].id).await.expect("it is there");
    assert!(drained[0].is_effective);
    until("one has all items", async || shares(&operations).await == [0, 4]).await;
    operations.undrain(&instances[0].id).await.expect("it is there");
    until("both have items", async || shares(&operations).await == [2, 2]).await;

    operations
        .shut_down_instance(&instances[1].id)
        .await
        .expect("it is there");
    until("one is left", async || shares(&operations).await == [4]).await;
    operations
        .disable(&Target::job("rebuild"), None)
        .await
        .expect("it is there");
    let explained = operations.explain("rebuild").await.expect("it is there");
    assert!(explained.findings[0].is_obstacle(), "{explained:?}");
    one.shutdown(PATIENCE).await;
    other.shutdown(PATIENCE).await;
    Ok(())
}
