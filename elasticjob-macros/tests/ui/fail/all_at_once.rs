//! All faults of an attribute come out together, and code that names the job has none of its own.
use elasticjob::job::Job;
use elasticjob::prelude::*;

#[elastic_job(cron = "70 * * * * ?", sharding = 0, failver, time_zone = "Mars", one_off)]
async fn many_faults<T>(_shard: &mut ShardingContext) {}

fn is_job<J: Job>() {}

fn main() {
    is_job::<many_faults>();
}
