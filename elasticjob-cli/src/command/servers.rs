use clap::Args;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::watch::WatchArguments;

/// List the servers of all jobs, or the jobs of one server
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The server, by its address
    server: Option<String>,

    #[command(flatten)]
    watch: WatchArguments,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match &self.server {
            Some(server) => {
                self.watch
                    .look(context, async |operations| operations.jobs_on_server(server).await)
                    .await
            }
            None => {
                self.watch
                    .look(context, async |operations| operations.servers().await)
                    .await
            }
        }
    }
}
