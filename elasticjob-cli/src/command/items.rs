use clap::Args;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::watch::WatchArguments;

/// List the items of a job: owner, status, and last run
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    job: String,

    #[command(flatten)]
    watch: WatchArguments,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        self.watch
            .look(context, async |operations| operations.items(&self.job).await)
            .await
    }
}
