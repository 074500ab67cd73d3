//! How often decisions look at single items: counted in tests, because no decision may look at all items each time.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// Counts a look at one item.
#[inline]
pub(crate) fn look() {
    #[cfg(test)]
    LOOKS.set(LOOKS.get() + 1);
}

/// Returns how many looks there were on this thread since the last call.
#[cfg(test)]
pub(crate) fn take_looks() -> u64 {
    LOOKS.take()
}
