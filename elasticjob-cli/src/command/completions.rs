use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::CommandLine;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Print the completion script of a shell
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

impl Arguments {
    pub(crate) fn run(self, _: &Context) -> Result<Outcome, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut CommandLine::command(), "elasticjob", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Outcome::Done)
    }
}
