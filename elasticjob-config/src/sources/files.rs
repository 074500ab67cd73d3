//! The files of an application.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::error::{Error, Origin};
use super::{properties, toml, yaml};

/// Later ones win, as Spring lets `.properties` win over YAML.
const EXTENSIONS: [&str; 4] = ["yaml", "yml", "toml", "properties"];

/// Reads `application.*`, or `application-PROFILE.*`, in a directory and in its `config` directory, which wins.
///
/// `None` if there is no such file.
pub(super) fn read_all(directory: &Path, profile: Option<&str>, faults: &mut Vec<Error>) -> Option<Vec<Document>> {
    let stem = profile.map_or_else(|| "application".to_owned(), |profile| format!("application-{profile}"));
    let directories = [directory.to_owned(), directory.join("config")];
    let paths = directories.iter().flat_map(|directory| {
        EXTENSIONS
            .iter()
            .map(|extension| directory.join(format!("{stem}.{extension}")))
            .collect::<Vec<PathBuf>>()
    });
    let mut found: Option<Vec<Document>> = None;
    for path in paths {
        match fs::read_to_string(&path) {
            Ok(text) => found
                .get_or_insert_default()
                .extend(parsed(&path, &text, profile.is_some(), faults)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => faults.push(unreadable(&path, &error)),
        }
    }
    found
}

/// Reads a file that was named, so that it must be there.
pub(super) fn read(path: &Path, faults: &mut Vec<Error>) -> Vec<Document> {
    match fs::read_to_string(path) {
        Ok(text) => parsed(path, &text, false, faults),
        Err(error) => {
            faults.push(unreadable(path, &error));
            Vec::new()
        }
    }
}

fn parsed(path: &Path, text: &str, is_of_profile: bool, faults: &mut Vec<Error>) -> Vec<Document> {
    let name = path.display().to_string();
    let result = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => yaml::parse(&name, text),
        Some("toml") => toml::parse(&name, text).map(|tree| vec![tree]),
        Some("properties") => properties::parse(&name, text),
        _ => Err(Error::new("", "the format is not known: use .yaml, .yml, .toml or .properties").at(file(path))),
    };
    let trees = result.unwrap_or_else(|error| {
        faults.push(error);
        Vec::new()
    });
    trees
        .into_iter()
        .map(|tree| Document::new(tree, is_of_profile))
        .collect()
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
