//! Everything a parameter may be: judged by traits, never by names.
use std::collections::BTreeMap;

use elasticjob::job::{Declaration, FromRun as Extract, Job, RunContext, ShardingContext as Shard, Start};
use elasticjob::prelude::{BoxError, Component, ItemParameter, JobParameter, Props, elastic_job};

type Pool = Component<String>;

struct Own(u32);

impl Extract for Own {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(Own(run.sharding().sharding_item()))
    }

    fn check(start: &mut Start<'_>) {
        start.fault("never");
    }
}

#[elastic_job(sharding = 1)]
async fn renamed(shard: Shard, pool: &Pool, own: &Own, run: &'_ RunContext) {
    let _ = (shard, pool, own.0, run);
}

#[elastic_job(sharding = 1)]
async fn patterns(
    Own(item): Own,
    _: Shard,
    mut parameter: Option<JobParameter<u32>>,
    ItemParameter(city): ItemParameter<String>,
) {
    let _ = (item, parameter.take(), city);
}

#[elastic_job(sharding = 1)]
fn blocking(Props(props): Props<BTreeMap<String, String>>, city: &Option<ItemParameter<String>>) {
    let _ = (props, city);
}

#[elastic_job(sharding = 1)]
#[allow(clippy::too_many_arguments)]
async fn many(_: Shard, _: Shard, _: Shard, _: Shard, _: Shard, _: Shard, _: Shard, _: Shard, _: Shard, _: Shard) {}

#[test]
fn check_parameters_by_their_extractor() {
    let names = [
        renamed::DECLARATION,
        patterns::DECLARATION,
        blocking::DECLARATION,
        many::DECLARATION,
    ];
    assert_eq!(
        names.map(Declaration::name),
        ["renamed", "patterns", "blocking", "many"]
    );
}
