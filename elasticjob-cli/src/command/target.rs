use clap::Args;
use elasticjob::operation::Target;

use crate::failure::Failure;

/// A job, a server, or a job on a server.
#[derive(Clone, Debug, Args)]
pub(super) struct TargetArguments {
    /// The job; left out, all jobs of the server
    #[arg(required_unless_present = "server")]
    pub(super) job: Option<String>,

    /// The server, by its address; left out, all servers of the job
    #[arg(long, value_name = "ADDRESS")]
    pub(super) server: Option<String>,
}

impl TargetArguments {
    pub(super) fn target(&self) -> Result<Target, Failure> {
        match (&self.job, &self.server) {
            (Some(job), Some(server)) => Ok(Target::job_on_server(job, server)),
            (Some(job), None) => Ok(Target::job(job)),
            (None, Some(server)) => Ok(Target::server(server)),
            (None, None) => Err(Failure::Usage("a job or a server is expected".to_owned())),
        }
    }
}
