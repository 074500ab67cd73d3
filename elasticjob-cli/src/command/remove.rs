use clap::Args;

use super::target::TargetArguments;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Deed, Done, Nodes, Paths};

/// Remove a job with all its nodes, a server, or stale nodes
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,

    /// Remove only nodes of the job that instances left behind and that have no effect any more
    #[arg(long, conflicts_with = "server", requires = "job")]
    stale: bool,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match (&self.target.job, &self.target.server) {
            (Some(job), None) if self.stale => remove_stale(context, job).await,
            (Some(job), None) => remove_job(context, job).await,
            _ => self.remove_servers(context).await,
        }
    }

    async fn remove_servers(&self, context: &Context) -> Result<Outcome, Failure> {
        let target = self.target.target()?;
        let operations = context.operations()?;
        context.confirm(&format!(
            "Shut {target} down and remove the server from the registry centre, with its switch?"
        ))?;
        let to = operations.remove(&target).await?;
        let what = "servers removed";
        context.show(&Done { what, to })?;
        Ok(Outcome::Done)
    }
}

async fn remove_job(context: &Context, job: &str) -> Result<Outcome, Failure> {
    let operations = context.operations()?;
    context.confirm(&format!(
        "Remove job `{job}` from the registry centre, with its configuration and all that is known of its runs?"
    ))?;
    let nodes = operations.remove_job(job).await?;
    let to = Nodes {
        job_name: job.to_owned(),
        nodes,
    };
    let done = "is removed";
    context.show(&Deed { done, to })?;
    Ok(Outcome::Done)
}

async fn remove_stale(context: &Context, job: &str) -> Result<Outcome, Failure> {
    let operations = context.operations()?;
    let stale = operations.stale(job).await?;
    let paths = if stale.is_empty() {
        stale
    } else {
        let lines: Vec<String> = stale.iter().map(|path| format!("  /{job}{path}")).collect();
        context.confirm(&format!("Stale is:\n{}\nRemove it?", lines.join("\n")))?;
        operations.remove_stale(job).await?
    };
    let to = Paths {
        job_name: job.to_owned(),
        paths,
    };
    let done = "removed";
    context.show(&Deed { done, to })?;
    Ok(Outcome::Done)
}
