//! Java members of a cluster, and an operator with the Java API: programs of `tests/java-peer`, built by Maven for the
//! version of ElasticJob that `ELASTICJOB_JAVA_VERSION` names, or that a test does.
//!
//! What was built stays in `ELASTICJOB_JAVA_PEER_CACHE`, or else in the user's cache directory, by version and sources.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::process::Member;

/// The version that is taken unless another is named.
const VERSION: &str = "3.0.3";

/// What both programs are started with: small, quick to start, and without files in common places.
const OPTIONS: &str = "-Xms16m -Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData";

/// The members and the operator.
const PROJECT: Project = Project {
    folder: "java-peer",
    version: "elasticjob.version",
    programs: &[
        ("member", "elasticjob.peer.Member"),
        ("operator", "elasticjob.peer.Operator"),
    ],
};

/// A project of Maven, and what is made of it.
pub(crate) struct Project {
    /// Its folder in that of this crate.
    pub(crate) folder: &'static str,
    /// The property that names the version of the library that it is built for.
    pub(crate) version: &'static str,
    /// Its programs: name and class.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

/// Returns the version of ElasticJob that Java members are of.
#[must_use]
pub fn version() -> String {
    std::env::var("ELASTICJOB_JAVA_VERSION").unwrap_or_else(|_| VERSION.to_owned())
}

/// Returns the program of a Java member, which takes the same environment as `member`. Blocks its thread while it is built.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn member() -> PathBuf {
    programs().join("member")
}

/// Returns the same of this version, whichever the environment names.
///
/// # Errors
/// When it cannot be built.
pub fn member_of(version: &str) -> anyhow::Result<PathBuf> {
    // One after the other: Maven downloads into one place. A std mutex: never held across an await.
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = match built.get(version) {
        Some(directory) => directory.clone(),
        None => PROJECT.build(version)?,
    };
    built.insert(version.to_owned(), directory.clone());
    Ok(directory.join("member"))
}

/// Returns whether there is Maven to build them with.
#[must_use]
pub fn is_at_hand() -> bool {
    let version = Command::new("mvn").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// Returns where the programs are, built if need be.
fn programs() -> &'static Path {
    static BUILT: LazyLock<PathBuf> =
        LazyLock::new(|| PROJECT.build(&version()).expect("Maven builds the Java members"));
    &BUILT
}

impl Project {
    /// Builds the programs for this version of the library unless they are there, and returns where they are.
    pub(crate) fn build(&self, version: &str) -> anyhow::Result<PathBuf> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.folder);
        let directory = cache()?.join(format!("{version}-{:016x}", self.fingerprint(&sources)?));
        if directory.exists() {
            return Ok(directory);
        }
        // Under its name when it is whole.
        let unfinished = directory.with_extension(format!("{}.unfinished", std::process::id()));
        let output = Command::new("mvn")
            .args(["--batch-mode", "--quiet", "--file"])
            .arg(sources.join("pom.xml"))
            .arg(format!("-D{}={version}", self.version))
            .arg(format!("-Dpeer.directory={}", unfinished.display()))
            .arg("compile")
            .output()
            .context("these tests need Maven and a JDK: apt-get install maven openjdk-17-jdk-headless")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{} of {version} does not build: {said}",
            self.folder
        );
        for (name, class) in self.programs {
            let program = unfinished.join(name);
            fs::write(&program, script(&directory, class))?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        }
        if let Err(error) = fs::rename(&unfinished, &directory) {
            // Another process may have been quicker.
            fs::remove_dir_all(&unfinished)?;
            ensure!(directory.exists(), "no {}: {error}", directory.display());
        }
        Ok(directory)
    }

    /// Returns a number for the sources and what the programs are made of besides.
    fn fingerprint(&self, sources: &Path) -> anyhow::Result<u64> {
        let mut files = BTreeMap::new();
        read_into(&mut files, sources)?;
        let mut hasher = DefaultHasher::new();
        for (_, class) in self.programs {
            hasher.write(script(Path::new(""), class).as_bytes());
        }
        for (path, content) in files {
            hasher.write(path.as_os_str().as_encoded_bytes());
            hasher.write(&content);
        }
        Ok(hasher.finish())
    }
}

/// Returns a program that becomes the Java machine, so that its process is that of the member. All speak UTF-8, as files do.
fn script(directory: &Path, class: &str) -> String {
    let directory = directory.display();
    format!(
        "#!/bin/sh\nexport LC_ALL=C.UTF-8\nexec java {OPTIONS} -cp '{directory}/classes:{directory}/lib/*' {class}\n"
    )
}

fn cache() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let users = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let directory = variable("ELASTICJOB_JAVA_PEER_CACHE")
        .or_else(|| Some(users()?.join("elasticjob-java-peer")))
        .context("none of ELASTICJOB_JAVA_PEER_CACHE, XDG_CACHE_HOME and HOME is set")?;
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

fn read_into(files: &mut BTreeMap<PathBuf, Vec<u8>>, directory: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_into(files, &path)?
        } else {
            drop(files.insert(path.clone(), fs::read(path)?))
        }
    }
    Ok(())
}

/// An operator of a cluster who uses the Java API, in a process of its own that ends when this is dropped.
#[derive(Debug)]
pub struct Operator(Member);

/// What an operator answers.
#[derive(Debug, Deserialize)]
enum Outcome {
    Ok(Value),
    Err(String),
}

impl Operator {
    /// Starts an operator of this cluster who uses this `user:password`.
    ///
    /// # Errors
    /// If the process does not start.
    pub fn start(cluster: &Cluster, digest: Option<&str>) -> anyhow::Result<Self> {
        let setup = cluster.process(programs().join("operator"), "operator");
        let setup = match digest {
            Some(digest) => setup.with("ELASTICJOB_REG_CENTER_DIGEST", digest),
            None => setup,
        };
        Ok(Self(setup.start()?))
    }

    /// Has an operation carried out on a job; `more` are its further arguments. Gives what there is to know then.
    ///
    /// # Errors
    /// When it throws.
    pub async fn ask(&mut self, operation: &str, job: &str, more: Value) -> anyhow::Result<Value> {
        let mut order = more;
        order["operation"] = json!(operation);
        order["job"] = json!(job);
        match self.0.converse(&order).await? {
            Outcome::Ok(value) => Ok(value),
            Outcome::Err(thrown) => anyhow::bail!("{order}: {thrown}"),
        }
    }
}
