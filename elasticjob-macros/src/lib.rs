//! The attributes of ElasticJob. Use them through the crate `elasticjob`, which re-exports them.
//!
//! An attribute goes through stages, a file each: `attribute` (what is written) → `model` (which keys with
//! which types of values) → `validate` (what the values mean) → `expand`. Each stage goes on after a fault,
//! so that all faults come out at once. The item stays exactly as written; after a fault, what is generated
//! beside it is a `fallback`, so that code which names the job has no second error.

use proc_macro::TokenStream;

mod faults;
mod implementation;
mod inject;
mod job;
mod site;

/// Declares a job: an `async fn`, a `fn` (which runs where it may block), or an `impl` block of a job trait.
///
/// A function stays as written, callable and testable. Its parameters are extractors, which implement
/// `FromRun`; it returns nothing, or a `Result<(), E>`. Beside it there is a hidden type of the same name for
/// `OneOffJob<name>` and explicit registration: so the name must be free among types and modules, too.
///
/// A type with an `impl` block of a job trait is made by `Default` or `#[derive(Inject)]`.
///
/// ```
/// use elasticjob::prelude::*;
///
/// #[elastic_job(cron = "0/5 * * * * ?", sharding = 3, item_parameters = "0=Beijing,1=Shanghai,2=Guangzhou", failover)]
/// async fn sync_orders(shard: ShardingContext, city: ItemParameter<String>) -> Result<(), BoxError> {
///     assert_eq!(*city, "Shanghai");
///     assert_eq!(shard.sharding_item(), 1);
///     Ok(())
/// }
///
/// # use elasticjob::job::Job;
/// # assert_eq!(sync_orders::DECLARATION.name(), "sync_orders");
/// // In a test:
/// let outcome = sync_orders(ShardingContext::for_test(1, 3), ItemParameter("Shanghai".to_owned()));
/// # let outcome = futures_util::FutureExt::now_or_never(outcome).unwrap();
/// # assert!(outcome.is_ok());
/// ```
///
/// # Keys
/// All are optional. What they give can be overridden by files, environment and builder.
///
#[doc = include_str!("job/keys.md")]
///
/// A flag is `failover`, `failover = true` or `failover = false`.
///
/// What a compiler can know is checked by it: expressions, zones, item parameters, and keys that exclude
/// each other.
#[proc_macro_attribute]
pub fn elastic_job(arguments: TokenStream, item: TokenStream) -> TokenStream {
    job::expand(arguments.into(), item.into()).into()
}

/// Declares a job type: the executor of all jobs that name it as their `elastic-job-type`.
///
/// It stands on the `impl` block of `JobExecutor`, for a type that is made by `Default` or `#[derive(Inject)]`. The
/// builder's `job_executor` is its equal for what is made by code.
///
/// ```
/// use elasticjob::prelude::*;
///
/// /// Jobs of type `SLEEP` do nothing.
/// #[derive(Default)]
/// struct Sleep;
///
/// #[job_executor(name = "SLEEP")]
/// impl JobExecutor for Sleep {
///     type Properties = ();
///
///     async fn execute(&self, run: &RunContext, _: &()) -> Result<(), BoxError> {
///         println!("item {} sleeps", run.sharding().sharding_item());
///         Ok(())
///     }
/// }
///
/// let builder = ElasticJob::builder()
///     .set("jobs.night.elastic-job-type", "SLEEP")
///     .set("jobs.night.sharding-total-count", "1");
/// assert!(builder.build()?.job_names().any(|name| name == "night"));
/// # Ok::<_, elasticjob::Error>(())
/// ```
///
/// | key | value | default |
/// |---|---|---|
/// | `name` | the name that configuration uses | none: it has to be given |
/// | `crate` | path of the crate `elasticjob`, if it is renamed | `::elasticjob` |
#[proc_macro_attribute]
pub fn job_executor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    implementation::JOB_EXECUTOR
        .expand(arguments.into(), item.into())
        .into()
}

/// Declares an error handler: it handles the failures of all jobs that name it as their `job-error-handler-type`.
///
/// It stands on the `impl` block of `JobErrorHandler`; of `Notifier`, for one that tells people; or of
/// `ErrorHandlerFactory`, for one with settings of each job. The type is made by `Default` or `#[derive(Inject)]`. The
/// builder's `error_handler`, `notifier` and `error_handler_factory` are its equals for what is made by code.
///
/// ```
/// use elasticjob::error_handler::{Notice, Notifier, Undelivered};
/// use elasticjob::prelude::*;
///
/// /// Rings a bell.
/// #[derive(Default)]
/// struct Bell;
///
/// #[job_error_handler(name = "BELL")]
/// impl Notifier for Bell {
///     async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
///         println!("ding: {}", notice.text());
///         Ok(())
///     }
/// }
///
/// #[elastic_job(sharding = 1, error_handler = "BELL", props("notify.interval" = "5m"))]
/// async fn settle() -> Result<(), BoxError> {
///     Err("no money".into())
/// }
///
/// assert!(ElasticJob::builder().build().is_ok());
/// ```
///
/// | key | value | default |
/// |---|---|---|
/// | `name` | the name that configuration uses | none: it has to be given |
/// | `crate` | path of the crate `elasticjob`, if it is renamed | `::elasticjob` |
#[proc_macro_attribute]
pub fn job_error_handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    implementation::JOB_ERROR_HANDLER
        .expand(arguments.into(), item.into())
        .into()
}

/// Declares a sharding strategy: it assigns the items of all jobs that name it as their `job-sharding-strategy-type` to
/// instances.
///
/// It stands on the `impl` block of `ShardingStrategy`, for a type that is made by `Default` or `#[derive(Inject)]`. The
/// builder's `sharding_strategy` is its equal for what is made by code. Every process of the job needs it: any of them may
/// lead.
///
/// ```standalone_crate
/// use elasticjob::prelude::*;
/// use elasticjob::sharding::{Assignment, ShardingRequest, ShardingStrategy};
///
/// /// The instance with the greatest id does it all, the others stand by.
/// #[derive(Default)]
/// struct Standby;
///
/// #[sharding_strategy(name = "STANDBY")]
/// impl ShardingStrategy for Standby {
///     fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
///         let first = (!request.instances().is_empty()).then_some(0);
///         Assignment::from_fn(request, |_item| first)
///     }
/// }
///
/// #[elastic_job(cron = "0/5 * * * * ?", sharding = 3, strategy = "STANDBY")]
/// async fn settle() {}
///
/// assert!(ElasticJob::builder().build().is_ok());
/// ```
///
/// | key | value | default |
/// |---|---|---|
/// | `name` | the name that configuration uses | none: it has to be given |
/// | `crate` | path of the crate `elasticjob`, if it is renamed | `::elasticjob` |
#[proc_macro_attribute]
pub fn sharding_strategy(arguments: TokenStream, item: TokenStream) -> TokenStream {
    implementation::SHARDING_STRATEGY
        .expand(arguments.into(), item.into())
        .into()
}

/// Declares a kind of pool: it bounds how many items run at once, for all jobs that name it as their `job-executor-service-handler-type`.
///
/// It stands on the `impl` block of `ExecutorServiceHandler`, for a type that is made by `Default` or
/// `#[derive(Inject)]`. The builder's `pool` is its equal for what is made by code.
///
/// ```standalone_crate
/// use std::num::NonZeroUsize;
/// use elasticjob::executor::{ExecutorServiceHandler, Pool};
/// use elasticjob::prelude::*;
///
/// /// What the database bears, of all jobs together.
/// struct Database(Pool);
///
/// impl Default for Database {
///     fn default() -> Self {
///         const FOUR: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");
///         Self(Pool::shared(FOUR))
///     }
/// }
///
/// #[executor_service_handler(name = "DATABASE")]
/// impl ExecutorServiceHandler for Database {
///     fn pool(&self, _job_name: &str) -> Pool {
///         self.0.clone()
///     }
/// }
///
/// #[elastic_job(cron = "0/5 * * * * ?", sharding = 100, executor = "DATABASE")]
/// async fn copy_orders() {}
///
/// assert!(ElasticJob::builder().build().is_ok());
/// ```
///
/// | key | value | default |
/// |---|---|---|
/// | `name` | the name that configuration uses | none: it has to be given |
/// | `crate` | path of the crate `elasticjob`, if it is renamed | `::elasticjob` |
#[proc_macro_attribute]
pub fn executor_service_handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    implementation::EXECUTOR_SERVICE_HANDLER
        .expand(arguments.into(), item.into())
        .into()
}

/// Declares a listener, which is called before and after each firing of the jobs that name it.
///
/// It stands on the `impl` block of `JobListener`, which is called on each instance, or of `DistributeOnceJobListener`, which is
/// called once in the cluster. The type must have `Default` or `#[derive(Inject)]`. For a listener that code creates, the builder has
/// `job_listener` and `distribute_once_job_listener`.
///
/// ```standalone_crate
/// use elasticjob::prelude::*;
///
/// /// Clears the table when all items have ended.
/// #[derive(Default)]
/// struct CleanUp;
///
/// #[job_listener(completed_timeout = "2h")]
/// impl DistributeOnceJobListener for CleanUp {
///     async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
///         println!("{} is done", firing.job_name());
///         Ok(())
///     }
/// }
///
/// #[elastic_job(cron = "0 0 3 * * ?", sharding = 4, listeners = [CleanUp])]
/// async fn close_day() {}
///
/// assert!(ElasticJob::builder().build().is_ok());
/// ```
///
/// | key | value | default |
/// |---|---|---|
/// | `name` | the name that configuration uses | the name of the type |
/// | `started_timeout` | how long `before` may take, and is waited for: `"3s"` | a minute |
/// | `completed_timeout` | the same of `after` | a minute; once in the cluster a day |
/// | `crate` | path of the crate `elasticjob`, if it is renamed | `::elasticjob` |
#[proc_macro_attribute]
pub fn job_listener(arguments: TokenStream, item: TokenStream) -> TokenStream {
    implementation::JOB_LISTENER
        .expand(arguments.into(), item.into())
        .into()
}

/// Declares a trace listener, which receives the events of the jobs of its process.
///
/// It stands on the `impl` block of `TraceListener`, for a type that is made by `Default` or `#[derive(Inject)]`. The
/// builder's `trace_listener` is its equal for what is made by code. No job waits for it, and no fault of it touches one.
///
/// ```standalone_crate
/// use elasticjob::prelude::*;
/// use elasticjob::starter::ItemOutcome;
///
/// /// Says which items fail.
/// #[derive(Default)]
/// struct Failures;
///
/// #[trace_listener(exclude_job_names = ["heartbeat"])]
/// impl TraceListener for Failures {
///     async fn on_event(&self, event: &JobEvent) -> Result<(), BoxError> {
///         if let JobEvent::Ended { run, outcome: ItemOutcome::Failed { cause }, .. } = event {
///             println!("{}/{}: {cause}", run.job, run.item);
///         }
///         Ok(())
///     }
/// }
///
/// #[elastic_job(cron = "0 0 3 * * ?", sharding = 4)]
/// async fn close_day() {}
///
/// assert!(ElasticJob::builder().build().is_ok());
/// ```
///
/// | key | value | default |
/// |---|---|---|
/// | `name` | its name in log and metrics | the name of the type |
/// | `include_job_names` | the jobs that it receives events of: `["sync_orders"]` | all |
/// | `exclude_job_names` | the jobs that it receives no events of; not both | none |
/// | `timeout` | the time limit for one event: `"3s"` | a minute |
/// | `crate` | path of the crate `elasticjob`, if it is renamed | `::elasticjob` |
#[proc_macro_attribute]
pub fn trace_listener(arguments: TokenStream, item: TokenStream) -> TokenStream {
    implementation::TRACE_LISTENER
        .expand(arguments.into(), item.into())
        .into()
}

/// Makes a type that is a job, or part of one, out of the application's components: each field is a
/// `Component<T>` or an `Option<Component<T>>`.
///
/// With `#[inject(crate = path)]` where the crate `elasticjob` is renamed.
#[proc_macro_derive(Inject, attributes(inject))]
pub fn derive_inject(input: TokenStream) -> TokenStream {
    inject::expand(input.into()).into()
}
