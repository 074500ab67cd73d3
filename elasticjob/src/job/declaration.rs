//! A job as its attribute declares it.

use std::fmt;
use std::panic::Location;

use super::components::{Components, MissingComponent};
use super::erased::ErasedJob;
use super::extract::JobParameter;
use super::site::Site;
use super::start::Start;

/// A function or type that an attribute declared as a job.
///
/// For a function the attribute makes an empty type of the same name, so that `OneOffJob<rebuild_report>`
/// and explicit registration can name it.
///
/// ```standalone_crate
/// use elasticjob::job::{Job, Kind};
/// use elasticjob::prelude::*;
///
/// #[elastic_job(cron = "0 0 8 * * ?", sharding = 2)]
/// async fn greet() {}
///
/// let declaration = <greet as Job>::DECLARATION;
/// assert_eq!((declaration.name(), declaration.kind()), ("greet", Kind::Simple));
/// assert!(declaration.values().contains(&("sharding-total-count", "2")));
/// // Instead of the search for all declared jobs.
/// let builder = ElasticJob::builder().without_discovery().register::<greet>();
/// # assert_eq!(builder.without_files().environment([]).build()?.job_names().count(), 1);
/// # Ok::<_, elasticjob::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a declared job",
    label = "not declared with `#[elastic_job(..)]`",
    note = "put `#[elastic_job(..)]` on the function or on the `impl` block of the job"
)]
pub trait Job: 'static {
    /// What the attribute says.
    const DECLARATION: &'static Declaration;
}

/// A declared job that takes its parameter as a `T`: as [`JobParameter<T>`](super::JobParameter), or as an `Option` of that.
///
/// The attribute implements it for the function, once for each of its arguments; `Place` tells these apart. It is what
/// [`OneOffJob::execute_with`](crate::starter::OneOffJob::execute_with) checks the parameter by:
///
/// ```standalone_crate
/// use elasticjob::job::TakesParameter;
/// use elasticjob::prelude::*;
///
/// #[elastic_job(sharding = 1)]
/// async fn rebuild(year: JobParameter<u16>) {
///     println!("rebuilding {}", *year);
/// }
///
/// fn takes_years<J: TakesParameter<u16, P>, P>() {}
///
/// takes_years::<rebuild, _>();
/// ```
#[diagnostic::on_unimplemented(
    message = "the job `{Self}` does not take its parameter as `{T}`",
    label = "no argument of the job is a `JobParameter<{T}>`",
    note = "a job without a `JobParameter` is given a text: `(*job).execute_with(\"text\")`"
)]
pub trait TakesParameter<T, Place>: Job {}

/// An extractor that is the job's parameter.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take the job's parameter as `{T}`",
    label = "the job takes no `JobParameter<{T}>`",
    note = "a job without a `JobParameter` is given a text: `(*job).execute_with(\"text\")`"
)]
pub trait ParameterAs<T> {}

impl<T> ParameterAs<T> for JobParameter<T> {}

impl<T> ParameterAs<T> for Option<JobParameter<T>> {}

/// The place of an argument among those of a job.
#[doc(hidden)]
#[derive(Debug)]
pub enum Argument<const INDEX: usize> {}

/// What an attribute says about a job. All of them in a program are found at start.
///
/// It is a static of the program: its address is its identity. Use [`Registration`](super::Registration) for a job with
/// changed settings.
pub struct Declaration {
    parts: DeclarationParts,
}

inventory::collect!(&'static Declaration);

/// All that a [`Declaration`] is made of, written by the attributes.
#[doc(hidden)]
#[allow(missing_docs, reason = "for generated code alone")]
pub struct DeclarationParts {
    pub name: &'static str,
    pub path: &'static str,
    pub site: Site,
    pub kind: Kind,
    pub values: &'static [(&'static str, &'static str)],
    pub listeners: &'static [&'static str],
    pub one_off: bool,
    pub check: fn(&mut Start<'_>),
    pub build: fn(&Components) -> Result<Box<dyn ErasedJob>, MissingComponent>,
}

/// What kind of job it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Runs once for each item.
    Simple,
    /// Fetches data of each item and processes it, batch after batch where it streams.
    Dataflow,
}

impl Declaration {
    #[doc(hidden)]
    pub const fn new(parts: DeclarationParts) -> Self {
        Self { parts }
    }

    /// The name of the job.
    pub fn name(&self) -> &'static str {
        self.parts.name
    }

    /// The path of the function or type in its crate: `my_app::orders::sync_orders`.
    pub fn path(&self) -> &'static str {
        self.parts.path
    }

    /// Where it was declared.
    pub fn place(&self) -> Place {
        self.parts.site.place()
    }

    pub(crate) fn site(&self) -> &Site {
        &self.parts.site
    }

    /// What kind of job it is.
    pub fn kind(&self) -> Kind {
        self.parts.kind
    }

    /// The configuration that the attribute gives, by the names of configuration files (`sharding-total-count`).
    /// Props are `props.{key}`; lists are comma-separated.
    /// They are the lowest layer above the defaults: files, the environment and the builder win
    /// over them.
    pub fn values(&self) -> &'static [(&'static str, &'static str)] {
        self.parts.values
    }

    /// The names of the listeners that the attribute gives by type.
    pub fn listeners(&self) -> &'static [&'static str] {
        self.parts.listeners
    }

    /// Returns whether the attribute insists, by `one_off`, that the job has no schedule.
    pub fn is_one_off(&self) -> bool {
        self.parts.one_off
    }

    /// Reports everything that the job would miss.
    pub fn check(&self, start: &mut Start<'_>) {
        (self.parts.check)(start);
    }

    /// Makes the job.
    ///
    /// # Errors
    /// A component that is missing, which [`check`](Self::check) reports as well.
    ///
    /// # Panics
    /// If the constructor of the job's type does. The starter catches that, and reports it as a fault.
    pub fn build(&self, components: &Components) -> Result<Box<dyn ErasedJob>, MissingComponent> {
        (self.parts.build)(components)
    }
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declaration")
            .field("name", &self.name())
            .field("place", &self.place())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// A line of the source: `src/orders.rs:17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    file: &'static str,
    line: u32,
}

impl Place {
    pub(crate) fn new(file: &'static str, line: u32) -> Self {
        Self { file, line }
    }

    /// The file, as the compiler names it.
    pub fn file(&self) -> &'static str {
        self.file
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }
}

impl From<&'static Location<'static>> for Place {
    fn from(location: &'static Location<'static>) -> Self {
        Self {
            file: location.file(),
            line: location.line(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
