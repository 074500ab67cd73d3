//! The command line of ElasticJob: what operators do with the jobs of a registry centre.
//!
//! `elasticjob::operation` does the work. This crate has the arguments ([`arguments`], and a file for each command), the tables and
//! JSON of answers ([`output`]), and the exit codes ([`failure`]).

mod arguments;
mod command;
mod confirm;
mod context;
mod failure;
mod import;
mod output;
mod registry;
mod watch;

use std::borrow::Cow;
use std::process::ExitCode;

use clap::Parser as _;
use elasticjob::configuration::without_secrets;

use crate::arguments::CommandLine;
use crate::failure::Failure;

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return refused(&error),
    };
    // A second thread keeps the session alive while this one waits for the operator's answer to a question.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(line.run()),
        Err(error) => Err(Failure::Machine(error)),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(failure) => failure.report(),
    }
}

/// Prints what is wrong with the command line, without its secrets; also the help and the version, which clap reports as errors.
fn refused(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    match without_secrets(&text) {
        // With its colours.
        Cow::Borrowed(_) => error.exit(),
        Cow::Owned(text) => eprint!("{text}"),
    }
    ExitCode::from(2)
}
