use std::time::Duration;

use clap::Args;

use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Cancel what runs of a job now
///
/// The runs end as cancelled by the operator. Later runs come as they are due: `disable` keeps these from starting.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    job: String,

    /// The run of this item only
    #[arg(long, value_name = "NUMBER")]
    item: Option<u32>,

    /// Why, for those who will ask
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,

    /// Wait so many seconds at most for the runs to end; 0 only tells the members
    #[arg(short, long, value_name = "SECONDS", default_value = "30")]
    wait: u32,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let operations = context.operations()?;
        let note = operations.note(self.by.as_deref(), self.reason.as_deref());
        let cancelled = operations.cancel(&self.job, self.item, Some(note)).await?;
        let timeout = Duration::from_secs(self.wait.into());
        let report = operations.cancelled(&cancelled, timeout).await?;
        context.show(&report)?;
        Ok(match (report.is_over(), report.unreachable.is_empty()) {
            (_, false) => Outcome::No,
            (false, _) if self.wait > 0 => Outcome::Late,
            _ => Outcome::Done,
        })
    }
}
