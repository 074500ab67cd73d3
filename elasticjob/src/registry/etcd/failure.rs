//! What an error of etcd means to a session.

use std::fmt;

use crate::registry::Error;

/// Why a call has no answer, or another than was hoped for.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// The caller is to know it.
    Answer(E),
    /// It is not known what became of the call: the connection is given up.
    Broken(String),
    /// The session is over.
    Over(String),
}

/// A failure of a request, before it is known what was asked.
pub(super) type Failure = Stop<Error>;

/// Codes of gRPC.
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// What an etcd that has no room left says.
const NO_SPACE: &str = "database space exceeded";

impl From<etcd_client::Error> for Failure {
    fn from(error: etcd_client::Error) -> Self {
        match &error {
            etcd_client::Error::GRpcStatus(status) => of_status(status.code().into(), status.message()),
            etcd_client::Error::LeaseKeepAliveError(text) if text.contains("not found") => {
                Self::Over("its lease is gone".to_owned())
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

fn of_status(code: i32, message: &str) -> Failure {
    let text = message.strip_prefix("etcdserver: ").unwrap_or(message);
    let refused = |advice: &str| Stop::Answer(Error::Refused(format!("etcd: {text}{advice}")));
    match code {
        code::NOT_FOUND if text.contains("lease not found") => Stop::Over("its lease is gone".to_owned()),
        code::RESOURCE_EXHAUSTED if text.contains(NO_SPACE) => {
            refused(": compact and defragment it, or raise `--quota-backend-bytes`, then run `etcdctl alarm disarm`")
        }
        code::INVALID_ARGUMENT if text.contains("too many operations") => {
            refused(": `--max-txn-ops` must be 128 at least")
        }
        code::INVALID_ARGUMENT if text.contains("request is too large") => {
            refused(": `--max-request-bytes` must be 1572864 at least")
        }
        code::PERMISSION_DENIED | code::UNAUTHENTICATED | code::INVALID_ARGUMENT => refused(""),
        _ => Stop::Broken(if text.is_empty() {
            format!("gRPC code {code}")
        } else {
            text.to_owned()
        }),
    }
}

impl Failure {
    /// Returns the error of an attempt to connect. If etcd has no room, trying again helps once an operator has made some.
    pub(super) fn of_connect(self) -> Error {
        match self {
            Self::Answer(Error::Refused(text)) if text.contains(NO_SPACE) => Error::Unreachable(text),
            Self::Answer(error) => error,
            Self::Broken(text) | Self::Over(text) => Error::Unreachable(text),
        }
    }

    /// Returns the same failure of a call with other errors.
    pub(super) fn of_call<E: From<Error>>(self) -> Stop<E> {
        match self {
            Self::Answer(error) => Stop::Answer(error.into()),
            Self::Broken(text) => Stop::Broken(text),
            Self::Over(text) => Stop::Over(text),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(error) => error.fmt(f),
            Self::Broken(text) | Self::Over(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod a_status {
        use super::*;

        fn check(code: i32, message: &str, expected: &str) {
            let found = match of_status(code, message) {
                Stop::Answer(error) => format!("answer {error}"),
                Stop::Broken(text) => format!("broken {text}"),
                Stop::Over(text) => format!("over {text}"),
            };
            assert!(found.starts_with(expected), "{found}");
        }

        #[test]
        fn says_what_to_do_if_trying_again_does_not_help() {
            check(
                8,
                "etcdserver: mvcc: database space exceeded",
                "answer the registry refused: etcd: mvcc: database space exceeded: compact",
            );
            check(
                3,
                "etcdserver: too many operations in txn request",
                "answer the registry refused: etcd: too many operations in txn request: `--max-txn-ops`",
            );
            check(
                3,
                "etcdserver: request is too large",
                "answer the registry refused: etcd: request is too large: `--max-request-bytes`",
            );
            check(
                7,
                "etcdserver: permission denied",
                "answer the registry refused: etcd: permission denied",
            );
            check(
                3,
                "etcdserver: authentication failed, invalid user ID or password",
                "answer the registry refused",
            );
        }

        #[test]
        fn is_a_lost_connection_or_session_otherwise() {
            check(5, "etcdserver: requested lease not found", "over its lease is gone");
            check(14, "etcdserver: request timed out", "broken request timed out");
            check(8, "etcdserver: too many requests", "broken too many requests");
            check(14, "", "broken gRPC code 14");
        }

        #[test]
        fn of_a_full_etcd_is_no_reason_to_give_up_connecting() {
            let full = of_status(8, "etcdserver: mvcc: database space exceeded").of_connect();
            assert!(matches!(full, Error::Unreachable(_)), "{full:?}");
            let denied = of_status(7, "etcdserver: permission denied").of_connect();
            assert!(matches!(denied, Error::Refused(_)), "{denied:?}");
        }
    }
}
