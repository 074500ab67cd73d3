use clap::{Args, Subcommand};
use elasticjob::operation::{self, IfThere};
use elasticjob::registry::inspection::inspect;
use elasticjob::registry::sql::PostgresRegistry;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Copied, print};

/// Check a registry centre, prepare one, or copy it to another
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Check that it can be reached and used, and that nothing makes it unsafe. A finding that does ends with exit code 1
    Check,
    /// Print the statements that create or upgrade the tables of a registry centre in PostgreSQL
    ///
    /// An administrator runs them if the role of the applications may not create tables: `elasticjob registry ddl --role shop | psql
    /// "$URL"`. Nothing is connected. They can be run again at any time.
    Ddl {
        /// The role of the applications, which receives the rights that it needs
        #[arg(long, value_name = "NAME")]
        role: Option<String>,
    },
    /// Copy all jobs with their switches, notes and ledgers to another registry centre. Stop all instances before. A copy that
    /// was cut can be repeated
    Copy {
        /// Where to copy from, if not from the registry centre that is configured: a configuration file, or `sqlite:PATH`,
        /// `postgres://HOST/DATABASE` or `zookeeper:LIST` with the namespace that is configured
        #[arg(long, value_name = "PLACE")]
        from: Option<String>,

        /// Where to copy to, written likewise
        #[arg(long, value_name = "PLACE")]
        to: String,

        /// Give jobs that are there with other content that of the source
        #[arg(long)]
        overwrite: bool,

        /// Only show what would be written
        #[arg(long)]
        dry_run: bool,
    },
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self.command {
            Command::Check => check(context).await,
            Command::Ddl { role } => {
                print(&PostgresRegistry::ddl(role.as_deref()))?;
                Ok(Outcome::Done)
            }
            Command::Copy {
                from,
                to,
                overwrite,
                dry_run,
            } => {
                let from = match from {
                    Some(place) => context.operations_at(&place)?,
                    None => context.operations()?.clone(),
                };
                let to = context.operations_at(&to)?;
                if !dry_run {
                    context.confirm(&format!("Copy all jobs from {} to {}?", from.registry(), to.registry()))?;
                }
                let if_there = if overwrite { IfThere::Overwrite } else { IfThere::Refuse };
                let report = from.copy_to(&to, if_there, dry_run).await;
                from.close().await;
                to.close().await;
                context.show(&Copied {
                    report: report.map_err(hinted)?,
                    is_dry_run: dry_run,
                })?;
                Ok(Outcome::Done)
            }
        }
    }
}

/// Adds what the operator can do about it.
fn hinted(error: operation::Error) -> Failure {
    let hint = match &error {
        operation::Error::There { .. } => "--overwrite gives them the content of the source",
        operation::Error::Running { .. } => "Stop all instances, and wait until their sessions are over",
        _ => return error.into(),
    };
    Failure::from(error).and(hint.to_owned())
}

async fn check(context: &Context) -> Result<Outcome, Failure> {
    let registry = context.registry()?;
    let inspection = inspect(&*registry).await.map_err(|source| operation::Error::Registry {
        registry: registry.describe(),
        source,
    })?;
    context.show(&inspection)?;
    Ok(if inspection.is_safe() {
        Outcome::Done
    } else {
        Outcome::No
    })
}
