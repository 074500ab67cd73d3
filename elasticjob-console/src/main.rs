//! The program `elasticjob-console`: makes what the configuration of a console's users needs.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use elasticjob_console::credentials;

const HELP: &str = "\
Makes what the configuration of a console's users needs.

Usage: elasticjob-console COMMAND

Commands:
  hash-password   Reads a password, and writes its hash for `elasticjob.console.users.NAME.password-hash`
  make-token      Writes an API token, and its digest for `elasticjob.console.tokens.NAME.sha256`
  help            Writes this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["hash-password"] => hash_password(),
        ["make-token"] => make_token(),
        ["help" | "--help" | "-h"] => io::stdout().write_all(HELP.as_bytes()),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn hash_password() -> io::Result<()> {
    let password = read_password()?;
    if password.is_empty() {
        return Err(io::Error::other("the password is empty"));
    }
    writeln!(io::stdout(), "{}", credentials::hash_password(&password))
}

fn make_token() -> io::Result<()> {
    let (token, digest) = credentials::make_token();
    writeln!(io::stdout(), "token:  {token}\nsha256: {digest}")
}

/// Reads a password: one line of standard input, which a terminal does not show.
fn read_password() -> io::Result<String> {
    let input = io::stdin();
    let is_terminal = input.is_terminal();
    let silence = if is_terminal {
        eprint!("Password: ");
        Some(Silence::new()?)
    } else {
        None
    };
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    drop(silence);
    if is_terminal {
        eprintln!();
    }
    read?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

/// Keeps a terminal from showing what is typed, until it is dropped.
struct Silence(rustix::termios::Termios);

impl Silence {
    fn new() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // There is nothing to do about a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
