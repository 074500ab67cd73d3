//! What the documents name has to exist: tests, files, rules of the simulator, metrics, and the documents that they link to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders that paths in documents begin in.
const ROOTS: &[&str] = &[
    "",
    "elasticjob",
    "elasticjob/src",
    "elasticjob-config",
    "elasticjob-console",
    "elasticjob-macros",
    "tests",
    "tests/tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the files of a folder with this extension, those of its folders included.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the project");
    let paths = entries.map(|entry| entry.expect("no file is removed during the test").path());
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn code() -> impl Iterator<Item = String> {
    let folders = [
        "elasticjob/src",
        "elasticjob/tests",
        "elasticjob-cli",
        "elasticjob-config",
        "elasticjob-console",
        "elasticjob-macros",
        "examples",
        "tests",
    ];
    let paths = folders.into_iter().flat_map(|folder| files(&root().join(folder), "rs"));
    paths.map(|path| read(&path))
}

/// Returns the names of all functions.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in code() {
        let found = text.split("fn ").skip(1);
        names.extend(found.filter_map(|rest| rest.split(['(', '<']).next().map(str::to_owned)));
    }
    names
}

/// Returns the rules of the protocol that the simulator can leave out.
fn rules() -> BTreeSet<String> {
    let text = read(&root().join("elasticjob/src/cluster/mutation.rs"));
    let list = text.split("\nrules! {").nth(1).expect("the list of rules");
    let list = list.split("\n}").next().expect("the end of the list");
    let names = list.lines().filter_map(|line| line.trim().strip_suffix(','));
    names.filter(|name| is_camel_case(name)).map(str::to_owned).collect()
}

fn is_camel_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphabetic())
}

/// A document of the project.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let text = read(&path);
        Self { path, text }
    }

    /// Returns every document that a reader of the repository may open.
    fn all() -> Vec<Self> {
        let at_the_top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
        let mut paths: Vec<_> = at_the_top.iter().map(|name| root().join(name)).collect();
        paths.extend(files(&root().join("docs"), "md"));
        for example in fs::read_dir(root().join("examples")).expect("the examples") {
            let path = example.expect("no example is removed during the test").path();
            paths.push(path.join("README.md"));
        }
        paths.into_iter().filter(|path| path.exists()).map(Self::read).collect()
    }

    /// Returns the documents that describe the code as it is: not the history of its changes, nor an example's own files.
    fn current() -> Vec<Self> {
        let is_current = |document: &Self| {
            let path = &document.path;
            !path.ends_with("CHANGELOG.md") && !path.starts_with(root().join("examples"))
        };
        Self::all().into_iter().filter(is_current).collect()
    }

    /// Returns the lines outside fenced blocks.
    fn prose(&self) -> String {
        let parts = self.text.split("```");
        parts.step_by(2).collect()
    }

    /// Returns the words in backquotes, outside fenced blocks.
    fn quoted(&self) -> Vec<String> {
        let prose = self.prose();
        let parts = prose.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    }

    /// Returns what this document is to be blamed for, with its name.
    fn faults<'a>(&'a self, faults: impl IntoIterator<Item = String> + 'a) -> impl Iterator<Item = String> + 'a {
        faults
            .into_iter()
            .map(|fault| format!("{}: {fault}", self.path.display()))
    }
}

/// Returns the name of a test that was quoted, without its modules. Names of tests are sentences, so they have several words.
fn name_of_test(quoted: &str) -> Option<&str> {
    let name = quoted.rsplit("::").next()?;
    let is_lower = name
        .chars()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    let is_sentence = name.matches('_').count() > 1 && !name.starts_with("elasticjob_");
    (is_lower && is_sentence).then_some(name)
}

#[test]
fn named_tests_exist() {
    let there = functions();
    let mut named = BTreeSet::new();
    let mut missing = Vec::new();
    for document in Document::all() {
        let quoted = document.quoted();
        let names: BTreeSet<_> = quoted.iter().filter_map(|quoted| name_of_test(quoted)).collect();
        let unknown = names.iter().filter(|name| !there.contains(**name));
        missing.extend(document.faults(unknown.map(|name| (*name).to_owned())));
        named.extend(names.into_iter().map(str::to_owned));
    }
    assert!(named.len() > 200, "{named:?}");
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn named_files_exist() {
    let is_there = |name: &String| ROOTS.iter().any(|folder| root().join(folder).join(name).exists());
    let mut count = 0;
    let mut missing = Vec::new();
    for document in Document::current() {
        let paths = document.quoted().into_iter();
        let paths: Vec<_> = paths
            .filter(|name| name.contains('/') && name.ends_with(".rs"))
            .collect();
        count += paths.len();
        let unknown = paths.iter().filter(|name| !is_there(name)).cloned();
        missing.extend(document.faults(unknown));
    }
    assert!(count > 30, "{count}");
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn all_rules_of_the_simulator_are_named() {
    let document = Document::read(root().join("docs/mutations.md"));
    let found = document
        .text
        .split("\n## ")
        .find(|section| section.starts_with("Rules that are found"));
    let rows = found
        .expect("the table of rules")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let named: BTreeSet<_> = rows
        .filter_map(|row| row.split('`').next().map(str::to_owned))
        .collect();
    assert_eq!(named, rules());
    for document in Document::all() {
        let left_out = document.text.split("--leave-out ").skip(1);
        let left_out = left_out.filter_map(|rest| rest.split([' ', '`', '\n']).next());
        let unknown = left_out.filter(|rule| is_camel_case(rule) && !named.contains(*rule));
        let unknown: Vec<_> = document.faults(unknown.map(str::to_owned)).collect();
        assert_eq!(unknown, Vec::<String>::new());
    }
}

#[test]
fn named_metrics_are_recorded() {
    let recorded: BTreeSet<_> = code()
        .flat_map(|text| text.split('"').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut missing = Vec::new();
    for document in Document::all()
        .iter()
        .filter(|document| !document.path.ends_with("CHANGELOG.md"))
    {
        let quoted = document.quoted().into_iter();
        let names = quoted.filter_map(|quoted| quoted.split(['{', '[', ' ', '(']).next().map(str::to_owned));
        let metrics = names.filter(|name| name.starts_with("elasticjob_") && !name.contains(':'));
        // Histograms are recorded under the name without what the endpoint adds.
        let is_recorded = |name: &str| {
            let base = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            recorded.contains(name) || base.is_some_and(|base| recorded.contains(base))
        };
        missing.extend(document.faults(metrics.filter(|name| !is_recorded(name))));
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_link_between_documents_should_lead_somewhere() {
    let mut count = 0;
    let mut broken = Vec::new();
    for document in Document::all() {
        let prose = document.prose();
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links: Vec<_> = links.filter(|link| !link.contains("://")).collect();
        count += links.len();
        let is_broken = |link: &&str| {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.path.parent().expect("a document lies in a folder");
            let target = if file.is_empty() {
                document.path.clone()
            } else {
                folder.join(file)
            };
            !target.exists() || !(heading.is_empty() || headings(&read(&target)).contains(heading))
        };
        let links = links.into_iter().filter(is_broken).map(str::to_owned);
        broken.extend(document.faults(links.collect::<Vec<_>>()));
    }
    assert!(count > 50, "{count}");
    assert_eq!(broken, Vec::<String>::new());
}

/// Returns the headings of a document as links name them.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    let as_link = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    lines.map(as_link).collect()
}
