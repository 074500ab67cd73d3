//! Spelt as Spring Boot and its manual spell it.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod data_source;
mod environment;
mod keys;
mod lists;
mod notes;
mod placeholders;
mod servers;
mod values;
mod vectors;

use std::fs;

use elasticjob_config::sources::{Errors, Loader, RegistrySettings, Settings, TracedJobs};
use tempfile::TempDir;

/// Files in a directory of their own, the environment, and what is active.
#[derive(Default)]
struct Given<'a> {
    files: &'a [(&'a str, &'a str)],
    environment: &'a [(&'a str, &'a str)],
}

impl Given<'_> {
    fn load(&self) -> Result<Settings, Errors> {
        self.with(|loader| loader.load())
    }

    fn with<T>(&self, load: impl FnOnce(&Loader) -> T) -> T {
        let directory: TempDir = tempfile::tempdir().unwrap();
        for (name, text) in self.files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let variables = self.environment.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&Loader::new().directory(directory.path()).environment(variables))
    }
}

fn yaml(text: &str) -> Result<Settings, Errors> {
    let files = [("application.yml", text)];
    Given {
        files: &files,
        ..Given::default()
    }
    .load()
}

fn properties(text: &str) -> Result<Settings, Errors> {
    let files = [("application.properties", text)];
    Given {
        files: &files,
        ..Given::default()
    }
    .load()
}

/// The faults, with the directory's path left out.
fn faults(result: Result<Settings, Errors>) -> Vec<String> {
    let shorten = |text: String| match text.split_once("/application") {
        Some((directory, rest)) if directory.starts_with('/') => format!("application{rest}"),
        _ => text,
    };
    let errors = result.unwrap_err();
    errors.iter().map(|error| shorten(error.to_string())).collect()
}
