use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use elasticjob::operation::{Execution, Obstacle, Requested};
use elasticjob::starter::ItemOutcome;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::said;

/// Trigger a job: it runs once, now
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    job: String,

    /// A parameter for this run instead of the job's own; Java members ignore it
    #[arg(short, long, value_name = "TEXT")]
    parameter: Option<String>,

    /// Only on the instances of this server, by its address: the items that they own run
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,

    /// Only this item, on the instance that owns it
    #[arg(long, value_name = "NUMBER", conflicts_with = "server")]
    item: Option<u32>,

    /// Wait until all items have ended, at most this many seconds, and print their outcomes. Reasons that hold the run up are
    /// printed at once, and again when they change
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "3600")]
    wait: Option<u32>,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let operations = context.operations()?;
        let parameter = self.parameter.as_deref();
        let requested = match (&self.server, self.item) {
            (Some(server), _) => operations.trigger_on(&self.job, server, parameter).await?,
            (None, Some(item)) => operations.trigger_item(&self.job, item, parameter).await?,
            (None, None) => operations.trigger(&self.job, parameter).await?,
        };
        let mut progress = Progress::new(&requested);
        let Some(seconds) = self.wait else {
            // The trigger is recorded, even if the run cannot be followed.
            if let Ok(run) = operations.outcome(&requested, Duration::ZERO).await {
                progress.say_obstacles(&run);
            }
            context.show(&requested)?;
            return Ok(Outcome::Done);
        };
        let timeout = Duration::from_secs(seconds.into());
        let followed = operations.follow(&requested, timeout, |run| progress.show(run)).await;
        progress.clear();
        let run = followed?;
        context.show(&run)?;
        Ok(match (run.is_success(), run.is_over()) {
            (true, _) => Outcome::Done,
            (false, true) => Outcome::No,
            (false, false) => Outcome::Late,
        })
    }
}

/// Prints what holds a run up, and its progress, in a line on the terminal.
struct Progress {
    is_shown: bool,
    instances: usize,
    obstacles: Vec<Obstacle>,
}

impl Progress {
    fn new(requested: &Requested) -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            instances: requested.instances.len(),
            obstacles: Vec::new(),
        }
    }

    fn show(&mut self, run: &Execution) {
        self.say_obstacles(run);
        let ended = run.items.values().filter(|outcome| **outcome != ItemOutcome::Pending);
        let (ended, total, instances) = (ended.count(), run.items.len(), self.instances);
        if self.is_shown {
            eprint!("\r\x1b[K{ended} of {total} items have ended, on {instances} instances");
        }
    }

    /// Prints what holds the run up, unless that was printed last.
    fn say_obstacles(&mut self, run: &Execution) {
        if run.obstacles == self.obstacles {
            return;
        }
        self.clear();
        for obstacle in &run.obstacles {
            eprintln!("held up: {}", said(obstacle));
        }
        if run.obstacles.is_empty() {
            eprintln!("not held up any more");
        }
        self.obstacles.clone_from(&run.obstacles);
    }

    fn clear(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}
