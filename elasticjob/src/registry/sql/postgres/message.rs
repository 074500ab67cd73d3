//! What is sent to the functions of the database, and what they answer. Pure.
//!
//! Each call is one message of the simple protocol, with its argument as one literal: behind a pooler that gives each transaction
//! another connection nothing else is safe, since prepared statements and settings would be those of others.
//!
//! The argument is JSON, in hexadecimal digits: for any name of a job and any data of a node, the statement has
//! no character that could end the literal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::line::literal;
use crate::registry::sql::cursor::Cursor;
use crate::registry::{Answer, CreateMode, Error, Read, Stat, Step, WatchEvent, WriteError, Written, path};

/// The root, among the names of jobs.
pub(super) const ROOT: &str = "";

/// The session that calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) namespace: String,
    pub(super) session: i64,
    pub(super) connection: i64,
    pub(super) timeout_millis: i64,
}

/// Which changes a call asks for.
///
/// Of each job those behind its cursor.
#[derive(Clone, Debug, Default)]
pub(super) struct Following {
    pub(super) cursors: BTreeMap<String, Cursor>,
    /// Also those of jobs without a cursor, from the first.
    pub(super) of_all: bool,
}

/// A reply, without the answers that depend on the request.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    pub(super) over: bool,
    /// Which server answered, as it says itself.
    #[serde(default)]
    pub(super) server: String,
    #[serde(default)]
    refused: Option<(usize, String)>,
    #[serde(default)]
    answers: Vec<Value>,
    #[serde(default)]
    pub(super) changes: Vec<(String, i64, Vec<ChangeRow>)>,
    #[serde(default)]
    nodes: Vec<NodeRow>,
    #[serde(default)]
    children: Vec<(String, Vec<String>)>,
    #[serde(default)]
    pub(super) counters: BTreeMap<String, i64>,
}

/// Number, token, step, kind, path.
type ChangeRow = (i64, i64, i32, i16, String);

/// Parent, name, data, and the numbers of its stat.
type NodeRow = (String, String, String, i32, i64, i64, i64, i64);

/// The job that a path belongs to.
pub(super) fn job_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or(ROOT)
}

/// The jobs that a transaction has to lock: the root only if its data or its children change, or its version counts.
pub(super) fn jobs(steps: &[Step]) -> BTreeSet<&str> {
    let mut jobs = BTreeSet::new();
    for step in steps {
        let path = step.path();
        let concerns_root = match step {
            Step::Create { .. } | Step::Delete { .. } => path::split(path).0 == "/",
            Step::Set { .. } => path == "/",
            Step::Check { version, .. } => path == "/" && version.is_some(),
        };
        if concerns_root {
            jobs.insert(ROOT);
        }
        if path != "/" {
            jobs.insert(job_of(path));
        }
    }
    jobs
}

/// The jobs that a transaction changes.
pub(super) fn changed(steps: &[Step]) -> BTreeSet<String> {
    let changes = steps.iter().filter(|step| !matches!(step, Step::Check { .. }));
    changes.map(|step| job_of(step.path()).to_owned()).collect()
}

/// The statement of a transaction.
pub(super) fn transaction(caller: &Caller, steps: &[Step], renew: bool, following: &Following) -> String {
    let message = json!({
        "namespace": caller.namespace,
        "session": caller.session,
        "connection": caller.connection,
        "timeout": caller.timeout_millis,
        "renew": renew,
        "jobs": jobs(steps),
        "cursors": cursors(following),
        "follow_all": following.of_all,
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
    });
    call("call_v2", &message)
}

/// The statement of a read: of nodes, and of the counters of jobs, or of all jobs.
pub(super) fn read(caller: &Caller, reads: &[Read], count: Option<&str>, following: &Following) -> String {
    let (mut nodes, mut children) = (BTreeSet::new(), BTreeSet::new());
    for read in reads {
        match read {
            Read::Data(path) => nodes.insert(key(path)),
            Read::Children(path) => children.insert((path.as_str(), key(path).0, key(path).1)),
        };
    }
    let message = json!({
        "namespace": caller.namespace,
        "session": caller.session,
        "connection": caller.connection,
        "nodes": nodes,
        "children": children,
        "count": count.into_iter().collect::<Vec<_>>(),
        "count_all": count == Some(ROOT),
        "cursors": cursors(following),
        "follow_all": following.of_all,
    });
    call("read_v2", &message)
}

/// The statement that asks which jobs have something in the inbox, and instances. Its answer is JSON: for each its name, and whether
/// the caller is one of the instances.
pub(super) fn waiting(caller: &Caller) -> String {
    format!(
        "SELECT elasticjob.waiting_v3({}, {})",
        literal(&caller.namespace),
        caller.session
    )
}

/// The statement that takes the first of a job out of the inbox. Its answer is a boolean.
pub(super) fn take(caller: &Caller, job: &str) -> String {
    let (namespace, job) = (literal(&caller.namespace), literal(job));
    let patience = caller.timeout_millis / 6;
    format!("SELECT elasticjob.take_v3({namespace}, {job}, {patience})::text")
}

/// Returns the statement that calls a function.
fn call(function: &str, message: &Value) -> String {
    let message = hex(message.to_string().as_bytes());
    format!("SELECT elasticjob.{function}('\\x{message}'::bytea)")
}

/// Returns the message that runs statements within a transaction of their own.
pub(super) fn together(statements: &[String]) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; {}; COMMIT",
        statements.join("; ")
    )
}

/// Returns the numbers behind which changes are asked for.
fn cursors(following: &Following) -> BTreeMap<&str, i64> {
    following
        .cursors
        .iter()
        .map(|(job, cursor)| (&**job, cursor.number()))
        .collect()
}

/// Returns a step as the function reads it: its kind, the parent and the name of its node, and what it needs beside.
fn step(step: &Step) -> Value {
    let (parent, name) = key(step.path());
    match step {
        Step::Create { data, mode, .. } => {
            let mode = match mode {
                CreateMode::Persistent | CreateMode::Container => "persistent",
                CreateMode::Ephemeral => "ephemeral",
                CreateMode::EphemeralSequential => "sequential",
            };
            json!(["create", parent, name, null, hex(data), mode])
        }
        Step::Set { data, version, .. } => json!(["set", parent, name, version, hex(data)]),
        Step::Delete { version, .. } => json!(["delete", parent, name, version]),
        Step::Check { version, .. } => json!(["check", parent, name, version]),
    }
}

/// The parent and the name that a node is stored under.
fn key(path: &str) -> (&str, &str) {
    match path {
        "/" => ("", ""),
        path => path::split(path),
    }
}

impl Reply {
    /// Reads a reply.
    ///
    /// # Errors
    /// The text is not what a function of this version answers.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("an answer that is none: {error}"))
    }

    /// The answer to a transaction.
    ///
    /// # Errors
    /// The reply does not fit the steps. Whether they were executed is then unknown.
    pub(super) fn written(&self, steps: &[Step]) -> Result<Result<Vec<Written>, WriteError>, String> {
        if let Some((step, refusal)) = &self.refused {
            let error = match &**refusal {
                "no node" => Error::NoNode,
                "node exists" => Error::NodeExists,
                "bad version" => Error::BadVersion,
                "not empty" => Error::NotEmpty,
                "ephemeral parent" => Error::EphemeralParent,
                other => return Err(format!("a refusal that is not known: {other}")),
            };
            let step = Some(*step);
            return Ok(Err(WriteError { step, error }));
        }
        if self.answers.len() != steps.len() {
            return Err(format!("{} answers to {} steps", self.answers.len(), steps.len()));
        }
        let answers = steps.iter().zip(&self.answers).map(|(step, answer)| match step {
            Step::Create { .. } => Ok(Written::Created(answer.as_str().unwrap_or_default().to_owned())),
            Step::Set { .. } => {
                let (version, created, modified, modified_at, ephemeral_owner) =
                    Deserialize::deserialize(answer).map_err(|error| error.to_string())?;
                Ok(Written::Set(Stat {
                    version,
                    created,
                    modified,
                    modified_at,
                    ephemeral_owner,
                }))
            }
            Step::Delete { .. } => Ok(Written::Deleted),
            Step::Check { .. } => Ok(Written::Checked),
        });
        answers.collect::<Result<_, String>>().map(Ok)
    }

    /// The answers to reads.
    pub(super) fn answers(&self, reads: &[Read]) -> Result<Vec<Answer>, String> {
        let mut nodes = BTreeMap::new();
        for (parent, name, data, version, created, modified, modified_at, ephemeral_owner) in &self.nodes {
            let stat = Stat {
                version: *version,
                created: *created,
                modified: *modified,
                modified_at: *modified_at,
                ephemeral_owner: *ephemeral_owner,
            };
            nodes.insert((&**parent, &**name), (bytes(data)?, stat));
        }
        let children: BTreeMap<&str, &Vec<String>> = self
            .children
            .iter()
            .map(|(path, children)| (&**path, children))
            .collect();
        let answer = |read: &Read| match read {
            Read::Data(path) => Answer::Data(nodes.get(&key(path)).cloned()),
            Read::Children(path) => Answer::Children(children.get(&**path).map(|children| (*children).clone())),
        };
        Ok(reads.iter().map(answer).collect())
    }
}

/// A change that was read.
pub(super) fn event(kind: i16, path: &str) -> Option<WatchEvent> {
    match kind {
        1 => Some(WatchEvent::Created(path.to_owned())),
        2 => Some(WatchEvent::Changed(path.to_owned())),
        3 => Some(WatchEvent::Deleted(path.to_owned())),
        _ => None,
    }
}

/// Writes bytes in hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A text takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads bytes from hexadecimal digits.
fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |digits: &[u8]| {
        let text = std::str::from_utf8(digits).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    digits
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(|| "data that is not hexadecimal".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, version: Option<i32>) -> Step {
        Step::Check {
            path: path.into(),
            version,
        }
    }

    mod locks {
        use super::*;

        #[test]
        fn are_those_of_the_jobs_that_are_named() {
            let set = Step::Set {
                path: "/b/x".into(),
                data: vec![],
                version: None,
            };
            assert_eq!(
                jobs(&[check("/c", None), set, check("/c/d", Some(1))]),
                BTreeSet::from(["b", "c"])
            );
        }

        #[test]
        fn spare_the_root_if_it_is_only_there() {
            assert_eq!(jobs(&[check("/", None)]), BTreeSet::new());
            assert_eq!(jobs(&[check("/", Some(0))]), BTreeSet::from([ROOT]));
            let delete = |path: &str| Step::Delete {
                path: path.into(),
                version: None,
            };
            assert_eq!(jobs(&[delete("/a/b")]), BTreeSet::from(["a"]));
            assert_eq!(jobs(&[delete("/a")]), BTreeSet::from([ROOT, "a"]));
        }
    }

    mod changes {
        use super::*;

        #[test]
        fn are_of_jobs_that_are_more_than_checked() {
            let delete = Step::Delete {
                path: "/任务".into(),
                version: None,
            };
            let changed = changed(&[check("/c", None), delete, check("/", Some(1))]);
            assert_eq!(changed, BTreeSet::from(["任务".to_owned()]));
        }
    }

    #[test]
    fn bytes_should_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&hex(&all)), Ok(all));
        assert!(bytes("0g").is_err());
    }
}
