//! SnakeYAML, by which Java members read and write what is stored: a program of `tests/snakeyaml`, built by Maven for each
//! version that they may have.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::java::Project;

/// The versions of Java members up to 3.0.3 and from 3.0.4 on, and the last one before 2.0.
pub const VERSIONS: [&str; 3] = ["1.26", "1.33", "2.2"];

const PROJECT: Project = Project {
    folder: "snakeyaml",
    version: "snakeyaml.version",
    programs: &[("texts", "elasticjob.texts.Texts")],
};

/// A process with one version of SnakeYAML. Dropping it ends the process.
#[derive(Debug)]
pub struct SnakeYaml {
    version: &'static str,
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
enum Answer {
    Ok(Value),
    Err(String),
}

impl SnakeYaml {
    /// Builds the program if need be, and starts it.
    ///
    /// # Errors
    /// If it cannot be built or started.
    pub fn start(version: &'static str) -> anyhow::Result<Self> {
        let program = program(version)?;
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Java starts")?;
        let orders = process.stdin.take().context("it has an input")?;
        let answers = BufReader::new(process.stdout.take().context("it has an output")?);
        Ok(Self {
            version,
            process,
            orders,
            answers,
        })
    }

    /// Returns the version.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Writes settings as a Java member does, props in the order of their keys.
    ///
    /// # Errors
    /// If it throws.
    pub fn write(&mut self, settings: &Value) -> anyhow::Result<String> {
        let text = self.ask(&json!({ "write": settings }))?;
        text.as_str().map(ToOwned::to_owned).context("a text")
    }

    /// Reads settings as a Java member does. What is no text among the props is shown with its class.
    ///
    /// # Errors
    /// If it throws.
    pub fn read(&mut self, text: &str) -> anyhow::Result<Value> {
        self.ask(&json!({ "read": text }))
    }

    /// Returns the nodes of a document: each as its tag and its value.
    ///
    /// # Errors
    /// If it throws.
    pub fn nodes(&mut self, text: &str) -> anyhow::Result<Value> {
        self.ask(&json!({ "compose": text }))
    }

    fn ask(&mut self, order: &Value) -> anyhow::Result<Value> {
        writeln!(self.orders, "{order}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line).with_context(|| format!("the answer to {order}: {line:?}"))? {
            Answer::Ok(value) => Ok(value),
            Answer::Err(thrown) => anyhow::bail!("SnakeYAML {} throws: {thrown}", self.version),
        }
    }
}

fn program(version: &str) -> anyhow::Result<PathBuf> {
    // One after the other: tests of one process build in one place. A std mutex: never held across an await.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(PROJECT.build(version)?.join("texts"))
}

impl Drop for SnakeYaml {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
