//! Votes are counted in four parts; each process says what it is about to do, and one of them reports when all is done.

mod ballots;

use std::io::IsTerminal as _;
use std::time::Duration;

use elasticjob::prelude::*;

use ballots::Ballots;

/// Counts the votes of one region.
#[elastic_job(cron = "0/5 * * * * ?", sharding = 4, listeners = [Announcement, Report])]
async fn count_votes(region: ItemParameter<String>, ballots: Component<Ballots>) {
    // What counting takes.
    tokio::time::sleep(Duration::from_millis(100)).await;
    println!("{}: {} votes", *region, ballots.count(&region));
}

/// Is called in each process.
#[derive(Default)]
struct Announcement;

#[job_listener]
impl JobListener for Announcement {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        let regions: Vec<_> = firing.items().filter_map(|item| firing.item_parameter(item)).collect();
        println!("about to count: {}", regions.join(", "));
        Ok(())
    }
}

/// Is called in one of the processes. It gets its components from the application.
#[derive(Inject)]
struct Report {
    ballots: Component<Ballots>,
}

#[job_listener(name = "REPORT", started_timeout = "5s", completed_timeout = "1m")]
impl DistributeOnceJobListener for Report {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        println!("count {} begins", firing.scheduled_time());
        Ok(())
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        println!(
            "count {} is complete, {} here so far",
            firing.scheduled_time(),
            self.ballots.counted()
        );
        Ok(())
    }
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .with_env_filter("elasticjob=info")
        .init();
    ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        .component(Ballots::default())
        .build()?
        .run()
        .await
}
