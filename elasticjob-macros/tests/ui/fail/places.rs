//! Where the attribute cannot stand.
use elasticjob::prelude::*;

#[elastic_job(sharding = 1)]
struct Structure;

#[elastic_job(sharding = 1)]
const CONSTANT: u32 = 1;

#[elastic_job(sharding = 1)]
mod module {}

#[derive(Default)]
struct Type;

#[elastic_job(sharding = 1)]
impl Type {
    async fn execute(&self, _: &ShardingContext) {}
}

impl Type {
    #[elastic_job(sharding = 1)]
    async fn method(&self, _: ShardingContext) {}
}

#[elastic_job(sharding = 1)]
async fn generic<T: Default, const N: usize>() {}

#[elastic_job(sharding = 1)]
async fn lifetime<'a>(_shard: &'a ShardingContext) {}

#[elastic_job(sharding = 1)]
unsafe fn unsafety() {}

#[elastic_job(sharding = 1)]
extern "C" fn foreign() {}

#[elastic_job(sharding = 1)]
const fn constant() {}

fn main() {
    const { constant() };
}
