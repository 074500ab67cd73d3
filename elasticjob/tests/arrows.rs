//! Dependencies between the modules of the library point one way: a module uses modules of the floors below its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, from the ground floor up.
const FLOORS: &[&[&str]] = &[
    &["erased", "host", "limits", "progress", "run", "type_name", "uptime"],
    &["guard"],
    &["threads"],
    &["registry"],
    &["chain", "job", "property", "telemetry"],
    &["catalogue", "http_client", "tasks", "web"],
    &["callers", "schedule", "sharding"],
    &["error_handler", "trace"],
    &["cluster"],
    &["listener"],
    &["executor"],
    &["operation"],
    &["snapshot"],
    &["starter"],
    &["prelude", "testing", "__private"],
];

fn floors() -> BTreeMap<&'static str, usize> {
    let on_floor = |(floor, modules): (usize, &'static &[&str])| modules.iter().map(move |module| (*module, floor));
    FLOORS.iter().enumerate().flat_map(on_floor).collect()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns the source files below a folder, without those of tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the crate");
    let paths = entries.map(|entry| entry.expect("no file is removed during the test").path());
    let mut found = Vec::new();
    for path in paths {
        let is_of_tests = path
            .file_stem()
            .is_some_and(|name| name == "tests" || name == "test_log");
        if path.is_dir() && !is_of_tests {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") && !is_of_tests {
            found.push(path);
        }
    }
    found
}

/// Returns the module of the crate that a file belongs to, if it is not the crate's root.
fn module_of(file: &Path) -> Option<String> {
    let below = file.strip_prefix(sources()).expect("a file of the crate");
    let first = below.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then(|| name.to_owned())
}

/// Returns the modules that a text names as `crate::module`, or in `crate::{..}`. Comments and unit tests do not count.
fn used_by(text: &str) -> BTreeSet<String> {
    let code = code_of(text);
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest.split(|c: char| !is_of_name(c)).next().unwrap_or_default(),
        };
        let firsts = names
            .split(',')
            .map(|name| name.trim().split("::").next().unwrap_or_default());
        used.extend(firsts.map(str::to_owned));
    }
    used
}

/// Returns a text without comments and unit tests.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn every_module_has_a_floor() {
    let known: BTreeSet<String> = floors().into_keys().map(str::to_owned).collect();
    let found: BTreeSet<String> = files(&sources()).iter().filter_map(|file| module_of(file)).collect();
    assert_eq!(found, known);
}

#[test]
fn modules_use_lower_floors_only() {
    let floors = floors();
    let mut wrong = BTreeSet::new();
    for file in files(&sources()) {
        let Some(module) = module_of(&file) else { continue };
        let text = fs::read_to_string(&file).expect("a text");
        for used in used_by(&text) {
            let Some(floor) = floors.get(used.as_str()) else {
                continue;
            };
            if used != module && *floor >= floors[module.as_str()] {
                wrong.insert(format!("{} uses `{used}`", file.display()));
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

/// What decisions must not use: tasks and their channels, the log, the registry's session, and the parts of the cluster that do.
const IMPURE: &[&str] = &[
    "async ",
    ".await",
    "tokio",
    "tracing",
    "dyn Session",
    "Instant::now",
    "cluster::fence",
    "cluster::guarantee",
    "cluster::launch",
    "cluster::process",
    "cluster::registration",
    "cluster::session",
    "cluster::worker",
];

#[test]
fn decisions_are_pure() {
    let core = files(&sources().join("cluster/core"));
    assert!(core.len() > 20, "{} files of decisions", core.len());
    let mut wrong = Vec::new();
    for file in core {
        let text = fs::read_to_string(&file).expect("a text");
        let code = code_of(&text);
        let found = IMPURE.iter().filter(|word| code.contains(**word));
        wrong.extend(found.map(|word| format!("{} uses `{word}`", file.display())));
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn names_are_found_in_code() {
    let text = "use crate::run::Source;\nuse crate::{guard, registry::Error};\n// crate::cluster\nfn f() { crate::host::f() }\n";
    let found: Vec<String> = used_by(text).into_iter().collect();
    assert_eq!(found, ["guard", "host", "registry", "run"]);
}
