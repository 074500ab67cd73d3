//! What a job cannot return, and futures that cannot be run.
use std::rc::Rc;

use elasticjob::prelude::*;

#[elastic_job(sharding = 1)]
async fn number() -> u32 {
    1
}

#[elastic_job(sharding = 1)]
fn result_of_something() -> Result<u32, BoxError> {
    Ok(1)
}

struct NoError;

#[elastic_job(sharding = 1)]
async fn no_error() -> Result<(), NoError> {
    Err(NoError)
}

#[elastic_job(sharding = 1)]
fn future() -> impl Future<Output = ()> {
    async {}
}

#[elastic_job(sharding = 1)]
async fn not_send() {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}

fn main() {}
