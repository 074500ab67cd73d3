use clap::Args;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::watch::WatchArguments;

/// Show one job: its schedule, leader, servers, instances, and items with their last runs
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
            .look(context, async |operations| operations.job(&self.job).await)
            .await
    }
}
