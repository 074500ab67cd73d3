//! Limits so high that a simulation could not reach them: it lowers them on its thread.
//!
//! Without the feature `testing` they are constants.
//!
//! They bound what one request may be, and how much is looked at together. Correctness does not rest on their values: a
//! job that needs more makes more requests. That is why a simulation lowers them: with a few hundred bytes for a
//! transaction, a job of ten items goes through everything that a job of a million does.

/// The largest transaction, in bytes as [`size_of`](crate::registry::size_of) counts them, that any registry is sent: half of what
/// a ZooKeeper server takes by default, since it answers anything larger by cutting the connection.
pub const MAX_TRANSACTION_SIZE: usize = 512 * 1024;

/// A list that is stored in one node takes a part of this, in bytes. It is the same for all members of a job, since all read it.
pub(crate) fn transaction_size() -> usize {
    current().transaction_size
}

/// Up to so many items × instances everybody follows everything of a job.
pub(crate) fn whole_scope() -> usize {
    current().whole_scope
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    transaction_size: usize,
    whole_scope: usize,
}

const REAL: Limits = Limits {
    transaction_size: MAX_TRANSACTION_SIZE,
    whole_scope: 1_000,
};

#[cfg(not(feature = "testing"))]
const fn current() -> Limits {
    REAL
}

#[cfg(feature = "testing")]
use lowered::current;
#[cfg(feature = "testing")]
pub(crate) use lowered::{Lowered, lower};

#[cfg(feature = "testing")]
mod lowered {
    use std::cell::Cell;

    use super::{Limits, REAL};

    thread_local! {
        static CURRENT: Cell<Limits> = const { Cell::new(REAL) };
    }

    pub(super) fn current() -> Limits {
        CURRENT.get()
    }

    /// Lowers the limits of all requests on this thread for as long as the guard lives.
    pub(crate) fn lower(transaction_size: usize, whole_scope: usize) -> Lowered {
        let limits = Limits {
            transaction_size: transaction_size.min(REAL.transaction_size),
            whole_scope: whole_scope.min(REAL.whole_scope),
        };
        Lowered {
            before: CURRENT.replace(limits),
        }
    }

    /// Puts things right when it goes.
    #[derive(Debug)]
    pub(crate) struct Lowered {
        before: Limits,
    }

    impl Drop for Lowered {
        fn drop(&mut self) {
            CURRENT.set(self.before);
        }
    }
}
