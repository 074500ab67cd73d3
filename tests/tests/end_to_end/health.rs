//! What an application says of itself while its registry goes and comes back.

use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::starter::{Health, JobState};
use elasticjob_tests::zookeeper::Server;

const PATIENCE: Duration = Duration::from_secs(120);

/// Asks for the health until it is as wanted.
async fn until(running: &ElasticJob, what: &str, is_wanted: impl Fn(&Health) -> bool) -> Health {
    let asking = async {
        loop {
            let health = running.health();
            if is_wanted(&health) {
                return health;
            }
            assert!(health.is_live, "{what}: {:?}", health.problems());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(health) => health,
        Err(_) => panic!("{what}: not in time: {:?}", running.health()),
    }
}

#[tokio::test]
async fn is_alive_and_unready_without_the_registry() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let running = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .set("reg-center.server-lists", server.address().to_string())
        .set("reg-center.namespace", "health")
        .set("reg-center.session-timeout", "4s")
        .job(job("tick", async || {}).sharding(2).cron("* * * * * ?"))
        .build()?
        .start()
        .await?;
    let well = until(&running, "ready, with a firing", |health| {
        health.is_ready && health.jobs["tick"].last_firing.is_some()
    })
    .await;
    assert_eq!(well.jobs["tick"].items, [0, 1]);
    assert_eq!(well.problems(), Vec::<String>::new());
    let instance = well.session.expect("ready").instance;

    server.kill();
    let away = until(&running, "not ready", |health| !health.is_ready).await;
    assert!(!away.problems().is_empty());
    let lost = until(&running, "the items are no longer ours", |health| {
        health.jobs["tick"].items.is_empty()
    })
    .await;
    assert_eq!(lost.jobs["tick"].state, JobState::Waiting);

    server.restart()?;
    let back = until(&running, "ready again, with a firing", |health| {
        health.is_ready && health.jobs["tick"].last_firing > lost.jobs["tick"].last_firing
    })
    .await;
    assert_ne!(
        back.session.expect("ready").instance,
        instance,
        "a new session is a new instance"
    );
    assert_eq!(back.jobs["tick"].unaccounted, 0);

    running.shutdown(Duration::from_secs(5)).await;
    let stopped = running.health();
    assert!(!stopped.is_ready && !stopped.is_live);
    assert_eq!(stopped.jobs["tick"].state, JobState::Stopped);
    Ok(())
}
