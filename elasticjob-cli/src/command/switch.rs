use clap::Args;

use super::target::TargetArguments;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Deed, Done, Item};

/// Pause a job, or switch a server or an item off
///
/// A paused job starts no run on any server until `enable`. Present runs go on to their end. Scheduled times that come
/// meanwhile are skipped.
#[derive(Clone, Debug, Args)]
pub(crate) struct DisableArguments {
    #[command(flatten)]
    what: SwitchArguments,

    /// The reason, shown by `explain`
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// The name of the operator
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,
}

/// End the pause of a job, or switch a server or an item on
#[derive(Clone, Debug, Args)]
pub(crate) struct EnableArguments {
    #[command(flatten)]
    what: SwitchArguments,
}

#[derive(Clone, Debug, Args)]
struct SwitchArguments {
    #[command(flatten)]
    target: TargetArguments,

    /// One item of the job
    #[arg(long, value_name = "NUMBER", conflicts_with = "server", requires = "job")]
    item: Option<u32>,
}

impl DisableArguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let operations = context.operations()?;
        let note = operations.note(self.by.as_deref(), self.reason.as_deref());
        if let Some(item) = self.what.item() {
            operations.disable_item(&item.job_name, item.item, Some(note)).await?;
            let done = "is switched off";
            context.show(&Deed { done, to: item })?;
            return Ok(Outcome::Done);
        }
        let to = operations.disable(&self.what.target.target()?, Some(note)).await?;
        let what = "servers switched off";
        context.show(&Done { what, to })?;
        Ok(Outcome::Done)
    }
}

impl EnableArguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let operations = context.operations()?;
        if let Some(item) = self.what.item() {
            operations.enable_item(&item.job_name, item.item).await?;
            let done = "is switched on";
            context.show(&Deed { done, to: item })?;
            return Ok(Outcome::Done);
        }
        let to = operations.enable(&self.what.target.target()?).await?;
        let what = "servers switched on";
        context.show(&Done { what, to })?;
        Ok(Outcome::Done)
    }
}

impl SwitchArguments {
    fn item(&self) -> Option<Item> {
        let (job_name, item) = (self.target.job.clone()?, self.item?);
        Some(Item { job_name, item })
    }
}
