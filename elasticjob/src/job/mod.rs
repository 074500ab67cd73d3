//! What a user implements: jobs, and what they are given when they run.
//!
//! A job is a function with [extractors](FromRun) as its parameters, a type that implements [`SimpleJob`] or
//! [`DataflowJob`], or made of closures by [`job()`] or [`dataflow`]. Each becomes a [`Registration`] (a name, a place in the source, configuration, and how
//! to make it), and once started an [`ErasedJob`], which is all the executor knows.
//!
//! Promises:
//! - **What cannot be supplied is found at start.** Every extractor is [checked](FromRun::check) against the
//!   job's configuration before anything fires, and [`Start`] collects all faults.
//! - **A job never blocks the runtime by being a plain `fn`:** it runs through [`RunContext::run_blocking`].
//!
//! Depends on nothing but its caller: this module knows neither registry nor clock. Start reading at
//! [`RunContext`], which is everything one run of one sharding item can see.

pub use elasticjob_macros::Inject;
/// Tells code that a run should stop: the token of `tokio-util`, which most asynchronous libraries take. It is exported here so that
/// an application needs no dependency on that crate.
///
/// ```
/// use elasticjob::job::{CancellationToken, RunContext, ShardingContext};
///
/// async fn import(run: RunContext) {
///     let token: &CancellationToken = run.cancellation();
///     for page in 0..100 {
///         if token.is_cancelled() {
///             return println!("stopped before page {page}");
///         }
///     }
/// }
/// # let run = RunContext::for_test(ShardingContext::for_test(0, 1));
/// # futures_util::FutureExt::now_or_never(import(run)).expect("it waits for nothing");
/// ```
pub use tokio_util::sync::CancellationToken;

mod blocking;
mod closure;
mod components;
mod context;
mod dataflow;
mod declaration;
mod erased;
mod extract;
mod inject;
mod outcome;
mod permanent;
mod progress;
mod registration;
mod simple;
mod site;
mod start;

pub use blocking::{BlockingError, BlockingExecutor, Inline};
pub use closure::{Closure, job};
pub use components::{Components, DuplicateComponent, MissingComponent};
pub use context::{RunContext, ShardingContext};
pub use dataflow::{DataflowJob, Fetch, IntoBatch, Process, dataflow};
#[doc(hidden)]
pub use declaration::{Argument, DeclarationParts, ParameterAs};
pub use declaration::{Declaration, Job, Kind, Place, TakesParameter};
pub use erased::ErasedJob;
#[doc(hidden)]
pub use erased::JobTrait;
pub use extract::{Component, FromRun, ItemParameter, JobParameter, Props};
pub use inject::{FromComponents, Inject};
pub use outcome::{BoxError, IntoOutcome, Outcome};
pub use permanent::{Permanent, is_permanent, permanent};
pub(crate) use progress::Progress;
pub use registration::Registration;
pub use simple::SimpleJob;
#[doc(hidden)]
pub use site::Site;
pub use start::{Fault, Start};

pub(crate) use context::{RunParts, ShardingParts};
pub(crate) use dataflow::STREAMING;
pub(crate) use erased::Function;
pub(crate) use start::{JOB_KIND, StartParts};
