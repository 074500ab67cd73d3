//! The command line of ElasticJob: what operators do with the jobs of a registry centre.
//!
//! Everything that it does is done by `elasticjob::operation`; here are the words for it ([`arguments`] and a file for each
//! command), how answers look ([`output`]), and what the exit code says ([`failure`]).

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
    // A thread beside ours keeps the session alive while we wait for somebody's answer to a question.
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

/// Says what is wrong with the command line, without secrets in it; also the help and the version, which are no faults.
fn refused(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    match without_secrets(&text) {
        // With its colours.
        Cow::Borrowed(_) => error.exit(),
        Cow::Owned(text) => eprint!("{text}"),
    }
    ExitCode::from(2)
}
