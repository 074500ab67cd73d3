//! Declarative distributed scheduled jobs, compatible with Apache ShardingSphere ElasticJob.

pub mod registry;
#[allow(dead_code, reason = "the worker that uses all of it is still to come")]
pub mod schedule;
#[allow(dead_code, reason = "the worker that uses all of it is still to come")]
pub mod sharding;

pub mod catalogue;
#[allow(dead_code, reason = "the worker that uses all of it is still to come")]
mod tasks;
