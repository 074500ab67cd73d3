use clap::Args;
use elasticjob::operation::{Error, Operations};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::watch::WatchArguments;

/// Explain why a job and its items run or not
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    job: String,

    /// Only this item, beside the job as a whole
    #[arg(long, value_name = "NUMBER")]
    item: Option<u32>,

    #[command(flatten)]
    watch: WatchArguments,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let look = async |operations: &Operations| {
            let mut explanation = operations.explain(&self.job).await?;
            let Some(item) = self.item else {
                return Ok(explanation);
            };
            let total = u32::try_from(explanation.items.len()).unwrap_or(u32::MAX);
            explanation.items.retain(|explained| explained.item == item);
            if explanation.items.is_empty() {
                Err(Error::NoSuchItem {
                    job: self.job.clone(),
                    item,
                    total,
                })
            } else {
                Ok(explanation)
            }
        };
        self.watch.look(context, look).await
    }
}
