//! The number of items, and the parameters of those that exist.
use elasticjob::prelude::*;

#[elastic_job(sharding = 0)]
async fn no_items() {}

#[elastic_job(sharding = -3)]
async fn fewer_than_none() {}

#[elastic_job(sharding_total_count = 1000001)]
async fn more_than_a_job_can_have() {}

#[elastic_job(sharding = 3, item_parameters = "0=Beijing,1=Shanghai,3=Guangzhou")]
async fn out_of_range() {}

#[elastic_job(sharding = 3, sharding_item_parameters = "0=Beijing,Shanghai,x=Guangzhou")]
async fn malformed() {}

#[elastic_job(item_parameters = "0=")]
async fn malformed_without_a_count() {}

#[elastic_job(item_parameters = "0=Beijing,1000000=Shanghai")]
async fn out_of_any_range() {}

#[elastic_job(sharding = 2000000000)]
async fn more_than_memory_can_hold() {}

fn main() {}
