use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::{self, Origin, TracedJobs, TracingSettings};
use tracing::info;

use crate::host;
use crate::schedule::Clock;
use crate::tasks::Tasks;
use crate::trace::{Tap, names};

use super::database::Database;
use super::error::Error;
use super::query::History;
use super::recorder::{CAPACITY, Progress, Recorder, Recording};
use super::retention::Retention;
use super::store::{Access, Store};

/// What is recorded, and where.
#[derive(Debug)]
pub(crate) struct Setup {
    database: Database,
    jobs: TracedJobs,
    jobs_origin: Option<Origin>,
    /// How long it is kept; for ever, where nothing is said.
    retention: Option<Duration>,
}

/// History that is being recorded.
#[derive(Debug)]
pub(crate) struct Kept {
    history: History,
    progress: Progress,
}

impl Setup {
    /// What the configuration says.
    pub(crate) fn of(settings: &TracingSettings) -> Result<Self, Vec<sources::Error>> {
        Ok(Self {
            database: Database::of_settings(settings)?,
            jobs: settings.jobs.clone(),
            jobs_origin: settings.jobs_origin.clone(),
            retention: settings.retention,
        })
    }

    /// Says which names of the configuration no job has.
    pub(crate) fn warn_of_unknown_names<'a>(&self, jobs: impl Iterator<Item = &'a str> + Clone) {
        let place = self.jobs_origin.as_ref().map(ToString::to_string);
        names::warn_of_unknown("history", place.as_deref(), &self.jobs, jobs);
    }

    /// Starts the recorder. What is given to the tap from here on is recorded.
    pub(crate) fn start(self, tasks: &Tasks, clock: &Arc<dyn Clock>) -> Result<(Tap, Kept), Error> {
        let Self {
            database,
            jobs,
            jobs_origin: _,
            retention,
        } = self;
        let store = Store::new(&database, Access::Write)?;
        let history = History::of(store.clone());
        let (tap, tapped) = Tap::new("history", CAPACITY, jobs);
        let host = host::host_name();
        if let Some(age) = retention {
            let retention = Retention::new(store.clone(), age, Arc::clone(clock), &host, tasks.token().clone());
            tasks.spawn("history retention", retention.run());
        }
        let recorder = Recorder::new(store, host, tapped, tasks.token().clone());
        let progress = recorder.progress();
        match database.ignored() {
            [] => info!(%database, "history is recorded"),
            ignored => info!(%database, ?ignored, "history is recorded"),
        }
        tasks.spawn("history", recorder.run());
        Ok((tap, Kept { history, progress }))
    }
}

impl Kept {
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn recording(&self) -> Recording {
        self.progress.now()
    }
}
