//! Where programs are, and the one that ties scripts to our life.
//!
//! Programs are looked up here and not by the system, because the system's error does not say which of several things
//! is missing, and because the wrapper would look the program up in another directory.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;

use tracing::info;

/// The file of a program, by a name that is looked up in `PATH`, or a path that counts from `directory`.
///
/// # Errors
/// What is missing.
pub(super) fn find(name: &str, directory: Option<&Path>) -> Result<PathBuf, Missing> {
    let missing = |reason| Missing {
        name: name.to_owned(),
        reason,
    };
    if name.contains('/') {
        let path = directory.unwrap_or(Path::new("")).join(name);
        // Another user of `directory` would take what does not begin with a slash for something of its own.
        let path = std::path::absolute(&path).unwrap_or(path);
        return match fs::metadata(&path) {
            Ok(file) if is_program(&file) => Ok(path),
            Ok(_) => Err(missing("it may not be executed")),
            Err(_) => Err(missing("there is no such file")),
        };
    }
    let directories = env::var_os("PATH").unwrap_or_default();
    let mut paths = env::split_paths(&directories).map(|directory| directory.join(name));
    let found = paths.find(|path| fs::metadata(path).is_ok_and(|file| is_program(&file)));
    found.ok_or_else(|| missing("it is in no directory of PATH"))
}

fn is_program(file: &fs::Metadata) -> bool {
    file.is_file() && file.permissions().mode() & 0o111 != 0
}

/// There is no such program here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no program `{name}`: {reason}")]
pub(super) struct Missing {
    name: String,
    reason: &'static str,
}

/// Words before a command with which the program that they start dies when the thread does that started it: with our
/// process, however that ends. Empty where the system has no means for it.
pub(super) fn dying_with_us() -> &'static [String] {
    static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let words = setpriv();
        if words.is_none() {
            info!("no `setpriv --pdeathsig` here: scripts go on when this process is killed");
        }
        words.unwrap_or_default()
    });
    &WORDS
}

/// `setpriv` of util-linux, if it can do what we want of it. Other means need unsafe code between fork and exec.
fn setpriv() -> Option<Vec<String>> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let program = find("setpriv", None).ok()?;
    let mut words = vec![program.into_os_string().into_string().ok()?];
    words.extend(["--pdeathsig", "KILL", "--"].map(ToOwned::to_owned));
    let mut trial = std::process::Command::new(&words[0]);
    trial.args(&words[1..]).arg("true");
    let trial = trial.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_program_by_name_and_by_path() {
        let shell = find("sh", None).unwrap();
        assert!(shell.is_absolute() && shell.ends_with("sh"), "{shell:?}");
        assert_eq!(find(shell.to_str().unwrap(), None), Ok(shell.clone()));
        let (directory, name) = (shell.parent().unwrap(), shell.file_name().unwrap());
        let relative = format!("./{}", name.to_str().unwrap());
        assert_eq!(
            find(&relative, Some(directory)).map(|path| path.is_absolute()),
            Ok(true)
        );
    }

    #[test]
    fn reports_why_a_program_is_missing() {
        let check = |name, expect: &str| assert_eq!(find(name, None).unwrap_err().to_string(), expect);
        check(
            "no-such-program",
            "no program `no-such-program`: it is in no directory of PATH",
        );
        check("./no/such", "no program `./no/such`: there is no such file");
        check("/", "no program `/`: it may not be executed");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        check(manifest, &format!("no program `{manifest}`: it may not be executed"));
    }
}
