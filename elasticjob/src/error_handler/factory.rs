//! From a name in the configuration to the handler of one job.
//!
//! A handler is made in two steps. At start, and whenever the configuration changes, the factory's properties are read
//! and checked; only from properties without a fault is the handler made. So a handler never sees a prop that is
//! missing or does not parse.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::notify::{Notifying, Post};
use super::{Failure, JobErrorHandler, Notice, Notifier, Reaction, Undelivered};
use crate::guard::{self, Held, Panicked};
use crate::property::{self, Faults, Properties, Reader, accept};
use crate::schedule::Clock;

/// Makes a handler for each job that names it, from the job's props.
///
/// ```
/// use elasticjob::error_handler::{ErrorHandlerFactory, ForJob, JobErrorHandler, Notice, WithInterval, Notifier, Undelivered};
/// use elasticjob::property::{Properties, Reader, accept};
///
/// /// Whom to call.
/// struct Pager { number: String }
///
/// impl Properties for Pager {
///     const PREFIXES: &'static [&'static str] = &["pager."];
///
///     fn read(reader: &mut Reader<'_>) -> Option<Self> {
///         let number = reader.required("pager.number", &accept::TEXT);
///         Some(Self { number: number? })
///     }
/// }
///
/// impl Notifier for Pager {
///     async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
///         println!("calling {}: {}", self.number, notice.text());
///         Ok(())
///     }
/// }
///
/// struct Pagers;
///
/// impl ErrorHandlerFactory for Pagers {
///     // With `notify.interval`, as all handlers that notify people have it.
///     type Properties = WithInterval<Pager>;
///
///     fn make(&self, properties: WithInterval<Pager>, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
///         job.notifying(properties.own, properties.interval)
///     }
/// }
///
/// let builder = elasticjob::ElasticJob::builder().error_handler_factory("PAGER", Pagers);
/// ```
pub trait ErrorHandlerFactory: Send + Sync + 'static {
    /// What a handler takes from the props of its job.
    type Properties: Properties;

    /// Makes the handler of one job. Called again when the job's props have changed.
    ///
    /// It must not block. If it panics, the job does not run by that configuration, and says so.
    fn make(&self, properties: Self::Properties, job: &ForJob<'_>) -> Box<dyn JobErrorHandler>;
}

/// The job that a handler is made for.
pub struct ForJob<'a> {
    handler: &'a str,
    job_name: &'a str,
    post: &'a Post,
}

impl ForJob<'_> {
    /// The name that the handler has in the configuration.
    #[must_use]
    pub fn handler(&self) -> &str {
        self.handler
    }

    /// The name of the job.
    #[must_use]
    pub fn job_name(&self) -> &str {
        self.job_name
    }

    /// The name of this machine.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.post.host
    }

    /// The clock of the application.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.post.clock)
    }

    /// The handler that logs each failure and tells people by this notifier: the first of each cause at once, the others
    /// in a summary each `interval`. Without an interval it tells of all.
    #[must_use]
    pub fn notifying(&self, notifier: impl Notifier, interval: Option<Duration>) -> Box<dyn JobErrorHandler> {
        let notifying = Notifying::new(self.handler, self.job_name, notifier, interval, self.post);
        Box::new(notifying)
    }
}

impl fmt::Debug for ForJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForJob")
            .field("handler", &self.handler)
            .field("job_name", &self.job_name)
            .finish_non_exhaustive()
    }
}

/// A handler's own properties, and `notify.interval`: how often one kind of failure is sent, a minute by default, 0 for each
/// failure.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WithInterval<P> {
    /// The handler's own.
    pub own: P,
    /// `None`: every failure is sent.
    pub interval: Option<Duration>,
}

impl<P: Properties> Properties for WithInterval<P> {
    const PREFIXES: &'static [&'static str] = &["notify."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let own = reader.read::<P>();
        let interval = reader.with_default("notify.interval", &accept::DURATION_OR_OFF, "1m");
        Some(Self {
            own: own?,
            interval: interval?,
        })
    }
}

/// What an error handler's name stands for.
pub struct ErrorHandlerKind {
    make: Held<Box<dyn AnyFactory>>,
}

impl ErrorHandlerKind {
    /// One handler for all jobs that name it.
    #[must_use]
    pub fn shared(handler: impl JobErrorHandler) -> Self {
        Self::per_job(Shared(Arc::new(handler)))
    }

    /// One notifier for all jobs that name it. Each job has a queue of its own, and may set `notify.interval`.
    #[must_use]
    pub fn notifying(notifier: impl Notifier) -> Self {
        Self::per_job(SharedNotifier(Arc::new(notifier)))
    }

    /// A handler for each job.
    #[must_use]
    pub fn per_job(factory: impl ErrorHandlerFactory) -> Self {
        Self {
            make: Held::new(Box::new(factory)),
        }
    }

    /// Asks for what the handler takes from a job's props; all faults are in the reader then.
    pub(crate) fn check(&self, reader: &mut Reader<'_>) -> Option<()> {
        self.make.check(reader)
    }

    /// The handler of a job, called by `handler` in its configuration.
    pub(crate) fn make(
        &self,
        handler: &str,
        job_name: &str,
        props: &BTreeMap<String, String>,
        post: &Post,
    ) -> Result<Arc<dyn JobErrorHandler>, NoHandler> {
        let job = ForJob {
            handler,
            job_name,
            post,
        };
        let made = guard::call(|| self.make.make(props, &job)).map_err(|panicked| NoHandler::Panicked {
            name: handler.to_owned(),
            panicked,
        })?;
        Ok(made.map(Arc::from)?)
    }
}

/// Why a job has no error handler.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHandler {
    #[error(transparent)]
    Props(#[from] Faults),
    /// Its factory did.
    #[error("error handler `{name}` could not be made: its factory {panicked}")]
    Panicked { name: String, panicked: Panicked },
}

impl fmt::Debug for ErrorHandlerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorHandlerKind").finish_non_exhaustive()
    }
}

/// What `#[job_error_handler(..)]` stands on: one of three traits, which `Way` tells apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` handles no failures",
    label = "no `JobErrorHandler`, nor `Notifier`, nor `ErrorHandlerFactory`",
    note = "`#[job_error_handler(..)]` stands on the `impl` of one of these"
)]
pub trait IntoErrorHandlerKind<Way> {
    #[doc(hidden)]
    fn into_error_handler_kind(self) -> ErrorHandlerKind;
}

/// Way of a [`JobErrorHandler`].
#[derive(Debug)]
pub struct AsHandler;

/// Way of a [`Notifier`].
#[derive(Debug)]
pub struct AsNotifier;

/// Way of an [`ErrorHandlerFactory`].
#[derive(Debug)]
pub struct AsFactory;

impl<H: JobErrorHandler> IntoErrorHandlerKind<AsHandler> for H {
    fn into_error_handler_kind(self) -> ErrorHandlerKind {
        ErrorHandlerKind::shared(self)
    }
}

impl<N: Notifier> IntoErrorHandlerKind<AsNotifier> for N {
    fn into_error_handler_kind(self) -> ErrorHandlerKind {
        ErrorHandlerKind::notifying(self)
    }
}

impl<F: ErrorHandlerFactory> IntoErrorHandlerKind<AsFactory> for F {
    fn into_error_handler_kind(self) -> ErrorHandlerKind {
        ErrorHandlerKind::per_job(self)
    }
}

/// What generated code makes of an implementor.
pub fn error_handler_kind<Way, H: IntoErrorHandlerKind<Way>>(handler: H) -> ErrorHandlerKind {
    handler.into_error_handler_kind()
}

/// A factory with any properties.
trait AnyFactory: Send + Sync + 'static {
    fn check(&self, reader: &mut Reader<'_>) -> Option<()>;

    fn make(&self, props: &BTreeMap<String, String>, job: &ForJob<'_>) -> Result<Box<dyn JobErrorHandler>, Faults>;
}

impl<F: ErrorHandlerFactory> AnyFactory for F {
    fn check(&self, reader: &mut Reader<'_>) -> Option<()> {
        reader.read::<F::Properties>().map(drop)
    }

    fn make(&self, props: &BTreeMap<String, String>, job: &ForJob<'_>) -> Result<Box<dyn JobErrorHandler>, Faults> {
        let properties = property::read::<F::Properties>(props)?;
        Ok(ErrorHandlerFactory::make(self, properties, job))
    }
}

struct Shared<H>(Arc<H>);

impl<H: JobErrorHandler> ErrorHandlerFactory for Shared<H> {
    type Properties = ();

    fn make(&self, (): (), _: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl<H: JobErrorHandler> JobErrorHandler for Shared<H> {
    fn handle(&self, failure: &Failure<'_>) -> Reaction {
        self.0.handle(failure)
    }
}

struct SharedNotifier<N>(Arc<N>);

impl<N: Notifier> ErrorHandlerFactory for SharedNotifier<N> {
    type Properties = WithInterval<()>;

    fn make(&self, properties: WithInterval<()>, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        job.notifying(Self(Arc::clone(&self.0)), properties.interval)
    }
}

impl<N: Notifier> Notifier for SharedNotifier<N> {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        self.0.notify(notice).await
    }
}
