//! A job takes its name among functions and among types; and only declared jobs are jobs.
use elasticjob::job::Job;
use elasticjob::prelude::*;

mod cleanup {}

#[elastic_job(sharding = 1)]
async fn cleanup() {}

struct NoJob;

fn is_job<J: Job>() {}

fn main() {
    is_job::<NoJob>();
}
