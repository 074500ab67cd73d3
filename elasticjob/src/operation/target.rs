//! Which jobs and servers an operation is about.

use std::fmt;

/// What an operation is done to.
///
/// Names and addresses are compared exactly. A target that names what is not there is an error of the operation, and
/// not of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A job, on all its servers.
    Job(String),
    /// A server, in all its jobs.
    Server(String),
    /// A job on one server.
    JobOnServer {
        /// The name of the job.
        job: String,
        /// The server's address.
        server: String,
    },
}

impl Target {
    /// A job, on all its servers.
    pub fn job(name: impl Into<String>) -> Self {
        Self::Job(name.into())
    }

    /// A server, by its address, in all its jobs.
    pub fn server(address: impl Into<String>) -> Self {
        Self::Server(address.into())
    }

    /// A job on one server.
    pub fn job_on_server(job: impl Into<String>, server: impl Into<String>) -> Self {
        Self::JobOnServer {
            job: job.into(),
            server: server.into(),
        }
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        match self {
            Self::Job(_) => None,
            Self::Server(server) | Self::JobOnServer { server, .. } => Some(server),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(job) => write!(f, "job `{job}`"),
            Self::Server(server) => write!(f, "server `{server}`"),
            Self::JobOnServer { job, server } => write!(f, "job `{job}` on server `{server}`"),
        }
    }
}
