//! The builder: what an application hands in before anything is checked.
//!
//! No method fails or panics. A fault that a method finds is kept and reported by [`Builder::build`] with all others,
//! so that an application learns of everything at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::Arc;

use elasticjob_config::sources::{Declared, Loader, Settings};
use tracing::{info, warn};

use crate::error_handler::{ErrorHandlerFactory, ErrorHandlerKind, ErrorHandlers, JobErrorHandler, Notifier};
use crate::executor::{ExecutorServiceHandler, JobExecutor, JobExecutors, Pools};
use crate::job::{Components, Job, Registration};
use crate::listener::{DistributeOnceJobListener, JobListener, JobListeners, ListenerKind};
use crate::registry::Registry;
use crate::schedule::{Clock, SystemClock};
use crate::sharding::{ShardingStrategy, Strategies};
#[cfg(feature = "_history")]
use crate::trace::history;
use crate::trace::{TraceListener, TraceListenerKind, TraceListeners};

use super::check;
use super::companion::Companion;
use super::discovery;
use super::error::Error;
use super::fault::{Fault, Faults};
use super::{Jobs, Ready};

/// Puts an application together: jobs, configuration, components.
///
/// Nothing is checked before [`build`](Self::build), which reports everything at once.
///
/// Declared jobs, listeners, strategies and so on are discovered, except for those that test code of other files declares for
/// itself: see [`Jobs::discovered`]. The file is that in which [`ElasticJob::builder`](super::ElasticJob::builder) is called; a
/// function that calls it for tests of several files is `#[track_caller]`.
///
/// ```standalone_crate
/// use elasticjob::prelude::*;
/// use elasticjob::starter::ElasticJob;
///
/// struct Greeting(String);
///
/// #[elastic_job(cron = "0/5 * * * * ?", sharding = 2)]
/// async fn greet(shard: ShardingContext, greeting: Component<Greeting>) {
///     println!("{} from item {}", greeting.0, shard.sharding_item());
/// }
///
/// let ready = ElasticJob::builder().component(Greeting("hello".to_owned())).build()?;
/// assert_eq!(ready.job_names().collect::<Vec<_>>(), ["greet"]);
/// # Ok::<_, elasticjob::Error>(())
/// ```
#[must_use = "a builder does nothing before `build`"]
pub struct Builder {
    pub(super) jobs: Jobs,
    pub(super) components: Components,
    pub(super) faults: Faults,
    loader: Loader,
    environment: Option<BTreeMap<String, String>>,
    files: SearchedFor,
    /// The source file in which it was made.
    pub(super) file: &'static str,
    /// The names of the jobs that are run, if not all are.
    pub(super) only: Option<BTreeSet<String>>,
    pub(super) strategies: Strategies,
    pub(super) error_handlers: ErrorHandlers,
    pub(super) listeners: JobListeners,
    pub(super) trace_listeners: TraceListeners,
    pub(super) tracing_types: TraceListeners,
    #[cfg(feature = "_history")]
    pub(super) storages: Vec<history::Storage>,
    pub(super) pools: Pools,
    pub(super) job_executors: JobExecutors,
    pub(super) companions: Vec<Box<dyn Companion>>,
    pub(super) is_discovering: bool,
    pub(super) registry: Option<Arc<dyn Registry>>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    /// The variable `TZ`.
    pub(super) time_zone: Option<String>,
    pub(super) exits_when_stuck: bool,
}

/// Where `application.*` is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SearchedFor {
    InCurrentDirectory,
    In(PathBuf),
    Nowhere,
}

impl Builder {
    #[track_caller]
    pub(super) fn new() -> Self {
        let file = Location::caller().file();
        Self {
            jobs: Jobs::discovered_from(file),
            components: Components::default(),
            faults: Faults::default(),
            loader: Loader::new(),
            environment: None,
            files: SearchedFor::InCurrentDirectory,
            file,
            only: None,
            strategies: Strategies::built_in(),
            error_handlers: ErrorHandlers::built_in(),
            listeners: JobListeners::none(),
            trace_listeners: TraceListeners::none(),
            tracing_types: TraceListeners::types(),
            #[cfg(feature = "_history")]
            storages: Vec::new(),
            pools: Pools::built_in(),
            job_executors: JobExecutors::built_in(),
            companions: Vec::new(),
            is_discovering: true,
            registry: None,
            clock: None,
            time_zone: None,
            exits_when_stuck: true,
        }
    }

    /// Adds a declared job. This is needed if the job is not discovered: after [`without_discovery`](Self::without_discovery), for a job
    /// of other test code, and for a job in a crate that nothing names, which is not linked. A job that is discovered, too, stays one
    /// job.
    ///
    /// It takes effect for this builder alone. Two different jobs of one name are a fault of [`build`](Self::build),
    /// with the places of both.
    pub fn register<J: Job>(mut self) -> Self {
        self.jobs = self.jobs.register::<J>();
        self
    }

    /// Adds a job that is made by code, such as a [closure](crate::job::job()). Its settings count as those of an attribute: files and the
    /// environment win over them.
    ///
    /// A job of the same name that is discovered or registered too is a fault of [`build`](Self::build).
    pub fn job(mut self, registration: Registration) -> Self {
        self.jobs = self.jobs.with(registration);
        self
    }

    /// Takes only the jobs that are added after this, and none that are discovered; nor discovered job types,
    /// error handlers, sharding strategies, pools, listeners and trace listeners.
    ///
    /// It also forgets the jobs that were added before, so call it first. Components, and implementations that were
    /// added by name, stay.
    pub fn without_discovery(mut self) -> Self {
        self.jobs = Jobs::none();
        self.is_discovering = false;
        self
    }

    /// Runs only the jobs of these names: of all that are discovered, registered, or sections of the configuration, no other is
    /// checked or run. Called again, it adds names.
    ///
    /// It chooses what a test is about, and what one of several deployments of a program runs. A name that no job has is a
    /// fault of [`build`](Self::build).
    pub fn only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let only = self.only.get_or_insert_default();
        only.extend(names.into_iter().map(Into::into));
        self
    }

    /// Hands in a value that jobs, listeners and so on take as [`Component<T>`](crate::job::Component), such as a connection pool. Two
    /// of one type are a fault of [`build`](Self::build), and so is a job that takes one that is missing.
    ///
    /// ```
    /// use elasticjob::ElasticJob;
    /// use elasticjob::job::{Component, job};
    ///
    /// struct Database;
    ///
    /// let settle = || job("settle", |_: Component<Database>| async {}).sharding(1);
    /// let builder = || ElasticJob::builder().without_discovery().without_files().environment([]).job(settle());
    /// assert!(builder().component(Database).build().is_ok());
    /// assert!(builder().build().unwrap_err().to_string().contains("Database"));
    /// ```
    pub fn component<T: Send + Sync + 'static>(mut self, component: T) -> Self {
        if let Err(fault) = self.components.provide(component) {
            self.faults.push(fault);
        }
        self
    }

    /// As [`component`](Self::component), for a value that other code shares; `T` may be a trait object.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use elasticjob::ElasticJob;
    /// use elasticjob::job::{Component, job};
    ///
    /// trait Mailer: Send + Sync {
    ///     fn send(&self, text: &str);
    /// }
    /// # struct Smtp;
    /// # impl Mailer for Smtp { fn send(&self, _: &str) {} }
    ///
    /// let mailer: Arc<dyn Mailer> = Arc::new(Smtp);
    /// let greet = job("greet", |mailer: Component<dyn Mailer>| async move { mailer.send("hello") }).sharding(1);
    /// let builder = ElasticJob::builder().without_discovery().without_files().environment([]);
    /// assert!(builder.shared_component(mailer).job(greet).build().is_ok());
    /// ```
    pub fn shared_component<T: ?Sized + Send + Sync + 'static>(mut self, component: Arc<T>) -> Self {
        if let Err(fault) = self.components.provide_shared(component) {
            self.faults.push(fault);
        }
        self
    }

    /// Reads `application.*` in this directory, and in `config` below it, which wins. By default it is the current directory of the
    /// process. The directory need not exist.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = SearchedFor::In(path.into());
        self
    }

    /// Reads no `application.*`, neither in the current directory nor in one that was given: for tests, which are to be the
    /// same wherever they run. Files that [`file`](Self::file) names are read.
    pub fn without_files(mut self) -> Self {
        self.files = SearchedFor::Nowhere;
        self
    }

    /// Reads a further file, which must be there.
    ///
    /// Several calls add several files. If a file is not there or cannot be read, [`build`](Self::build) refuses to
    /// start.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.loader = self.loader.file(path);
        self
    }

    /// Activates these profiles, separated by commas; they win over files and environment.
    pub fn profile(mut self, names: &str) -> Self {
        self.loader = self.loader.profile(names);
        self
    }

    /// Takes this for the environment instead of that of the process.
    ///
    /// Several calls add up, and a later value of a variable replaces an earlier one. An empty environment,
    /// `environment([])`, makes a test independent of the machine. The variable `TZ` is taken from here, too.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.get_or_insert_default().extend(variables);
        self
    }

    /// Takes configuration that the application has put together with `figment`, instead of looking for files: the values
    /// of its selected profile below `elasticjob`.
    ///
    /// A directory that was named by [`directory`](Self::directory) is still read.
    #[cfg(feature = "figment")]
    pub fn figment(mut self, figment: crate::configuration::sources::figment::Figment) -> Self {
        self.loader = self.loader.figment(figment);
        self.instead_of_current_directory()
    }

    /// Takes configuration that the application has put together with `config`, instead of looking for files: its values
    /// below `elasticjob`.
    ///
    /// A directory that was named by [`directory`](Self::directory) is still read.
    #[cfg(feature = "config")]
    pub fn config(mut self, config: crate::configuration::sources::config::Config) -> Self {
        self.loader = self.loader.config(config);
        self.instead_of_current_directory()
    }

    #[cfg(any(feature = "config", feature = "figment"))]
    fn instead_of_current_directory(mut self) -> Self {
        if self.files == SearchedFor::InCurrentDirectory {
            self.files = SearchedFor::Nowhere;
        }
        self
    }

    /// Sets one value: nothing wins over it. The key is as in a file, with or without `elasticjob.`: `jobs.greet.cron`. A later call for
    /// the same key replaces the value. An unknown key or an invalid value is a fault of [`build`](Self::build).
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.loader = self.loader.set(key, value);
        self
    }

    /// Adds a sharding strategy that configuration can name: `job-sharding-strategy-type`.
    ///
    /// It is the equal of `#[sharding_strategy(..)]`, for strategies that are made by code.
    ///
    /// Names are compared exactly. A name that another strategy has, a built-in one among them, is a fault of
    /// [`build`](Self::build).
    #[track_caller]
    pub fn sharding_strategy(mut self, name: &str, strategy: impl ShardingStrategy) -> Self {
        if let Err(fault) = self.strategies.register(name, Arc::new(strategy)) {
            self.faults.push(fault);
        }
        self
    }

    /// Adds an error handler that configuration can name: `job-error-handler-type`. All jobs that name it share it.
    ///
    /// A name that another handler has is a fault of [`build`](Self::build). Use
    /// [`error_handler_factory`](Self::error_handler_factory) if each job should have a handler of its own, and
    /// [`notifier`](Self::notifier) if the handler sends messages.
    #[track_caller]
    pub fn error_handler(self, name: &str, handler: impl JobErrorHandler) -> Self {
        self.error_handler_kind(name, ErrorHandlerKind::shared(handler))
    }

    /// Adds an error handler that notifies operators of failures, by its own channel. Each job that names it has a bounded queue and a
    /// `notify.interval` of its own, so no job waits for it, and a flood of failures becomes a summary.
    #[track_caller]
    pub fn notifier(self, name: &str, notifier: impl Notifier) -> Self {
        self.error_handler_kind(name, ErrorHandlerKind::notifying(notifier))
    }

    /// Adds an error handler that is made for each job that names it, from the job's props, which are checked at start.
    ///
    /// Props that the factory refuses are faults of [`build`](Self::build), with the line of the file that has them.
    #[track_caller]
    pub fn error_handler_factory(self, name: &str, factory: impl ErrorHandlerFactory) -> Self {
        self.error_handler_kind(name, ErrorHandlerKind::per_job(factory))
    }

    #[track_caller]
    fn error_handler_kind(mut self, name: &str, kind: ErrorHandlerKind) -> Self {
        if let Err(fault) = self.error_handlers.register(name, Arc::new(kind)) {
            self.faults.push(fault);
        }
        self
    }

    /// Adds a listener that jobs can name in `job-listener-types`, and that is called on each instance. All these jobs share it.
    ///
    /// It is the equal of `#[job_listener]`, for listeners that are made by code.
    ///
    /// A listener that no job names is never called. A name that another listener has is a fault of
    /// [`build`](Self::build).
    #[track_caller]
    pub fn job_listener(self, name: &str, listener: impl JobListener) -> Self {
        self.job_listener_kind(name, ListenerKind::regular(listener))
    }

    /// Adds a listener that jobs can name, and that is called once in the cluster. All these jobs share it.
    ///
    /// It waits for all instances of the job at a barrier, with the limits of [`ListenerKind::distribute_once`]; use
    /// [`job_listener_kind`](Self::job_listener_kind) for other limits.
    #[track_caller]
    pub fn distribute_once_job_listener(self, name: &str, listener: impl DistributeOnceJobListener) -> Self {
        self.job_listener_kind(name, ListenerKind::distribute_once(listener))
    }

    /// Adds a listener of either kind, with its limits of time.
    #[track_caller]
    pub fn job_listener_kind(mut self, name: &str, kind: ListenerKind) -> Self {
        if let Err(fault) = self.listeners.register(name, Arc::new(kind)) {
            self.faults.push(fault);
        }
        self
    }

    /// Adds a trace listener for all jobs.
    ///
    /// It is the equal of `#[trace_listener]`, for listeners that are made by code.
    ///
    /// The name stands in logs and in [`ElasticJob::trace_listeners`](super::ElasticJob::trace_listeners). A name that
    /// another trace listener has is a fault of [`build`](Self::build).
    #[track_caller]
    pub fn trace_listener(self, name: &str, listener: impl TraceListener) -> Self {
        self.trace_listener_kind(name, TraceListenerKind::new(listener))
    }

    /// Adds a trace listener with its jobs and limits.
    #[track_caller]
    pub fn trace_listener_kind(mut self, name: &str, kind: TraceListenerKind) -> Self {
        if let Err(fault) = self.trace_listeners.register(name, Arc::new(kind)) {
            self.faults.push(fault);
        }
        self
    }

    /// Has history recorded in a pool of sqlx that the application has, or in another
    /// [place](crate::trace::history::Storage); with `tracing.type: RDB` in the configuration and without. The pool is not closed.
    ///
    /// Called again, it adds a place. Each has the history of its own jobs.
    ///
    /// ```no_run
    /// use elasticjob::ElasticJob;
    /// use elasticjob::trace::history::{Database, Storage};
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let database: Database = "sqlite:history.db".parse()?;
    /// ElasticJob::builder().history(Storage::from(database)).build()?.run().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "_history")]
    pub fn history(mut self, storage: impl Into<history::Storage>) -> Self {
        self.storages.push(storage.into());
        self
    }

    /// Adds a type that `tracing.type` can name, beside `RDB`, a database. If the configuration names it, the listener receives the
    /// events of the jobs that `tracing.include-job-names` and `exclude-job-names` leave.
    #[track_caller]
    pub fn tracing_type(self, name: &str, listener: impl TraceListener) -> Self {
        self.tracing_type_kind(name, TraceListenerKind::new(listener))
    }

    /// Adds a type that `tracing.type` can name, with its limits. The configuration names the jobs that it receives events of.
    #[track_caller]
    pub fn tracing_type_kind(mut self, name: &str, kind: TraceListenerKind) -> Self {
        let place = Location::caller();
        let misnamed = |problem| Fault::new(format!("tracing type `{name}` ({place}): {problem}")).at(place);
        match (
            name.eq_ignore_ascii_case("RDB"),
            name == name.trim() && !name.is_empty(),
        ) {
            (false, true) => {
                if let Err(fault) = self.tracing_types.register(name, Arc::new(kind)) {
                    self.faults.push(fault);
                }
            }
            (true, _) => self.faults.push(misnamed("`RDB` is the type of databases")),
            (_, false) => self.faults.push(misnamed("expected a name without blanks around it")),
        }
        self
    }

    /// Adds a kind of pool that configuration can name: a [`Pool`](crate::executor::Pool), or a handler that creates one for each
    /// job.
    ///
    /// It is the equal of `#[executor_service_handler(..)]`, for handlers that are made by code.
    ///
    /// Jobs name it in `job-executor-service-handler-type`. A name that another pool has is a fault of
    /// [`build`](Self::build).
    #[track_caller]
    pub fn pool(mut self, name: &str, handler: impl ExecutorServiceHandler) -> Self {
        if let Err(fault) = self.pools.register(name, Arc::new(handler)) {
            self.faults.push(fault);
        }
        self
    }

    /// Adds a job type that configuration can name: `elastic-job-type`.
    ///
    /// It is the equal of `#[job_executor(..)]`, for types that are made by code.
    ///
    /// A name that another type has, a built-in one among them, is a fault of [`build`](Self::build).
    #[track_caller]
    pub fn job_executor(mut self, name: &str, executor: impl JobExecutor) -> Self {
        if let Err(fault) = self.job_executors.register(name, Arc::new(executor)) {
            self.faults.push(fault);
        }
        self
    }

    /// Adds what runs beside the jobs, such as the console of the crate `elasticjob-console`.
    ///
    /// Two companions of one section of the configuration are a fault of [`build`](Self::build).
    pub fn with(mut self, companion: impl Companion) -> Self {
        self.companions.push(Box::new(companion));
        self
    }

    /// Sets whether [`run`](super::Ready::run) ends the process if it cannot end by itself after a signal to stop, since a job's
    /// async code blocks a thread of the runtime. By default it does.
    ///
    /// It has no effect on [`start`](super::Ready::start) and [`shutdown`](super::ElasticJob::shutdown), which never
    /// end the process.
    pub fn exit_when_stuck(mut self, on: bool) -> Self {
        self.exits_when_stuck = on;
        self
    }

    /// Uses this registry centre, and not that of the configuration: such as one that tests share, or a registry of your own.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use elasticjob::ElasticJob;
    /// use elasticjob::registry::memory::MemoryRegistry;
    ///
    /// // Two instances of one application, in one process.
    /// let registry = MemoryRegistry::new();
    /// let instance = || ElasticJob::builder().without_discovery().without_files().registry(Arc::new(registry.clone()));
    /// # let _ = (instance(), instance());
    /// ```
    ///
    /// The settings of `reg-center` are not used then, `required` among them.
    pub fn registry(mut self, registry: Arc<dyn Registry>) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Refuses to start if neither the configuration nor the program names a registry centre, where the embedded one
    /// would have each instance run everything alone. `reg-center.required: true` does the same.
    pub fn require_registry(mut self) -> Self {
        self.loader = self.loader.set("reg-center.required", "true");
        self
    }

    /// Takes this clock instead of the system's, for schedules and the fence. Tests have [`ManualClock`](crate::schedule::ManualClock).
    ///
    /// It also decides whether a cron expression still has a time to come when [`build`](Self::build) checks it.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Reads the configuration and checks everything. Nothing is connected, nothing runs, and no thread is started.
    ///
    /// It reads files and the environment, so its result depends on where the program is started; the log lists the files that were read
    /// and those that are not there. For tests there are [`without_files`](Self::without_files) and
    /// [`environment`](Self::environment).
    ///
    /// # Errors
    /// [`Error::Invalid`] with all that is wrong: configuration, jobs of one name, components and parameters that
    /// cannot be supplied, names of strategies, handlers and pools that there are not.
    pub fn build(mut self) -> Result<Ready, Error> {
        let mut faults = std::mem::take(&mut self.faults);
        if self.is_discovering {
            discovery::add(
                &mut self.error_handlers,
                ErrorHandlers::discovered(),
                self.file,
                &self.components,
                &mut faults,
            );
            discovery::add(
                &mut self.listeners,
                JobListeners::discovered(),
                self.file,
                &self.components,
                &mut faults,
            );
            discovery::add(
                &mut self.trace_listeners,
                TraceListeners::discovered(),
                self.file,
                &self.components,
                &mut faults,
            );
            discovery::add(
                &mut self.job_executors,
                JobExecutors::discovered(),
                self.file,
                &self.components,
                &mut faults,
            );
            discovery::add(
                &mut self.strategies,
                Strategies::discovered(),
                self.file,
                &self.components,
                &mut faults,
            );
            discovery::add(
                &mut self.pools,
                Pools::discovered(),
                self.file,
                &self.components,
                &mut faults,
            );
        }
        // One fault after the other is collected, and nothing that is wrong hides what else is.
        let jobs = std::mem::take(&mut self.jobs).sorted();
        let by_name = jobs.chunk_by(|a, b| a.name() == b.name());
        let declared = by_name.map(|of_one_name| &of_one_name[0]).map(|job| Declared {
            name: job.name().to_owned(),
            origin: job.place().to_string(),
            values: job.values().to_vec(),
        });
        let environment = self.environment.take().unwrap_or_else(|| std::env::vars().collect());
        self.time_zone = environment.get("TZ").cloned();
        let mut loader = std::mem::take(&mut self.loader)
            .declared(declared.collect())
            .environment(environment);
        loader = match std::mem::replace(&mut self.files, SearchedFor::Nowhere) {
            SearchedFor::InCurrentDirectory => loader.directory("."),
            SearchedFor::In(directory) => loader.directory(directory),
            SearchedFor::Nowhere => loader,
        };
        if self.registry.is_some() {
            // The program names one, and what files say of it does not matter.
            loader = loader.set("reg-center.required", "false");
        }
        let (settings, checked) = loader.read();
        // All that the jobs declare would be held while they are made.
        drop(loader);
        match checked {
            Ok(()) => report(&settings),
            Err(errors) => faults.extend(errors.iter()),
        }
        check::application(self, jobs, settings, faults)
    }
}

/// Logs where the settings come from, and which settings have no effect.
fn report(settings: &Settings) {
    let sources = &settings.sources;
    info!(
        files = paths(&sources.files),
        absent = paths(&sources.absent),
        profiles = settings.profiles.join(", "),
        "configuration read"
    );
    for setting in &sources.ignored {
        warn!(%setting, "a setting of Spring is ignored");
    }
}

pub(super) fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(", ")
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No settings: they may hold secrets.
        f.debug_struct("Builder")
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

/// The clock of an application that was given none.
pub(super) fn system_clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::new())
}
