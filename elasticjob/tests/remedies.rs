//! The list of remedies in the documents names tests; they have to be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of the functions in a folder's code.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("it stays as it is").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("code is text");
            let found = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split(['(', '<']).next());
            names.extend(found.map(str::to_owned));
        }
    }
}

#[test]
fn every_test_that_the_list_of_remedies_names_should_be_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut there = BTreeSet::new();
    for folder in ["elasticjob/src", "elasticjob/tests", "elasticjob-config", "tests"] {
        functions(&root.join(folder), &mut there);
    }
    let list = fs::read_to_string(root.join("docs/remedies.md")).unwrap();
    let quoted = list.split('`').skip(1).step_by(2);
    // Names of tests are sentences: those in a module of their own are named with it.
    let is_sentence = |name: &str| name.contains("_should_") || name.matches('_').count() > 2;
    let names = quoted.filter_map(|quoted| quoted.rsplit("::").next());
    let named: BTreeSet<&str> = names
        .filter(|name| is_sentence(name) && !name.contains([' ', '.']))
        .collect();
    assert!(named.len() > 50, "{named:?}");
    let missing: Vec<_> = named.into_iter().filter(|name| !there.contains(*name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
