use std::net::SocketAddr;

use clap::Args;
use elasticjob::operation;
use serde::Serialize;
use tokio::net::lookup_host;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Show, Style};

/// Print what the registry centre holds of a job, without addresses, from the dump port of an application
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    job: String,

    /// The dump port, as `elasticjob.dump.host` and `elasticjob.dump.port` of the application say
    #[arg(value_name = "HOST:PORT")]
    address: String,
}

/// What a dump port said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dump {
    job_name: String,
    address: SocketAddr,
    text: String,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let address = resolved(&self.address).await?;
        let text = operation::dump(address, &self.job).await?;
        match text.as_str() {
            "" => Err(Failure::Refused(format!(
                "{address} hung up: it is no dump port, or has no session with its registry centre"
            ))),
            "\n" => Err(Failure::NotThere(format!("{address} knows no job `{}`", self.job))),
            _ => {
                context.show(&Dump {
                    job_name: self.job,
                    address,
                    text,
                })?;
                Ok(Outcome::Done)
            }
        }
    }
}

impl Show for Dump {
    fn text(&self, _: Style) -> String {
        self.text.clone()
    }
}

async fn resolved(address: &str) -> Result<SocketAddr, Failure> {
    let found = match lookup_host(address).await {
        Ok(mut addresses) => addresses.next(),
        Err(error) => return Err(Failure::Usage(format!("`{address}` is no address: {error}"))),
    };
    found.ok_or_else(|| Failure::Usage(format!("`{address}` has no address")))
}
