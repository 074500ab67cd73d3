//! Declarative distributed scheduled jobs, compatible with Apache ShardingSphere ElasticJob.

pub mod registry;
