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

fn build() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // All of the workspace, so that it is what the tests themselves are built of.
    command.args(["build", "--quiet", "--workspace", "--bins"]);
    if binaries().ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "the programs of the workspace do not build");
}

/// Where cargo puts the programs of the workspace: tests are a directory below.
fn binaries() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own program");
    let directory = own.ancestors().nth(2).expect("tests lie in a directory of cargo's");
    directory.to_owned()
}
