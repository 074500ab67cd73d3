//! The files of an application.

use std::io;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::error::{Error, Origin};
use super::{properties, toml, yaml};
use crate::text::{self, LARGEST_FILE};

/// Later ones win, as Spring lets `.properties` win over YAML.
const EXTENSIONS: [&str; 4] = ["yaml", "yml", "toml", "properties"];

/// Reads files, and keeps which.
#[derive(Default)]
pub(super) struct Files {
    pub(super) read: Vec<PathBuf>,
    pub(super) absent: Vec<PathBuf>,
}

impl Files {
    /// Reads `application.*`, or `application-PROFILE.*`, in a directory and in its `config` directory, which wins.
    ///
    /// `None` if there is no such file.
    pub(super) fn application(
        &mut self,
        directory: &Path,
        profile: Option<&str>,
        faults: &mut Vec<Error>,
    ) -> Option<Vec<Document>> {
        let stem = profile.map_or_else(|| "application".to_owned(), |profile| format!("application-{profile}"));
        let mut found: Option<Vec<Document>> = None;
        for directory in [directory.to_owned(), directory.join("config")] {
            let mut is_absent = true;
            for extension in EXTENSIONS {
                let path = directory.join(format!("{stem}.{extension}"));
                match text::read(&path, LARGEST_FILE) {
                    Ok(text) => {
                        let documents = parsed(&path, &text, profile.is_some(), faults);
                        found.get_or_insert_default().extend(documents);
                        self.read.push(absolute(&path));
                    }
                    Err(error) if is_absence(&error) => continue,
                    Err(error) => faults.push(unreadable(&path, &error)),
                }
                is_absent = false;
            }
            if is_absent {
                let pattern = format!("{stem}.{{{}}}", EXTENSIONS.join(","));
                self.absent.push(absolute(&directory.join(pattern)));
            }
        }
        found
    }

    /// Reads a file that was named, so that it must be there.
    pub(super) fn named(&mut self, path: &Path, faults: &mut Vec<Error>) -> Vec<Document> {
        match text::read(path, LARGEST_FILE) {
            Ok(text) => {
                self.read.push(absolute(path));
                parsed(path, &text, false, faults)
            }
            Err(error) => {
                faults.push(unreadable(path, &error));
                Vec::new()
            }
        }
    }
}

/// The profiles that files of a directory, and of its `config` directory, are for.
pub(super) fn profiles(directory: &Path) -> impl Iterator<Item = String> {
    let directories = [directory.to_owned(), directory.join("config")];
    let entries = directories
        .into_iter()
        .filter_map(|directory| directory.read_dir().ok());
    let names = entries
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| {
        let (stem, extension) = name.rsplit_once('.')?;
        let profile = stem
            .strip_prefix("application-")
            .filter(|profile| !profile.is_empty())?;
        EXTENSIONS.contains(&extension).then(|| profile.to_owned())
    })
}

/// A path that says where it is, for a reader who does not know where the program was started.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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
