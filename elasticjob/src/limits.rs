//! Limits so high that a simulation could not reach them: it lowers them on its thread.
//!
//! Without the feature `testing` they are constants.
//!
//! They bound what one request may be, and how much is looked at together. Correctness does not rest on their values: a
//! job that needs more makes more requests. That is why a simulation lowers them: with a few hundred bytes for a
//! transaction, a job of ten items goes through everything that a job of a million does.

/// The largest transaction, in bytes as [`size_of`](crate::registry::size_of) counts them, that a session sends: half of what
/// a ZooKeeper server takes by default, since it answers anything larger by cutting the connection.
pub const MAX_TRANSACTION_SIZE: usize = 512 * 1024;

/// The largest transaction that a session sends, in bytes as [`size_of`](crate::registry::size_of) counts them.
pub(crate) fn transaction_size() -> usize {
    current().transaction_size
}

/// What a transaction of this job's worker may take before the check that it is still a member is put in front.
pub(crate) fn worker_transaction_size(job: &str) -> usize {
    transaction_size().saturating_sub(BYTES_OF_CHECK + job.len())
}

/// Up to so many items × instances everybody follows everything of a job.
pub(crate) fn whole_scope() -> usize {
    current().whole_scope
}

/// So many items are looked at together, to be repaired, taken over or loaded. It bounds what is read for nothing where
/// another instance was faster; what fits into a transaction is measured.
pub(crate) fn batch() -> usize {
    (transaction_size() / BYTES_AN_ITEM).max(1)
}

/// So many items are read together where all of them are to be read: a few requests are under way at a time, and their answers,
/// which take many times what is kept of them, in memory.
pub(crate) fn items_at_once() -> usize {
    batch() * 16
}

/// What a check takes beside the job's name: a path, with the longest names that instances have.
const BYTES_OF_CHECK: usize = 512;

/// What an item usually takes at most: some paths, and its ledger.
const BYTES_AN_ITEM: usize = 1024;

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
