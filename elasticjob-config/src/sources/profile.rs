//! Which profiles are active, and the files that belong to them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Error, Origin};
use super::key;
use super::placeholder::Lookup;
use super::tree::Tree;
use super::{properties, toml, yaml};

/// Later ones win, as Spring lets `.properties` win over YAML.
const EXTENSIONS: [&str; 4] = ["yaml", "yml", "toml", "properties"];

/// The names in a list with commas.
pub(super) fn names(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// What the environment says of active profiles.
pub(super) fn of_environment(environment: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let variables = ["ELASTICJOB_PROFILES_ACTIVE", "ELASTICJOB_PROFILE_ACTIVE"];
    variables
        .iter()
        .find_map(|variable| environment.get(*variable))
        .map(|text| names(text))
}

/// What the base files say: `elasticjob.profiles.active`, where placeholders stand for variables of the environment.
pub(super) fn of_files(
    documents: &[yaml::Document],
    environment: &BTreeMap<String, String>,
    faults: &mut Vec<Error>,
) -> Option<Vec<String>> {
    let for_all = documents.iter().filter(|document| document.profiles.is_empty());
    // Lists of maps are complained about when all files are read.
    let mut leaves = for_all
        .flat_map(|document| document.tree.clone().leaves(&mut Vec::new()))
        .collect::<Vec<_>>();
    leaves.retain(|leaf| key::canonical(&leaf.path.concat()) == "elasticjobprofilesactive");
    let last = leaves.pop()?;
    let keys = BTreeMap::new();
    match (Lookup { environment, keys }).resolve(&last.text) {
        Ok(text) => Some(names(&text)),
        Err(problem) => {
            faults.push(
                Error::new(last.path.join("."), problem)
                    .value(last.text)
                    .at(last.origin),
            );
            None
        }
    }
}

/// Reads `application.*`, or `application-PROFILE.*`, in a directory and in its `config` directory, which wins.
///
/// `None` if there is no such file.
pub(super) fn read_all(
    directory: &Path,
    profile: Option<&str>,
    faults: &mut Vec<Error>,
) -> Option<Vec<yaml::Document>> {
    let stem = profile.map_or_else(|| "application".to_owned(), |profile| format!("application-{profile}"));
    let directories = [directory.to_owned(), directory.join("config")];
    let paths = directories.iter().flat_map(|directory| {
        EXTENSIONS
            .iter()
            .map(|extension| directory.join(format!("{stem}.{extension}")))
            .collect::<Vec<PathBuf>>()
    });
    let mut found: Option<Vec<yaml::Document>> = None;
    for path in paths {
        match fs::read_to_string(&path) {
            Ok(text) => found.get_or_insert_default().extend(parsed(&path, &text, faults)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => faults.push(unreadable(&path, &error)),
        }
    }
    found
}

/// Reads a file that was named, so that it must be there.
pub(super) fn read(path: &Path, faults: &mut Vec<Error>) -> Vec<yaml::Document> {
    match fs::read_to_string(path) {
        Ok(text) => parsed(path, &text, faults),
        Err(error) => {
            faults.push(unreadable(path, &error));
            Vec::new()
        }
    }
}

fn parsed(path: &Path, text: &str, faults: &mut Vec<Error>) -> Vec<yaml::Document> {
    let name = path.display().to_string();
    let for_all = |tree: Tree| {
        vec![yaml::Document {
            tree,
            profiles: Vec::new(),
        }]
    };
    let result = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => yaml::parse(&name, text),
        Some("toml") => toml::parse(&name, text).map(for_all),
        Some("properties") => properties::parse(&name, text).map(for_all),
        _ => Err(Error::new("", "the format is not known: use .yaml, .yml, .toml or .properties").at(file(path))),
    };
    result.unwrap_or_else(|error| {
        faults.push(error);
        Vec::new()
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new("", format!("cannot be read: {error}")).at(file(path))
}

fn file(path: &Path) -> Origin {
    Origin::File {
        path: path.display().to_string(),
        line: None,
    }
}
