//! The command line: what is common to all commands, and which there are.

use clap::{Parser, Subcommand};

use crate::command::{
    cancel, completions, config, drain, dump, explain, history, import, items, job, jobs, log, next, registry, remove,
    servers, shutdown, switch, trigger,
};
use crate::context::Context;
use crate::failure::{EXIT_CODES, Failure, Outcome};
use crate::output::OutputArguments;
use crate::registry::RegistryArguments;

/// Shows the jobs of a registry centre, explains why they do not run, and pauses, triggers and changes them.
#[derive(Debug, Parser)]
#[command(name = "elasticjob", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Command,

    /// Answer all questions with yes
    #[arg(short, long, global = true)]
    yes: bool,

    #[command(flatten)]
    registry: RegistryArguments,

    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    Jobs(jobs::Arguments),
    Job(job::Arguments),
    Items(items::Arguments),
    Servers(servers::Arguments),
    Explain(explain::Arguments),
    History(history::Arguments),
    Log(log::Arguments),
    Trigger(trigger::Arguments),
    Cancel(cancel::Arguments),
    Enable(switch::EnableArguments),
    Disable(switch::DisableArguments),
    Drain(drain::DrainArguments),
    Undrain(drain::UndrainArguments),
    Shutdown(shutdown::Arguments),
    Remove(remove::Arguments),
    Config(config::Arguments),
    Dump(dump::Arguments),
    Next(next::Arguments),
    Registry(registry::Arguments),
    Import(import::Arguments),
    Completions(completions::Arguments),
}

impl CommandLine {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<Outcome, Failure> {
        let context = Context::new(self.registry, self.output.output(), self.yes);
        let result = match self.command {
            Command::Jobs(arguments) => arguments.run(&context).await,
            Command::Job(arguments) => arguments.run(&context).await,
            Command::Items(arguments) => arguments.run(&context).await,
            Command::Servers(arguments) => arguments.run(&context).await,
            Command::Explain(arguments) => arguments.run(&context).await,
            Command::History(arguments) => arguments.run(&context).await,
            Command::Log(arguments) => arguments.run(&context).await,
            Command::Trigger(arguments) => arguments.run(&context).await,
            Command::Cancel(arguments) => arguments.run(&context).await,
            Command::Enable(arguments) => arguments.run(&context).await,
            Command::Disable(arguments) => arguments.run(&context).await,
            Command::Drain(arguments) => arguments.run(&context).await,
            Command::Undrain(arguments) => arguments.run(&context).await,
            Command::Shutdown(arguments) => arguments.run(&context).await,
            Command::Remove(arguments) => arguments.run(&context).await,
            Command::Config(arguments) => arguments.run(&context).await,
            Command::Dump(arguments) => arguments.run(&context).await,
            Command::Next(arguments) => arguments.run(&context).await,
            Command::Registry(arguments) => arguments.run(&context).await,
            Command::Import(arguments) => arguments.run(&context),
            Command::Completions(arguments) => arguments.run(&context),
        };
        context.close().await;
        result.map_err(|failure| {
            let failure = failure.at(context.registry_name());
            failure.hinted(|| context.forgotten_profiles())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_should_fit_together() {
        CommandLine::command().debug_assert();
    }
}
