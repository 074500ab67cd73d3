//! Timeouts and retries that are none.
use elasticjob::prelude::*;

#[elastic_job(sharding = 1, timeout = 30, retry = -1)]
async fn no_text_and_less_than_none() {}

#[elastic_job(sharding = 1, timeout = "soon", retry_backoff = "0s", retry_max_backoff = "-1m")]
async fn no_durations() {}

#[elastic_job(sharding = 1, timeout = "30s", props("elasticjob.timeout" = "1m"))]
async fn twice() {}

#[elastic_job(sharding = 1, retry = 1001)]
async fn too_often() {}

fn main() {}
