//! A cron expression is read where it is written; every fault in it is shown with carets below the wrong part.
use elasticjob::prelude::*;

#[elastic_job(cron = "0/5 70 * * * ?")]
async fn minute_out_of_range() {}

#[elastic_job(cron = "70 * 25 * * ?")]
async fn two_faults() {}

#[elastic_job(cron = "0 0 2 * *")]
async fn too_few_fields() {}

#[elastic_job(cron = "0 0 2 * * *")]
async fn no_question_mark() {}

#[elastic_job(cron = "")]
async fn empty() {}

#[elastic_job(cron = "0 0 0 30 2 ?")]
async fn no_such_day() {}

fn main() {}
