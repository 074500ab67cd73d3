//! What the programs of this package say if their arguments are wrong.

use std::process::Command;

const FIGURES: &str = env!("CARGO_BIN_EXE_figures");
const SIMULATE: &str = env!("CARGO_BIN_EXE_simulate");
const CHAOS: &str = env!("CARGO_BIN_EXE_chaos");
const ZOOKEEPER: &str = env!("CARGO_BIN_EXE_zookeeper");

#[track_caller]
fn check(program: &str, arguments: &[&str], fault: &str) {
    let mut command = Command::new(program);
    // Errors have a stack then, if they are shown with it.
    command.args(arguments).env("RUST_BACKTRACE", "1");
    let output = command.output().expect("the program starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
    assert_eq!(out, "", "{arguments:?}");
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].starts_with(&format!("error: {fault}")), "{arguments:?}: {err}");
    assert!(lines[1].starts_with("usage: "), "{err}");
    assert!(!err.contains("stack backtrace") && !err.contains("panicked"), "{err}");
}

#[test]
fn shows_usage_for_wrong_arguments() {
    check(FIGURES, &["nonsense"], "unknown group `nonsense`: `--list` lists them");
    check(FIGURES, &["a", "b"], "one group is expected at most, and not 2");
    check(SIMULATE, &["--seeds"], "`--seeds` needs a value");
    check(
        SIMULATE,
        &["--seeds", "-1"],
        "`--seeds` needs a number and not `-1`: invalid digit found in string",
    );
    check(SIMULATE, &["--sneeds", "1"], "unknown option `--sneeds`");
    check(
        SIMULATE,
        &["--from", "18446744073709551615"],
        "`--from` and `--seeds` go beyond the last seed",
    );
    check(SIMULATE, &["--rules", "种子"], "no rule `种子`: there are [");
    check(
        SIMULATE,
        &["--seed", "1", "--leave-out", "Nothing"],
        "no rule `Nothing`: there are [",
    );
    check(
        CHAOS,
        &["--minutes", "18446744073709551615"],
        "`--minutes` is more than any run takes",
    );
    check(CHAOS, &["--items", "x"], "`--items` needs a number and not `x`");
    check(CHAOS, &["--nonsense", "x"], "unknown option `--nonsense`");
    check(
        ZOOKEEPER,
        &["0"],
        "`0` is no port: a number from 1 to 65535 is expected",
    );
    check(ZOOKEEPER, &["1", "2"], "one port is expected at most, and not 2");
}
