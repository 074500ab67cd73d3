//! How long a day of a whole cluster takes in the simulator: a hundred jobs, five instances, and faults all day long.

use std::time::Duration;

use anyhow::ensure;
use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::testing::Simulation;

use crate::history::since_boot;

use super::print;

const JOBS: u32 = 100;

const INSTANCES: usize = 5;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which day it is.
const SEED: u64 = 1;

pub(super) fn measure() -> anyhow::Result<()> {
    let mut builder = ElasticJob::builder().without_discovery().environment([]);
    for number in 0..JOBS {
        // Each minute, at a second of its own.
        let cron = format!("{} * * * * ?", number % 60);
        let work = || tokio::time::sleep(Duration::from_secs(5));
        let job = job(format!("job-{number}"), work).cron(&cron).sharding(3);
        builder = builder.job(job.set("time-zone", "GMT").set("failover", true));
    }
    let simulation = Simulation::of(builder.build()?).instances(INSTANCES).lasting(DAY);
    let begin = since_boot();
    let report = simulation.run(SEED);
    let took = since_boot() - begin;
    ensure!(report.violations().is_empty(), "{:?}", report.violations());
    let name = format!("24 hours of {JOBS} jobs on {INSTANCES} instances with faults");
    print(format!("{name}: real time"), format!("{:.1}", took.as_secs_f64()), "s");
    print(format!("{name}: items run"), report.runs(), "runs");
    Ok(())
}
