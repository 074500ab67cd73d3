//! A job on its way into the starter, wherever it comes from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::closure::Erase;
use super::components::{Components, MissingComponent};
use super::dataflow::STREAMING;
use super::declaration::{Declaration, Kind, Place};
use super::erased::ErasedJob;
use super::start::Start;

/// A job that the application has: a [declared](Declaration) one, or one of [closures](super::job()).
///
/// The setters give configuration, as an attribute would: files and the environment still win over it. It is
/// checked with all the rest at start. Of two settings of one key the later counts.
///
/// ```
/// use std::time::Duration;
/// use elasticjob::ElasticJob;
/// use elasticjob::job::{ItemParameter, job};
///
/// let sync = job("sync", |city: ItemParameter<String>| async move { println!("{}", *city) })
///     .cron("0 0/5 * * * ?")
///     .sharding(2)
///     .item_parameters("0=Beijing,1=Shanghai")
///     .timeout(Duration::from_secs(60))
///     .set("failover", true);
/// let ready = ElasticJob::builder().without_discovery().without_files().environment([]).job(sync).build()?;
/// assert_eq!(ready.job_names().collect::<Vec<_>>(), ["sync"]);
/// # Ok::<_, elasticjob::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a job does nothing until it is handed to the builder"]
pub struct Registration {
    name: String,
    place: Place,
    values: Vec<(String, String)>,
    one_off: bool,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Declared(&'static Declaration),
    Closure(Arc<dyn Erase>),
}

impl Registration {
    pub(super) fn closure(name: String, place: Place, closure: Arc<dyn Erase>) -> Self {
        Self {
            name,
            place,
            values: Vec::new(),
            one_off: false,
            source: Source::Closure(closure),
        }
    }

    /// Sets a property of the job by its name in configuration files, such as `sharding-total-count` or
    /// `props.batch`.
    ///
    /// Keys and values are checked by [`Builder::build`](crate::starter::Builder::build): an unknown key is a fault
    /// there.
    pub fn set(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        let key = key.into();
        self.values.retain(|(known, _)| *known != key);
        self.values.push((key, value.to_string()));
        self
    }

    /// When it fires. Without this it is a one-off job.
    ///
    /// It is a Quartz expression of six or seven fields, with seconds first, in the job's `time-zone`, or else in the
    /// zone of the process.
    pub fn cron(self, expression: &str) -> Self {
        self.set("cron", expression)
    }

    /// Into how many items it is divided.
    /// It is 1 or more. The items are numbered from 0.
    pub fn sharding(self, total_count: u32) -> Self {
        self.set("sharding-total-count", total_count)
    }

    /// The parameters of its items: `0=Beijing,1=Shanghai`.
    /// An item may be left out, and has no parameter then.
    pub fn item_parameters(self, parameters: &str) -> Self {
        self.set("sharding-item-parameters", parameters)
    }

    /// The job's parameter.
    /// Jobs take it as [`JobParameter`](super::JobParameter). A trigger may bring another one for its run.
    pub fn parameter(self, parameter: impl fmt::Display) -> Self {
        self.set("job-parameter", parameter)
    }

    /// Makes a [dataflow job](super::DataflowJob) go on for as long as there is data.
    pub fn streaming(self) -> Self {
        self.set(format!("props.{STREAMING}"), true)
    }

    /// Sets the time limit of a run, without its wait for the pool, and of each batch if the job streams. After it the run is
    /// dropped, the token of blocking work is cancelled, and the run has failed.
    pub fn timeout(self, limit: Duration) -> Self {
        self.set("props.elasticjob.timeout", written(limit))
    }

    /// How often an item that fails, panics or takes too long is tried again, unless its error is
    /// [`permanent`](super::permanent). The instance goes on with it, and to the cluster all of it is one run.
    ///
    /// Another try begins after a pause, of a second at first, which doubles up to a minute; each is shorter by up to a
    /// half, so that items which fail together are not tried together. There is none for an item that
    /// [should end](super::RunContext::wind_down): because it is to move, the job stops here, or other items of the
    /// instance wait for its end to run at their next time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use elasticjob::ElasticJob;
    /// use elasticjob::job::{BoxError, job, permanent};
    ///
    /// struct Refused;
    /// # async fn charge() -> Result<(), Refused> { Err(Refused) }
    ///
    /// let charge = job("charge", || async {
    ///     charge().await.map_err(|Refused| permanent("the card was refused"))?;
    ///     Ok::<_, BoxError>(())
    /// });
    /// let charge = charge
    ///     .sharding(1)
    ///     .timeout(Duration::from_secs(30))
    ///     .retry(3)
    ///     .retry_backoff(Duration::from_millis(500))
    ///     .retry_max_backoff(Duration::from_secs(10));
    /// ElasticJob::builder().without_discovery().job(charge).build()?;
    /// # Ok::<_, elasticjob::Error>(())
    /// ```
    pub fn retry(self, retries: u32) -> Self {
        self.set("props.elasticjob.retry", retries)
    }

    /// The pause before the first [retry](Self::retry).
    /// It is a second by default, and doubles with each further try.
    pub fn retry_backoff(self, pause: Duration) -> Self {
        self.set("props.elasticjob.retry.backoff", written(pause))
    }

    /// The longest pause before a [retry](Self::retry).
    /// It is a minute by default.
    pub fn retry_max_backoff(self, pause: Duration) -> Self {
        self.set("props.elasticjob.retry.max-backoff", written(pause))
    }

    /// Returns the name of the job.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it was declared, or where the closure was handed in.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The declared function's or type's path; for a closure its name.
    pub fn path(&self) -> &str {
        match self.source {
            Source::Declared(declaration) => declaration.path(),
            Source::Closure(_) => &self.name,
        }
    }

    /// What kind of job it is.
    pub fn kind(&self) -> Kind {
        match &self.source {
            Source::Declared(declaration) => declaration.kind(),
            Source::Closure(closure) => closure.kind(),
        }
    }

    /// The configuration given in code, by the names of configuration files.
    pub fn values(&self) -> &[(String, String)] {
        &self.values
    }

    /// Returns whether its declaration insists that the job has no schedule.
    pub fn is_one_off(&self) -> bool {
        self.one_off
    }

    /// The declaration behind it; none for a closure.
    pub fn declaration(&self) -> Option<&'static Declaration> {
        match self.source {
            Source::Declared(declaration) => Some(declaration),
            Source::Closure(_) => None,
        }
    }

    /// Reports everything that the job would miss.
    pub fn check(&self, start: &mut Start<'_>) {
        match &self.source {
            Source::Declared(declaration) => declaration.check(start),
            Source::Closure(closure) => closure.check(start),
        }
    }

    /// Makes the job.
    ///
    /// # Errors
    /// A component that is missing, which [`check`](Self::check) reports as well.
    pub fn build(&self, components: &Components) -> Result<Box<dyn ErasedJob>, MissingComponent> {
        match &self.source {
            Source::Declared(declaration) => declaration.build(components),
            Source::Closure(closure) => Ok(Arc::clone(closure).erase()),
        }
    }
}

impl From<&'static Declaration> for Registration {
    fn from(declaration: &'static Declaration) -> Self {
        let values = declaration.values().iter();
        let mut values: Vec<_> = values.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        if !declaration.listeners().is_empty() {
            values.push(("job-listener-types".to_owned(), declaration.listeners().join(",")));
        }
        Self {
            name: declaration.name().to_owned(),
            place: declaration.place(),
            values,
            one_off: declaration.is_one_off(),
            source: Source::Declared(declaration),
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// As configuration has it.
fn written(duration: Duration) -> String {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    format!("{duration:#}")
}
