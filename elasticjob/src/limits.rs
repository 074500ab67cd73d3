//! How much is asked of the registry at once.

/// The largest transaction that a session sends, in bytes as [`size_of`](crate::registry::size_of) counts them.
pub(crate) fn transaction_size() -> usize {
    current().transaction_size
}

/// Up to so many items × instances everybody follows everything of a job.
pub(crate) fn whole_scope() -> usize {
    current().whole_scope
}

/// So many items are repaired or taken over in one transaction at most.
pub(crate) fn batch() -> usize {
    (transaction_size() / BYTES_AN_ITEM).max(1)
}

/// So many nodes are read in one request at most.
pub(crate) fn reads() -> usize {
    REAL.transaction_size / BYTES_A_READ
}

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

const fn current() -> Limits {
    REAL
}
