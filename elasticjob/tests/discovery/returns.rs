//! A file of tests with jobs of its own. They share names with those of other files, and need components that those do not have.

use elasticjob::prelude::*;
use elasticjob::sharding::{Assignment, ShardingRequest, ShardingStrategy};
use elasticjob::sharding_strategy;

pub(crate) struct Warehouse;

#[elastic_job(sharding = 1)]
async fn settle(warehouse: Component<Warehouse>) {
    let _ = warehouse;
}

#[elastic_job(sharding = 1)]
pub(crate) async fn restock(warehouse: Component<Warehouse>) {
    let _ = warehouse;
}

/// As `orders.rs` has it, and with a component that nothing there provides.
#[derive(elasticjob::job::Inject)]
struct ByShelf {
    _warehouse: Component<Warehouse>,
}

#[sharding_strategy(name = "BY_SHELF")]
impl ShardingStrategy for ByShelf {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        Assignment::from_fn(request, |_| None)
    }
}

#[test]
fn finds_its_own_jobs() {
    let builder = elasticjob::ElasticJob::builder().without_files().environment([]);
    let ready = builder.component(Warehouse).build().expect("it has its component");
    assert_eq!(ready.job_names().collect::<Vec<_>>(), ["restock", "settle"]);
}
