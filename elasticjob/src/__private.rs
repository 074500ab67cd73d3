//! What generated code calls. Nothing here is for users, and all of it may change.

use std::future::Future;

pub use inventory;

pub use crate::catalogue::{Declared, DeclaredParts};
pub use crate::erased::BoxFuture;
pub use crate::error_handler::{ErrorHandlerKind, error_handler_kind};
pub use crate::executor::{AnyJobExecutor, ExecutorServiceHandler};
pub use crate::job::{
    Argument, Components, Declaration, DeclarationParts, ErasedJob, FromComponents, FromRun, Inject, IntoOutcome, Job,
    JobTrait, Kind, MissingComponent, Outcome, ParameterAs, RunContext, SimpleJob, Site, Start, TakesParameter,
};
pub use crate::listener::{DeclaredListener, ListenerKind, listener_kind};
pub use crate::sharding::ShardingStrategy;
pub use crate::trace::TraceListenerKind;
pub use elasticjob_config::sources::TracedJobs;

/// Boxes the future of a user's function. Called at the span of the function's name, so that a future that
/// is not `Send` is reported there, once.
pub fn boxed<'a, F>(future: F) -> BoxFuture<'a, F::Output>
where
    F: Future + Send + 'a,
{
    Box::pin(future)
}

/// Runs a function that may block, with its arguments, where it may.
pub async fn blocking(run: &RunContext, work: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    run.run_blocking(work).await?
}

/// Makes a job of a function's generated caller.
pub fn function(call: fn(RunContext) -> BoxFuture<'static, Outcome>) -> Box<dyn ErasedJob> {
    Box::new(crate::job::Function(call))
}

/// Stands in for the declaration of an item with faults. No program that compiles has it.
pub static INVALID: Declaration = Declaration::new(DeclarationParts {
    name: "",
    path: "",
    site: Site {
        module: module_path!(),
        file: file!(),
        line: line!(),
        is_test_build: false,
        is_test_target: false,
    },
    kind: Kind::Simple,
    values: &[],
    listeners: &[],
    one_off: false,
    check: |_| {},
    build: |_| Err(MissingComponent::of::<()>()),
});
