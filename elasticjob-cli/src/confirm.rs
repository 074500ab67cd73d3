//! Asking before something is taken away.

use std::io::{self, BufRead as _};

use crate::failure::Failure;

/// Asks on the standard error, and takes `y` or `yes` for a yes and everything else, the end of the input too, for a no.
pub(crate) fn ask(question: &str) -> Result<(), Failure> {
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::Machine)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => {
            if answer.is_empty() {
                eprintln!();
            }
            Err(Failure::NotConfirmed)
        }
    }
}
