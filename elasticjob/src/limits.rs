//! Limits so high that a simulation could not reach them: it lowers them on its thread.
//!
//! Without the feature `testing` they are constants.

/// The largest transaction that a session sends, in bytes as [`size_of`](crate::registry::size_of) counts them.
pub(crate) fn transaction_size() -> usize {
    current().transaction_size
}

/// What a worker's transaction may take before the check that it is still a member is put in front.
pub(crate) fn worker_transaction_size() -> usize {
    transaction_size().saturating_sub(BYTES_OF_CHECK)
}

/// Up to so many items × instances everybody follows everything of a job.
pub(crate) fn whole_scope() -> usize {
    current().whole_scope
}

/// So many items are repaired or taken over in one transaction at most.
pub(crate) fn batch() -> usize {
    (worker_transaction_size() / BYTES_AN_ITEM).max(1)
}

/// So many nodes are read in one request at most.
pub(crate) fn reads() -> usize {
    REAL.transaction_size / BYTES_A_READ
}

/// What a check takes at most: a path, with the longest names that jobs and instances have.
const BYTES_OF_CHECK: usize = 512;

/// What a read takes at most: a path, with the longest names that jobs have.
const BYTES_A_READ: usize = 256;

/// What an item takes at most in a transaction of any kind: some paths, and its ledger with two causes.
const BYTES_AN_ITEM: usize = 2 * 1024;

#[derive(Clone, Copy, Debug)]
struct Limits {
    transaction_size: usize,
    whole_scope: usize,
}

const REAL: Limits = Limits {
    transaction_size: crate::registry::MAX_TRANSACTION_SIZE,
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

    /// Lowers the limits on this thread for as long as the guard lives.
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
