//! Keys that do not go together.
use elasticjob::prelude::*;

#[elastic_job(cron = "0 0 2 * * ?", one_off)]
async fn scheduled_one_off() {}

#[elastic_job(cron = "0 0 2 * * ?", bootstrap = "run_now")]
async fn scheduled_bootstrap() {}

#[elastic_job(sharding = 1, monitor_execution = false, failover)]
async fn failover_of_an_unmonitored_job() {}

fn main() {}
