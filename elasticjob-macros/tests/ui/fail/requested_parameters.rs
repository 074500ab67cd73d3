//! What a run that is asked for cannot be given.
use std::time::Duration;

use elasticjob::prelude::*;

#[elastic_job(sharding = 1)]
async fn archive(shard: ShardingContext, year: JobParameter<u16>) {
    let _ = (shard, year);
}

#[elastic_job(sharding = 1)]
async fn year_alone(year: JobParameter<u16>) {
    let _ = year;
}

#[elastic_job(sharding = 1)]
async fn plain(shard: ShardingContext) {
    let _ = shard;
}

#[elastic_job(sharding = 1)]
async fn without() {}

async fn several(archive: OneOffJob<archive>) {
    let _ = archive.execute_with("2024").await;
    let _ = archive.execute_with_and_wait(2024_u64, Duration::ZERO).await;
}

async fn one(year_alone: OneOffJob<year_alone>) {
    let _ = year_alone.execute_with("2024").await;
}

async fn none(plain: OneOffJob<plain>, without: OneOffJob<without>) {
    let _ = plain.execute_with("text").await;
    let _ = without.execute_with("text").await;
}

fn main() {}
