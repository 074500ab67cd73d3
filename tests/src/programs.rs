//! Programs of other packages of the workspace, built when a test needs them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// What the tests are built of when all are run, down to the features of each dependency, or everything would be built
/// twice. There are no targets of the kind `example`: the word has cargo count in what dev-dependencies ask for.
const AS_THE_TESTS: [&str; 4] = ["--workspace", "--all-features", "--bins", "--examples"];

/// Returns where this program of the workspace is, as it is in the source now. Blocks its thread while it is built.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    // Once, and each test says why not.
    static BUILT: LazyLock<Result<(), String>> = LazyLock::new(|| build(&AS_THE_TESTS));
    if let Err(error) = &*BUILT {
        panic!("{error}");
    }
    binaries().join(name)
}

/// As [`program`], with no other program built: of the package `package`.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn program_of(package: &str, name: &str) -> PathBuf {
    // Together with ourselves, so that it is made of what we are made of.
    let own = env!("CARGO_PKG_NAME");
    build(&["--package", own, "--package", package, "--bin", name]).unwrap_or_else(|error| panic!("{error}"));
    binaries().join(name)
}

fn build(what: &[&str]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked"]).args(what);
    if binaries().ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} failed, {}: {said}", output.status))
    }
}

/// Returns where cargo puts the programs of the workspace: tests are a directory below, and our own programs are there.
fn binaries() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own program");
    let directory = own.parent().expect("a program lies in a directory");
    let directory = if directory.ends_with("deps") {
        directory.parent().expect("tests lie in a directory of cargo's")
    } else {
        directory
    };
    directory.to_owned()
}
