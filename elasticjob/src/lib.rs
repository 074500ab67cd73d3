//! Declarative distributed scheduled jobs, compatible with Apache ShardingSphere ElasticJob.
//!
//! Put `#[elastic_job(..)]` on a function, and it runs on schedule on all instances of your application. The job is divided into
//! sharding items, which the instances share. They find each other in a registry centre: ZooKeeper or, for a single process,
//! the embedded registry.
//!
//! ```no_run
//! use elasticjob::prelude::*;
//!
//! #[elastic_job(cron = "0/5 * * * * ?", sharding = 3, item_parameters = "0=Beijing,1=Shanghai,2=Guangzhou")]
//! async fn sync_orders(shard: ShardingContext, city: ItemParameter<String>) {
//!     println!("item {} of {}: {}", shard.sharding_item(), shard.sharding_total_count(), *city);
//! }
//!
//! #[tokio::main]
//! async fn main() -> elasticjob::Result<()> {
//!     ElasticJob::run().await
//! }
//! ```
//!
//! Start reading at [`job`], which has the traits that a user implements, and at [`starter`], which runs them.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `zookeeper` | yes | the registry centre on ZooKeeper |
//! | `script` | yes | jobs of type `SCRIPT`: [`executor::script`] |
//! | `config`, `figment` | yes | configuration that the application has read with the crate of that name: [`Builder`](starter::Builder) |
//! | `http` | no | jobs of type `HTTP`: [`executor::http`] |
//! | `email`, `dingtalk`, `feishu`, `slack`, `wechat`, `webhook` | no | notifications of failures: [`error_handler`] |
//! | `history-sqlite`, `history-postgres`, `history-mysql` | no | a history of all runs in a database: `trace::history` |
//! | `axum` | no | [`OneOffJob`](starter::OneOffJob) as an extractor of axum handlers |
//! | `metrics` | no | metrics through the facade of the crate `metrics` |
//! | `prometheus` | no | an endpoint with metrics for Prometheus and health for Kubernetes |
//! | `testing` | no | your jobs in a simulated cluster with faults, and the suite that every registry passes: `testing` |
//! | `full` | no | all of them |

#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate self as elasticjob;

#[cfg(all(feature = "script", not(unix)))]
compile_error!(
    "the feature `script` needs Unix, for groups of processes: leave it out with `default-features = false`"
);

pub mod job;
pub mod starter;

pub mod error_handler;
pub mod executor;
pub mod listener;
pub mod property;
pub mod schedule;
pub mod sharding;
pub mod trace;

pub mod operation;
pub mod snapshot;

mod progress;
pub mod registry;
pub mod run;

#[cfg(feature = "testing")]
pub mod testing;

pub mod catalogue;
pub mod prelude;

mod callers;
mod chain;
mod cluster;
mod erased;
mod guard;
mod host;
#[cfg(feature = "_http-client")]
mod http_client;
mod limits;
mod tasks;
mod telemetry;
mod threads;
mod type_name;
#[cfg(feature = "axum")]
mod web;

#[cfg(test)]
#[path = "../tests/log/mod.rs"]
mod test_log;

#[doc(hidden)]
pub mod __private;

pub use elasticjob_config as configuration;
pub use elasticjob_macros::{
    elastic_job, executor_service_handler, job_error_handler, job_executor, job_listener, sharding_strategy,
    trace_listener,
};

pub use starter::{ElasticJob, Error};

/// The result of what the framework does for an application.
pub type Result<T, E = Error> = std::result::Result<T, E>;
