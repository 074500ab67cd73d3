//! The error of all operations.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use elasticjob_config::job;

use crate::chain::Chain;
use crate::registry;

use super::Note;

/// Jobs by their names; of many, the first.
fn names(jobs: &[String]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = jobs.iter().take(SHOWN).map(|job| format!("`{job}`")).collect();
    let more = jobs.len().saturating_sub(SHOWN);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more jobs", names.join(", ")),
    }
}

/// Why an operation was not done, or may not have been.
///
/// Each message names the job and the value that is at fault, and its causes do not repeat it: show it with
/// [`chain`](Self::chain), or as `anyhow` and similar crates do.
///
/// - **Nothing was changed** if the error is about the call (`NoSuch..`, `NotOurs`, `ParameterTooLong`, ..) or about the state of the job
///   (`Paused`, `Running`, `Changed`, ..).
/// - **The change may have happened** if the cause is [`registry::Error::ConnectionLoss`]. Operations that can be repeated without harm
///   are repeated before they fail; a trigger is not.
///
/// With the feature `axum` it is an answer of an HTTP server, with the status of its kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry did not answer in time, or [refused](Self::is_refused) the request. [`is_retryable`](Self::is_retryable) says
    /// whether another call may succeed.
    #[error("the registry ({registry}) {}", if is_refusal(.source) { "does not allow this" } else { "did not answer" })]
    Registry {
        /// The registry, without secrets: `zookeeper at 10.0.0.1:2181, namespace shop`.
        registry: String,
        /// What the registry answered.
        source: registry::Error,
    },
    /// The registry has no job of this name. Names are compared as they are written.
    #[error("there is no job `{job}` in the registry")]
    NoSuchJob {
        /// The name that was given.
        job: String,
    },
    /// The job has no configuration: it is being removed, or something else is in its place.
    #[error("job `{job}` has no configuration in the registry")]
    NoConfiguration {
        /// The name of the job.
        job: String,
    },
    /// The job has no such item.
    #[error("job `{job}` has no item {item}: its items are 0 to {}", .total.saturating_sub(1))]
    NoSuchItem {
        /// The name of the job.
        job: String,
        /// The item that was given.
        item: u32,
        /// The sharding total count of the job: its items are below it.
        total: u32,
    },
    /// No job, or not the one that was named, has such a server.
    #[error("there is no server `{server}`{}", .job.as_ref().map(|job| format!(" of job `{job}`")).unwrap_or_default())]
    NoSuchServer {
        /// The address that was given.
        server: String,
        /// The job that was named; `None` if all jobs were looked through.
        job: Option<String>,
    },
    /// No job has such an instance.
    #[error("there is no instance `{instance}`")]
    NoSuchInstance {
        /// The id that was given.
        instance: String,
    },
    /// Only instances of ours give their items away and stay.
    #[error("instance `{instance}` is a Java member, which cannot be drained: disable its server")]
    NotOurs {
        /// The id of the Java member.
        instance: String,
    },
    /// The job has no instance that could run it.
    #[error("job `{job}` has no instance that could run it")]
    NoInstance {
        /// The name of the job.
        job: String,
    },
    /// No instance on the server is there to run the job.
    #[error("job `{job}` has no instance on server `{server}`")]
    NoInstanceOn {
        /// The name of the job.
        job: String,
        /// The address of the server.
        server: String,
    },
    /// The item is switched off.
    #[error("item {item} of job `{job}` is switched off{}", .note.as_ref().map(|note| format!(" {note}")).unwrap_or_default())]
    ItemDisabled {
        /// The name of the job.
        job: String,
        /// The item that is switched off.
        item: u32,
        /// Who switched it off, when and why, if that is known.
        note: Option<Note>,
    },
    /// The item belongs to an instance that runs no single items.
    #[error(
        "item {item} of job `{job}` belongs to {instance}, which runs no single items: it is a Java member, or an older one"
    )]
    NotOurItem {
        /// The name of the job.
        job: String,
        /// The item that was to run.
        item: u32,
        /// The id of its owner.
        instance: String,
    },
    /// There is no run to cancel.
    #[error("nothing of job `{job}`{} runs now", .item.map(|item| format!(", item {item},")).unwrap_or_default())]
    NothingRuns {
        /// The name of the job.
        job: String,
        /// The item that was meant; `None` for all.
        item: Option<u32>,
    },
    /// The parameter of a requested run is kept with each item, so it has to be short.
    #[error("the parameter has {length} bytes, the limit is {limit}")]
    ParameterTooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The texts of a note are kept with what they are about, so they have to be short.
    #[error("the operator's name or the reason has {length} bytes, the limit is {limit}")]
    NoteTooLong {
        /// The length of the longer text in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The whole job is paused, so that nothing of it starts.
    #[error("job `{job}` is paused{}: `enable` ends that", .note.as_ref().map(|note| format!(" {note}")).unwrap_or_default())]
    Paused {
        /// The name of the job.
        job: String,
        /// Who paused it, when and why, if that is known.
        note: Option<Note>,
    },
    /// The job is served, and would come back in pieces.
    #[error("job `{job}` is served by {}: shut it down first, and let them end their runs", .instances.join(", "))]
    Running {
        /// The name of the job.
        job: String,
        /// The ids of the instances that are registered with the job.
        instances: Vec<String>,
    },
    /// Another registry has jobs of these names with other content, and they were not to be overwritten.
    #[error("{registry} has other content of {}: nothing was copied", names(.jobs))]
    There {
        /// The jobs.
        jobs: Vec<String>,
        /// The registry.
        registry: String,
    },
    /// No job can run by this configuration.
    #[error("job `{job}` cannot run by the configuration that the registry holds")]
    Configuration {
        /// The name of the job.
        job: String,
        /// What is wrong with it.
        source: job::Errors,
    },
    /// Members could not read this configuration if it were written.
    #[error("the configuration of job `{job}` was not written: members could not read it")]
    Unreadable {
        /// The name of the job.
        job: String,
        /// Why not.
        source: job::Errors,
    },
    /// No job could run by this configuration if it were written.
    #[error("nothing was changed")]
    Unacceptable {
        /// The name of the job.
        job: String,
        /// What is wrong with it. It names the job.
        source: job::Errors,
    },
    /// No member of ours could run the job by this configuration if it were written.
    #[error("the configuration of job `{job}` was not changed: no member could run by it: {problem}")]
    Unusable {
        /// The name of the job.
        job: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A configuration under another name.
    #[error("the configuration is that of job `{given}`, not of `{job}`")]
    AnotherJob {
        /// The name of the job.
        job: String,
        /// The name in the configuration.
        given: String,
    },
    /// The configuration changed meanwhile.
    #[error("the configuration of job `{job}` has version {found}, not {expected}: it changed meanwhile")]
    Changed {
        /// The name of the job.
        job: String,
        /// The version that the change is made to.
        expected: i32,
        /// The version there is.
        found: i32,
    },
    /// Others changed the same things each time we tried.
    #[error("job `{job}` is being changed by others all the time: try again")]
    Busy {
        /// The name of the job.
        job: String,
    },
    /// A dump port did not answer as it should.
    #[error("the dump port at {address} did not answer")]
    Dump {
        /// The address that was connected to.
        address: SocketAddr,
        /// What the operating system said, or that the answer was no dump.
        source: io::Error,
    },
}

fn is_refusal(error: &registry::Error) -> bool {
    matches!(error, registry::Error::Refused(_))
}

impl Error {
    /// Returns whether the registry answered and refused, by its access rights or because it did not accept our authentication.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Registry { source, .. } if is_refusal(source))
    }

    /// Returns whether another try may succeed.
    ///
    /// A trigger that is retried after a lost answer may run the job twice; all other operations can be repeated
    /// without harm.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Registry { source, .. } => matches!(
                source,
                registry::Error::Busy(_)
                    | registry::Error::ConnectionLoss
                    | registry::Error::SessionExpired
                    | registry::Error::Unreachable(_)
            ),
            Self::Busy { .. } | Self::NoInstance { .. } | Self::NoInstanceOn { .. } | Self::Dump { .. } => true,
            _ => false,
        }
    }

    /// Shows the error with all that led to it, in one line. `Display` shows the error alone.
    ///
    /// ```
    /// use elasticjob::operation::Error;
    ///
    /// let source = elasticjob::registry::Error::ConnectionLoss;
    /// let error = Error::Registry { registry: "zookeeper at zk1:2181".to_owned(), source };
    /// assert_eq!(
    ///     error.chain().to_string(),
    ///     "the registry (zookeeper at zk1:2181) did not answer: connection to the registry lost, outcome unknown"
    /// );
    /// ```
    pub fn chain(&self) -> impl fmt::Display + '_ {
        Chain(self)
    }

    /// Returns whether what was asked for is not there.
    /// A job without a configuration counts as not found. An HTTP server answers such an error with 404.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NoSuchJob { .. }
                | Self::NoSuchItem { .. }
                | Self::NoSuchServer { .. }
                | Self::NoSuchInstance { .. }
                | Self::NoConfiguration { .. }
        )
    }
}
