//! Errors of registries.
//!
//! The variants are what callers act on: refused for a reason that another state may change (`NodeExists`,
//! `BadVersion`, ..), refused for good, unknown outcome, no connection, no session.

/// Why a registry did not carry out a request, or may not have.
///
/// Ask [`is_outcome_unknown`](Self::is_outcome_unknown) before anything is repeated that must not happen twice, and
/// [`is_session_lost`](Self::is_session_lost) to learn that only a new session helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such node, or no parent to create it under.
    #[error("no such node")]
    NoNode,
    /// The node exists already.
    #[error("the node exists")]
    NodeExists,
    /// The node's data is at another version.
    #[error("the node has another version")]
    BadVersion,
    /// The node has children.
    #[error("the node has children")]
    NotEmpty,
    /// An ephemeral node can have no children.
    #[error("an ephemeral node can have no children")]
    EphemeralParent,
    /// The connection went away before the answer came: a write may have happened or not.
    #[error("connection to the registry lost, outcome unknown")]
    ConnectionLoss,
    /// The session is over, and with it its ephemeral nodes. The call had no effect.
    #[error("the registry session is over")]
    SessionExpired,
    /// The request is larger than the registry takes; nothing was sent.
    #[error("the request has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Size of the request in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The request has more steps than the registry takes; nothing was sent.
    #[error("the request has {steps} steps, the limit is {limit}")]
    TooManySteps {
        /// Steps of the request, as [`Size::steps`](super::Size::steps) counts them.
        steps: usize,
        /// The limit.
        limit: usize,
    },
    /// Another transaction held what the request needs for too long. The call had no effect, and may be repeated.
    #[error("the registry is busy: {0}")]
    Busy(String),
    /// No server answered.
    #[error("no registry server reachable: {0}")]
    Unreachable(String),
    /// The registry will not have us: authentication or access rights. Trying again does not help.
    #[error("the registry refused: {0}")]
    Refused(String),
    /// A path, or another argument, that no registry can take. A fault of ours.
    #[error("invalid argument for the registry: {0}")]
    InvalidArgument(String),
}

impl Error {
    /// Returns whether a write that ended so may nevertheless have happened.
    /// A read after a sync shows whether it did.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::ConnectionLoss)
    }

    /// Returns whether the registry would refuse the same request again, for as long as its access rights are the same: no
    /// retry mends it.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. } | Self::TooManySteps { .. } | Self::InvalidArgument(_) | Self::Refused(_)
        )
    }

    /// Returns whether the session is over, so that only a new one helps.
    #[must_use]
    pub fn is_session_lost(&self) -> bool {
        matches!(self, Self::SessionExpired)
    }
}

/// Why a transaction did not happen, or may not have.
///
/// With `step` set, no step was carried out. Without it, ask the error: after [`Error::ConnectionLoss`] all steps or
/// none were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}{}", .step.map(|step| format!(" (step {step} of the transaction)")).unwrap_or_default())]
pub struct WriteError {
    /// The step that was refused, counted from 0, where the registry named one.
    pub step: Option<usize>,
    /// What was wrong with it, or with the transaction as a whole.
    pub error: Error,
}

impl AsRef<Error> for Error {
    fn as_ref(&self) -> &Error {
        self
    }
}

impl AsRef<Error> for WriteError {
    fn as_ref(&self) -> &Error {
        &self.error
    }
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self { step: None, error }
    }
}
