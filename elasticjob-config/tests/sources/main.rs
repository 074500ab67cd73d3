//! The configuration of an application, layer upon layer.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod faults;
mod formats;
mod keys;
mod layers;
mod placeholders;
mod profile;
mod sections;

use std::fs;
use std::time::Duration;

use elasticjob_config::sources::{
    Declared, Errors, Implementation, Loader, RegistrySettings, Settings, Sources, TracedJobs, ZooKeeperSettings,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn declared(name: &str, values: &[(&str, &str)]) -> Declared {
    let values = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Declared {
        name: name.to_owned(),
        origin: "src/main.rs:12".to_owned(),
        values,
    }
}

fn sync_orders() -> Declared {
    declared(
        "sync_orders",
        &[
            ("cron", "0 0 1 * * ?"),
            ("sharding-total-count", "2"),
            ("job-parameter", "attribute"),
        ],
    )
}

fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// Loads these files with one declared job.
fn load(files: &[(&str, &str)], adjust: impl FnOnce(Loader) -> Loader) -> Result<Settings, Errors> {
    let directory = directory(files);
    adjust(Loader::new().directory(directory.path()).declared(vec![sync_orders()])).load()
}

fn yaml(text: &str) -> Result<Settings, Errors> {
    load(&[("application.yaml", text)], |loader| loader)
}

/// The faults, with the directory's path left out.
fn faults(result: Result<Settings, Errors>) -> Vec<String> {
    let shorten = |text: String| match text.split_once("/application") {
        Some((directory, rest)) if directory.starts_with('/') => format!("application{rest}"),
        _ => text,
    };
    result
        .unwrap_err()
        .iter()
        .map(|error| shorten(error.to_string()))
        .collect()
}

fn parameter(settings: &Settings) -> &str {
    settings.jobs["sync_orders"].config.job_parameter()
}

fn zookeeper(settings: &Settings) -> &ZooKeeperSettings {
    match &settings.registry {
        RegistrySettings::ZooKeeper(zookeeper) => zookeeper,
        other => panic!("{other:?} is not ZooKeeper"),
    }
}
