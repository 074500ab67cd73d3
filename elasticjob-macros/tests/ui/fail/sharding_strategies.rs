//! `#[sharding_strategy(..)]` stands on implementations of its trait, with a name.

use elasticjob::prelude::*;
use elasticjob::sharding::{Assignment, ShardingRequest, ShardingStrategy};

#[derive(Default)]
struct Unnamed;

#[sharding_strategy]
impl ShardingStrategy for Unnamed {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        Assignment::from_fn(request, |_| None)
    }
}

#[derive(Default)]
struct Misspelt;

#[sharding_strategy(nam = "NEAREST")]
impl ShardingStrategy for Misspelt {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        Assignment::from_fn(request, |_| None)
    }
}

#[derive(Default)]
struct Other;

#[sharding_strategy(name = "OTHER")]
impl Clone for Other {
    fn clone(&self) -> Self {
        Self
    }
}

struct Bare;

#[sharding_strategy(name = "BARE")]
impl ShardingStrategy for Bare {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        Assignment::from_fn(request, |_| None)
    }
}

fn main() {}
