use std::time::Duration;

use clap::Args;

use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Cancel the present runs of a job
///
/// The runs end as cancelled by the operator. Later runs start as scheduled; `disable` prevents them.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    job: String,

    /// Only the run of this item
    #[arg(long, value_name = "NUMBER")]
    item: Option<u32>,

    /// The reason, shown by `explain` and the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// The name of the operator
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,

    /// Wait at most this many seconds for the runs to end; 0 only records the cancellation
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
