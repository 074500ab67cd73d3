//! Jobs that are closures.
//!
//! The parameters of a closure are part of its type, so a job keeps its closure with them until the starter erases
//! both. Extractors are taken for each run, in the order of the parameters, and the first that fails ends the run.

use std::any::type_name;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use crate::erased::BoxFuture;

use super::context::RunContext;
use super::declaration::Kind;
use super::erased::ErasedJob;
use super::extract::FromRun;
use super::outcome::{IntoOutcome, Outcome};
use super::registration::Registration;
use super::start::Start;

/// Makes a job of an async closure or function. Its parameters are extractors, eight at most.
///
/// ```
/// use elasticjob::job::{job, Component, ShardingContext};
///
/// let greet = job("greet", |shard: ShardingContext, greeting: Component<String>| async move {
///     println!("{}, item {}", *greeting, shard.sharding_item());
/// });
/// let greet = greet.cron("0 0 8 * * ?").sharding(2);
/// assert_eq!(greet.name(), "greet");
/// ```
///
/// The result does nothing until [`Builder::job`](crate::starter::Builder::job) takes it. Without
/// [`cron`](Registration::cron) it is a one-off job. Its place, for faults, is the line that calls this function.
#[track_caller]
pub fn job<F, P>(name: impl Into<String>, closure: F) -> Registration
where
    F: Closure<P>,
    P: 'static,
{
    let erase = Typed {
        closure,
        parameters: PhantomData,
    };
    Registration::closure(name.into(), Location::caller().into(), Arc::new(erase))
}

/// An async closure that can be a job; `P` is the tuple of its parameters. It is implemented for all such closures and functions.
///
/// ```
/// use elasticjob::job::{Closure, Registration, ShardingContext, job};
///
/// /// A job that runs every night, of any closure.
/// fn nightly<P: 'static>(name: &str, closure: impl Closure<P>) -> Registration {
///     job(name, closure).cron("0 0 3 * * ?").sharding(1)
/// }
///
/// let report = nightly("report", |shard: ShardingContext| async move { println!("{}", shard.job_name()) });
/// assert_eq!(report.name(), "report");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a job",
    note = "a job is an async closure of up to eight extractors with their types written out, such as \
            `|shard: ShardingContext, db: Component<Pool>| async move {{ .. }}`"
)]
pub trait Closure<P>: Send + Sync + 'static {
    #[doc(hidden)]
    fn call(&self, run: &RunContext) -> impl Future<Output = Outcome> + Send;

    #[doc(hidden)]
    fn check(start: &mut Start<'_>);
}

/// A closure that has forgotten its type, until the starter makes it a job.
pub(super) trait Erase: Send + Sync {
    fn kind(&self) -> Kind;
    fn check(&self, start: &mut Start<'_>);
    fn erase(self: Arc<Self>) -> Box<dyn ErasedJob>;
}

struct Typed<F, P> {
    closure: F,
    /// `fn`, so that it is `Send` and `Sync` with any parameters.
    parameters: PhantomData<fn(P)>,
}

impl<F: Closure<P>, P: 'static> Erase for Typed<F, P> {
    fn kind(&self) -> Kind {
        Kind::Simple
    }

    fn check(&self, start: &mut Start<'_>) {
        F::check(start);
    }

    fn erase(self: Arc<Self>) -> Box<dyn ErasedJob> {
        Box::new(Shared(self))
    }
}

struct Shared<F, P>(Arc<Typed<F, P>>);

impl<F: Closure<P>, P: 'static> ErasedJob for Shared<F, P> {
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome> {
        let typed = Arc::clone(&self.0);
        Box::pin(async move { typed.closure.call(&run).await })
    }
}

/// The names of a closure's parameters are not known: they are counted.
macro_rules! closures {
    ($(($($parameter:ident $position:literal),*))*) => {$(
        impl<F, Fut, $($parameter,)*> Closure<($($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoOutcome> + Send,
            $($parameter: FromRun + Send,)*
        {
            #[allow(unused_variables, non_snake_case, reason = "no parameters; named as their types")]
            async fn call(&self, run: &RunContext) -> Outcome {
                $(let $parameter = $parameter::from_run(run)?;)*
                self($($parameter),*).await.into_outcome()
            }

            #[allow(unused_variables, reason = "no parameters")]
            fn check(start: &mut Start<'_>) {
                $(start.parameter($position, type_name::<$parameter>(), $parameter::check);)*
            }
        }
    )*};
}

closures! {
    ()
    (A "1")
    (A "1", B "2")
    (A "1", B "2", C "3")
    (A "1", B "2", C "3", D "4")
    (A "1", B "2", C "3", D "4", E "5")
    (A "1", B "2", C "3", D "4", E "5", G "6")
    (A "1", B "2", C "3", D "4", E "5", G "6", H "7")
    (A "1", B "2", C "3", D "4", E "5", G "6", H "7", I "8")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::job::{BoxError, Component, Components, ItemParameter, JobParameter, ShardingContext};

    #[tokio::test]
    async fn a_closure_should_run_with_what_its_parameters_extract() {
        let registration = job(
            "sum",
            |shard: ShardingContext, total: Component<Mutex<u32>>, add: ItemParameter<u32>| async move {
                *total.lock().map_err(|_| "poisoned")? += shard.sharding_item() * *add;
                Ok::<_, BoxError>(())
            },
        );
        let mut components = Components::default();
        components.provide(Mutex::new(0_u32)).unwrap();
        let total = components.get::<Mutex<u32>>().unwrap();

        let erased = registration.build(&components).unwrap();
        let shard = ShardingContext::for_test(3, 4).with_sharding_parameter("5");
        erased
            .run(RunContext::for_test(shard).with_components(components))
            .await
            .unwrap();

        assert_eq!(*total.lock().unwrap(), 15);
    }

    #[tokio::test]
    async fn the_error_of_a_closure_should_come_out() {
        let registration = job("fail", |_: ShardingContext| async { Err::<(), _>("no orders") });
        let erased = registration.build(&Components::default()).unwrap();
        let outcome = erased.run(RunContext::for_test(ShardingContext::for_test(0, 1))).await;
        assert_eq!(outcome.unwrap_err().to_string(), "no orders");
    }

    #[test]
    fn eight_parameters_should_fit() {
        type P = JobParameter<String>;
        let registration = job("many", |_: P, _: P, _: P, _: P, _: P, _: P, _: P, _: P| async {});
        assert_eq!(registration.name(), "many");
    }

    #[test]
    fn takes_the_later_setting_of_a_key() {
        let registration = job("twice", || async {}).sharding(1).cron("* * * * * ?").sharding(2);
        let expected = [("cron", "* * * * * ?"), ("sharding-total-count", "2")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(registration.values(), expected);
    }

    #[test]
    fn a_closure_should_know_where_it_was_handed_in() {
        let place = job("here", || async {}).place();
        assert_eq!(place.file(), file!());
        assert_eq!(place.line(), line!() - 2);
    }
}
