//! Prints what the framework costs, a figure a line. `-- NAME` prints one group, `-- --list` the names.

mod usage;

use std::process::{Command, ExitCode};

use anyhow::{anyhow, ensure};
use elasticjob_tests::figures::{self, GROUPS};

const USAGE: &str = "figures [GROUP | --list]";

fn main() -> anyhow::Result<ExitCode> {
    if std::env::var_os(figures::MEMBER).is_some() {
        figures::run_member()?;
        return Ok(ExitCode::SUCCESS);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        [] => GROUPS.iter().try_for_each(|group| in_own_process(group.name))?,
        ["--list"] => GROUPS
            .iter()
            .for_each(|group| println!("{}: {}", group.name, group.summary)),
        [figures::STARTED, address] => figures::run_started(address)?,
        [figures::MOST_ITEMS, ref deeds @ ..] => figures::run_most_items(deeds)?,
        [name] => match GROUPS.iter().find(|group| group.name == name) {
            Some(group) => group.print()?,
            None => {
                return Ok(usage::refused(
                    &anyhow!("unknown group `{name}`: `--list` lists them"),
                    USAGE,
                ));
            }
        },
        [..] => {
            let fault = anyhow!("one group is expected at most, and not {}", arguments.len());
            return Ok(usage::refused(&fault, USAGE));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Memory and threads of one group are not to be seen in the next.
fn in_own_process(name: &str) -> anyhow::Result<()> {
    println!("# {name}");
    let status = Command::new(std::env::current_exe()?).arg(name).status()?;
    ensure!(status.success(), "group `{name}` failed: {status}");
    Ok(())
}
