//! Requests of one kind, of which one is under way at a time.

/// Whether a request of a kind is under way, with what has to be known when its answer comes.
#[derive(Debug, Default)]
pub(super) enum Flight<P = ()> {
    #[default]
    Idle,
    InFlight(P),
}

impl<P> Flight<P> {
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
