use clap::{Args, ValueEnum};
use elasticjob::operation::{JobStatus, Operations, Unlisted, UnlistedReason};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Selected, Show as _};
use crate::watch::WatchArguments;

/// List the jobs, and other nodes in the namespace
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Only jobs with this status
    #[arg(long, value_enum)]
    status: Option<Status>,

    #[command(flatten)]
    watch: WatchArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Status {
    /// It has an instance, is switched on, and its items are shared out
    Ok,
    /// It has no instance
    Crashed,
    /// It is paused
    Paused,
    /// All its servers are switched off
    Disabled,
    /// An item is not assigned to a present instance
    ShardingFlag,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let Some(status) = self.status else {
            return self.watch.look(context, Operations::jobs).await;
        };
        let look = async |operations: &Operations| {
            let mut listing = operations.jobs().await?;
            let is_of_empty_namespace = listing.is_nothing().is_some();
            listing.jobs.retain(|job| match status {
                Status::Paused => job.is_paused,
                other => job.status == other.into(),
            });
            // They may have this status.
            let is_refused = |other: &Unlisted| matches!(other.reason, UnlistedReason::Refused { .. });
            listing.others.retain(is_refused);
            Ok(Selected {
                listing,
                is_of_empty_namespace,
            })
        };
        self.watch.look(context, look).await
    }
}

impl From<Status> for JobStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::Ok,
            Status::Crashed => Self::Crashed,
            Status::Paused => Self::Paused,
            Status::Disabled => Self::Disabled,
            Status::ShardingFlag => Self::ShardingFlag,
        }
    }
}
