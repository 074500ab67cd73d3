//! A time zone is an IANA name, or what Java reads after `GMT`.
use elasticjob::prelude::*;

#[elastic_job(cron = "0 0 2 * * ?", time_zone = "Asia/Shanghia")]
async fn misspelt() {}

#[elastic_job(cron = "0 0 2 * * ?", time_zone = "UTC+8")]
async fn utc() {}

fn main() {}
