//! Each key says which kind of value it takes.
use elasticjob::prelude::*;

const CRON: &str = "0 0 2 * * ?";

#[elastic_job(cron = 5, sharding = "3", failover = "true", job_listener_types = "A", props = "a", crate = "elasticjob")]
async fn other_types() {}

#[elastic_job(cron, sharding, item_parameters, job_listener_types, props, crate)]
async fn no_values() {}

#[elastic_job(cron = CRON)]
async fn constants_are_not_read() {}

#[elastic_job(strategy = "", error_handler = " ", job_listener_types = ["A", "", "B,C"])]
async fn blank_names() {}

#[elastic_job(max_time_diff_seconds = -2, reconcile_interval_minutes = -1, sharding = 3u32)]
async fn numbers() {}

#[elastic_job(props("a" = "1", a = 2, b = 'c', "" = "d"))]
async fn props() {}

#[elastic_job(props(email.host = "localhost"))]
async fn props_with_dots() {}

#[elastic_job(name = "")]
async fn no_name() {}

#[elastic_job(name = "shop/orders")]
async fn slash_in_name() {}

#[elastic_job(name = "orders@-@0")]
async fn separator_in_name() {}

fn main() {}
