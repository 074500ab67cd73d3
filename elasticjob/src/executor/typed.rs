//! Jobs by configuration alone: a type does the work, the job's props say what it is.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::catalogue::{Catalogue, Declared};
use crate::erased::BoxFuture;
use crate::job::{BoxError, ErasedJob, Kind, Outcome, RunContext};
use crate::property::{Properties, Reader};

use super::streaming;

/// Does the work of all jobs of one `elastic-job-type`.
///
/// Such a job needs no code of its own: it is a section of the configuration that names the type. One executor serves
/// all of them, each with its own properties.
///
/// ```standalone_crate
/// use elasticjob::executor::JobExecutor;
/// use elasticjob::job::{BoxError, RunContext, ShardingContext};
/// use elasticjob::property::{self, Properties, Reader, accept};
///
/// /// Jobs of type `ECHO` say something.
/// struct Echo;
///
/// struct Text(String);
///
/// impl Properties for Text {
///     const PREFIXES: &'static [&'static str] = &["echo."];
///
///     fn read(reader: &mut Reader<'_>) -> Option<Self> {
///         reader.required("echo.text", &accept::TEXT).map(Self)
///     }
/// }
///
/// impl JobExecutor for Echo {
///     type Properties = Text;
///
///     async fn execute(&self, run: &RunContext, Text(text): &Text) -> Result<(), BoxError> {
///         println!("item {}: {text}", run.sharding().sharding_item());
///         Ok(())
///     }
/// }
///
/// let builder = elasticjob::ElasticJob::builder()
///     .without_discovery()
///     .job_executor("ECHO", Echo)
///     .set("jobs.greet.elastic-job-type", "ECHO")
///     .set("jobs.greet.sharding-total-count", "2")
///     .set("jobs.greet.props.echo.text", "hello");
/// assert_eq!(builder.build()?.job_names().collect::<Vec<_>>(), ["greet"]);
/// # Ok::<_, elasticjob::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` executes no jobs",
    label = "no `JobExecutor`",
    note = "`#[job_executor(..)]` stands on `impl JobExecutor for ..`"
)]
pub trait JobExecutor: Send + Sync + 'static {
    /// What it takes from a job's props. `()` where that is nothing.
    type Properties: Properties;

    /// Runs one item of a job with these properties.
    ///
    /// It may block only within [`RunContext::run_blocking`].
    ///
    /// # Errors
    /// Why the item failed. The cause and all its sources come into the history, so they should hold no secret.
    ///
    /// # Cancel safety
    /// The future is dropped when the run is to stop. What must not go on then is stopped by its destructors.
    ///
    /// Several items of several jobs may run at the same time, each with the properties of its job. A panic fails the
    /// item alone.
    fn execute(
        &self,
        run: &RunContext,
        properties: &Self::Properties,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// A [`JobExecutor`] with its type erased. It is implemented for every executor, and only here.
///
/// [`JobExecutors`] has them by the name that configuration uses:
///
/// ```
/// use std::sync::Arc;
/// use elasticjob::executor::{AnyJobExecutor, JobExecutor, JobExecutors};
/// use elasticjob::job::{BoxError, RunContext};
///
/// struct Nothing;
///
/// impl JobExecutor for Nothing {
///     type Properties = ();
///
///     async fn execute(&self, _: &RunContext, (): &()) -> Result<(), BoxError> {
///         Ok(())
///     }
/// }
///
/// let nothing: Arc<dyn AnyJobExecutor> = Arc::new(Nothing);
/// let mut executors = JobExecutors::built_in();
/// executors.register("NOTHING", nothing)?;
/// assert!(executors.get("NOTHING").is_ok());
/// # Ok::<_, BoxError>(())
/// ```
pub trait AnyJobExecutor: Send + Sync + 'static {
    /// Makes a job of the props; `None` where the reader found faults.
    #[doc(hidden)]
    fn open(self: Arc<Self>, reader: &mut Reader<'_>) -> Option<Arc<dyn ErasedJob>>;

    /// What it is, for the log.
    #[doc(hidden)]
    fn describe(&self) -> &'static str;
}

impl<E: JobExecutor> AnyJobExecutor for E {
    fn open(self: Arc<Self>, reader: &mut Reader<'_>) -> Option<Arc<dyn ErasedJob>> {
        let properties = reader.read::<E::Properties>()?;
        Some(Arc::new(Opened(Arc::new((self, properties)))))
    }

    fn describe(&self) -> &'static str {
        type_name::<E>()
    }
}

/// The job types there are, by name.
pub type JobExecutors = Catalogue<dyn AnyJobExecutor>;

inventory::collect!(&'static Declared<dyn AnyJobExecutor>);

impl JobExecutors {
    /// Those that this build of the framework brings.
    #[must_use]
    pub fn built_in() -> Self {
        let mut executors = Self::new("elastic-job-type");
        for (name, executor) in built_in() {
            executors.register(name, executor).expect("the built-in names differ");
        }
        executors
    }

    /// The declared ones that are linked into the program.
    pub(crate) fn discovered() -> impl Iterator<Item = &'static Declared<dyn AnyJobExecutor>> {
        inventory::iter::<&'static Declared<dyn AnyJobExecutor>>
            .into_iter()
            .copied()
    }
}

/// The types that the framework brings, a feature each.
fn built_in() -> Vec<(&'static str, Arc<dyn AnyJobExecutor>)> {
    vec![
        #[cfg(feature = "http")]
        (
            super::http::HttpExecutor::NAME,
            Arc::new(super::http::HttpExecutor::default()),
        ),
        #[cfg(feature = "script")]
        (
            super::script::ScriptExecutor::NAME,
            Arc::new(super::script::ScriptExecutor),
        ),
    ]
}

/// The feature that would bring a type which there is not.
pub(crate) fn missing_feature(name: &str) -> Option<&'static str> {
    match name {
        "HTTP" => Some("http"),
        "SCRIPT" => Some("script"),
        _ => None,
    }
}

/// The jobs of one set of properties.
struct Opened<E: JobExecutor>(Arc<(Arc<E>, E::Properties)>);

impl<E: JobExecutor> ErasedJob for Opened<E> {
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome> {
        let opened = Arc::clone(&self.0);
        Box::pin(async move {
            let (executor, properties) = &*opened;
            executor.execute(&run, properties).await
        })
    }
}

/// Who does a job's work.
#[derive(Clone)]
pub(crate) enum Work {
    /// Code of the application's, which takes what it likes from the props.
    Declared { job: Arc<dyn ErasedJob>, kind: Kind },
    /// Its type, by its props.
    Typed(Arc<dyn AnyJobExecutor>),
}

impl Work {
    /// The job with the props of the reader; `None` where that found faults.
    pub(crate) fn open(&self, reader: &mut Reader<'_>) -> Option<Arc<dyn ErasedJob>> {
        match self {
            Self::Declared { job, kind } => streaming::check(*kind, reader).then(|| Arc::clone(job)),
            Self::Typed(executor) => Arc::clone(executor).open(reader),
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared { kind, .. } => f.debug_tuple("Declared").field(kind).finish(),
            Self::Typed(executor) => f.debug_tuple("Typed").field(&executor.describe()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::job::ShardingContext;
    use crate::property::accept;

    struct Divide;

    struct By(u32);

    impl Properties for By {
        const PREFIXES: &'static [&'static str] = &["divide."];

        fn read(reader: &mut Reader<'_>) -> Option<Self> {
            reader.required("divide.by", &accept::POSITIVE).map(|by| Self(by.get()))
        }
    }

    impl JobExecutor for Divide {
        type Properties = By;

        async fn execute(&self, run: &RunContext, by: &By) -> Result<(), BoxError> {
            match run.sharding().sharding_item() % by.0 {
                0 => Ok(()),
                rest => Err(format!("{rest} remain").into()),
            }
        }
    }

    fn open(props: &[(&str, &str)]) -> Result<Arc<dyn ErasedJob>, String> {
        let props: BTreeMap<String, String> = props
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let mut reader = Reader::new(&props);
        let job = Work::Typed(Arc::new(Divide)).open(&mut reader);
        reader.finish(job).map_err(|faults| faults.to_string())
    }

    #[tokio::test]
    async fn runs_a_typed_job_by_its_properties() {
        let job = open(&[("divide.by", "2"), ("other", "x")]).unwrap();
        let run = |item| job.run(RunContext::for_test(ShardingContext::for_test(item, 4)));
        assert!(run(2).await.is_ok());
        assert_eq!(run(3).await.unwrap_err().to_string(), "1 remain");
    }

    #[test]
    fn every_type_should_be_known_with_its_feature() {
        for (name, _) in built_in() {
            assert_eq!(missing_feature(name), Some(&*name.to_lowercase()));
        }
        assert_eq!(missing_feature("SQL"), None);
    }

    #[test]
    fn the_props_of_a_type_should_be_checked() {
        let refused = open(&[("divide.by", "0"), ("divide.with", "x")]).err().unwrap();
        assert_eq!(
            refused,
            "`props.divide.by` is `0`: expected a whole number of 1 or more; \
             `props.divide.with`: unknown property, there are divide.by"
        );
    }
}
