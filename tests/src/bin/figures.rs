//! Prints what the framework costs, a figure a line. `-- NAME` prints one group, `-- --list` the names.

use std::process::Command;

use anyhow::{bail, ensure};
use elasticjob_tests::figures::{self, GROUPS};

fn main() -> anyhow::Result<()> {
    if std::env::var_os(figures::MEMBER).is_some() {
        return figures::run_member();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        [] => GROUPS.iter().try_for_each(|group| in_own_process(group.name)),
        ["--list"] => {
            GROUPS
                .iter()
                .for_each(|group| println!("{}: {}", group.name, group.summary));
            Ok(())
        }
        [figures::STARTED, address] => figures::run_started(address),
        [name] => match GROUPS.iter().find(|group| group.name == name) {
            Some(group) => group.print(),
            None => bail!("unknown group `{name}`: `--list` lists them"),
        },
        _ => bail!("expected at most one group"),
    }
}

/// Memory and threads of one group are not to be seen in the next.
fn in_own_process(name: &str) -> anyhow::Result<()> {
    println!("# {name}");
    let status = Command::new(std::env::current_exe()?).arg(name).status()?;
    ensure!(status.success(), "group `{name}` failed: {status}");
    Ok(())
}
