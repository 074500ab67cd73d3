//! What programs say if their arguments are wrong: the fault, how they are used, and the exit status 2. No stack: it is no
//! fault of the program.

use std::process::ExitCode;

/// Prints what is wrong with the arguments, and the usage.
pub(crate) fn refused(error: &anyhow::Error, usage: &str) -> ExitCode {
    eprintln!("error: {error:#}\nusage: {usage}");
    ExitCode::from(2)
}
