//! Between the words of the client crate and ours.
//!
//! The one decision of weight is which errors leave the outcome of a request unknown. All that is not certain to have
//! been refused counts as unknown: a caller that settles an outcome for nothing loses a moment, one that repeats a
//! request which has happened runs an item twice.

use zookeeper_client as zk;

use super::namespace::Namespace;
use crate::registry::{Answer, CreateMode, Error, Read, Stat, Step, WriteError, Written};

/// Converts an error. The result says so if it is not known whether the request happened.
pub(super) fn error(error: zk::Error) -> Error {
    match error {
        zk::Error::NoNode => Error::NoNode,
        zk::Error::NodeExists => Error::NodeExists,
        zk::Error::BadVersion => Error::BadVersion,
        zk::Error::NotEmpty => Error::NotEmpty,
        zk::Error::NoChildrenForEphemerals => Error::EphemeralParent,
        zk::Error::SessionExpired | zk::Error::SessionMoved | zk::Error::ClientClosed => Error::SessionExpired,
        zk::Error::BadArguments(reason) => Error::InvalidArgument((*reason).to_owned()),
        error @ (zk::Error::NoAuth
        | zk::Error::AuthFailed
        | zk::Error::InvalidAcl
        | zk::Error::NotReadOnly
        | zk::Error::QuotaExceeded
        | zk::Error::MarshallingError
        | zk::Error::Unimplemented) => Error::Refused(error.to_string()),
        // Loss of the connection by a close, a reset or silence; a request that was throttled; codes that
        // the client does not know.
        _ => Error::ConnectionLoss,
    }
}

/// As [`error`], of a request about one node. A refusal names it.
fn of_node(path: &str, error: zk::Error) -> Error {
    if error == zk::Error::NoAuth {
        let reason = "not authorized: its access rights are for others, such as those with another digest or user";
        return Error::Refused(format!("{path}: {reason}"));
    }
    match self::error(error) {
        Error::Refused(reason) => Error::Refused(format!("{path}: {reason}")),
        error => error,
    }
}

/// Returns why a transaction of these steps did not happen. A refusal names the node.
pub(super) fn write_error(error: zk::MultiWriteError, steps: &[Step]) -> WriteError {
    match error {
        zk::MultiWriteError::RequestFailed { source } => self::error(source).into(),
        zk::MultiWriteError::OperationFailed { index, source } => WriteError {
            step: Some(index),
            error: match steps.get(index) {
                Some(step) => of_node(step.path(), source),
                None => self::error(source),
            },
        },
    }
}

/// Adds a step to a transaction.
pub(super) fn add(writer: &mut zk::MultiWriter<'_>, step: &Step, namespace: &Namespace) -> Result<(), zk::Error> {
    match step {
        Step::Create { path, data, mode } => {
            let mode = match mode {
                CreateMode::Persistent => zk::CreateMode::Persistent,
                CreateMode::Ephemeral => zk::CreateMode::Ephemeral,
                CreateMode::EphemeralSequential => zk::CreateMode::EphemeralSequential,
                CreateMode::Container => zk::CreateMode::Container,
            };
            writer.add_create(path, data, &mode.with_acls(namespace.acls))
        }
        Step::Set { path, data, version } => writer.add_set_data(path, data, *version),
        Step::Delete { path, version } => writer.add_delete(path, *version),
        Step::Check { path, version } => writer.add_check_version(path, version.unwrap_or(-1)),
    }
}

/// Converts the answer to one step.
pub(super) fn written(result: zk::MultiWriteResult) -> Result<Written, Error> {
    match result {
        zk::MultiWriteResult::Create { path, .. } => Ok(Written::Created(path)),
        zk::MultiWriteResult::SetData { stat } => Ok(Written::Set(self::stat(stat))),
        zk::MultiWriteResult::Delete => Ok(Written::Deleted),
        zk::MultiWriteResult::Check => Ok(Written::Checked),
        // An answer to another question: nothing is known.
        _ => Err(Error::ConnectionLoss),
    }
}

/// Answers a read. An error is one of the request as a whole: of a node that may not be read nothing is known. A refusal
/// names the node.
pub(super) fn answer(read: &Read, result: zk::MultiReadResult) -> Result<Answer, Error> {
    match (read, result) {
        (Read::Data(_), zk::MultiReadResult::Data { data, stat }) => Ok(Answer::Data(Some((data, self::stat(stat))))),
        (Read::Children(_), zk::MultiReadResult::Children { mut children }) => {
            children.sort_unstable();
            Ok(Answer::Children(Some(children)))
        }
        (Read::Data(_), zk::MultiReadResult::Error { err: zk::Error::NoNode }) => Ok(Answer::Data(None)),
        (Read::Children(_), zk::MultiReadResult::Error { err: zk::Error::NoNode }) => Ok(Answer::Children(None)),
        (Read::Data(path) | Read::Children(path), zk::MultiReadResult::Error { err }) => Err(of_node(path, err)),
        // An answer to another question: nothing is known.
        _ => Err(Error::ConnectionLoss),
    }
}

/// Converts what the servers know of a node. `modified` is its `mzxid`.
fn stat(stat: zk::Stat) -> Stat {
    Stat {
        version: stat.version,
        created: stat.czxid,
        modified: stat.mzxid,
        modified_at: stat.mtime,
        ephemeral_owner: stat.ephemeral_owner,
    }
}
