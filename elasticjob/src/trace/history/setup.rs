//! What of an application is recorded, and where: its configuration and its program put together.
//!
//! Each job has at most one place. That is checked before anything runs: history in two places would be complete in
//! neither for a reader. A place begins to record when it is started; that its database is away then is no
//! fault, since events wait.

use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::{self, Origin, RunLogSettings, TracedJobs, TracingSettings};
use tracing::info;

use crate::host;
use crate::schedule::Clock;
use crate::tasks::Tasks;
use crate::trace::run_log::Sink;
use crate::trace::{Tap, names};

use super::database::Database;
use super::error::Error;
use super::logs::LogWriter;
use super::query::History;
use super::recorder::{CAPACITY, Recorder, RecorderProgress, RecorderStats};
use super::retention::Retention;
use super::storage::Storage;

/// Why history cannot be recorded as it should be.
#[derive(Debug)]
pub(crate) enum SetupFault {
    /// A setting is wrong.
    Setting(sources::Error),
    /// A place that the program handed in is wrong.
    Storage(String),
}

/// What is recorded in one place.
#[derive(Debug)]
pub(crate) struct Setup {
    storage: Storage,
    jobs: TracedJobs,
    jobs_origin: Option<Origin>,
    /// How long it is kept; for ever, where nothing is said.
    retention: Option<Duration>,
    run_log: RunLogSettings,
    /// Settings of the configuration that mean nothing here.
    ignored: Vec<String>,
}

/// History that is being recorded.
#[derive(Debug)]
pub(crate) struct Kept {
    history: History,
    progress: RecorderProgress,
    jobs: TracedJobs,
}

impl Setup {
    /// Returns what is recorded where. The place of the configuration comes first.
    ///
    /// The first place that the program hands in without saying for which jobs is that of the configuration, if this names no database
    /// for history alone.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn all(
        settings: Option<&TracingSettings>,
        storages: Vec<Storage>,
    ) -> Result<Vec<Self>, Vec<SetupFault>> {
        let mut faults: Vec<SetupFault> = storages
            .iter()
            .filter_map(Storage::fault)
            .map(|fault| SetupFault::Storage(format!("history cannot be recorded: {fault}")))
            .collect();
        let mut storages = storages;
        let mut setups = Vec::new();
        if let Some(settings) = settings {
            let is_open = |storage: &Storage| storage.jobs.is_none();
            let handed_in = (!settings.names_database())
                .then(|| storages.iter().position(is_open))
                .flatten()
                .map(|index| storages.remove(index));
            let (storage, ignored) = match handed_in {
                Some(storage) => (Some(storage), Vec::new()),
                None => match Database::of_settings(settings) {
                    Ok(database) => {
                        let ignored = database.ignored().to_vec();
                        (Some(Storage::from(database)), ignored)
                    }
                    Err(found) => {
                        faults.extend(found.into_iter().map(SetupFault::Setting));
                        (None, Vec::new())
                    }
                },
            };
            setups.extend(storage.map(|storage| Self {
                jobs: settings.jobs.clone(),
                jobs_origin: settings.jobs_origin.clone(),
                retention: storage.retention.or(settings.retention),
                run_log: settings.run_log,
                storage,
                ignored,
            }));
        }
        setups.extend(storages.into_iter().map(|storage| Self {
            jobs: storage.jobs.clone().unwrap_or(TracedJobs::All),
            jobs_origin: None,
            retention: storage.retention,
            run_log: settings.map(|settings| settings.run_log).unwrap_or_default(),
            storage,
            ignored: Vec::new(),
        }));
        if faults.is_empty() { Ok(setups) } else { Err(faults) }
    }

    /// Returns each of these jobs that would have its history in several places, with what is wrong about that.
    pub(crate) fn overlaps<'a>(setups: &[Self], jobs: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
        let places = |job: &str| -> Vec<String> {
            let of_job = setups.iter().filter(|setup| setup.jobs.has(job));
            of_job.map(|setup| setup.storage.to_string()).collect()
        };
        jobs.map(|job| (job, places(job)))
            .filter(|(_, places)| places.len() > 1)
            .map(|(job, places)| {
                let problem = format!(
                    "job {job}: its history would be recorded in several places, {}: name the jobs of each, `Storage::jobs` in the \
                     program, `elasticjob.tracing.include-job-names` in the configuration",
                    places.join(" and ")
                );
                (job.to_owned(), problem)
            })
            .collect()
    }

    /// Warns of names in the lists that no job has.
    pub(crate) fn warn_of_unknown_names<'a>(&self, jobs: impl Iterator<Item = &'a str> + Clone) {
        let place = self.jobs_origin.as_ref().map(ToString::to_string);
        names::warn_of_unknown("history", place.as_deref(), &self.jobs, jobs);
    }

    /// Starts the recorder. What is given to the tap from here on is recorded, and the logs of runs that go into the sink; there is none if
    /// no logs are kept.
    pub(crate) fn start(self, tasks: &Tasks, clock: &Arc<dyn Clock>) -> Result<(Tap, Option<Sink>, Kept), Error> {
        let Self {
            storage,
            jobs,
            jobs_origin: _,
            retention,
            run_log,
            ignored,
        } = self;
        let store = storage.open()?;
        let history = History::of(store.clone());
        let (tap, tapped) = Tap::new("history", CAPACITY, jobs.clone());
        let host = host::host_name();
        if let Some(age) = retention {
            let retention = Retention::new(store.clone(), age, Arc::clone(clock), &host, tasks.token().clone());
            tasks.spawn("history retention", retention.run());
        }
        let sink = Sink::new(jobs.clone(), run_log);
        let logs = sink.as_ref().map(|sink| {
            let writer = LogWriter::new(store.clone(), sink.clone(), tasks.token().clone());
            tasks.spawn("logs of runs", writer.run())
        });
        let recorder = Recorder::new(store.clone(), host, tapped, tasks.token().clone());
        let progress = recorder.progress();
        match &ignored[..] {
            [] => info!(database = %storage, "history is recorded"),
            ignored => info!(database = %storage, ?ignored, "history is recorded"),
        }
        tasks.spawn("history", async move {
            recorder.run().await;
            if let Some(logs) = logs {
                // It may have panicked: the connections are closed all the same.
                let _ = logs.await;
            }
            store.close().await;
        });
        Ok((
            tap,
            sink,
            Kept {
                history,
                progress,
                jobs,
            },
        ))
    }
}

impl Kept {
    /// Returns what answers questions about it.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Returns the jobs whose history it is.
    pub(crate) fn jobs(&self) -> &TracedJobs {
        &self.jobs
    }

    /// Returns how the recording goes.
    pub(crate) fn recording(&self) -> RecorderStats {
        self.progress.now()
    }

    /// Returns whether the history of this job is recorded here.
    pub(crate) fn is_of(&self, job: &str) -> bool {
        self.jobs.has(job)
    }
}
