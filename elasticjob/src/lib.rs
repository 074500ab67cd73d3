//! Declarative distributed scheduled jobs, compatible with Apache ShardingSphere ElasticJob.

extern crate self as elasticjob;

pub use elasticjob_macros::elastic_job;

#[allow(dead_code, reason = "the worker that runs items is still to come")]
pub mod error_handler;
#[allow(dead_code, unused_imports, reason = "the worker that runs items is still to come")]
pub mod executor;
pub mod job;
pub mod prelude;
pub mod registry;
#[allow(dead_code, reason = "the worker that uses all of it is still to come")]
pub mod schedule;
#[allow(dead_code, reason = "the worker that uses all of it is still to come")]
pub mod sharding;
pub mod starter;

pub mod catalogue;
#[allow(
    dead_code,
    unused_imports,
    reason = "the worker that uses all of it is still to come"
)]
mod cluster;
#[allow(dead_code, reason = "the starter that asks for the address is still to come")]
mod host;
#[allow(dead_code, reason = "the worker that uses all of it is still to come")]
mod tasks;

#[doc(hidden)]
pub mod __private;
