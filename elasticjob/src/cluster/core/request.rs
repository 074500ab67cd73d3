//! The requests that decisions make to the registry, and its answers.
//!
//! A decision returns a [`Request`]: the steps or reads, and the purpose, which comes back with the answer. The worker
//! adds what it alone knows, such as the check that this instance is still a member, and knows nothing of the purposes.

use crate::cluster::surveyed::Surveyed;
use crate::registry::{Answer, Error, Read, Step, WriteError, Written};

/// A request, and what it is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<P> {
    pub(crate) purpose: P,
    pub(crate) io: Io,
}

/// How the registry is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Io {
    /// A write without a further condition.
    Write(Vec<Step>),
    /// A write that is refused once this instance is no member of the job any more: the job may have begun again since, with
    /// other nodes of the same names and versions.
    WriteAsMember(Vec<Step>),
    /// A read from the server that this session is connected to, which may be behind others.
    Read(Vec<Read>),
    /// A read after a `sync`, which misses nothing that was acknowledged before.
    ReadInSync(Vec<Read>),
    /// Reads, in the same way, of what an assignment has to know of these items. Of each part of the answers only that is kept.
    Survey {
        items: Vec<u32>,
        /// There are so many items: others are to go.
        total: u32,
    },
}

/// The answer of the registry.
#[derive(Debug)]
pub(crate) enum Reply {
    Written(Result<Vec<Written>, WriteError>),
    Read(Result<Vec<Answer>, Error>),
    Surveyed(Result<Vec<Surveyed>, Error>),
}

impl<P> Request<P> {
    /// Returns a write that is refused if this instance is no member of the job any more.
    pub(crate) fn write_as_member(purpose: P, steps: Vec<Step>) -> Self {
        let io = Io::WriteAsMember(steps);
        Self { purpose, io }
    }

    /// Returns a read that may be behind.
    pub(crate) fn read(purpose: P, reads: Vec<Read>) -> Self {
        let io = Io::Read(reads);
        Self { purpose, io }
    }

    /// Returns a read that misses no write that was answered before.
    pub(crate) fn read_in_sync(purpose: P, reads: Vec<Read>) -> Self {
        let io = Io::ReadInSync(reads);
        Self { purpose, io }
    }

    /// Returns the reads of all that an assignment has to know of these items.
    pub(crate) fn survey(purpose: P, items: Vec<u32>, total: u32) -> Self {
        let io = Io::Survey { items, total };
        Self { purpose, io }
    }

    /// Returns the request for a purpose that this one is a part of.
    pub(crate) fn map<Q>(self, purpose: impl FnOnce(P) -> Q) -> Request<Q> {
        Request {
            purpose: purpose(self.purpose),
            io: self.io,
        }
    }
}

impl Reply {
    /// Returns how the request went.
    pub(crate) fn outcome(&self) -> Result<(), &Error> {
        match self {
            Self::Written(result) => result.as_ref().map(drop).map_err(AsRef::as_ref),
            Self::Read(result) => result.as_ref().map(drop),
            Self::Surveyed(result) => result.as_ref().map(drop),
        }
    }
}
