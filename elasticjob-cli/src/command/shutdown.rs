use clap::Args;
use elasticjob::operation::Target;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Deed, Done, Instance};

/// Shut down a job, all jobs of a server, or an instance, until the process starts again
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job; left out, all jobs of the server
    #[arg(required_unless_present_any = ["server", "instance"])]
    job: Option<String>,

    /// The server, by its address; left out, all servers of the job
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,

    /// One instance, by its id, in all its jobs
    #[arg(long, value_name = "ID", conflicts_with_all = ["job", "server"])]
    instance: Option<String>,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let target = match (self.job, self.server, self.instance) {
            (_, _, Some(instance)) => return shut_down_instance(context, instance).await,
            (Some(job), Some(server), None) => Target::job_on_server(job, server),
            (Some(job), None, None) => Target::job(job),
            (None, Some(server), None) => Target::server(server),
            (None, None, None) => return Err(Failure::Usage("a job, a server or an instance is expected".to_owned())),
        };
        let operations = context.operations()?;
        context.confirm(&format!(
            "Shut {target} down? Its instances end what runs, leave, and come back only when their processes start again."
        ))?;
        let to = operations.shut_down(&target).await?;
        let what = "shut down on";
        context.show(&Done { what, to })?;
        Ok(Outcome::Done)
    }
}

async fn shut_down_instance(context: &Context, instance: String) -> Result<Outcome, Failure> {
    let operations = context.operations()?;
    context.confirm(&format!(
        "Shut instance `{instance}` down in all its jobs? It ends what runs, and comes back only when its process starts \
         again."
    ))?;
    let job_names = operations.shut_down_instance(&instance).await?;
    let done = "is shut down in";
    let to = Instance { instance, job_names };
    context.show(&Deed { done, to })?;
    Ok(Outcome::Done)
}
