//! Extractors: the types that the parameters of a job may have.
//!
//! An extractor has two sides. Before the job fires, `check` looks at its configuration and reports what will be
//! missing. For each run, `from_run` takes the value. An extractor that checks what it takes makes a run that fails for
//! lack of something impossible, except after a change of the configuration.

use tokio_util::sync::CancellationToken;

use super::context::{RunContext, ShardingContext};
use super::outcome::BoxError;
use super::start::Start;

mod component;
mod parameter;
mod props;

pub use component::Component;
pub use parameter::{ItemParameter, JobParameter};
pub use props::Props;

/// What a job can take as a parameter. A job that takes `&T` is given a reference to what `T` extracts.
///
/// Implement it for types of your own. [`RunContext`] has what a run can see, and [`Start`] what is known before the job first
/// fires:
///
/// ```
/// use elasticjob::job::{BoxError, FromRun, RunContext, Start};
/// # use elasticjob::job::ShardingContext;
///
/// /// The database of the item's city, such as `orders_beijing`: a job can take a `CityDatabase` as a parameter.
/// struct CityDatabase(String);
///
/// impl FromRun for CityDatabase {
///     fn from_run(run: &RunContext) -> Result<Self, BoxError> {
///         let city = run.sharding().sharding_parameter().ok_or("the item has no parameter")?;
///         Ok(Self(format!("orders_{}", city.to_lowercase())))
///     }
///
///     // The same fault, found at start: each item needs a parameter.
///     fn check(start: &mut Start<'_>) {
///         elasticjob::job::ItemParameter::<String>::check(start);
///     }
/// }
/// # let shard = ShardingContext::for_test(0, 1).with_sharding_parameter("Beijing");
/// # assert_eq!(CityDatabase::from_run(&RunContext::for_test(shard))?.0, "orders_beijing");
/// # Ok::<_, BoxError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a job cannot take a parameter of type `{Self}`",
    label = "not an extractor",
    note = "for a component of the application, take `Component<{Self}>` and hand it in with \
            `ElasticJob::builder().component(..)`",
    note = "otherwise take `ShardingContext`, `JobParameter<T>`, `ItemParameter<T>`, `Props<T>`, \
            `CancellationToken`, or a type that implements `FromRun`"
)]
pub trait FromRun: Sized {
    /// Takes the value out of the context of a run.
    ///
    /// # Errors
    /// When it cannot be supplied. The run of the item has failed then.
    ///
    /// It is called for each run, on a thread of the runtime, and must not block.
    fn from_run(run: &RunContext) -> Result<Self, BoxError>;

    /// Reports, before the job first fires, all faults with which [`from_run`](Self::from_run) would fail.
    /// By default it reports none. It must not block, and must not rely on being called only once.
    fn check(start: &mut Start<'_>) {
        let _ = start;
    }
}

impl FromRun for ShardingContext {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(run.sharding().clone())
    }
}

impl FromRun for CancellationToken {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(run.cancellation().clone())
    }
}

impl FromRun for RunContext {
    fn from_run(run: &RunContext) -> Result<Self, BoxError> {
        Ok(run.clone())
    }
}
