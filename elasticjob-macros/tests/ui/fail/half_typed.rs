//! A body that is not finished is one error of the compiler's own.
use elasticjob::prelude::*;

#[elastic_job(sharding = 1)]
async fn half_typed(shard: ShardingContext) {
    let _item = shard.
}

fn main() {}
