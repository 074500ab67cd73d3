//! Declarative distributed scheduled jobs, compatible with Apache ShardingSphere ElasticJob.
//!
//! Put `#[elastic_job(..)]` on a function, and it runs on schedule on all instances of your application. The job is divided into
//! sharding items, which the instances share. They find each other in a registry centre: ZooKeeper, a SQLite file for
//! the processes of one machine, or the embedded registry for a single process.
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
//! # Concepts
//!
//! - A **job** is work that an application does again and again, on a schedule or on request. It is a function or an `impl` block
//!   with [`#[elastic_job(..)]`](macro@elastic_job), a [closure](job::job()), or a section of the configuration that names a type
//!   such as [`SCRIPT`](executor). A job without a schedule is a [one-off job](starter::OneOffJob).
//! - **Sharding items** divide a job. They are the numbers from 0 up to the sharding total count. The job decides what an item
//!   stands for: a city, a range of keys, one of several queues. A job of one item runs on one instance at a time.
//! - An **instance** is one process as a member of one job, for one session. A process that loses its session comes back as
//!   another instance, with another id.
//! - The **registry centre** is the store in which the instances of a job meet: [`registry`]. It has the configuration that is in
//!   force, the instances that are alive, the owner of each item, and what became of its last runs.
//! - The **leader** is one of the instances. It assigns the items to instances by the job's [sharding strategy](sharding), and
//!   again if instances come or go. Any instance may lead, and a leader runs items like the others.
//! - A **firing** is one scheduled time, or one trigger, on one instance: all items that this instance runs for it.
//! - A **claim** is the transaction by which an instance takes the items of a firing. The registry refuses it if the leader has
//!   assigned the items to another instance meanwhile, so no item is claimed twice.
//! - A **run** is what follows for one item. The job sees it as a [`ShardingContext`](job::ShardingContext). It may be tried again on the
//!   same instance ([retries](job::Registration::retry)), and has another attempt on another instance if the first one dies
//!   (failover).
//! - The **fence** stops the work of an instance that is cut off from the registry before another instance may start the same
//!   item. Futures of jobs are not polled behind it.
//! - A **fencing token** is the number of a claim, and only grows:
//!   [`ShardingContext::fencing_token`](job::ShardingContext::fencing_token). The fence cannot stop code that blocks. A data store that
//!   refuses a token smaller than one that it has seen refuses such code, too.
//!
//! # Flow
//!
//! 1. A scheduled time comes, or an operator or a program [triggers](starter::OneOff) the job. Each instance that owns items claims
//!    them.
//! 2. The [listeners](listener) of the job are called.
//! 3. Each item runs as soon as the [pool](executor) of the job has room.
//! 4. The instance records how each run ended. The failure of an item goes to the job's [error handler](error_handler), and
//!    [events](trace) say what became of it.
//! 5. The listeners are called again. The next firing may begin.
//!
//! A scheduled time that comes in between is made up or skipped: see [`schedule`]. What follows if an instance dies stands at
//! [`run`].
//!
//! # Guarantees
//!
//! - **Two runs of one item never overlap**, in the whole cluster.
//! - **A scheduled time runs at most once for an item.** With `failover` it runs again if its instance dies while it runs.
//! - **A scheduled time is accounted for exactly once:** by how its run ended, or by the reason why there was none.
//! - **The failure of an item ends that item alone**, also if it is a panic. No error handler, listener or history can hold up a job
//!   without limit.
//! - **All faults of the configuration are found at start**, and reported at once, before any job is registered.
//!
//! # Assumptions
//!
//! - `monitor-execution` is on, which is the default.
//! - The code of a job yields: it awaits, or it runs in a plain `fn` on threads of its own. Blocking code and tasks that it spawns
//!   need the fencing token.
//! - The clock of no machine runs more than a fifth faster or slower than the clocks of the registry's servers.
//! - A run that is repeated after a crash does no harm, if `failover` is on: half a run may come before the whole one.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `zookeeper` | yes | the registry centre on ZooKeeper |
//! | `registry-sqlite` | no | a registry centre in a SQLite file, for the processes of one machine |
//! | `registry-postgres` | no | a registry centre in PostgreSQL |
//! | `registry-etcd` | no | a registry centre on etcd; its build needs `protoc` |
//! | `script` | yes | jobs of type `SCRIPT`: [`executor::script`] |
//! | `config`, `figment` | yes | configuration that the application has read with the crate of that name: [`Builder`](starter::Builder) |
//! | `http` | no | jobs of type `HTTP`: [`executor::http`] |
//! | `email`, `dingtalk`, `feishu`, `slack`, `wechat`, `webhook` | no | notifications of failures: [`error_handler`] |
#![cfg_attr(
    feature = "_history",
    doc = "| `history-sqlite`, `history-postgres`, `history-mysql` | no | a history of all runs in a database: [`trace::history`] |"
)]
#![cfg_attr(
    not(feature = "_history"),
    doc = "| `history-sqlite`, `history-postgres`, `history-mysql` | no | a history of all runs in a database: `trace::history` |"
)]
//! | `axum` | no | [`OneOffJob`](starter::OneOffJob) as an extractor of axum handlers |
//! | `openapi` | no | schemas of the reports of [`operation`], for an OpenAPI document by the crate `utoipa` |
//! | `metrics` | no | metrics through the facade of the crate `metrics` |
//! | `prometheus` | no | an endpoint with metrics for Prometheus and health for Kubernetes |
#![cfg_attr(
    feature = "testing",
    doc = "| `testing` | no | your jobs in a simulated cluster with faults: [`testing`]; the suite that every registry passes: [`registry::conformance`] |"
)]
#![cfg_attr(
    not(feature = "testing"),
    doc = "| `testing` | no | your jobs in a simulated cluster with faults: `testing`; the suite that every registry passes: `registry::conformance` |"
)]
//! | `full` | no | all of them but `registry-etcd` |

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
mod uptime;
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
