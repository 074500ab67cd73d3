//! Dataflow jobs that are two closures.

use std::any::type_name;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use super::{Dataflow, Flow};
use crate::job::closure::Erase;
use crate::job::context::RunContext;
use crate::job::declaration::Kind;
use crate::job::erased::ErasedJob;
use crate::job::extract::FromRun;
use crate::job::outcome::{BoxError, IntoOutcome, Outcome};
use crate::job::registration::Registration;
use crate::job::start::Start;

/// Makes a [dataflow job](super::DataflowJob) of two async closures or functions: one that fetches a batch, and one that
/// processes it. Their parameters are extractors, eight at most; the last one of the second is the batch.
///
/// ```
/// use std::sync::Mutex;
/// use elasticjob::job::{Component, ShardingContext, dataflow};
///
/// struct Order(u32);
/// struct Orders(Mutex<Vec<Order>>);
///
/// let ship = dataflow(
///     "ship",
///     |orders: Component<Orders>| async move { orders.0.lock().unwrap().drain(..).collect::<Vec<_>>() },
///     |shard: ShardingContext, orders: Vec<Order>| async move {
///         for Order(number) in orders {
///             println!("item {} ships order {number}", shard.sharding_item());
///         }
///     },
/// );
/// let ship = ship.cron("0 0/5 * * * ?").sharding(2).streaming();
/// # assert_eq!(ship.kind(), elasticjob::job::Kind::Dataflow);
/// ```
#[track_caller]
pub fn dataflow<F, P, X, Y>(name: impl Into<String>, fetch: F, process: P) -> Registration
where
    F: Fetch<X>,
    P: Process<F::Item, Y>,
    X: 'static,
    Y: 'static,
{
    let pair = Pair {
        fetch,
        process,
        parameters: PhantomData,
    };
    Registration::closure(name.into(), Location::caller().into(), Arc::new(pair))
}

/// An async closure that fetches for a dataflow job; `P` is the tuple of its parameters. It is implemented for all such closures
/// and functions.
///
/// ```
/// use elasticjob::job::{BoxError, Fetch, Registration, ShardingContext, dataflow};
///
/// /// A dataflow job that prints what any closure fetches.
/// fn printing<P: 'static, F: Fetch<P, Item = String>>(fetch: F) -> Registration {
///     dataflow("print", fetch, |lines: Vec<String>| async move { println!("{}", lines.join("\n")) })
/// }
///
/// let print = printing(|shard: ShardingContext| async move {
///     Ok::<_, BoxError>(vec![format!("item {}", shard.sharding_item())])
/// });
/// assert_eq!(print.name(), "print");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot fetch for a dataflow job",
    note = "it is an async closure of up to eight extractors with their types written out, which returns a `Vec<T>`, \
            or a `Result<Vec<T>, E>`"
)]
pub trait Fetch<P>: Send + Sync + 'static {
    /// What it fetches.
    type Item: Send + 'static;

    #[doc(hidden)]
    fn fetch(&self, run: &RunContext) -> impl Future<Output = Result<Vec<Self::Item>, BoxError>> + Send;

    #[doc(hidden)]
    fn check(start: &mut Start<'_>);
}

/// An async closure that processes a `Vec<T>` for a dataflow job; `P` is the tuple of its parameters before that. It is
/// implemented for all such closures and functions.
///
/// ```
/// use elasticjob::job::{Component, Process, Registration, dataflow};
///
/// /// A dataflow job that processes the numbers 0 to 9 by any closure.
/// fn of_digits<P: 'static>(process: impl Process<u8, P>) -> Registration {
///     dataflow("digits", || async { (0..10).collect::<Vec<u8>>() }, process)
/// }
///
/// let digits = of_digits(|unit: Component<String>, digits: Vec<u8>| async move { println!("{digits:?} {}", *unit) });
/// assert_eq!(digits.name(), "digits");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot process `Vec<{T}>` for a dataflow job",
    note = "it is an async closure of up to eight extractors and then the `Vec` that is fetched, with their types \
            written out; it returns nothing, or a `Result<(), E>`"
)]
pub trait Process<T, P>: Send + Sync + 'static {
    #[doc(hidden)]
    fn process(&self, run: &RunContext, data: Vec<T>) -> impl Future<Output = Outcome> + Send;

    #[doc(hidden)]
    fn check(start: &mut Start<'_>);
}

/// What a closure that fetches may return: a `Vec<T>`, or a `Result<Vec<T>, E>` of any error.
///
/// ```
/// use elasticjob::job::IntoBatch;
///
/// assert_eq!(vec![1, 2].into_batch().unwrap(), [1, 2]);
/// let failed: Result<Vec<u8>, &str> = Err("no route to the database");
/// assert_eq!(failed.into_batch().unwrap_err().to_string(), "no route to the database");
/// ```
#[diagnostic::on_unimplemented(
    message = "a dataflow job cannot fetch `{Self}`",
    label = "not a batch",
    note = "return `Vec<T>`, or `Result<Vec<T>, E>` where `E` is an error, a `String` or an `anyhow::Error`"
)]
pub trait IntoBatch {
    /// What it is made of.
    type Item: Send + 'static;

    /// Converts the returned value.
    ///
    /// # Errors
    /// The job's own.
    fn into_batch(self) -> Result<Vec<Self::Item>, BoxError>;
}

impl<T: Send + 'static> IntoBatch for Vec<T> {
    type Item = T;

    fn into_batch(self) -> Result<Vec<T>, BoxError> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static, E: Into<BoxError>> IntoBatch for Result<Vec<T>, E> {
    type Item = T;

    fn into_batch(self) -> Result<Vec<T>, BoxError> {
        self.map_err(Into::into)
    }
}

struct Pair<F, P, X, Y> {
    fetch: F,
    process: P,
    /// `fn`, so that it is `Send` and `Sync` with any parameters.
    parameters: PhantomData<fn(X, Y)>,
}

impl<F, P, X, Y> Flow for Pair<F, P, X, Y>
where
    F: Fetch<X>,
    P: Process<F::Item, Y>,
    X: 'static,
    Y: 'static,
{
    type Item = F::Item;

    fn fetch(&self, run: &RunContext) -> impl Future<Output = Result<Vec<F::Item>, BoxError>> + Send {
        self.fetch.fetch(run)
    }

    fn process(&self, run: &RunContext, data: Vec<F::Item>) -> impl Future<Output = Outcome> + Send {
        self.process.process(run, data)
    }
}

impl<F, P, X, Y> Erase for Pair<F, P, X, Y>
where
    F: Fetch<X>,
    P: Process<F::Item, Y>,
    X: 'static,
    Y: 'static,
{
    fn kind(&self) -> Kind {
        Kind::Dataflow
    }

    fn check(&self, start: &mut Start<'_>) {
        F::check(start);
        P::check(start);
    }

    fn erase(self: Arc<Self>) -> Box<dyn ErasedJob> {
        Box::new(Dataflow(self))
    }
}

/// The names of a closure's parameters are not known: they are counted.
macro_rules! closures {
    ($(($($parameter:ident $position:literal),*))*) => {$(
        impl<F, Fut, $($parameter,)*> Fetch<($($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoBatch> + Send,
            $($parameter: FromRun + Send,)*
        {
            type Item = <Fut::Output as IntoBatch>::Item;

            #[allow(unused_variables, non_snake_case, reason = "no parameters; named as their types")]
            async fn fetch(&self, run: &RunContext) -> Result<Vec<Self::Item>, BoxError> {
                $(let $parameter = $parameter::from_run(run)?;)*
                self($($parameter),*).await.into_batch()
            }

            #[allow(unused_variables, reason = "no parameters")]
            fn check(start: &mut Start<'_>) {
                $(
                    let position = concat!($position, " of fetch");
                    start.parameter(position, type_name::<$parameter>(), $parameter::check);
                )*
            }
        }

        impl<F, Fut, T, $($parameter,)*> Process<T, ($($parameter,)*)> for F
        where
            F: Fn($($parameter,)* Vec<T>) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoOutcome> + Send,
            T: Send + 'static,
            $($parameter: FromRun + Send,)*
        {
            #[allow(unused_variables, non_snake_case, reason = "no parameters; named as their types")]
            async fn process(&self, run: &RunContext, data: Vec<T>) -> Outcome {
                $(let $parameter = $parameter::from_run(run)?;)*
                self($($parameter,)* data).await.into_outcome()
            }

            #[allow(unused_variables, reason = "no parameters")]
            fn check(start: &mut Start<'_>) {
                $(
                    let position = concat!($position, " of process");
                    start.parameter(position, type_name::<$parameter>(), $parameter::check);
                )*
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
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use crate::job::dataflow::STREAMING;
    use crate::job::{Component, Components, ItemParameter, ShardingContext};

    type Numbers = Mutex<Vec<u32>>;

    #[tokio::test]
    async fn two_closures_should_run_with_what_their_parameters_extract() {
        let registration = dataflow(
            "double",
            |numbers: Component<Numbers>| async move {
                let mut numbers = numbers.lock().map_err(|_| "poisoned")?;
                Ok::<_, BoxError>(numbers.pop().into_iter().collect::<Vec<_>>())
            },
            |by: ItemParameter<u32>, doubled: Component<Mutex<Vec<String>>>, data: Vec<u32>| async move {
                for number in data {
                    doubled.lock().unwrap().push((number * *by).to_string());
                }
            },
        );
        assert_eq!(registration.kind(), Kind::Dataflow);
        let mut components = Components::default();
        components.provide::<Numbers>(Mutex::new(vec![1, 2, 3])).unwrap();
        components.provide(Mutex::new(Vec::<String>::new())).unwrap();
        let doubled = components.get::<Mutex<Vec<String>>>().unwrap();

        let erased = registration.build(&components).unwrap();
        let shard = ShardingContext::for_test(0, 1).with_sharding_parameter("2");
        let run = RunContext::for_test(shard)
            .with_components(components)
            .with_props(BTreeMap::from([(STREAMING.to_owned(), "true".to_owned())]));
        erased.run(run).await.unwrap();
        assert_eq!(*doubled.lock().unwrap(), ["6", "4", "2"]);
    }

    #[tokio::test]
    async fn the_error_of_either_should_come_out() {
        let run = || RunContext::for_test(ShardingContext::for_test(0, 1));
        let fails = dataflow(
            "a",
            || async { Err::<Vec<u8>, _>("no data base") },
            |_: Vec<u8>| async {},
        );
        let failed = fails.build(&Components::default()).unwrap().run(run()).await;
        assert_eq!(failed.unwrap_err().to_string(), "no data base");
        let fails = dataflow("b", || async { vec![1_u8] }, |_: Vec<u8>| async { Err("no printer") });
        let failed = fails.build(&Components::default()).unwrap().run(run()).await;
        assert_eq!(failed.unwrap_err().to_string(), "no printer");
    }
}
