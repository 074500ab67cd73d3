use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use elasticjob::operation::{Requested, RequestedRun};
use elasticjob::starter::ItemOutcome;

use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Have a job run now, once
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    job: String,

    /// What the run is given instead of the job's parameter; Java members do not know it
    #[arg(short, long, value_name = "TEXT")]
    parameter: Option<String>,

    /// Wait until all items have ended, and say how; so many seconds at most
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "3600")]
    wait: Option<u32>,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let operations = context.operations()?;
        let requested = operations.trigger(&self.job, self.parameter.as_deref()).await?;
        let Some(seconds) = self.wait else {
            context.show(&requested)?;
            return Ok(Outcome::Done);
        };
        let mut progress = Progress::new(&requested);
        let timeout = Duration::from_secs(seconds.into());
        let followed = operations.follow(&requested, timeout, |run| progress.show(run)).await;
        progress.clear();
        let run = followed?;
        context.show(&run)?;
        Ok(match run.is_success() {
            true => Outcome::Done,
            false => Outcome::No,
        })
    }
}

/// A line on the terminal that says how far a run is.
struct Progress {
    is_shown: bool,
    instances: usize,
}

impl Progress {
    fn new(requested: &Requested) -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            instances: requested.instances.len(),
        }
    }

    fn show(&mut self, run: &RequestedRun) {
        let ended = run.items.values().filter(|outcome| **outcome != ItemOutcome::Pending);
        let (ended, total, instances) = (ended.count(), run.items.len(), self.instances);
        if self.is_shown {
            eprint!("\r\x1b[K{ended} of {total} items have ended, on {instances} instances");
        }
    }

    fn clear(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}
