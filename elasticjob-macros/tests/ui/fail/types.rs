//! Types that cannot be jobs.
use std::fmt;

use elasticjob::prelude::*;

struct NeedsSomething(u32);

#[elastic_job(sharding = 1)]
impl SimpleJob for NeedsSomething {
    async fn execute(&self, _: &ShardingContext) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct Generic<T>(T);

#[elastic_job(sharding = 1)]
impl<T: Send + Sync + 'static> SimpleJob for Generic<T> {
    async fn execute(&self, _: &ShardingContext) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct OtherTrait;

#[elastic_job(sharding = 1)]
impl fmt::Display for OtherTrait {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

#[elastic_job(sharding = 1)]
impl SimpleJob for &'static OtherTrait {
    async fn execute(&self, _: &ShardingContext) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct NotSend;

#[elastic_job(sharding = 1)]
impl SimpleJob for NotSend {
    async fn execute(&self, _: &ShardingContext) -> Result<(), BoxError> {
        let shared = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(shared);
        Ok(())
    }
}

fn main() {}
