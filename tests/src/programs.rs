//! Programs of other packages of the workspace, built when a test needs them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Where this program of the workspace is, as it is in the source now. Blocks its thread while it is built.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(build);
    LazyLock::force(&BUILT);
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
    run(&["--package", own, "--package", package, "--bin", name]);
    binaries().join(name)
}

fn build() {
    // All of the workspace, so that it is what the tests themselves are built of.
    run(&["--workspace", "--bins"]);
}

fn run(what: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet"]).args(what);
    if binaries().ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "programs of the workspace do not build: {what:?}");
}

/// Where cargo puts the programs of the workspace: tests are a directory below, and our own programs are there.
fn binaries() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own program");
    let directory = own.parent().expect("a program lies in a directory");
    let directory = match directory.ends_with("deps") {
        true => directory.parent().expect("tests lie in a directory of cargo's"),
        false => directory,
    };
    directory.to_owned()
}
