//! Unknown keys, keys given twice, and arguments that are no keys.
use elasticjob::prelude::*;

#[elastic_job(corn = "0 0 2 * * ?")]
async fn misspelt() {}

#[elastic_job(shading = 3, item_parameter = "0=A", max_time_diff = 3)]
async fn several_misspelt() {}

#[elastic_job(colour = "red")]
async fn unknown() {}

#[elastic_job(failover, sharding = 1, failover = false)]
async fn twice() {}

#[elastic_job(sharding = 1, sharding_total_count = 1)]
async fn long_and_short() {}

#[elastic_job("0 0 2 * * ?")]
async fn no_key() {}

#[elastic_job(cron: "0 0 2 * * ?", sharding 3, failover =)]
async fn no_value() {}

#[elastic_job(description = "a" "b", name = concat!("a", "b"))]
async fn too_much_value() {}

fn main() {}
