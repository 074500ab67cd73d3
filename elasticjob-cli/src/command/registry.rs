use clap::{Args, Subcommand};
use elasticjob::registry::sql::PostgresRegistry;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Prepare a registry centre
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Print the statements that create or upgrade the tables of a registry centre in PostgreSQL
    ///
    /// An administrator runs them if the role of the applications may not create tables: `elasticjob registry ddl --role shop | psql
    /// "$URL"`. Nothing is connected. They can be run again at any time.
    Ddl {
        /// The role of the applications, which receives the rights that it needs
        #[arg(long, value_name = "NAME")]
        role: Option<String>,
    },
}

impl Arguments {
    pub(crate) fn run(self, _: &Context) -> Result<Outcome, Failure> {
        match self.command {
            Command::Ddl { role } => print(&PostgresRegistry::ddl(role.as_deref()))?,
        }
        Ok(Outcome::Done)
    }
}
