//! Dataflow jobs that are none, and jobs that cannot stream.
use elasticjob::prelude::*;

#[elastic_job(sharding = 1, streaming)]
async fn a_function() {}

#[derive(Default)]
struct Simple;

#[elastic_job(sharding = 1, streaming)]
impl SimpleJob for Simple {
    async fn execute(&self, _: &ShardingContext) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct Twice;

#[elastic_job(sharding = 1, streaming, props("streaming.process" = false))]
impl DataflowJob for Twice {
    type Item = u32;

    async fn fetch(&self, _: &ShardingContext) -> Result<Vec<u32>, BoxError> {
        Ok(Vec::new())
    }

    async fn process(&self, _: &ShardingContext, _: Vec<u32>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct NoItem;

#[elastic_job(sharding = 1, streaming = "yes")]
impl DataflowJob for NoItem {
    async fn fetch(&self, _: &ShardingContext) -> Result<Vec<u32>, BoxError> {
        Ok(Vec::new())
    }
}

// Functions rather than closures: how rustc shows these depends on how long the path of the checkout is.
async fn one() -> u32 {
    1
}

async fn batch() -> Vec<u32> {
    vec![1]
}

async fn numbers(_: Vec<u32>) {}

async fn texts(_: Vec<String>) {}

fn fetches_no_batch() {
    let _ = dataflow("a", one, numbers);
}

fn processes_something_else() {
    let _ = dataflow("b", batch, texts);
}

fn main() {}
