//! What programs say if their arguments are wrong: the fault, how they are used, and the exit status 2. No stack: it is no
//! fault of the program.

use std::process::ExitCode;

/// Says what is wrong with the arguments, and how the program is used.
pub(crate) fn refused(error: &anyhow::Error, usage: &str) -> ExitCode {
    eprintln!("error: {error:#}\nusage: {usage}");
    ExitCode::from(2)
}
