//! Requests of one kind, of which one is under way at a time.
//!
//! Most parts of the worker may not ask twice: the second request would be decided on a view that the first is about to
//! change. A `Flight` is the flag for that, with a place for what has to be remembered until the answer comes.

/// Whether a request of a kind is under way, with what has to be known when its answer comes.
#[derive(Debug, Default)]
pub(super) enum Flight<P = ()> {
    #[default]
    Idle,
    InFlight(P),
}

impl<P> Flight<P> {
    /// Returns whether no request of the kind is under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Notes that the request was sent.
    pub(super) fn start(&mut self, with: P) {
        *self = Self::InFlight(with);
    }

    /// Notes that the answer is there. Returns what the request was sent with.
    pub(super) fn land(&mut self) -> Option<P> {
        match std::mem::take(self) {
            Self::Idle => None,
            Self::InFlight(with) => Some(with),
        }
    }
}
