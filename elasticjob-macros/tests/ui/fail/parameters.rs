//! What a job cannot take.
use elasticjob::prelude::*;

struct PgPool;

#[elastic_job(sharding = 1)]
async fn bare_component(shard: ShardingContext, pool: PgPool) {
    let _ = (shard, pool);
}

#[elastic_job(sharding = 1)]
fn blocking_bare_component(pool: &PgPool) {
    let _ = pool;
}

#[elastic_job(sharding = 1)]
async fn borrowed_text(text: &str) {
    let _ = text;
}

#[elastic_job(sharding = 1)]
async fn not_parsable(parameter: JobParameter<PgPool>) {
    let _ = parameter;
}

#[elastic_job(sharding = 1)]
async fn exclusive(shard: &mut ShardingContext) {
    let _ = shard;
}

#[elastic_job(sharding = 1)]
async fn anonymous(shard: impl Into<ShardingContext>) {
    let _ = shard;
}

#[elastic_job(sharding = 1)]
async fn conditional(#[cfg(unix)] _shard: ShardingContext, other: ShardingContext) {
    let _ = other;
}

fn main() {}
