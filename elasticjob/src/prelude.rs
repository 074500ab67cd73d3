//! All that an application with jobs usually names: `use elasticjob::prelude::*;`.
//!
//! It exports no `Result`, so that the application's own stays what it is.

pub use tokio_util::sync::CancellationToken;

pub use crate::executor::JobExecutor;
pub use crate::job::{
    BoxError, Component, DataflowJob, FromRun, Inject, ItemParameter, JobParameter, Props, RunContext, ShardingContext,
    SimpleJob, dataflow, job,
};
pub use crate::listener::{DistributeOnceJobListener, Firing, JobListener};
pub use crate::starter::{ElasticJob, OneOffJob};
pub use crate::trace::{JobEvent, TraceListener};
pub use crate::{
    elastic_job, executor_service_handler, job_error_handler, job_executor, job_listener, sharding_strategy,
    trace_listener,
};
